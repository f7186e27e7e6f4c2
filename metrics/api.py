"""The metrics API: points in, series out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec
import pyarrow as pa
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.access import caller
from config.errors import Forbidden, Invalid, NotFound, Refused, Unavailable
from config.web import files
from config.web.answers import json_answer
from config.web.request_id import request_id
from experiments.filtering import fitting
from experiments.models import Experiment
from metrics import charts, crossing, live, meters, process, shortcut
from metrics.clickhouse.errors import StoreError, TooSlow
from metrics.shapes import Place, Summary
from projects.models import Project, ProjectMetric

COMPARED_MOST = 500
TABLE_MOST = 10_000
SUMMARY_PIECE = 500
SUMMARY_FILE = pa.schema(
    [(name, pa.string()) for name in ("id", "slug", "name", "metric")]
    + [("value", pa.float64()), ("aggregation", pa.string()), ("count", pa.int64()), ("nonfinite", pa.int64())]
    + [(name, pa.float64()) for name in ("last", "min", "max", "avg")]
    + [(name, pa.int64()) for name in ("first_step", "last_step")]
)

VISIBLE = OpenApiParameter("wait", str, enum=["visible"], description="Answer once the points can be queried, after 10 s at the latest.")
KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key and body again gets the first answer again; kept 24 h.")
X = OpenApiParameter("x", str, enum=list(charts.X), description="What `from` and `to` are in, and what buckets are cut along: steps, or seconds.")
FROM = OpenApiParameter("from", float, description="First x, itself included.")
TO = OpenApiParameter("to", float, description="Last x, itself included.")
COMPARED_X = OpenApiParameter("x", str, enum=list(crossing.X), description="As elsewhere, or `metric`: the values of `x_metric` at the same steps.")
X_METRIC = OpenApiParameter("x_metric", str, description="With x=metric: the metric whose values are x. `from` and `to` are in its unit.")
MAX_POINTS = OpenApiParameter("max_points", int, description="At most this many buckets; 1000 where not given.")
POINT = {"metric_name": "loss", "metric_value": 0.42, "step": 0, "timestamp": 1763900000.25, "host": "gpu7"}
ACKNOWLEDGED = {"status": "success", "accepted": 2, "visible": True, "batch_id": "8c6f…"}
ERRORS = {
    code: OpenApiResponse(OpenApiTypes.OBJECT, description=text)
    for code, text in {
        400: "Malformed JSON, too deep, broken compression",
        401: "No valid token",
        403: "No right to write in this team",
        404: "Not there, or not yours; says how to make it",
        409: "Archived, or the same Idempotency-Key is in flight",
        413: "Too many bytes or points",
        415: "Unknown Content-Encoding",
        422: "An invalid point: nothing was written; `errors` says which",
        429: "Quota used up; Retry-After",
        503: "Spool full, low disk or stopping; Retry-After",
    }.items()
}
TAKEN = {200: OpenApiResponse(OpenApiTypes.OBJECT, description="Every point is on disk", examples=[OpenApiExample("acknowledged", ACKNOWLEDGED)]), **ERRORS}


class Log(APIView):
    """One point. Behind a server these requests take the short way of `metrics.shortcut`; what comes through here is answered alike."""

    http_method_names = ["post", "options"]  # noqa: RUF012  # Django's own declaration
    is_single = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """POST alone; every refusal as JSON."""
        if request.method != "POST":
            return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]
        began = time.perf_counter()
        response = self.answered(request, **kwargs)
        meters.note_request(response.status_code, time.perf_counter() - began)
        return response

    def answered(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The acknowledgement or the refusal."""
        try:
            done = shortcut.taken(request.META, **kwargs, is_single=self.is_single, read=lambda: request.body, request_id=request_id(request))
            headers, body = shortcut.acknowledged(done)
        except Refused as refused:
            return json_answer(request, refused)
        return HttpResponse(body, headers=headers)

    @extend_schema(
        operation_id="log_point",
        summary="Log one point",
        parameters=[VISIBLE, KEY],
        request={"application/json": OpenApiTypes.OBJECT},
        examples=[OpenApiExample("one point", POINT, request_only=True)],
        responses=TAKEN,
    )
    def post(self, request: Request) -> None:
        """Acknowledged means on disk. `step` is 0 where absent, `timestamp` (seconds since 1970 or ISO 8601 with an offset) is now."""


