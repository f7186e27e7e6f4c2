"""Browsers that somebody signed in with before: a signed cookie that opens nothing, but that lets its owner in while strangers guess at the account."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from accounts.models import User

COOKIE = "device"
SALT = "accounts.signing_in.devices"
HOLDS = timedelta(days=400)
PEOPLE_MOST = 10


class RememberMiddleware:
    """Lets a browser know whom a session began for, wherever it began: on the sign-in page, in the admin, or with a new account."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on, then look whether somebody signed in."""
        response = self.get_response(request)
        user: User | None = getattr(request, "signed_in", None)
        if user is not None:
            remember(request, response, user)
        return response


def signed_in(sender: object, request: HttpRequest, user: User, **rest: Any) -> None:  # Any: Django's own signature
    """Somebody signed in: the answer to this request is to be remembered by."""
    request.signed_in = user  # type: ignore[attr-defined]  # for the middleware


def read(request: HttpRequest | None) -> tuple[str, list[int]]:
    """(the device's random name, who signed in with it); ("", []) where the cookie is missing, forged or old."""
    try:
        kept: dict[str, Any] = signing.loads(request.COOKIES.get(COOKIE, "") if request else "", salt=SALT, max_age=HOLDS)  # Any: JSON of our own
    except signing.BadSignature:
        return "", []
    return kept["device"], kept["people"]


def known(request: HttpRequest | None, user: User) -> str:
    """The device's name, where this user signed in with it before; else ""."""
    device, people = read(request)
    return device if user.pk in people else ""


def remember(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Let the browser keep that this user signed in with it."""
    device, people = read(request)
    kept = {"device": device or secrets.token_hex(8), "people": [user.pk, *(each for each in people if each != user.pk)][:PEOPLE_MOST]}
    response.set_cookie(COOKIE, signing.dumps(kept, salt=SALT), max_age=HOLDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax", path="/")
