"""The metric store in the product's own words. Only this module knows its SQL and its columns."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.clickhouse.client import Columns, Engine
from metrics.states import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WINDOW = {"step": "step", "time": "toUnixTimestamp64Micro(timestamp)", "relative": "toUnixTimestamp64Micro(timestamp) - began"}

# The x of a point is its step, its time, or its time since the experiment's first point; `began` is joined only for the last.
BEGAN = """
    INNER JOIN (
        SELECT experiment_id, toUnixTimestamp64Micro(min(first_time)) AS began FROM {database}.metric_summaries FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s GROUP BY experiment_id
    ) AS starts USING (experiment_id)
"""
OF_SERIES = """
    FROM (
        SELECT experiment_id, step, timestamp, point_id, metric_value FROM {database}.metrics FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s
    ) AS points {began}
    WHERE {x} >= %(first)s AND {x} <= %(last)s
"""
SERIES = (
    """
    SELECT step, toUnixTimestamp64Micro(timestamp) AS time, metric_value AS value, {x} AS x
"""
    + OF_SERIES
    + " ORDER BY x, step, point_id LIMIT %(limit)s"
)
EXTENT = (
    """
    SELECT count() AS n, min({x}) AS first, max({x}) AS last
"""
    + OF_SERIES
)
# How far series reach, from their summaries: microseconds of work where EXTENT scans points.
REACH = """
    SELECT sum(n) AS points, min(first_step) AS low_step, max(last_step) AS high_step,
           toUnixTimestamp64Micro(min(first_time)) AS low_time, toUnixTimestamp64Micro(max(last_time)) AS high_time, max(length_us) AS longest
    FROM (
        SELECT experiment_id, sumIf(count, metric_name = %(metric)s) AS n, minIf(s.first_step, metric_name = %(metric)s) AS first_step,
               maxIf(s.last_step, metric_name = %(metric)s) AS last_step, minIf(s.first_time, metric_name = %(metric)s) AS first_time,
               maxIf(s.last_time, metric_name = %(metric)s) AS last_time,
               toUnixTimestamp64Micro(last_time) - toUnixTimestamp64Micro(min(s.first_time)) AS length_us
        FROM {database}.metric_summaries AS s FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND count > 0
        GROUP BY experiment_id HAVING n > 0
    )
"""
# Int64 differences wrap, and toUInt64 reads them right: a window may span all of Int64.
GRID = """
    SELECT toString(experiment_id) AS experiment, groupArray(bucket) AS buckets, groupArray(place) AS places, groupArray(centre) AS centres,
           groupArray(low) AS lows, groupArray(high) AS highs, sum(odd) AS nonfinite, min(odd_at) AS nonfinite_at
    FROM (
        SELECT experiment_id, intDiv(toUInt64({x} - %(first)s), %(width)s) AS bucket, min({x}) AS place, {values}
        {of_series}
        GROUP BY experiment_id, bucket ORDER BY experiment_id, bucket
    )
    GROUP BY experiment_id
"""
# A bucket of one place shows the latest value by point_id; a wider one its mean, in which every NaN and infinity shows. Where the plain values are
# finite they are right; only where one is not is the careful form asked, which counts such values apart.
PLAIN = "{centre} AS centre, min(metric_value) AS low, max(metric_value) AS high, {odd} AS odd, NULL AS odd_at"
PLAIN_CENTRE = {True: "argMax(metric_value, point_id)", False: "avg(metric_value)"}
PLAIN_ODD = {True: "countIf(NOT isFinite(metric_value))", False: "toUInt64(0)"}
CAREFUL = """
    ifNull({centre}, nan) AS centre,
    ifNull(minOrNullIf(metric_value, isFinite(metric_value)), nan) AS low, ifNull(maxOrNullIf(metric_value, isFinite(metric_value)), nan) AS high,
    countIf(NOT isFinite(metric_value)) AS odd, minOrNullIf({x}, NOT isFinite(metric_value)) AS odd_at