class LogBatch(Log):
    """Many points, in rows or columns."""

    is_single = False

    @extend_schema(
        operation_id="log_batch",
        summary="Log many points",
        parameters=[VISIBLE, KEY],
        request={"application/json": OpenApiTypes.OBJECT},
        examples=[
            OpenApiExample("rows", {"metrics": [POINT]}, request_only=True),
            OpenApiExample("columns", {"steps": [0, 1], "timestamps": [1763900000.25, 1763900001.0], "metrics": {"loss": [0.42, "NaN"]}}, request_only=True),
        ],
        responses=TAKEN,
    )
    def post(self, request: Request) -> None:
        """Rows or columns (null is no point), optionally gzip or zstd. One invalid point refuses the whole batch, and `errors` names all of them."""


class StoreReader(APIView):
    """A view that asks the metric store: its absence is 503, a query past its deadline too."""

    def handle_exception(self, error: Exception) -> HttpResponse:  # type: ignore[override]
        """A StoreError in the words of HTTP."""
        if isinstance(error, TooSlow):
            error = Unavailable("The question took too long: ask for fewer experiments or a narrower range.", code="too_slow")
        elif isinstance(error, StoreError):
            error = Unavailable("The metric store is unavailable: what you logged is safe and will show when it is back.", code="store_unavailable")
        return super().handle_exception(error)


class StoreView(StoreReader):
    """A read of one project's series."""

    def project(self, reference: str) -> Project:
        """The caller's project of this UUID or slug. Raises NotFound or Conflict."""
        return Project.objects.visible_to(caller(self.request)).named(reference)


def place_of(project: Project) -> Place:
    """Where the project's series live."""
    return Place(project.team_id, project.pk)


def named(project: Project, references: str, *, most: int) -> list[charts.Run]:
    """Experiments of the project by UUID or slug, separated by commas, in the order asked. Raises Invalid or NotFound."""
    asked = list(dict.fromkeys(part for part in references.split(",") if part))
    if not 1 <= len(asked) <= most:
        raise Invalid(f"experiments names 1 to {most} experiments, separated by commas; got {len(asked)}.")
    found = runs(project.experiments.all())
    by_reference = {run.slug: run for run in found} | {str(run.id): run for run in found}
    missing = [reference for reference in asked if reference not in by_reference]
    if missing:
        raise NotFound(f"There is no experiment {missing[0]!r} in {project}.")
    return list(dict.fromkeys(by_reference[reference] for reference in asked))


def runs(experiments: QuerySet[Experiment]) -> list[charts.Run]:
    """Experiments as charts name them."""
    return [charts.Run(*row) for row in experiments.values_list("id", "name", "slug")]


class Timeseries(StoreView):
    """One series."""

    @extend_schema(
        operation_id="timeseries",
        summary="One series",
        parameters=[MAX_POINTS, FROM, TO, X, OpenApiParameter("format", str, enum=["json", "csv"])],
        responses={200: OpenApiTypes.OBJECT, 404: ERRORS[404], 422: ERRORS[422]},
    )
    def get(self, request: Request, project: str, experiment: str, metric: str) -> HttpResponse:
        """Every stored point, exactly, where they are at most `max_points`; else buckets with mean, min and max (`thinned`)."""
        owner = self.project(project)
        found = owner.experiments.named(experiment)
        run = charts.Run(found.pk, found.name, found.slug)
        asked = charts.read_asked(request.query_params, most=1_000_000)
        kind = request.query_params.get("format", "json")
        if kind == "csv":
            body = charts.csv_series(process.repository(), place_of(owner), run, metric, asked)
            return HttpResponse(body, content_type="text/csv; charset=utf-8")
        if kind != "json":
            raise charts.wrong("format", f"format is json or csv; got {kind!r}.")
        head = {"project": owner.slug, "experiment": found.slug, "metric": metric}
        return HttpResponse(charts.timeseries(process.repository(), place_of(owner), run, metric, asked, head=head), content_type="application/json")


class Compare(StoreView):
    """One metric of many experiments."""

    @extend_schema(
        operation_id="compare",
        summary="One metric of many experiments on one grid",
        parameters=[
            OpenApiParameter("metric", str, required=True),
            OpenApiParameter("experiments", str, required=True, description="UUIDs or slugs, separated by commas."),
            MAX_POINTS, FROM, TO, COMPARED_X, X_METRIC,
            OpenApiParameter("live", str, enum=["1"], description="With `frame` and `marks`, from which `GET /metrics/live` goes on where experiments run."),
        ],
        responses={200: OpenApiTypes.OBJECT, 404: ERRORS[404], 422: ERRORS[422]},
    )  # fmt: skip
    def get(self, request: Request, project: str) -> HttpResponse:
        """Columns: one `x`, and for each experiment `avg`, `min` and `max` at 6 significant digits, null where it has no finite value.

        With `x=metric` the two metrics of a run are joined by step, the last value of each, and `unplaced` counts points without a finite x.
        """
        owner = self.project(project)
        metric = request.query_params.get("metric", "")
        if not metric:
            raise charts.wrong("metric", "metric is missing: name one.")
        chosen = named(owner, request.query_params.get("experiments", ""), most=COMPARED_MOST)
        return HttpResponse(compared(owner, chosen, metric, request.query_params), content_type="application/json")


