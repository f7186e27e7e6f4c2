"""What the pages with charts answer alike when only a part of them is asked for."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from config.web.htmx import HtmxHttpRequest
from experiments.readings.sections import Found

UNCHANGED = 204
METRICS = "metrics"


def is_for_metrics(request: HtmxHttpRequest) -> bool:
    """Whether the metrics alone are asked for, as they are while somebody types a name or opens a section."""
    return bool(request.htmx) and request.htmx.target == METRICS


def metrics_part(request: HtmxHttpRequest, template: str, page: dict[str, object], found: Found) -> HttpResponse:
    """The charts in their sections and what hangs on their choice. A bad expression leaves the charts as they are."""
    response = render(request, template, page | {"is_part": True})
    if found.trouble:
        response["HX-Reswap"] = "none"
    return response
