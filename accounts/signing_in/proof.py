"""When somebody last gave the password: a session and a JWT remember it, and what makes tokens asks how long ago it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

HOLDS = timedelta(hours=1)
PROVED_AT = "proved_at"


def is_fresh(proved_at: datetime | None) -> bool:
    """Whether the password was given within the last hour."""
    return proved_at is not None and timezone.now() - proved_at < HOLDS


def seconds_now() -> int:
    """The present moment as sessions and JWTs keep it: seconds since 1970."""
    return int(timezone.now().timestamp())


def moment(kept: object) -> datetime | None:
    """The moment that was kept; None for anything that is none."""
    try:
        return datetime.fromtimestamp(kept, UTC) if isinstance(kept, int) else None
    except (OverflowError, ValueError, OSError):
        return None


def session_proved_at(request: HttpRequest) -> datetime | None:
    """When the password was last given in this session; None where there is no session, or it does not say."""
    session = getattr(request, "session", None)
    return moment(session.get(PROVED_AT)) if session is not None else None


def note_proof(request: HttpRequest) -> None:
    """The password was given just now."""
    request.session[PROVED_AT] = seconds_now()


def signed_in(sender: object, request: HttpRequest, **rest: Any) -> None:  # Any: Django's own signature
    """Somebody signed in, on our page or the admin's. Django tells it by this signal alone."""
    note_proof(request)