def compared(owner: Project, chosen: list[charts.Run], metric: str, query: Any) -> bytes:  # Any: Django's QueryDict
    """The JSON of a comparison over the x that was asked for. Raises Invalid with the field that is wrong."""
    x, place = query.get("x", "step"), place_of(owner)
    if x not in crossing.X:
        raise charts.wrong("x", f"x is one of {', '.join(crossing.X)}; got {x!r}.")
    if x == crossing.KIND:
        return crossing.comparison(process.repository(), place, chosen, metric, crossing.read_asked(query))
    asked = charts.read_asked(query)
    if query.get("live") == "1":
        going = live.going(owner.experiments.filter(pk__in=[run.id for run in chosen]))
        return live.chart(process.repository(), place, chosen, metric, asked, going)
    return charts.comparison(process.repository(), place, chosen, metric, asked)


class SummaryTable(StoreView):
    """Experiments x metrics."""

    @extend_schema(
        operation_id="summary",
        summary="Experiments x metrics",
        parameters=[
            OpenApiParameter("experiments", str, description="UUIDs or slugs, separated by commas; all where absent."),
            OpenApiParameter("metrics", str, description="Names, separated by commas; all where absent."),
            OpenApiParameter("where", str, description="A filter such as `params.lr < 1e-3 and metrics.accuracy.max > 0.9`: only the experiments that fit."),
            OpenApiParameter("format", str, enum=["json", "csv", "parquet"], description="Files have a row for each experiment and metric."),
        ],
        responses={200: OpenApiTypes.OBJECT, 404: ERRORS[404], 422: ERRORS[422]},
    )
    def get(self, request: Request, project: str) -> HttpResponse | StreamingHttpResponse:
        """For each experiment and metric: the value by the metric's aggregation, and count, nonfinite, last, min, max, avg, first and last step."""
        owner = self.project(project)
        asked, where = request.query_params.get("experiments"), request.query_params.get("where", "")
        kind = request.query_params.get("format", "json")
        if kind not in ("json", *files.TYPES):
            raise charts.wrong("format", f"format is json, csv or parquet; got {kind!r}.")
        chosen = named(owner, asked, most=TABLE_MOST) if asked else runs(owner.experiments.current())
        if where.strip():
            fit = set(fitting(owner, where, owner.experiments.all()))
            chosen = [run for run in chosen if run.id in fit]
        names = [name for name in request.query_params.get("metrics", "").split(",") if name] or None
        ids = [run.id for run in chosen] if asked else None
        how = dict(owner.metrics.values_list("name", "aggregation"))
        if kind != "json":
            return summary_file(owner, chosen, names, how, kind)

        def make() -> bytes:
            found = process.repository().summaries(place_of(owner), experiments=ids, metrics=names)
            return msgspec.json.encode({"project": owner.slug, "experiments": [summary_row(run, found.get(run.id, {}), how) for run in chosen]})

        body = charts.cached(["summary", owner.pk, owner.slug, names, sorted(how.items()), chosen], ids or [owner.pk], make)
        return HttpResponse(body, content_type="application/json")


def summary_file(owner: Project, chosen: list[charts.Run], names: list[str] | None, how: dict[str, str], kind: str) -> StreamingHttpResponse:
    """The table as a file: a row for each experiment and metric, made while it is sent; the first piece before, so that errors are answered."""
    pieces = summary_pieces(place_of(owner), chosen, names, how)
    first = next(pieces, [])
    return files.answer(files.file_of(SUMMARY_FILE, chain([first], pieces), kind), kind, f"{owner.slug}-summary")


def summary_pieces(place: Place, chosen: list[charts.Run], names: list[str] | None, how: dict[str, str]) -> Iterator[list[files.Values]]:
    """The lines of SUMMARY_FILE, SUMMARY_PIECE experiments at a time."""
    for some in batched(chosen, SUMMARY_PIECE):
        found = process.repository().summaries(place, experiments=[run.id for run in some], metrics=names)
        yield [summary_line(run, name, summary, how.get(name, "last")) for run in some for name, summary in sorted(found.get(run.id, {}).items())]