"""
CAREFUL_CENTRE = {
    True: "argMaxOrNullIf(metric_value, point_id, isFinite(metric_value))",
    False: "avgOrNullIf(metric_value, isFinite(metric_value))",
}
# A thinned series keeps, for each bucket, the mean, the extremes, and the last step and time in it.
THINNED = """
    SELECT max(step) AS at_step, toUnixTimestamp64Micro(max(timestamp)) AS at_time, max({x}) AS at_x,
           ifNull(avgOrNullIf(metric_value, isFinite(metric_value)), nan) AS value,
           ifNull(minOrNullIf(metric_value, isFinite(metric_value)), nan) AS low,
           ifNull(maxOrNullIf(metric_value, isFinite(metric_value)), nan) AS high
    {of_series}
    GROUP BY intDiv(toUInt64({x} - %(start)s), %(width)s) ORDER BY at_x
"""
SUMMARIES = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, sum(count) AS n, sum(nonfinite) AS odd, sum(sum) AS total,
           ifNull(min(min), nan) AS low, ifNull(max(max), nan) AS high, argMax(last, (last_step, last_point_id)) AS final,
           max(last_step) AS final_step, min(first_step) AS initial_step,
           toUnixTimestamp64Micro(max(last_time)) AS final_time, toUnixTimestamp64Micro(min(first_time)) AS initial_time
    FROM {database}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {narrower} AND count > 0
    GROUP BY metric_name, experiment_id ORDER BY metric_name, experiment_id
"""
# One metric of a whole project, to sort by: only what the one number needs.
VALUES = """
    SELECT toString(experiment_id) AS experiment, {value} AS value FROM {database}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND metric_name IN %(metrics)s AND count > 0
    GROUP BY experiment_id
"""
VALUE = {
    "last": "argMax(last, (last_step, last_point_id))",
    "min": "ifNull(min(min), nan)",
    "max": "ifNull(max(max), nan)",
    "avg": "sum(sum) / (sum(count) - sum(nonfinite))",
}
RECOMPUTED = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, count() AS n, countIf(NOT isFinite(metric_value)) AS odd,
           sumIf(metric_value, isFinite(metric_value)) AS total,
           ifNull(minOrNullIf(metric_value, isFinite(metric_value)), nan) AS low,
           ifNull(maxOrNullIf(metric_value, isFinite(metric_value)), nan) AS high,
           argMax(metric_value, (step, point_id)) AS final, max(step) AS final_step, min(step) AS initial_step,
           toUnixTimestamp64Micro(max(timestamp)) AS final_time, toUnixTimestamp64Micro(min(timestamp)) AS initial_time
    FROM {database}.metrics FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {narrower}
    GROUP BY metric_name, experiment_id ORDER BY metric_name, experiment_id
"""
# The summaries of a few experiments of any projects, for the watch.
ACTIVITY = SUMMARIES.replace(
    "team_id = %(team)s AND project_id = %(project)s {narrower}", "(team_id, project_id) IN %(places)s AND experiment_id IN %(experiments)s"
)
FIRST_ODD = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, min(step) AS at FROM {database}.metrics FINAL
    WHERE (team_id, project_id) IN %(places)s AND experiment_id IN %(experiments)s AND metric_name IN %(metrics)s AND NOT isFinite(metric_value)
    GROUP BY experiment_id, metric_name
"""
# One end of each of several series. The key leads to each range, so that what is read does not grow with the series.
ENDS = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, groupArray(metric_value) AS values
    FROM (
        SELECT experiment_id, metric_name, metric_value FROM {database}.metrics FINAL
        WHERE {ranges} ORDER BY {order} LIMIT %(most)s BY experiment_id, metric_name
    )
    GROUP BY experiment_id, metric_name
"""
END_RANGE = """
    (team_id = %(team_{n})s AND project_id = %(project_{n})s AND experiment_id = %(experiment_{n})s AND metric_name = %(metric_{n})s
    AND step BETWEEN %(low_{n})s AND %(high_{n})s)
"""
EARLY, LATE = "step, point_id", "step DESC, point_id DESC"
PARTS = """
    SELECT table AS name, partition, count() AS parts FROM system.parts WHERE active AND database = %(database)s
    GROUP BY table, partition ORDER BY parts DESC LIMIT 1
