"""The short way for points: no session, no CSP, no CSRF, no messages, as a script's POST needs none of them."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

PREFIX = "/api/v1/metrics/log"


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
            response: HttpResponse = match.func(request, *match.args, **match.kwargs)
            response["Content-Length"] = str(len(response.content))
            return response
        return self.get_response(request)