def summary_line(run: charts.Run, name: str, summary: Summary, how: str) -> files.Values:
    """One series as a line of SUMMARY_FILE; nothing where it has no finite value."""
    low, high, average = (None if value != value else value for value in (summary.low, summary.high, summary.average))
    value = summary.last if how == "last" else {"min": low, "max": high, "avg": average}[how]
    numbers = (summary.count, summary.nonfinite, summary.last, low, high, average, summary.first_step, summary.last_step)
    return (str(run.id), run.slug, files.clean(run.name), files.clean(name), value, how, *numbers)


def batched(runs: Sequence[charts.Run], size: int) -> Iterator[Sequence[charts.Run]]:
    """The same in pieces of `size`."""
    return (runs[first : first + size] for first in range(0, len(runs), size))


def summary_row(run: charts.Run, summaries: dict[str, Summary], how: dict[str, str]) -> dict[str, Any]:
    """One experiment of the table."""
    metrics = {name: summary_json(summary, how.get(name, "last")) for name, summary in summaries.items()}
    return {"experiment": str(run.id), "name": run.name, "slug": run.slug, "metrics": metrics}


def summary_json(summary: Summary, aggregation: str) -> dict[str, Any]:
    """One series as numbers; null where it has no finite value, words for a last value that is none."""
    low, high, average = (None if value != value else value for value in (summary.low, summary.high, summary.average))
    value, last = (worded(summary.by(aggregation)) if aggregation == "last" else {"min": low, "max": high, "avg": average}[aggregation]), worded(summary.last)
    return {
        "value": value, "aggregation": aggregation, "count": summary.count, "nonfinite": summary.nonfinite,
        "last": last, "min": low, "max": high, "avg": average,
        "first_step": summary.first_step, "last_step": summary.last_step,
    }  # fmt: skip


def worded(value: float) -> Any:
    """One number for JSON."""
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(repr(value), value)


class Names(StoreView):
    """Which metrics there are."""

    @extend_schema(
        operation_id="names",
        summary="The metrics of a project",
        parameters=[OpenApiParameter("experiments", str, description="Only those that these have; UUIDs or slugs, separated by commas.")],
        responses={200: OpenApiTypes.OBJECT, 404: ERRORS[404]},
    )
    def get(self, request: Request, project: str) -> HttpResponse:
        """Every name with the number of experiments that have it, its direction and aggregation."""
        owner = self.project(project)
        asked = request.query_params.get("experiments")
        ids: list[uuid.UUID] | None = [run.id for run in named(owner, asked, most=TABLE_MOST)] if asked else None

        def make() -> bytes:
            return msgspec.json.encode(process.repository().names(place_of(owner), ids))

        counted: dict[str, int] = msgspec.json.decode(charts.cached(["names", owner.pk, ids], ids or [owner.pk], make))
        defined = {metric.name: metric for metric in owner.metrics.all()}
        return as_json({"names": [name_row(name, count, defined.get(name)) for name, count in counted.items()]})


def name_row(name: str, experiments: int, metric: ProjectMetric | None) -> dict[str, Any]:
    """One metric name."""
    direction, aggregation = (metric.direction, metric.aggregation) if metric else ("", "last")
    return {"name": name, "experiments": experiments, "direction": direction, "aggregation": aggregation}


class DeadLetters(StoreView):
    """Rows that the metric store refused, kept and replayable. For operators."""

    @extend_schema(operation_id="dead_letters", summary="Rows that the store refused", responses={200: OpenApiTypes.OBJECT, 403: ERRORS[403]})
    def get(self, request: Request) -> HttpResponse:
        """Up to 100 of them, oldest first, with the store's reason."""
        operator(request)
        return as_json({"count": process.spools().dead_count(), "rows": process.spools().dead_letters()})

    @extend_schema(operation_id="dead_letters_replay", summary="Try them again", request=None, responses={200: OpenApiTypes.OBJECT, 403: ERRORS[403]})
    def post(self, request: Request) -> HttpResponse:
        """Put all of them back into the queue, each under the identity it had."""
        operator(request)
        return as_json({"replayed": process.spools().replay_dead()})


class Restore(StoreView):
    """What the spool keeps of the last day, sent to the metric store again. For operators."""

    @extend_schema(operation_id="restore", summary="Store the kept batches again", request=None, responses={200: OpenApiTypes.OBJECT, 403: ERRORS[403]})
    def post(self, request: Request) -> HttpResponse:
        """After a damaged store, or one put back from a backup. May be repeated: points overwrite themselves."""
        operator(request)
        return as_json({"points": process.spools().restore()})


def operator(request: Request) -> None:
    """Raise Forbidden for anyone but a superuser."""
    if not request.user.is_superuser:
        raise Forbidden("This is for operators: sign in as a superuser.")


def as_json(content: dict[str, Any]) -> HttpResponse:
    """Content as a JSON response."""
    return HttpResponse(msgspec.json.encode(content), content_type="application/json")