"""
RECOUNTED = """
    SELECT count() AS count, countIf(NOT isFinite(metric_value)) AS nonfinite, sumIf(metric_value, isFinite(metric_value)) AS total,
           ifNull(minOrNullIf(metric_value, isFinite(metric_value)), nan) AS low, ifNull(maxOrNullIf(metric_value, isFinite(metric_value)), nan) AS high,
           argMax(metric_value, (step, point_id)) AS last, max(step) AS last_step, toUnixTimestamp64Micro(max(timestamp)) AS last_us,
           argMax(point_id, (step, point_id)) AS last_point, min(step) AS first_step, toUnixTimestamp64Micro(min(timestamp)) AS first_us
    FROM {database}.metrics FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {narrower}
"""
NAMES = """
    SELECT metric_name AS name, uniqExact(experiment_id) AS experiments FROM {database}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {narrower} AND count > 0
    GROUP BY metric_name ORDER BY metric_name
"""
FORGET = """
    DELETE FROM {database}.{table} WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
    SETTINGS lightweight_deletes_sync = 1
"""
POINT_TABLES = ("metrics", "metrics_hourly", "metric_summaries")
NOW = "SELECT 1 AS alive"


@dataclass(frozen=True)
class Place:
    """Where a series lives. A query never leaves its team and project."""

    team_id: uuid.UUID
    project_id: uuid.UUID


@dataclass(frozen=True)
class Window:
    """A closed range of x: `kind` step, time or relative; times in microseconds."""

    kind: str = "step"
    first: int = -(2**63)
    last: int = 2**63 - 1


@dataclass(frozen=True)
class Series:
    """Points in the order of x: four arrays of shape (points,). Times in microseconds since 1970, UTC."""

    step: Ints
    time: Ints
    x: Ints
    value: Floats


@dataclass(frozen=True)
class ThinnedSeries(Series):
    """One row a bucket: `value` is the mean of its finite values, `low` and `high` their extremes (NaN where there is none)."""

    low: Floats
    high: Floats


@dataclass(frozen=True)
class Extent:
    """How many points, between which x (both 0 where there is no point)."""

    points: int
    first: int
    last: int


@dataclass(frozen=True)
class GridRow:
    """One experiment on a shared grid: arrays of shape (buckets,), NaN where it has no finite value there."""

    centre: Floats
    low: Floats
    high: Floats
    nonfinite: int
    nonfinite_at: int | None


@dataclass(frozen=True)
class SparseRow:
    """One experiment's own buckets, in their order: their numbers, the first place in each, and its values."""

    buckets: NDArray[np.uint64]
    places: Ints
    centre: Floats
    low: Floats
    high: Floats
    nonfinite: int
    nonfinite_at: int | None

    @property
    def is_finite(self) -> bool:
        """Whether every value that went into it was. A NaN can hide from min and max, never from a mean."""
        return not self.nonfinite and bool(np.isfinite(self.centre).all() and np.isfinite(self.low).all() and np.isfinite(self.high).all())


@dataclass(frozen=True)
class Grid:
    """Many series on one x: `x` (buckets,) holds the first place that any of them has in a bucket; empty buckets are left out."""

    x: Ints
    width: int
    rows: dict[uuid.UUID, GridRow]


@dataclass(frozen=True)
class Summary:
    """One series as numbers. `low`, `high` and `average` over its finite values (NaN where there is none); `last` may be NaN or infinite."""

    count: int
    nonfinite: int
    total: float
    low: float
    high: float
    last: float
    first_step: int
    last_step: int
    first_time: int
    last_time: int

    @property
    def average(self) -> float:
        """Mean of the finite values."""
        finite = self.count - self.nonfinite
        return self.total / finite if finite else float("nan")

    def by(self, aggregation: str) -> float:
        """The one number of the series by `last`, `min`, `max` or `avg`. Raises KeyError for another word."""
        return {"last": self.last, "min": self.low, "max": self.high, "avg": self.average}[aggregation]


@dataclass(frozen=True)
class Stretch:
    """A range of steps of one series, its ends included."""

    place: Place
    experiment: uuid.UUID
    metric: str
    low: int
    high: int


Summaries = dict[uuid.UUID, dict[str, Summary]]
SeriesKey = tuple[uuid.UUID, str]


