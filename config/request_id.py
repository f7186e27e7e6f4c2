"""A name for every request, so that an error on a screen can be found in the log."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(request: HttpRequest) -> str:
    """The request's id: the caller's own X-Request-ID where it is plain, else 32 hex characters."""
    known: str | None = getattr(request, "id", None)
    if known is None:
        given = request.headers.get("X-Request-ID", "")
        known = given if GIVEN.fullmatch(given) else uuid.uuid4().hex
        request.id = known  # type: ignore[attr-defined]
    return known


class RequestIdMiddleware:
    """Answers every request with its X-Request-ID."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the id."""
        response = self.get_response(request)
        response["X-Request-ID"] = request_id(request)
        return response
