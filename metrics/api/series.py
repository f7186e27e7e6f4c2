"""The metrics API: points in, series out."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar

import msgspec
import pyarrow as pa
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from accounts.access import caller
from accounts.audit.recording import record
from accounts.scopes import READS, READS_BACK
from accounts.slugs import spellings
from config.errors import Conflict, Fault, Invalid, NotFound
from config.limits.lane import Heavy
from config.limits.sizes import NAMED_MOST
from config.web import files
from config.web.words import listed, meant, nearest
from experiments.models import Experiment
from experiments.table.filtering import fitting
from metrics import process
from metrics.api.answering import (
    ERRORS,
    JSON_OR_FILES,
    StoreView,
    as_json,
    as_kept,
    counted_names,
    file_with_pending,
    place_of,
    refuse_unknown_metrics,
    with_pending,
)
from metrics.charts import crossing, live
from metrics.charts import series as charts
from metrics.store.caching import cached
from metrics.store.shapes import Place, Summary
from projects.models import Project, ProjectMetric

COMPARED_MOST = 500
TABLE_MOST = 10_000
POINTS_FEW = 10_000
SUMMARY_PIECE = 500
SUMMARY_FILE = pa.schema(
    [(name, pa.string()) for name in ("id", "slug", "name", "metric")]
    + [("value", pa.float64()), ("aggregation", pa.string()), ("count", pa.int64()), ("nonfinite", pa.int64())]
    + [(name, pa.float64()) for name in ("last", "min", "max", "avg")]
    + [(name, pa.int64()) for name in ("first_step", "last_step")]
)

X = OpenApiParameter("x", str, enum=list(charts.X), description="What `from` and `to` are in, and what buckets are cut along: steps, or seconds.")
FROM = OpenApiParameter("from", float, description="First x, itself included.")
TO = OpenApiParameter("to", float, description="Last x, itself included.")
COMPARED_X = OpenApiParameter("x", str, enum=list(crossing.X), description="As elsewhere, or `metric`: the values of `x_metric` at the same steps.")
X_METRIC = OpenApiParameter("x_metric", str, description="With x=metric: the metric whose values are x. `from` and `to` are in its unit.")
METRIC = OpenApiParameter("metric", str, required=True, description="The metric's name.")
MAX_POINTS = OpenApiParameter("max_points", int, description="At most this many buckets; 1000 where not given.")


def named(project: Project, references: str, *, most: int) -> list[charts.Run]:
    """Experiments of the project by UUID, slug or name, separated by commas, in the order asked. Raises Invalid, NotFound, or Conflict for a shared name."""
    asked = list(dict.fromkeys(part for part in references.split(",") if part))
    if not 1 <= len(asked) <= most:
        raise Invalid(f"experiments names 1 to {most} experiments, separated by commas; got {len(asked)}.")
    found = runs(project.experiments.all())
    by_reference = {run.slug: run for run in found} | {str(run.id): run for run in found}
    by_word = defaultdict[str, list[charts.Run]](list)
    if any(reference not in by_reference for reference in asked):
        for run in found:
            for word in {run.name, run.slug}:
                by_word[word].append(run)
    return list(dict.fromkeys(by_reference.get(reference) or by_name(project, by_word, reference) for reference in asked))


def by_name(project: Project, found: Mapping[str, Sequence[charts.Run]], reference: str) -> charts.Run:
    """The one run of this name. Raises NotFound, or Conflict where several have it."""
    for word in spellings(reference):
        several = found.get(word, ())
        if len(several) > 1:
            raise Conflict(f"Several experiments have the name {reference!r}: say which by its UUID, {' or '.join(str(run.id) for run in several[:5])}.")
        if several:
            return several[0]
    near = nearest(reference, (run.slug for several in found.values() for run in several))
    message = f"There is no experiment {reference!r} in {project}.{meant(near)}"
    raise NotFound(message, [Fault(None, "experiments", "unknown", message, suggestion=near or None)])


def metric_asked(request: Request) -> str:
    """The metric that the query names. Raises Invalid where it names none."""
    metric = request.query_params.get("metric", "").replace("\0", "")
    if not metric:
        raise charts.wrong("metric", "metric is missing: name one.")
    return metric


def runs(experiments: QuerySet[Experiment]) -> list[charts.Run]:
    """Experiments as charts name them."""
    return [charts.Run(*row) for row in experiments.values_list("id", "name", "slug")]


SERIES = [MAX_POINTS, FROM, TO, X, OpenApiParameter("format", str, enum=["json", "csv"], description="json where not given.")]


class Timeseries(Heavy, StoreView):
    """One series."""

    scopes: ClassVar = {"get": READS_BACK}

    def is_heavy(self, request: Request) -> bool:
        """Whether it may be millions of points."""
        most = request.query_params.get("max_points", "")
        return request.query_params.get("format") == "csv" or (most.isdecimal() and (len(most) > 9 or int(most) > POINTS_FEW))

    @extend_schema(
        operation_id="timeseries",
        summary="One series",
        parameters=SERIES,
        responses={**JSON_OR_FILES, 404: ERRORS[404], 422: ERRORS[422]},
    )
    def get(self, request: Request, project: str, experiment: str, metric: str) -> HttpResponse | StreamingHttpResponse:
        """Every stored point, exactly, where they are at most `max_points`; else buckets with mean, min and max (`thinned`)."""
        return self.told(request, self.project(project), experiment, metric)

    def told(self, request: Request, owner: Project, experiment: str, metric: str) -> HttpResponse | StreamingHttpResponse:
        """The series as JSON or as a file. Raises Invalid or NotFound."""
        found = owner.experiments.named(experiment)
        caller(request).require_made(found.made_with)
        metric = as_kept(owner, metric)
        run = charts.Run(found.pk, found.name, found.slug)
        asked = charts.read_asked(request.query_params, most=1_000_000)
        kind = request.query_params.get("format", "json")
        if kind not in ("json", "csv"):
            raise charts.wrong("format", f"format is json or csv; got {kind!r}.")
        refuse_unknown_metrics(owner, [metric])
        if kind == "csv":
            body = charts.csv_series(process.repository(), place_of(owner), run, metric, asked)
            record("export.made", on=found, details={"what": f"the series of {metric}", "format": kind})
            return file_with_pending(files.answer([body], kind, files.file_name(found.slug, metric)), [run.id])
        head = {"project": owner.slug, "experiment": found.slug, "metric": metric}
        return with_pending(charts.timeseries(process.repository(), place_of(owner), run, metric, asked, head=head), [run.id])


class NamedTimeseries(Timeseries):
    """One series, its metric in the query: `.` and `..` cannot be a part of a path."""

    @extend_schema(
        operation_id="timeseries_named",
        summary="One series, by any name",
        parameters=[METRIC, *SERIES],
        responses={**JSON_OR_FILES, 404: ERRORS[404], 422: ERRORS[422]},
    )
    def get(self, request: Request, project: str, experiment: str) -> HttpResponse | StreamingHttpResponse:  # type: ignore[override]  # another address
        """As the address with the metric in its path."""
        return self.told(request, self.project(project), experiment, metric_asked(request))


class Compare(Heavy, StoreView):
    """One metric of many experiments."""

    scopes: ClassVar = {"get": READS}

    @extend_schema(
        operation_id="compare",
        summary="One metric of many experiments on one grid",
        parameters=[
            METRIC,
            OpenApiParameter("experiments", str, required=True, description="UUIDs, slugs or names, separated by commas."),
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
        metric = as_kept(owner, metric_asked(request))
        chosen = named(owner, request.query_params.get("experiments", ""), most=COMPARED_MOST)
        return with_pending(compared(owner, chosen, metric, request.query_params), [run.id for run in chosen])


def compared(owner: Project, chosen: list[charts.Run], metric: str, query: Any) -> bytes:  # Any: Django's QueryDict
    """The JSON of a comparison over the x that was asked for. Raises Invalid with the field that is wrong."""
    x, place = query.get("x", "step"), place_of(owner)
    if x not in crossing.X:
        raise charts.wrong("x", f"x is one of {', '.join(crossing.X)}; got {x!r}.")
    if query.get("live", "1") != "1":
        raise charts.wrong("live", "live is 1, or left out.")
    if x == crossing.KIND:
        crossed = crossing.read_asked(query)
        crossed = replace(crossed, x_metric=as_kept(owner, crossed.x_metric))
        # A page asks with `live`, for what its address says: its chart tells that no run has such an x.
        refuse_unknown_metrics(owner, [metric] if "live" in query else [metric, crossed.x_metric])
        return crossing.comparison(process.repository(), place, chosen, metric, crossed)
    if "x_metric" in query:
        raise charts.wrong("x_metric", "x_metric goes with x=metric: add that, or leave it out.")
    asked = charts.read_asked(query)
    refuse_unknown_metrics(owner, [metric])
    if "live" in query:
        going = live.going(owner.experiments.filter(pk__in=[run.id for run in chosen]))
        return live.chart(process.repository(), place, chosen, metric, asked, going)
    return charts.comparison(process.repository(), place, chosen, metric, asked)


class SummaryTable(Heavy, StoreView):
    """Experiments x metrics."""

    scopes: ClassVar = {"get": READS}

    @extend_schema(
        operation_id="summary",
        summary="Experiments x metrics",
        parameters=[
            OpenApiParameter("experiments", str, description="UUIDs, slugs or names, separated by commas; all where absent."),
            OpenApiParameter("metrics", str, description="Names, separated by commas, a name with a comma in backticks; all where absent."),
            OpenApiParameter("where", str, description="A filter such as `params.lr < 1e-3 and metrics.accuracy.max > 0.9`: only the experiments that fit."),
            OpenApiParameter("format", str, enum=["json", "csv", "parquet"], description="Files have a row for each experiment and metric."),
        ],
        responses={**JSON_OR_FILES, 404: ERRORS[404], 422: ERRORS[422]},
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
        names = metrics_asked(owner, request.query_params.get("metrics", "")) or None
        refuse_unknown_metrics(owner, names or [])
        ids = [run.id for run in chosen] if asked else None
        how = dict(owner.metrics.values_list("name", "aggregation"))
        if kind != "json":
            return summary_file(owner, chosen, names, how, kind)

        def make() -> bytes:
            found = process.repository().summaries(place_of(owner), experiments=ids, metrics=names)
            return msgspec.json.encode({"project": owner.slug, "experiments": [summary_row(run, found.get(run.id, {}), how) for run in chosen]})

        body = cached(["summary", owner.pk, owner.slug, names, sorted(how.items()), chosen], ids or [owner.pk], make)
        return with_pending(body, [run.id for run in chosen])


def metrics_asked(owner: Project, text: str) -> list[str]:
    """The metrics of a list in an address, as the store has them. Raises Invalid for too many."""
    words = listed(text)
    if len(words) > NAMED_MOST:
        raise charts.wrong("metrics", f"metrics names {len(words):,}: {NAMED_MOST:,} at most. All there are where it is left out.")
    return [as_kept(owner, unquoted(name)) for name in words]


def unquoted(name: str) -> str:
    """A name from a list, without the backticks or quotes that it may stand in."""
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] and name[0] in '`"' else name


def summary_file(owner: Project, chosen: list[charts.Run], names: list[str] | None, how: dict[str, str], kind: str) -> StreamingHttpResponse:
    """The table as a file: a row for each experiment and metric, made while it is sent; the first piece before, so that errors are answered."""
    pieces = summary_pieces(place_of(owner), chosen, names, how)
    first = next(pieces, [])
    record("export.made", on=owner, details={"what": "the summaries", "format": kind, "runs": len(chosen)})
    file = files.answer(files.file_of(SUMMARY_FILE, chain([first], pieces), kind), kind, f"{owner.slug}-summary")
    return file_with_pending(file, [run.id for run in chosen])


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

    scopes: ClassVar = {"get": READS}

    @extend_schema(
        operation_id="names",
        summary="The metrics of a project",
        parameters=[OpenApiParameter("experiments", str, description="Only those that these have; UUIDs, slugs or names, separated by commas.")],
        responses={200: OpenApiTypes.OBJECT, 404: ERRORS[404]},
    )
    def get(self, request: Request, project: str) -> HttpResponse:
        """Every name with the number of experiments that have it, its direction and aggregation."""
        owner = self.project(project)
        asked = request.query_params.get("experiments")
        ids: list[uuid.UUID] | None = [run.id for run in named(owner, asked, most=TABLE_MOST)] if asked else None
        counted = counted_names(owner, ids)
        defined = {metric.name: metric for metric in owner.metrics.all()}
        return as_json({"names": [name_row(name, count, defined.get(name)) for name, count in counted.items()]})


def name_row(name: str, experiments: int, metric: ProjectMetric | None) -> dict[str, Any]:
    """One metric name."""
    direction, aggregation = (metric.direction, metric.aggregation) if metric else ("", "last")
    return {"name": name, "experiments": experiments, "direction": direction, "aggregation": aggregation}