class MetricRepository:
    """Every question and every write that the metric store knows."""

    def __init__(self, engine: Engine, *, database: str) -> None:
        self.engine, self.database = engine, database

    def sql(self, text: str, **parts: str) -> str:
        """A constant with its fixed parts put in. Parts are constants of this module, never a caller's text."""
        for name, part in parts.items():
            text = text.replace("{" + name + "}", part)
        return text.replace("{database}", self.database)

    def insert_points(self, columns: Columns) -> None:
        """Store points. A repeat of the same rows lands once, under (series, step, point_id)."""
        self.engine.insert("metrics", columns)

    def insert_summaries(self, columns: Columns) -> None:
        """Store the absolute state of series. The highest version of a (series, spool) counts."""
        self.engine.insert("metric_summaries", columns)

    def is_alive(self) -> bool:
        """Ask the store for one number. Raises a StoreError where it does not answer."""
        return list(self.engine.query(NOW, timeout_s=2)["alive"]) == [1]

    def series(self, place: Place, experiment: uuid.UUID, metric: str, window: Window | None = None, *, limit: int = 10_000_000) -> Series:
        """Every point of one series in the window, by x, step and point_id."""
        window = window or Window()
        found = self.engine.query(self.of_window(SERIES, window), self.bound(place, [experiment], metric, window, limit=limit))
        return Series(step=ints(found, "step"), time=ints(found, "time"), x=ints(found, "x"), value=floats(found, "value"))

    def extent(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window | None = None) -> Extent:
        """How far the series reach within the window."""
        window = window or Window()
        found = self.engine.query(self.of_window(EXTENT, window), self.bound(place, experiments, metric, window))
        return Extent(points=int(found["n"][0]), first=int(found["first"][0]), last=int(found["last"][0]))

    def reach(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, kind: str) -> Extent:
        """How far the series reach in x of `kind`, from their summaries."""
        found = self.engine.query(self.sql(REACH), self.narrowed(place, experiments, None) | {"metric": metric})
        if not found or not found["points"][0]:
            return Extent(0, 0, 0)
        first, last = {"step": ("low_step", "high_step"), "time": ("low_time", "high_time"), "relative": ("", "longest")}[kind]
        return Extent(points=int(found["points"][0]), first=int(found[first][0]) if first else 0, last=int(found[last][0]))

    def thinned(self, place: Place, experiment: uuid.UUID, metric: str, window: Window, *, start: int, width: int) -> ThinnedSeries:
        """One series in buckets of `width` from `start`, in the unit of x."""
        sql = self.of_window(self.sql(THINNED, of_series=OF_SERIES), window)
        found = self.engine.query(sql, self.bound(place, [experiment], metric, window, start=start, width=width))
        step, time, x = (ints(found, name) for name in ("at_step", "at_time", "at_x"))
        return ThinnedSeries(step, time, x, *(floats(found, name) for name in ("value", "low", "high")))

    def grid(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, *, width: int) -> Grid:
        """Many series on one grid of buckets `width` wide from the window's first x."""
        found = self.sparse(place, experiments, metric, window, width, self.sql(PLAIN, centre=PLAIN_CENTRE[width == 1], odd=PLAIN_ODD[width == 1]))
        odd = [experiment for experiment, row in found.items() if not row.is_finite]
        if odd:
            found |= self.sparse(place, odd, metric, window, width, self.sql(CAREFUL, centre=CAREFUL_CENTRE[width == 1]))
        return grid(found, width)

    def sparse(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, width: int, values: str) -> dict[uuid.UUID, SparseRow]:
        """Each series' own buckets."""
        sql = self.of_window(self.sql(GRID, of_series=OF_SERIES, values=values), window)
        return sparse_rows(self.engine.query(sql, self.bound(place, experiments, metric, window, width=width)))

    def summaries(self, place: Place, *, experiments: Sequence[uuid.UUID] | None = None, metrics: Sequence[str] | None = None) -> Summaries:
        """The summary of every series, by experiment and metric name, narrowed where asked."""
        return self.summed(SUMMARIES, place, experiments, metrics)

    def recomputed(self, place: Place, *, experiments: Sequence[uuid.UUID] | None = None, metrics: Sequence[str] | None = None) -> Summaries:
        """The same from the points themselves: slow, and what `summaries` must equal."""
        return self.summed(RECOMPUTED, place, experiments, metrics)

    def recounted(self, place: Place, experiment: uuid.UUID, metric: str) -> State:
        """The state of one series from its stored points."""
        found = self.engine.query(self.sql(RECOUNTED, narrower=narrower([experiment], [metric])), self.narrowed(place, [experiment], [metric]))
        return State(**{name: listed(found, name)[0] for name in State.__dataclass_fields__})

    def values(self, place: Place, metric: str, aggregation: str) -> dict[uuid.UUID, float]:
        """One number for each experiment of the project that has the metric, by `last`, `min`, `max` or `avg`."""
        found = self.engine.query(self.sql(VALUES, value=VALUE[aggregation]), self.narrowed(place, None, [metric]))
        return dict(zip(map(uuid.UUID, found.get("experiment", ())), listed(found, "value"), strict=True))

    def names(self, place: Place, experiments: Sequence[uuid.UUID] | None = None) -> dict[str, int]:
        """Every metric name with the number of experiments that have it, in the order of names."""
        found = self.engine.query(self.sql(NAMES, narrower=narrower(experiments, None)), self.narrowed(place, experiments, None))
        return dict(zip(found.get("name", ()), listed(found, "experiments"), strict=True))

    def activity(self, places: Iterable[Place], experiments: Sequence[uuid.UUID]) -> Summaries:
        """The summaries of experiments of several projects, in one question."""
        return summaries(self.engine.query(self.sql(ACTIVITY), {"places": pairs(places), "experiments": tuple(experiments)})) if experiments else {}

    def first_odd(self, places: Iterable[Place], experiments: Sequence[uuid.UUID], metrics: Sequence[str], *, timeout_s: float) -> dict[SeriesKey, int]:
        """The first step at which each series is NaN or infinite. It reads the series: raises TooSlow past `timeout_s`."""
        params = {"places": pairs(places), "experiments": tuple(experiments), "metrics": tuple(metrics)}
        found = self.engine.query(self.sql(FIRST_ODD), params, timeout_s=timeout_s)
        return dict(zip(series_keys(found), listed(found, "at"), strict=True))

    def beginnings(self, stretches: Sequence[Stretch], *, most: int) -> dict[SeriesKey, Floats]:
        """The first values of each range, `most` of them, in no order."""
        return self.ends(stretches, EARLY, most)

    def endings(self, stretches: Sequence[Stretch], *, most: int) -> dict[SeriesKey, Floats]:
        """The last values of each range, `most` of them, in no order."""
        return self.ends(stretches, LATE, most)

    def ends(self, stretches: Sequence[Stretch], order: str, most: int) -> dict[SeriesKey, Floats]:
        """Run ENDS."""
        if not stretches:
            return {}
        ranges = " OR ".join(END_RANGE.replace("{n}", str(n)) for n in range(len(stretches)))
        params = {name: value for n, stretch in enumerate(stretches) for name, value in range_params(n, stretch).items()}
        found = self.engine.query(self.sql(ENDS, ranges=ranges, order=order), params | {"most": most})
        return {key: np.array(values, dtype=np.float64) for key, values in zip(series_keys(found), found.get("values", ()), strict=True)}

    def most_parts(self) -> tuple[str, int]:
        """(table and partition, active parts) of the partition with the most; ("", 0) in an empty store."""
        found = self.engine.query(PARTS, {"database": self.database})
        return (f"{found['name'][0]} {found['partition'][0]}", int(found["parts"][0])) if found and len(found["parts"]) else ("", 0)

    def forget(self, place: Place, experiments: Sequence[uuid.UUID]) -> None:
        """Delete every trace of the experiments' points. May be repeated."""
        for table in POINT_TABLES:
            self.engine.execute(self.sql(FORGET, table=table), self.narrowed(place, experiments, None))

    def summed(self, text: str, place: Place, experiments: Sequence[uuid.UUID] | None, metrics: Sequence[str] | None) -> Summaries:
        """Run SUMMARIES or RECOMPUTED."""
        found = self.engine.query(self.sql(text, narrower=narrower(experiments, metrics)), self.narrowed(place, experiments, metrics))
        return summaries(found)

    def of_window(self, text: str, window: Window) -> str:
        """A constant over a series for the window's kind of x."""
        began = BEGAN if window.kind == "relative" else ""
        return self.sql(self.sql(text, began=began), x=WINDOW[window.kind])

    def bound(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, **more: int) -> dict[str, Any]:
        """The parameters of a query over series."""
        return self.narrowed(place, experiments, None) | {"metric": metric, "first": window.first, "last": window.last} | more

    def narrowed(self, place: Place, experiments: Sequence[uuid.UUID] | None, metrics: Sequence[str] | None) -> dict[str, Any]:
        """The parameters that say where, and which."""
        return {
            "team": place.team_id,
            "project": place.project_id,
            "experiments": tuple(experiments or (uuid.UUID(int=0),)),
            "metrics": tuple(metrics or ("",)),
        }


