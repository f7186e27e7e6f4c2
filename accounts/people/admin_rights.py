"""What staff may do in the admin who are no operators: nothing by which they would become one, or speak for one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from accounts.models import User
from config.errors import Forbidden

OWN = ("email",)
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


def may_change(by: User, user: User) -> bool:
    """Whether an account is within reach: operators reach everybody, others themselves and whoever is neither operator nor staff."""
    return by.is_superuser or user == by or not (user.is_superuser or user.is_staff)


def refuse_own_membership(by: User, *members: User) -> None:
    """Raise Forbidden where somebody who is no operator would enter a team, or rise in one, without having been asked."""
    if not by.is_superuser and by in members:
        raise Forbidden("Only operators change what they are in a team themselves: ask an operator, or an admin of the team.")


class PeopleWithinReach(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's admin classes take no type argument at run time
    """Pages of people on which who is no operator gives nobody rights, and changes or deletes neither operators nor other staff."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Any: Django's own signature
        """Also whether a password may be set."""
        return super().has_change_permission(request, obj) and is_within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Any: Django's own signature
        """Whether this account may be deleted."""
        return super().has_delete_permission(request, obj) and is_within_reach(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # Any: Django's own signature
        """Operators alone give rights. One's own address changes on the Account page, which asks for the password: it opens the account."""
        fields = super().get_readonly_fields(request, obj)
        own = OWN if obj is not None and obj == request.user else ()
        return (*fields, *own) if is_operator(request) else (*fields, *own, *RIGHTS)


class ForOperators(admin.ModelAdmin):  # type: ignore[type-arg]
    """Pages that operators alone change: what stands there gives rights to whoever it names."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Operators only."""
        return is_operator(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Operators only."""
        return is_operator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Operators only."""
        return is_operator(request)


def is_operator(request: HttpRequest) -> bool:
    """Whether an operator asks. One who was switched off is none."""
    return request.user.is_active and request.user.is_superuser


def is_within_reach(request: HttpRequest, user: User | None) -> bool:
    """Whether whoever asks may change this account, or some account where none is named."""
    return user is None or may_change(request.user, user)  # type: ignore[arg-type]  # staff only
