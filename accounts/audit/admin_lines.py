"""What is done in the admin leaves lines as everything else does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, ClassVar

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.audit.recording import Subject, record


class Audited(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's admin classes take no type argument at run time
    """Pages of the admin that leave a line of each row that was added, changed or deleted, but for what a verb tells of (`told_by_verbs`)."""

    told_by_verbs: ClassVar[frozenset[str]] = frozenset()

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **options: Any) -> Any:  # Any: Django's own signature
        """Selected rows are deleted with their lines, all or nothing: Django writes the lines first. Whatever else is done to them, verbs do."""
        is_deletion = "delete_selected" in request.POST.getlist("action")
        with transaction.atomic() if is_deletion else nullcontext():
            return super().response_action(request, queryset, *args, **options)

    def tell(self, done: str, row: Model, message: object = "") -> None:
        """Leave the line, where no verb does."""
        if done not in self.told_by_verbs:
            fields = ", ".join(fields_of(message))
            record(f"admin.{done}", on=row, details={"changed": fields} if fields else {})

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:  # Any: Django's own signature
        """Django's own line, and ours."""
        self.tell("added", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:  # Any: Django's own signature
        """Django's own line, and ours where anything changed."""
        if message:
            self.tell("changed", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:  # Any: Django's own signature
        """Django's own lines, and ours."""
        for row in queryset:
            self.tell("deleted", row)
        return super().log_deletions(request, queryset)


def fields_of(message: object) -> Iterator[str]:
    """The fields that a message of Django's names."""
    for each in message if isinstance(message, list) else ():
        for done in each.values():
            yield from map(str, done.get("fields", ()))


def acted(what: str, row: Model | Subject, *, team: Model | None = None) -> None:
    """Leave the line of an action of a page: `what` was done, in the past, to one row. `team` is whose it is where the row does not say."""
    record("admin.acted", on=row, team=team, details={"what": what})
