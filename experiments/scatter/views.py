"""Scatter and parallel coordinates over a whole project, and the data that they draw on any page."""

from __future__ import annotations

from typing import Any

import msgspec
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.audit.recording import record
from config.errors import Unavailable
from config.limits.lane import heavy
from config.web import files
from config.web.htmx import HtmxHttpRequest
from config.web.ignored import ignored, odd
from experiments.language.terms import FilterError
from experiments.readings.numbers import Numbers
from experiments.readings.selection import select
from experiments.scatter.axes import DRAWN_MOST, Points, Scatter, choices_of, chosen, keys_of, points_found, points_of
from experiments.scatter.axes import WORDS as AXES_WORDS
from experiments.scatter.section import ScatterSection
from experiments.table.cells import Trouble
from experiments.table.query import STATUSES, TableQuery
from experiments.table.query import WORDS as TABLE_WORDS
from projects.models import Direction, Project
from projects.opened import OpenProject, open_project

NOTHING = Points([], [], [], [])


@login_required
@require_safe
@heavy
def explore(request: HtmxHttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """All experiments that the table's filter leaves, as points over chosen axes."""
    opened = open_project(request, team_slug, project_slug)
    query, numbers, trouble = TableQuery.read(request.GET), Numbers(), None
    try:
        points = points_found(opened.project, query, numbers)
    except FilterError as error:
        points, trouble = NOTHING, Trouble(query, error)
    choices = choices_of(points.params, metric_names(opened.project), opened.project.seeds)
    section = ScatterSection(opened.project, points, numbers, chosen(request.GET, choices), choices)
    page: dict[str, Any] = {"opened": opened, "tab": "experiments", "query": query, "explored": section, "points": points, "numbers": numbers}
    page |= {
        "trouble": trouble,
        "statuses": STATUSES,
        "most": DRAWN_MOST,
        "filter_query": filter_query(query),
        "ignored": ignored(request.GET, (*TABLE_WORDS, *AXES_WORDS), odd("status", request.GET.getlist("status"), STATUSES)),
    }
    return render(request, "experiments/scatter/explore.html", page)


def filter_query(query: TableQuery) -> str:
    """The part of an address that says which experiments, without a question mark."""
    return TableQuery(text=query.text, status=query.status, tag=query.tag).string().removeprefix("?")


def metric_names(project: Project) -> list[str]:
    """The metrics of a project, those that have a direction first."""
    rows = project.metrics.order_by("name").values_list("name", "direction")
    return [name for name, _ in sorted(rows, key=lambda row: (row[1] == Direction.UNSET, row[0]))]


@login_required
@require_safe
@heavy
def data(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse | StreamingHttpResponse:
    """The values of `axis` for the experiments `e`, or for those that the table's filter leaves: as JSON, or as a file with `format`.

    Raises Invalid for an axis or a filter that is not understood, Unavailable where a file would lack its numbers.
    """
    opened, numbers = open_project(request, team_slug, project_slug), Numbers()
    kind = files.known_kind(request.GET["format"]) if "format" in request.GET else None
    keys = keys_of(request.GET.getlist("axis"))
    if "e" in request.GET:
        points = points_of(select(opened.project, request.GET.getlist("e")))
    else:
        points = points_found(opened.project, TableQuery.read(request.GET), numbers)
    drawn = Scatter(opened.project, points, numbers, keys)
    return HttpResponse(msgspec.json.encode(drawn.as_json()), content_type="application/json") if kind is None else exported(opened, drawn, kind)


def exported(opened: OpenProject, drawn: Scatter, kind: str) -> StreamingHttpResponse:
    """The data behind the drawing as a file. Raises Unavailable without the metric store."""
    schema, lines = drawn.schema, list(drawn.lines)
    if drawn.numbers.is_away:
        raise Unavailable(files.AWAY)
    record("export.made", on=opened.project, details={"what": "the data of a drawing", "format": kind})
    return files.answer(files.file_of(schema, [lines], kind), kind, f"{opened.project.slug}-axes")
