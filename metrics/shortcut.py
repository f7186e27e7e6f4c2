"""The short way for points: no session, no CSP, no CSRF, no messages, as a script's POST needs none of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from config import access_log
from metrics import meters

PREFIX = "/api/v1/metrics/log"
REFUSED = 400


class ShortcutMiddleware:
    """Calls the log endpoints directly; everything else goes on through the other middleware. It has to stand before them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The short way for a POST of points, the long way for the rest."""
        if request.method == "POST" and request.path_info.startswith(PREFIX):
            try:
                match = resolve(request.path_info)
            except Resolver404:
                return self.get_response(request)
            began, status = time.perf_counter(), 500
            try:
                response: HttpResponse = match.func(request, *match.args, **match.kwargs)
                status = response.status_code
            finally:
                seconds = time.perf_counter() - began
                meters.note_request(status, seconds)
            if status >= REFUSED:  # no line for what went well: it would cost more than the points
                access_log.note(request, status, seconds)
            response["Content-Length"] = str(len(response.content))
            return response
        return self.get_response(request)
