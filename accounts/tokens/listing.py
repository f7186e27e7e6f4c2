"""A person's tokens as pages show them: `accounts/_tokens.html` reads what `section` gives, `accounts/_tokens_to_end.html` what `to_end` gives."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.access import Caller
from accounts.models import ApiToken, Scope, User
from accounts.tokens.ending import living_of
from accounts.tokens.forms import TokenForm


def section(asking: Caller, form: TokenForm | None = None) -> dict[str, Any]:  # Any: a template's context
    """The caller's tokens and the form for another, as `tokens`, `token_form`, `narrower` and `now`."""
    tokens = ApiToken.objects.filter(user=asking.user, revoked_at=None).select_related("team", "project", "parent")
    narrower = [(scope.value, scope.label) for scope in Scope if scope != Scope.BEFORE]
    return {"tokens": tokens, "token_form": form or TokenForm(asking), "narrower": narrower, "now": timezone.now()}


def to_end(user: User) -> dict[str, Any]:  # Any: a template's context
    """The tokens that hold, for the form that changes the password: it sends those to end as `end`."""
    return {"tokens_to_end": living_of(user)}
