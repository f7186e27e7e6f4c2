"""Series made ready for a reader: thinned where there are too many points, as JSON bytes, cached until a point changes."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Container, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.errors import Fault, Invalid
from metrics.charts import hours
from metrics.store.caching import cached
from metrics.store.repeats import repeated_steps
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Extent, GridRow, Place, Series, ThinnedSeries, Window

DIGITS = 6
POWERS = 10.0 ** np.arange(291)  # what they do not reach is left as it is
X = ("step", "time", "relative")
MICRO = 1_000_000
ODD_WORDS, UNKNOWN_KIND = {1: "NaN", 2: "Infinity", 4: "-Infinity"}, 8  # the bits of statements.CAREFUL


@dataclass(frozen=True)
class Asked:
    """What a reader wants to see: `first` and `last` in the unit of x (steps, or seconds), None for open."""

    x: str = "step"
    first: float | None = None
    last: float | None = None
    max_points: int = 1000

    def window(self, reach: Extent) -> Window:
        """The closed range of x, open ends taken from how far the series reach."""
        scale = 1 if self.x == "step" else MICRO
        first = reach.first if self.first is None else round(self.first * scale)
        last = reach.last if self.last is None else round(self.last * scale)
        return Window(self.x, clamped(first), clamped(last))


@dataclass(frozen=True)
class Run:
    """One experiment as a chart names it."""

    id: uuid.UUID
    name: str
    slug: str


def clamped(x: int) -> int:
    """An x within Int64."""
    return max(-(2**63), min(2**63 - 1, x))


def bucket_width(first: int, last: int, max_points: int) -> int:
    """The smallest width, 1 or more, that covers first to last in at most `max_points` buckets."""
    return max(1, -(-(last - first + 1) // max_points))


def comparison(repository: MetricRepository, place: Place, runs: Sequence[Run], metric: str, asked: Asked) -> bytes:
    """One metric of many runs on one grid, as the JSON of GET /metrics/compare. x of time and relative is in seconds."""
    ids = [run.id for run in runs]

    def make() -> bytes:
        reach = reach_of(repository, place, ids, metric, asked.x)
        window = asked.window(reach)
        width = bucket_width(window.first, window.last, asked.max_points)
        several = repeated_steps(repository, place, ids, metric)
        grid = hours.series_grid(repository, place, ids, metric, window, width=width, is_odd=reach.nonfinite > 0, repeated=several)
        series = [series_json(run, grid.rows[run.id], asked.x, repeats=several.get(run.id, 0)) for run in runs if run.id in grid.rows]
        return msgspec.json.encode(
            {"metric": metric, "x": x_json(grid.x, asked.x), "width": x_json(np.array([grid.width]), asked.x)[0], "count": reach.points, "series": series}
        )

    return cached(["compare", place.project_id, metric, asked, *((run.id, run.name, run.slug) for run in runs)], ids, make)


def reach_of(repository: MetricRepository, place: Place, ids: Sequence[uuid.UUID], metric: str, x: str) -> Extent:
    """How far the series of one metric reach. It is asked once for all metrics of these experiments, however many charts a page has."""

    def make() -> bytes:
        reaches = repository.reaches(place, ids, x)
        return msgspec.json.encode({name: astuple(reach) for name, reach in reaches.items()})

    known = msgspec.json.decode(cached(["reach", place.project_id, x, *ids], ids, make), type=dict[str, tuple[int, int, int, int]])
    return Extent(*known.get(metric, (0, 0, 0, 0)))


def series_json(run: Run, row: GridRow, x: str, *, repeats: int = 0) -> dict[str, Any]:
    """One run of a comparison; NaN becomes null in the encoder. In `repeats` of its steps it holds several values, of which the latest is shown."""
    at = None if row.nonfinite_at is None else x_json(np.array([row.nonfinite_at]), x)[0]
    return {
        "experiment": str(run.id),
        "name": run.name,
        "slug": run.slug,
        "avg": significant(row.centre).tolist(),
        "min": significant(row.low).tolist(),
        "max": significant(row.high).tolist(),
        "nonfinite": row.nonfinite,
        "nonfinite_at": at,
        "nonfinite_words": odd_words(row.nonfinite_kinds),
        "repeated_steps": repeats,
    }


def odd_words(kinds: int) -> list[str] | None:
    """Which of NaN, Infinity and -Infinity are among the values of a series that are not finite; None where an hour that was kept does not tell."""
    return None if kinds & UNKNOWN_KIND else [word for bit, word in ODD_WORDS.items() if kinds & bit]


def x_json(x: NDArray[np.int64], kind: str) -> list[Any]:
    """x in the reader's unit: steps as they are, microseconds as seconds."""
    listed: list[Any] = x.tolist() if kind == "step" else (x / MICRO).tolist()
    return listed


