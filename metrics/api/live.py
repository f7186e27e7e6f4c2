"""What charts ask for beside whole series: what is new in them, and all their points as a file."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import ClassVar

import pyarrow as pa
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from accounts.audit.recording import record
from accounts.scopes import READS
from accounts.slugs import is_uuid
from config.limits.lane import Heavy
from config.web import files
from metrics import process
from metrics.api.answering import ERRORS, FILES, StoreView, as_json, as_kept, file_with_pending, place_of, refuse_unknown_metrics
from metrics.api.series import COMPARED_MOST, FROM, METRIC, TO, X, metric_asked, named, runs
from metrics.charts import live
from metrics.charts import series as charts
from metrics.store import point_rows
from metrics.store.shapes import Extent, Window
from projects.models import Project

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Live(StoreView):
    """What is new in charts of experiments that run."""

    scopes: ClassVar = {"get": READS}

    @extend_schema(
        operation_id="live",
        summary="What is new in charts",
        parameters=[
            OpenApiParameter("experiments", str, required=True, description="Those that run; UUIDs, separated by commas."),
            OpenApiParameter("mark", str, many=True, description="For each chart `frame:track_track:metric`: what `compare?live=1` and this gave last, a track "
                             "for each of `experiments`, empty where it has none."),
            OpenApiParameter("seen", str, description="`seen` of the last answer: 204 if nothing changed since."),
        ],
        responses={200: OpenApiTypes.OBJECT, 204: None, 404: ERRORS[404], 422: ERRORS[422]},
    )  # fmt: skip
    def get(self, request: Request, project: str) -> HttpResponse:
        """`charts`: of each that changed its last buckets as they are now, or `anew` where it must be asked whole; `ended`: which get no more points."""
        owner = self.project(project)
        ids = identities(request.query_params.get("experiments", ""))
        marks = [live.read_mark(text, ids) for text in request.query_params.getlist("mark")]
        found = owner.experiments.filter(pk__in=ids)
        going, by_id = live.going(found), {run.id: run for run in runs(found)}
        now = live.seen([one for one in ids if one in by_id])  # what others' points are worth is nobody's to hear
        ended = [str(one) for one in ids if one not in going]
        if now == request.query_params.get("seen") and not ended:
            return HttpResponse(status=204)
        return as_json({"seen": now, "ended": ended, "charts": live.news(process.repository(), place_of(owner), marks, by_id)})


def identities(text: str) -> list[uuid.UUID]:
    """UUIDs separated by commas. Raises Invalid."""
    parts = list(dict.fromkeys(part for part in text.split(",") if part))
    if not 1 <= len(parts) <= COMPARED_MOST or not all(is_uuid(part) for part in parts):
        raise charts.wrong("experiments", f"experiments names 1 to {COMPARED_MOST} experiments by their UUIDs, separated by commas.")
    return [uuid.UUID(part) for part in parts]


class Points(Heavy, StoreView):
    """What a chart shows, as a file."""

    scopes: ClassVar = {"get": READS}

    @extend_schema(
        operation_id="points",
        summary="Every point of one metric of many experiments, as a file",
        parameters=[
            METRIC,
            OpenApiParameter("experiments", str, required=True, description="UUIDs, slugs or names, separated by commas."),
            X, FROM, TO,
            OpenApiParameter("format", str, enum=list(files.TYPES), description="csv where not given."),
        ],
        responses={**FILES, 404: ERRORS[404], 422: ERRORS[422]},
    )  # fmt: skip
    def get(self, request: Request, project: str) -> StreamingHttpResponse:
        """A line for each stored point: `run`, `slug`, `step`, `time`, `x` (steps, or seconds) and `value`, by run and step. It is made while it is sent."""
        owner, query = self.project(project), request.query_params
        metric, kind, asked = as_kept(owner, metric_asked(request)), query.get("format", "csv"), charts.read_asked(query)
        if kind not in files.TYPES:
            raise charts.wrong("format", f"format is csv or parquet; got {kind!r}.")
        chosen = named(owner, query.get("experiments", ""), most=COMPARED_MOST)
        refuse_unknown_metrics(owner, [metric])
        return points_file(owner, chosen, metric, asked, kind)


def points_file(owner: Project, chosen: Sequence[charts.Run], metric: str, asked: charts.Asked, kind: str) -> StreamingHttpResponse:
    """The file, its first piece made before so that errors are answered."""
    pieces = (lines(run, page, asked.x) for run in chosen for page in point_rows.pages(process.repository(), place_of(owner), run.id, metric, window_of(asked)))
    first = next(pieces, [])
    record("export.made", on=owner, details={"what": f"the points of {metric}", "format": kind, "runs": len(chosen)})
    file = files.answer(files.file_of(points_schema(asked.x), chain([first], pieces), kind), kind, files.file_name(owner.slug, metric))
    return file_with_pending(file, [run.id for run in chosen])


def window_of(asked: charts.Asked) -> Window:
    """The range of x that was asked for; all where no end was."""
    return asked.window(Extent(0, -(2**63), 2**63 - 1))


def points_schema(x: str) -> pa.Schema:
    """The columns of the file."""
    x_type = pa.int64() if x == "step" else pa.float64()
    texts = [("run", pa.string()), ("slug", pa.string())]
    return pa.schema([*texts, ("step", pa.int64()), ("time", pa.timestamp("us", "UTC")), ("x", x_type), ("value", pa.float64())])


def lines(run: charts.Run, page: point_rows.Page, x: str) -> list[files.Values]:
    """Some points of one run as lines of the file."""
    who = (files.clean(run.name), run.slug)
    columns = (page.step.tolist(), map(moment, page.time.tolist()), charts.x_json(page.x, x), page.value.tolist())
    return [(*who, *row) for row in zip(*columns, strict=True)]


def moment(time_us: int) -> datetime:
    """Microseconds since 1970."""
    return EPOCH + timedelta(microseconds=time_us)
