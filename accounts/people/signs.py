"""What follows from a sign-in, a failed one and a sign-out, wherever it happens: Django tells of all three, on pages and in the admin alike."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import signals
from django.http import HttpRequest

from accounts.audit.recording import Subject, record
from accounts.models import BrowserSession, User
from accounts.people import sessions
from accounts.signing_in.backends import account_named

UNKNOWN = Subject("user", "a name that nobody has")


def listen() -> None:
    """Hear of sign-ins from now on."""
    signals.user_logged_in.connect(signed_in, dispatch_uid="accounts.signed_in")
    signals.user_login_failed.connect(failed, dispatch_uid="accounts.failed")
    signals.user_logged_out.connect(signed_out, dispatch_uid="accounts.signed_out")


def signed_in(request: HttpRequest, user: User, **_: Any) -> None:  # Any: whatever Django tells its listeners
    """Note the browser, and leave a line."""
    sessions.begin(request, user)
    record("sign_in.done", on=user, by=user, details={"way": "on a page"})


def failed(credentials: dict[str, Any], **_: Any) -> None:  # Any: as above
    """Leave a line. A name that nobody has is not kept: it may be a password in the wrong field."""
    record("sign_in.failed", on=account_named(str(credentials.get("username") or "").replace("\0", "")) or UNKNOWN)


def signed_out(request: HttpRequest, user: User | None, **_: Any) -> None:  # Any: as above
    """Forget the browser, and leave a line."""
    BrowserSession.objects.filter(session_key=request.session.session_key).delete()
    if user is not None:
        record("sign_in.ended", on=user, by=user)
