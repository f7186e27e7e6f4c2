"""What admin pages share: records nobody edits, and deletions that count instead of listing ten thousand rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest

from config.web.names import name_input

NAMED_MOST = 20
SEARCHED_MOST = 200


# Django's admin classes take no type argument at run time.
class BigTableAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A table that may be long: no count of all rows, no page too large."""

    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 500

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest | None, **options: Any) -> Any:  # Any: Django's own signature
        """Names are read as everywhere else: see `config.web.names`."""
        return super().formfield_for_dbfield(db_field, request, **name_input(db_field, options))  # type: ignore[arg-type]  # Django's own call

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """The rows that a text is found in, of which each word is a condition: its first SEARCHED_MOST characters."""
        return super().get_search_results(request, queryset, search_term[:SEARCHED_MOST])


class ReadOnlyAdmin(BigTableAdmin):
    """A record to look at. Only the product itself writes it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes."""
        return False

    def has_steering_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may do what the page's actions do: whoever has Django's permission to change such rows, which no form here asks for."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename('change', self.opts)}"))


class CountingDeletion(admin.ModelAdmin):  # type: ignore[type-arg]
    """Asks before deleting with a count and some names. Django's own page would load and list every row that goes along."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:  # Any: rows of any model
        """(names to show, counts by kind, missing permissions, what protects them)."""
        count = len(objs)
        names = [str(one) for one in objs[:NAMED_MOST]] + ([f"… and {count - NAMED_MOST:,} more"] if count > NAMED_MOST else [])
        kind = self.opts.verbose_name_plural
        missing = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return names, {str(kind): count}, missing, []
