"""One address, one view, one template: HTMX gets the named part, everyone else the page."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxHttpRequest(HttpRequest):
    """A request as HtmxMiddleware leaves it."""

    htmx: HtmxDetails


def partial(template: str, name: str, request: HtmxHttpRequest) -> str:
    """The template's partial `name` where HTMX asks for a part, else the whole template. Such a view varies on HX-Request."""
    wants_part = request.htmx and not request.htmx.boosted and not request.htmx.history_restore_request
    return f"{template}#{name}" if wants_part else template
