"""A person's tokens as pages show them: `accounts/_tokens.html` reads what `section` gives."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.access import Caller
from accounts.models import ApiToken, Scope
from accounts.tokens.forms import TokenForm


def section(asking: Caller, form: TokenForm | None = None) -> dict[str, Any]:  # Any: a template's context
    """The caller's tokens and the form for another, as `tokens`, `token_form`, `narrower` and `now`."""
    tokens = ApiToken.objects.filter(user=asking.user, revoked_at=None).select_related("team", "project", "parent")
    narrower = [(scope.value, scope.label) for scope in Scope if scope != Scope.BEFORE]
    return {"tokens": tokens, "token_form": form or TokenForm(asking), "narrower": narrower, "now": timezone.now()}