def significant(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values rounded to 6 significant digits, so that each is written with no more. NaN, infinities, zeros and what is below 1e-285 stay."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shift = DIGITS - 1 - np.floor(np.log10(np.abs(values)))
        is_exact = np.abs(shift) < len(POWERS)
        power = POWERS[np.where(is_exact, np.abs(shift), 0).astype(np.intp)]
        rounded = np.where(shift >= 0, np.rint(values * power) / power, np.rint(values / power) * power)
    return np.where(is_exact, rounded, values)


def timeseries(repository: MetricRepository, place: Place, run: Run, metric: str, asked: Asked, *, head: Mapping[str, str]) -> bytes:
    """One series as JSON: `head`, "count", "thinned", "points". Every stored point where they are few enough, else buckets with min and max.

    Buckets are of the latest value of each step; "repeated_steps" counts those that hold several.
    """

    def make() -> bytes:
        several = repeated_steps(repository, place, [run.id], metric)
        series, count = points(repository, place, run, metric, asked, several)
        rows = series_rows(series, asked.x)
        names = list(rows)
        listed = [dict(zip(names, row, strict=True)) for row in zip(*rows.values(), strict=True)]
        return msgspec.json.encode(
            {**head, "count": count, "repeated_steps": several.get(run.id, 0), "thinned": isinstance(series, ThinnedSeries), "points": listed}
        )

    return cached(["timeseries", place.project_id, metric, asked, sorted(head.items())], [run.id], make)


def csv_series(repository: MetricRepository, place: Place, run: Run, metric: str, asked: Asked) -> bytes:
    """The same as CSV with a head."""

    def make() -> bytes:
        several = repeated_steps(repository, place, [run.id], metric)
        return as_csv(points(repository, place, run, metric, asked, several)[0], asked.x).encode()

    return cached(["csv", place.project_id, run.id, metric, asked], [run.id], make)


def points(repository: MetricRepository, place: Place, run: Run, metric: str, asked: Asked, several: Container[uuid.UUID]) -> tuple[Series, int]:
    """The series as asked, and how many points are stored in that window. Buckets are of the latest value of each step where `several` has the run."""
    open_window = asked.window(Extent(0, -(2**63), 2**63 - 1))
    extent = hours.series_extent(repository, place, run.id, metric, open_window)
    if extent.points <= asked.max_points:
        return hours.whole_series(repository, place, run.id, metric, open_window, extent), extent.points
    width = bucket_width(extent.first, extent.last, asked.max_points)
    is_repeated = run.id in several
    return hours.thinned_series(repository, place, run.id, metric, open_window, extent, width=width, is_repeated=is_repeated), extent.points


def series_rows(series: Series, x: str) -> dict[str, list[Any]]:
    """The columns of a series as JSON values: non-finite numbers as words, times as ISO 8601."""
    rows = {"step": series.step.tolist(), "timestamp": iso(series.time)}
    if x == "relative":
        rows["relative"] = (series.x / MICRO).tolist()
    rows["value"] = worded(series.value)
    if isinstance(series, ThinnedSeries):
        rows |= {"min": worded(series.low), "max": worded(series.high)}
    return rows


def iso(times: NDArray[np.int64]) -> list[str]:
    """Microseconds as 2026-01-31T12:00:00.000000Z."""
    return [f"{text}Z" for text in np.datetime_as_string(times.astype("datetime64[us]")).tolist()]


def worded(values: NDArray[np.float64]) -> list[Any]:
    """Numbers as they are, the others as "NaN", "Infinity" and "-Infinity"."""
    listed: list[Any] = values.tolist()
    for place in np.flatnonzero(~np.isfinite(values)).tolist():
        listed[place] = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(listed[place])]
    return listed


def as_csv(series: Series, x: str) -> str:
    """A series as CSV with a head."""
    rows = series_rows(series, x)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(rows)
    writer.writerows(zip(*rows.values(), strict=True))
    return text.getvalue()


def read_asked(query: Any, *, most: int = 10_000) -> Asked:  # Any: Django's QueryDict
    """x, from, to and max_points of a query string. Raises Invalid with the field that is wrong."""
    x = query.get("x", "step")
    if x not in X:
        raise wrong("x", f"x is one of {', '.join(X)}; got {x!r}.")
    max_points = number(query, "max_points", 1000)
    if max_points is None or not 1 <= max_points <= most or max_points != int(max_points):
        raise wrong("max_points", f"max_points is a whole number from 1 to {most}.")
    return Asked(x, number(query, "from", None), number(query, "to", None), int(max_points))


def number(query: Any, name: str, default: float | None) -> float | None:  # Any: Django's QueryDict
    """A number of a query string, `default` where it is absent or empty. Raises Invalid."""
    text = query.get(name, "")
    if text == "":
        return default
    try:
        value: float = int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError as error:
        raise wrong(name, f"{name} is a number; got {text[:40]!r}.") from error
    if not abs(value) < 2**64:
        raise wrong(name, f"{name} is out of range.")
    return value


def wrong(field: str, message: str) -> Invalid:
    """The refusal of one query parameter."""
    return Invalid(message, [Fault(None, field, "invalid", message)])
