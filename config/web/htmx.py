"""One address, one view, one template: HTMX gets the named part, everyone else the page."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django_htmx.middleware import HtmxDetails


class HtmxHttpRequest(HttpRequest):
    """A request as HtmxMiddleware leaves it."""

    htmx: HtmxDetails


def partial(template: str, name: str, request: HtmxHttpRequest) -> str:
    """The template's partial `name` where HTMX asks for a part, else the whole template. Such a view varies on HX-Request."""
    wants_part = request.htmx and not request.htmx.boosted and not request.htmx.history_restore_request
    return f"{template}#{name}" if wants_part else template


class SignedOutMiddleware:
    """Where somebody who is signed out asks for a part, the sign-in page would stand inside another one: HTMX is told 401 instead, which its page says."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HtmxHttpRequest) -> HttpResponse:
        """The answer, or 401 in the place of the way to the sign-in page."""
        response = self.get_response(request)
        leads_to = urlsplit(response.headers.get("Location", "")).path
        is_part = bool(request.htmx) and not request.htmx.boosted
        return HttpResponse(status=401) if is_part and leads_to == resolve_url(settings.LOGIN_URL) else response
