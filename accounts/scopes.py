"""Which scope of a token each endpoint takes: declared where the endpoint is, and refused where it is not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import IsAuthenticated

from accounts.models import ApiToken, Scope
from config.errors import Forbidden

VERBS = ("get", "post", "put", "patch", "delete")
# What an endpoint says of each of its operations: the weakest scopes that it takes.
Scopes = Mapping[str, Collection[Scope]]
LOGS = (Scope.INGEST,)
READS = (Scope.READ,)
READS_BACK = (Scope.READ, Scope.INGEST)  # `ingest`: of what the token made itself, which the endpoint sees to
EDITS = (Scope.WRITE,)
ADMINISTERS = (Scope.ADMIN,)


def refuse_scope(token: ApiToken | None, needed: Collection[Scope]) -> None:
    """Raise Forbidden where a token's scope includes none of those needed. A session and a JWT have no scope: they may do what their user may."""
    if token is not None and not any(Scope(token.scope).includes(each) for each in needed):
        raise Forbidden(refusal(token, needed))


def refusal(token: ApiToken, needed: Collection[Scope]) -> str:
    """Which scope it takes, which one the token has, and what to do."""
    taken = " or ".join(f"{each.value} ({each.label})" for each in needed) or "none: no token may do this, sign in"
    return f"This takes a token of the scope {taken}; this one has {token.scope} ({Scope(token.scope).label}). Make another on the Account page."


def refuse_limited(token: ApiToken | None, doing: str) -> None:
    """Raise Forbidden where a token is limited to one project and `doing` concerns the whole team."""
    if token is not None and token.project_id is not None:
        raise Forbidden(f"This token is limited to one project, and {doing} concerns the whole team: use a token of all projects.")


class InScope(IsAuthenticated):
    """Who asks is known, and the token's scope is one that the operation takes. An operation that says nothing takes no token."""

    def has_permission(self, request: Any, view: Any) -> bool:  # Any: DRF's own signature
        """Whether it may go on. Raises Forbidden, with the scope that it takes."""
        if not super().has_permission(request, view):
            return False
        verb = "get" if request.method == "HEAD" else request.method.lower()
        operation = getattr(view, "action", None) or verb
        if operation in ("metadata", "options") or not hasattr(view, operation):
            return True  # what the address describes itself with, or a verb that it does not have
        token = request.auth if isinstance(request.auth, ApiToken) else None
        refuse_scope(token, getattr(view, "scopes", {}).get(operation, ()))
        if operation in getattr(view, "of_the_team", ()):
            refuse_limited(token, "this")
        return True


def refuse_undeclared(view: type, operations: Collection[str]) -> None:
    """Raise ImproperlyConfigured where an endpoint is put under an address and does not say which scope an operation takes."""
    missing = sorted(set(operations) - set(getattr(view, "scopes", {})))
    if missing:
        raise ImproperlyConfigured(f"{view.__module__}.{view.__name__} does not say which scope {', '.join(missing)} takes: name it in `scopes`.")


def operations_of(view: type, actions: Mapping[str, str] | None) -> Iterator[str]:
    """What a view does under an address: its actions where it has some, else its verbs."""
    yield from actions.values() if actions else (verb for verb in VERBS if hasattr(view, verb))