def narrower(experiments: Sequence[uuid.UUID] | None, metrics: Sequence[str] | None) -> str:
    """The conditions that narrow a query to what was named."""
    by_experiment = " AND experiment_id IN %(experiments)s" if experiments is not None else ""
    by_metric = " AND metric_name IN %(metrics)s" if metrics is not None else ""
    return by_experiment + by_metric


def pairs(places: Iterable[Place]) -> tuple[tuple[uuid.UUID, uuid.UUID], ...]:
    """Places as the store compares them."""
    return tuple({(place.team_id, place.project_id) for place in places})


def range_params(n: int, stretch: Stretch) -> dict[str, Any]:
    """The parameters of the n-th END_RANGE."""
    values = {"team": stretch.place.team_id, "project": stretch.place.project_id, "experiment": stretch.experiment, "metric": stretch.metric}
    return {f"{name}_{n}": value for name, value in {**values, "low": stretch.low, "high": stretch.high}.items()}


def series_keys(found: Mapping[str, Any]) -> list[SeriesKey]:
    """(experiment, metric) of each row."""
    return [(uuid.UUID(experiment), metric) for experiment, metric in zip(found.get("experiment", ()), found.get("metric", ()), strict=True)]


def ints(found: Mapping[str, Any], name: str) -> Ints:
    """A result column as int64, empty where the result is."""
    return np.array(found.get(name, ()), dtype=np.int64)


