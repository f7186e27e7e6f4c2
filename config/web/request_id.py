"""A name for every request, so that an error on a screen can be found in the log; and where a request comes from."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def named(given: str) -> str:
    """A request's id: the caller's own X-Request-ID where it is plain, else 32 hex characters."""
    return given if GIVEN.fullmatch(given) else uuid.uuid4().hex


def request_id(request: HttpRequest) -> str:
    """The id that this request has, or gets now."""
    known: str | None = getattr(request, "id", None)
    if known is None:
        known = named(request.META.get("HTTP_X_REQUEST_ID", ""))
        request.id = known  # type: ignore[attr-defined]
    return known


def address_of(request: HttpRequest | None) -> str:
    """Where a request comes from: what our own proxy says, where there is one (X-Forwarded-For could be anybody's words otherwise)."""
    return address_in(request.META if request else {})


def address_in(environ: Mapping[str, Any]) -> str:
    """The same of a request as WSGI's environ gives it."""
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "") if settings.PROXY_TRUSTED else ""
    return forwarded.rpartition(",")[2].strip() or environ.get("REMOTE_ADDR", "")


class RequestIdMiddleware:
    """Answers every request with its X-Request-ID."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the id."""
        response = self.get_response(request)
        response["X-Request-ID"] = request_id(request)
        return response
