"""One line for every request but those with points that went well, and the request's id in every line that is logged meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from structlog.contextvars import bind_contextvars, clear_contextvars

from config.web.request_id import request_id

logger = logging.getLogger(__name__)
# Asked again and again by machines and browsers: of no interest while they work.
QUIET = ("/health", "/ready", "/metrics", "/static/", "/api/v1/metrics/log")
REFUSED, SERVER_ERROR = 400, 500


class AccessLogMiddleware:
    """Binds the request's id, and says what was asked and answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on, then write its line."""
        clear_contextvars()
        bind_contextvars(request_id=request_id(request))
        began = time.perf_counter()
        try:
            response = self.get_response(request)
            note(request, response.status_code, time.perf_counter() - began)
            return response
        finally:
            clear_contextvars()


def note(request: HttpRequest, status: int, seconds: float) -> None:
    """The line of one request of Django's."""
    line(str(request.method), request.path, status, seconds, request_id=request_id(request), user=user_id(request))


def line(method: str, path: str, status: int, seconds: float, *, request_id: str, user: int | None = None) -> None:
    """Write one access line. The query is left out: it may hold what a person searched for."""
    is_quiet = status < REFUSED and path.startswith(QUIET)
    level = logging.WARNING if status >= SERVER_ERROR else logging.DEBUG if is_quiet else logging.INFO
    if logger.isEnabledFor(level):
        said = {"method": method, "path": path, "status": status, "ms": round(seconds * 1000, 1), "user": user}
        logger.log(level, "%s %s %d", method, path, status, extra={"request_id": request_id, **said})


def user_id(request: HttpRequest) -> int | None:
    """Who asked, where that was found out anyway; finding out now would cost a query."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)
    return user.pk if user is not None and user.is_authenticated else None
