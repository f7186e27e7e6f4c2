"""Names with a slash in paths of the API: `org%2Fllm` is one part of a path and `org/llm` are two, which WSGI tells nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from django.http import HttpRequest, HttpResponse

API = "/api/"
ESCAPED = re.compile("%2f", re.IGNORECASE)
SLASH = "\udc2f"  # stands for an escaped slash while an address is looked up: half a character, which no decoded path holds


class EscapedSlashesMiddleware:
    """An address is looked up with escaped slashes as letters; its view is given names with slashes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on, its path as it was sent."""
        path = request.path_info
        request.path_info = looked_up(request)
        try:
            return self.get_response(request)
        finally:
            request.path_info = path

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: dict[str, Any]) -> None:  # Any: what an address holds
        """Give the view its names."""
        for name, value in kwargs.items():
            if isinstance(value, str) and SLASH in value:
                kwargs[name] = value.replace(SLASH, "/")


def looked_up(request: HttpRequest) -> str:
    """The path as addresses are looked up by it; as it is where no slash was escaped, and where the server does not tell what was sent."""
    sent = request.META.get("RAW_URI") or request.META.get("REQUEST_URI") or ""  # as web servers call it
    if not request.path_info.startswith(API) or not ESCAPED.search(sent):
        return request.path_info
    raw = sent.partition("?")[0] if sent.startswith("/") else urlsplit(sent).path
    path = SLASH.join(map(unquote, ESCAPED.split(raw)))
    before = len(request.path) - len(request.path_info)
    return path[before:] if path.replace(SLASH, "/") == request.path else request.path_info