def listed(found: Mapping[str, Any], name: str) -> list[Any]:
    """A result column of numbers as Python's own, empty where the result is."""
    column: list[Any] = np.asarray(found.get(name, ())).tolist()
    return column


def floats(found: Mapping[str, Any], name: str) -> Floats:
    """A result column as float64, empty where the result is."""
    return np.array(found.get(name, ()), dtype=np.float64)


def sparse_rows(found: Mapping[str, Any]) -> dict[uuid.UUID, SparseRow]:
    """The result of GRID."""
    columns = [found.get(name, ()) for name in ("buckets", "places", "centres", "lows", "highs", "nonfinite", "nonfinite_at")]
    return {uuid.UUID(experiment): SparseRow(*row) for experiment, *row in zip(found.get("experiment", ()), *columns, strict=True)}


def grid(found: Mapping[uuid.UUID, SparseRow], width: int) -> Grid:
    """Sparse rows brought onto one x: the first place that any series has in a bucket."""
    used = np.unique(np.concatenate([row.buckets for row in found.values()])) if found else np.array([], dtype=np.uint64)
    x = np.full(len(used), 2**63 - 1, dtype=np.int64)
    rows = {}
    for experiment, row in found.items():
        at = np.searchsorted(used, row.buckets)
        x[at] = np.minimum(x[at], row.places)
        centre, low, high = (spread(values, at, len(used)) for values in (row.centre, row.low, row.high))
        rows[experiment] = GridRow(centre, low, high, int(row.nonfinite), int(row.nonfinite_at) if row.nonfinite_at is not None and row.nonfinite else None)
    return Grid(x=x, width=width, rows=rows)


def spread(values: Floats, at: NDArray[Any], length: int) -> Floats:
    """`values` put at the places `at` of an array of NaN."""
    spread_out = np.full(length, np.nan)
    spread_out[at] = values
    return spread_out


def summaries(found: Mapping[str, Any]) -> Summaries:
    """The result of SUMMARIES or RECOMPUTED."""
    names = ("n", "odd", "total", "low", "high", "final", "initial_step", "final_step", "initial_time", "final_time")
    result: Summaries = {}
    if not found:
        return result
    for experiment, metric, *numbers in zip(found["experiment"], found["metric"], *(listed(found, name) for name in names), strict=True):
        result.setdefault(uuid.UUID(experiment), {})[metric] = Summary(*numbers)
    return result
