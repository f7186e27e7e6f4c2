"""The metric store in the product's own words. Only this module and its statements know columns."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from metrics.clickhouse.client import Columns, Engine
from metrics.points.states import PACKED_FIELDS, State
from metrics.store import statements
from metrics.store.columns import floats, grid, ints, listed, pairs, several_readings, sparse_rows, summaries
from metrics.store.shapes import (
    Behind,
    Extent,
    Floats,
    Grid,
    Hours,
    Place,
    Readings,
    Series,
    SeriesKey,
    SparseRow,
    Spooled,
    Stretch,
    Summaries,
    ThinnedSeries,
    Window,
)

# What runs by the clock may take longer than what a reader waits for.
LONG_S = 300.0


class MetricRepository:
    """Every question and every write that the metric store knows."""

    def __init__(self, engine: Engine, *, database: str) -> None:
        self.engine, self.database = engine, database

    def sql(self, text: str, **parts: str) -> str:
        """A constant with its fixed parts put in. Parts are constants of this module, never a caller's text."""
        for name, part in (parts | statements.FIXED).items():
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
        return list(self.engine.query(statements.NOW, timeout_s=2)["alive"]) == [1]

    def series(self, place: Place, experiment: uuid.UUID, metric: str, window: Window | None = None, *, limit: int = 10_000_000) -> Series:
        """Every point of one series in the window, by x, step and the order in which it came."""
        window = window or Window()
        found = self.engine.query(self.of_window(statements.SERIES, window), self.bound(place, [experiment], metric, window, limit=limit))
        return Series(step=ints(found, "step"), time=ints(found, "time"), x=ints(found, "x"), value=floats(found, "value"))

    def extent(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window | None = None) -> Extent:
        """How far the series reach within the window."""
        window = window or Window()
        found = self.engine.query(self.of_window(statements.EXTENT, window), self.bound(place, experiments, metric, window))
        return Extent(points=int(found["n"][0]), first=int(found["first"][0]), last=int(found["last"][0]))

    def reaches(self, place: Place, experiments: Sequence[uuid.UUID], kind: str) -> dict[str, Extent]:
        """How far the series of each metric reach in x of `kind`, from their summaries."""
        found = self.engine.query(self.sql(statements.REACHES, began=self.sql(statements.BEGAN)), self.narrowed(place, experiments, None))
        first, last = {"step": ("first_step", "last_step"), "time": ("first_time", "last_time"), "relative": ("", "longest")}[kind]
        firsts = found[first] if first and found else [0] * len(listed(found, "name"))
        rows = zip(listed(found, "name"), listed(found, "points"), firsts, listed(found, last), listed(found, "nonfinite"), strict=True)
        return {name: Extent(*map(int, numbers)) for name, *numbers in rows}

    def reach(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, kind: str) -> Extent:
        """How far the series of one metric reach in x of `kind`."""
        return self.reaches(place, experiments, kind).get(metric, Extent(0, 0, 0))

    def thinned(self, place: Place, experiment: uuid.UUID, metric: str, window: Window, *, start: int, width: int, is_repeated: bool = False) -> ThinnedSeries:
        """One series in buckets of `width` from `start`, in the unit of x; of the latest value of each step where it `is_repeated`."""
        of_series = statements.OF_LATEST if is_repeated else statements.OF_SERIES
        sql = self.of_window(self.sql(statements.THINNED, of_series=of_series), window)
        found = self.engine.query(sql, self.bound(place, [experiment], metric, window, start=start, width=width))
        step, time, x = (ints(found, name) for name in ("at_step", "at_time", "at_x"))
        return ThinnedSeries(step, time, x, *(floats(found, name) for name in ("value", "low", "high")))

    def grid(
        self,
        place: Place,
        experiments: Sequence[uuid.UUID],
        metric: str,
        window: Window,
        *,
        width: int,
        is_odd: bool = False,
        repeated: Container[uuid.UUID] = (),
    ) -> Grid:
        """Many series on one grid of buckets `width` wide from the window's first x, those `repeated` by the latest value of each step.

        Where NaN is expected (`is_odd`) none is read twice for it.
        """
        single, several = parted(experiments, repeated)
        careful = self.sql(statements.CAREFUL, centre=statements.CAREFUL_CENTRE[width == 1])
        found = self.sparse(place, several, metric, window, width, careful, of_series=statements.OF_LATEST)
        if is_odd:
            return grid(found | self.sparse(place, single, metric, window, width, careful), width)
        plain = self.sql(statements.PLAIN, centre=statements.PLAIN_CENTRE[width == 1], odd=statements.PLAIN_ODD[width == 1])
        rows = self.sparse(place, single, metric, window, width, plain)
        odd = [experiment for experiment, row in rows.items() if not row.is_finite]
        return grid(found | rows | self.sparse(place, odd, metric, window, width, careful), width)

    def sparse(
        self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, width: int, values: str, *, of_series: str = statements.OF_SERIES
    ) -> dict[uuid.UUID, SparseRow]:
        """Each series' own buckets."""
        if not experiments:
            return {}
        sql = self.of_window(self.sql(statements.GRID, of_series=of_series, values=values), window)
        return sparse_rows(self.engine.query(sql, self.bound(place, experiments, metric, window, width=width)))

    def summaries(self, place: Place, *, experiments: Sequence[uuid.UUID] | None = None, metrics: Sequence[str] | None = None) -> Summaries:
        """The summary of every series, by experiment and metric name, narrowed where asked."""
        return self.summed(statements.SUMMARIES, place, experiments, metrics)

    def recomputed(self, place: Place, *, experiments: Sequence[uuid.UUID] | None = None, metrics: Sequence[str] | None = None) -> Summaries:
        """The same from the points themselves: slow, and what `summaries` must equal."""
        return self.summed(statements.RECOMPUTED, place, experiments, metrics)

    def recounted(self, place: Place, experiment: uuid.UUID, metric: str, *, beside: int) -> State:
        """The state of one series from its stored points, without what spools other than `beside` count of it."""
        state = self.state(place, experiment, metric)
        sql = self.sql(statements.COUNTED_BESIDE, narrower=narrower([experiment], [metric]))
        others = self.engine.query(sql, self.narrowed(place, [experiment], [metric]) | {"spool": beside})
        count, nonfinite, total = (listed(others, name)[0] for name in ("count", "nonfinite", "total"))
        return replace(state, count=max(0, state.count - count), nonfinite=max(0, state.nonfinite - nonfinite), total=state.total - total)

    def state(self, place: Place, experiment: uuid.UUID, metric: str) -> State:
        """The state of one series from its stored points."""
        sql = self.sql(statements.RECOUNTED, narrower=narrower([experiment], [metric]))
        found = self.engine.query(sql, self.narrowed(place, [experiment], [metric]))
        return State(**{name: listed(found, name)[0] for name in (*PACKED_FIELDS, "last_logged")})

    def stored_states(self, place: Place, experiments: Sequence[uuid.UUID], metrics: Sequence[str]) -> dict[SeriesKey, State]:
        """The state of each series from what is stored of it; a series without a point is left out."""
        by = narrower(experiments, metrics)
        found = self.engine.query(self.sql(statements.RECOMPUTED, narrower=by), self.narrowed(place, experiments, metrics), timeout_s=LONG_S)
        keys = zip(map(uuid.UUID, found.get("experiment", ())), found.get("metric", ()), strict=True)
        rows = zip(*(listed(found, name) for name in statements.STATE_OF_STORED), strict=True)
        return {key: replace(State(*row), last_logged=at) for key, row, at in zip(keys, rows, listed(found, "last_taken"), strict=True)}

    def values(self, place: Place, metric: str, aggregation: str) -> dict[uuid.UUID, float]:
        """One number for each experiment of the project that has the metric, by `last`, `min`, `max` or `avg`."""
        found = self.engine.query(self.sql(statements.VALUES, value=statements.VALUE[aggregation]), self.narrowed(place, None, [metric]))
        return dict(zip(map(uuid.UUID, found.get("experiment", ())), listed(found, "value"), strict=True))

    def readings(self, place: Place, metric: str) -> Readings:
        """The four numbers of one metric for every experiment of the project that has it."""
        found = self.engine.query(self.sql(statements.READINGS), self.narrowed(place, None, [metric]))
        return Readings([*map(uuid.UUID, found.get("experiment", ()))], {how: floats(found, f"number_{how}") for how in statements.VALUE})

    def readings_of(self, place: Place, metrics: Sequence[str], *, experiments: Sequence[uuid.UUID] | None = None) -> dict[str, Readings]:
        """The four numbers of each of these metrics, for every experiment of the project or for those named; a metric without a point is left out."""
        sql = self.sql(statements.READINGS_OF, narrower=narrower(experiments, metrics))
        return several_readings(self.engine.query(sql, self.narrowed(place, experiments, metrics)))

    def at_best(
        self, place: Place, experiments: Sequence[uuid.UUID], metric: str, *, best: str, sign: int, repeated: Container[uuid.UUID] = ()
    ) -> dict[uuid.UUID, float]:
        """What the metric was where `best` was best (`sign` +1 where more is better, -1 where less is): there, or at its last step before.

        Where `best` is `repeated`, the latest value of each of its steps counts.
        """
        values: dict[uuid.UUID, float] = {}
        for is_repeated, some in enumerate(parted(experiments, repeated)):
            params = self.narrowed(place, some, None) | {"metric": metric, "best": best, "sign": -sign}
            found = self.engine.query(self.sql(statements.AT_BEST, best=statements.BEST[bool(is_repeated)]), params) if some else {}
            values |= dict(zip(map(uuid.UUID, found.get("experiment", ())), listed(found, "value"), strict=True))
        return values

    def names(self, place: Place, experiments: Sequence[uuid.UUID] | None = None) -> dict[str, int]:
        """Every metric name with the number of experiments that have it, in the order of names."""
        found = self.engine.query(self.sql(statements.NAMES, narrower=narrower(experiments, None)), self.narrowed(place, experiments, None))
        return dict(zip(found.get("name", ()), listed(found, "experiments"), strict=True))

    def logged(self, place: Place, experiments: Sequence[uuid.UUID]) -> tuple[Summaries, dict[SeriesKey, int]]:
        """`recomputed` for reconciling, with all the time that takes, and when the latest point of each series was logged, in microseconds."""
        by = narrower(experiments, None)
        found = self.engine.query(self.sql(statements.RECOMPUTED, narrower=by), self.narrowed(place, experiments, None), timeout_s=LONG_S)
        keys = zip(map(uuid.UUID, found.get("experiment", ())), found.get("metric", ()), strict=True)
        return summaries(found), dict(zip(keys, listed(found, "logged"), strict=True))

    def spooled(self, place: Place, experiments: Sequence[uuid.UUID], metrics: Sequence[str]) -> dict[SeriesKey, Spooled]:
        """What the spools count of the series, apart from corrections."""
        by = narrower(experiments, metrics)
        found = self.engine.query(self.sql(statements.SPOOLED, narrower=by), self.narrowed(place, experiments, metrics))
        keys = zip(map(uuid.UUID, found.get("experiment", ())), found.get("metric", ()), strict=True)
        numbers = (listed(found, name) for name in ("n", "odd", "total", "version"))
        spools = (tuple(np.asarray(ids).tolist()) for ids in found.get("spools", ()))
        return {key: Spooled(*row) for key, *row in zip(keys, *numbers, spools, strict=True)}

    # Hours ---------------------------------------------------------------------------------------------------------------------------------------

    def behind(self, place: Place, *, until: int, experiments: Sequence[uuid.UUID] | None = None) -> list[Behind]:
        """The experiments whose hours before `until` (microseconds, a full hour) are not what their points make them, the longest behind first."""
        text = self.sql(statements.BEHIND, narrower=narrower(experiments, None))
        found = self.engine.query(text, self.narrowed(place, experiments, None) | {"until": until}, timeout_s=LONG_S)
        hours = (hour * 1_000_000 for hour in listed(found, "last_hour"))
        return [Behind(uuid.UUID(one), points, hour) for one, points, hour in zip(found.get("experiment", ()), listed(found, "points"), hours, strict=True)]

    def density(self, place: Place, experiments: Sequence[uuid.UUID], *, first: int, until: int) -> list[tuple[int, int, int]]:
        """(start of an hour in microseconds, points, series) for each hour with points in [first, until)."""
        found = self.engine.query(self.sql(statements.DENSITY), self.spanning(place, experiments, first, until), timeout_s=LONG_S)
        hours, points, series = (listed(found, name) for name in ("hour", "points", "series"))
        return [(hour * 1_000_000, *counts) for hour, *counts in zip(hours, points, series, strict=True)]

    def rebuild_hours(self, place: Place, experiments: Sequence[uuid.UUID], *, first: int, until: int) -> None:
        """Make the hours in [first, until), both full hours in microseconds, anew from the points. Twice the same; the highest version counts."""
        self.engine.execute(self.sql(statements.REBUILD, columns=statements.HOUR_COLUMNS), self.spanning(place, experiments, first, until))

    def freeze_hours(self, place: Place, experiments: Sequence[uuid.UUID], *, until: int, part: int) -> None:
        """Keep the hours before `until` as the hours of the drop `part`. May be repeated until the points go."""
        self.engine.execute(self.sql(statements.FREEZE, columns=statements.HOUR_COLUMNS), self.spanning(place, experiments, 0, until) | {"part": part})

    def hour_counts(self, place: Place, *, until: int, part: int) -> dict[uuid.UUID, int]:
        """How many points the hours of a part before `until` stand for, by experiment."""
        return counted(self.engine.query(self.sql(statements.COUNT_OF_HOURS), self.spanning(place, (), 0, until) | {"part": part}))

    def point_counts(self, place: Place, experiments: Sequence[uuid.UUID], *, until: int, logged: int) -> dict[uuid.UUID, int]:
        """How many points were measured before `until` and logged until `logged` (microseconds), by experiment."""
        bound = self.spanning(place, experiments, 0, until) | {"logged": logged}
        return counted(self.engine.query(self.sql(statements.COUNT_OF_POINTS), bound, timeout_s=LONG_S))

    def drop_points(self, place: Place, experiments: Sequence[uuid.UUID], *, first: int, until: int, logged: int) -> None:
        """Delete the points measured in [first, until) and logged until `logged`. May be repeated."""
        self.engine.execute(self.sql(statements.DROP_POINTS), self.spanning(place, experiments, first, until) | {"logged": logged})

    def torn(self, place: Place, experiments: Sequence[uuid.UUID], metric: str) -> list[uuid.UUID]:
        """The experiments whose series does not lie whole in the hours that are known of any of them and the points after these."""
        found = self.engine.query(self.sql(statements.TORN), self.narrowed(place, experiments, None) | {"metric": metric})
        return [uuid.UUID(experiment) for experiment in found.get("experiment", ())]

    def mixed_extent(self, place: Place, experiment: uuid.UUID, metric: str, window: Window) -> Extent:
        """`extent` over the points that are stored and the hours of those that were dropped."""
        sql = self.mixed(statements.MIXED_EXTENT, window, Hours())
        found = self.engine.query(sql, self.bound(place, [experiment], metric, window, hours_from=0, hours_until=0))
        return Extent(points=int(found["n"][0]), first=int(found["first"][0]), last=int(found["last"][0]))

    def mixed_grid(
        self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, hours: Hours, *, origin: int, width: int, is_repeated: bool = False
    ) -> tuple[dict[uuid.UUID, SparseRow], set[uuid.UUID]]:
        """`sparse` in buckets of `width` from `origin`, with hours for points where `hours` says so and they are known; and which have no row as `torn`.

        The latest value of each step where they are `is_repeated`, which hours of stored points do not know.
        """
        if not experiments:
            return {}, set()
        text = statements.MIXED_GRID + (statements.ALSO_TORN if hours else "")
        sql = self.mixed(text, window, hours, is_repeated=is_repeated, centre=statements.MIXED_CENTRE[width == 1])
        bound = self.bound(place, experiments, metric, window, hours_from=hours.first, hours_until=hours.until, origin=origin, width=width)
        found = self.engine.query(sql, bound)
        torn = {uuid.UUID(one) for one, is_torn in zip(found.get("experiment", ()), listed(found, "is_torn"), strict=True) if is_torn}
        return {one: row for one, row in sparse_rows(found).items() if one not in torn}, torn

    def mixed_thinned(
        self, place: Place, experiment: uuid.UUID, metric: str, window: Window, hours: Hours, *, origin: int, width: int, is_repeated: bool = False
    ) -> ThinnedSeries:
        """`thinned` with hours for points where `hours` says so and they are known."""
        sql = self.mixed(statements.MIXED_THINNED, window, hours, is_repeated=is_repeated, centre=statements.MIXED_CENTRE[width == 1])
        bound = self.bound(place, [experiment], metric, window, hours_from=hours.first, hours_until=hours.until, origin=origin, width=width)
        found = self.engine.query(sql, bound)
        step, time, x = (ints(found, name) for name in ("at_step", "at_time", "at_x"))
        return ThinnedSeries(step, time, x, *(floats(found, name) for name in ("value", "low", "high")))

    def mixed(self, text: str, window: Window, hours: Hours, *, is_repeated: bool = False, **parts: str) -> str:
        """A constant over statements.MIXED."""
        until = statements.UNTIL_KNOWN if hours else "%(hours_until)s"
        mixed = self.sql(statements.MIXED, stored=statements.MIXED_POINTS[is_repeated]).replace("{until}", until)
        return self.of_window(self.sql(text, mixed=mixed, torn=statements.TORN, **parts), window)

    def spanning(self, place: Place, experiments: Sequence[uuid.UUID], first: int, until: int) -> dict[str, Any]:
        """The parameters of work on a span of time."""
        return self.narrowed(place, experiments, None) | {"first": first, "until": until}

    def activity(self, places: Iterable[Place], experiments: Sequence[uuid.UUID]) -> Summaries:
        """The summaries of experiments of several projects, in one question."""
        return summaries(self.engine.query(self.sql(statements.ACTIVITY), {"places": pairs(places), "experiments": tuple(experiments)})) if experiments else {}

    def first_odd(self, places: Iterable[Place], experiments: Sequence[uuid.UUID], metrics: Sequence[str], *, timeout_s: float) -> dict[SeriesKey, int]:
        """The first step at which each series is NaN or infinite. It reads the series: raises TooSlow past `timeout_s`."""
        params = {"places": pairs(places), "experiments": tuple(experiments), "metrics": tuple(metrics)}
        found = self.engine.query(self.sql(statements.FIRST_ODD), params, timeout_s=timeout_s)
        return dict(zip(series_keys(found), listed(found, "at"), strict=True))

    def beginnings(self, stretches: Sequence[Stretch], *, most: int) -> dict[SeriesKey, Floats]:
        """The first values of each range, `most` of them, in no order."""
        return self.ends(stretches, statements.EARLY, most)

    def endings(self, stretches: Sequence[Stretch], *, most: int) -> dict[SeriesKey, Floats]:
        """The last values of each range, `most` of them, in no order."""
        return self.ends(stretches, statements.LATE, most)

    def ends(self, stretches: Sequence[Stretch], order: str, most: int) -> dict[SeriesKey, Floats]:
        """Run statements.ENDS."""
        if not stretches:
            return {}
        ranges = " OR ".join(statements.END_RANGE.replace("{n}", str(n)) for n in range(len(stretches)))
        params = {name: value for n, stretch in enumerate(stretches) for name, value in range_params(n, stretch).items()}
        found = self.engine.query(self.sql(statements.ENDS, ranges=ranges, order=order), params | {"most": most})
        return {key: np.array(values, dtype=np.float64) for key, values in zip(series_keys(found), found.get("values", ()), strict=True)}

    def tails(self, place: Place, experiments: Sequence[uuid.UUID], metrics: Sequence[str], *, since: int) -> dict[SeriesKey, Floats]:
        """The values of each series from the step `since` on, in the order of their steps; of a step with several the latest."""
        if not experiments:
            return {}
        found = self.engine.query(
            self.sql(statements.TAILS, narrower=narrower(experiments, metrics)), self.narrowed(place, experiments, metrics) | {"since": since}
        )
        return {key: np.array(values, dtype=np.float64) for key, values in zip(series_keys(found), found.get("values", ()), strict=True)}

    def most_parts(self) -> tuple[str, int]:
        """(table and partition, active parts) of the partition with the most; ("", 0) in an empty store."""
        found = self.engine.query(statements.PARTS, {"database": self.database})
        return (f"{found['name'][0]} {found['partition'][0]}", int(found["parts"][0])) if found and len(found["parts"]) else ("", 0)

    def forget(self, place: Place, experiments: Sequence[uuid.UUID]) -> None:
        """Delete every trace of the experiments' points. May be repeated."""
        bound = self.narrowed(place, experiments, None)
        for table in statements.POINT_TABLES:
            if self.engine.query(self.sql(statements.SOME_ROW, table=table), bound)["n"][0]:
                self.engine.execute(self.sql(statements.FORGET, table=table), bound)

    def summed(self, text: str, place: Place, experiments: Sequence[uuid.UUID] | None, metrics: Sequence[str] | None) -> Summaries:
        """Run statements.SUMMARIES or statements.RECOMPUTED."""
        found = self.engine.query(self.sql(text, narrower=narrower(experiments, metrics)), self.narrowed(place, experiments, metrics))
        return summaries(found)

    def of_window(self, text: str, window: Window) -> str:
        """A constant over a series for the window's kind of x."""
        began = statements.BEGAN if window.kind == "relative" else ""
        among_steps = statements.AMONG_STEPS if window.kind == "step" else ""
        parts = {"latest": statements.LATEST, "among_steps": among_steps, "began": began}
        return self.sql(self.sql(text, **parts), x=statements.WINDOW[window.kind])

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


def parted(experiments: Sequence[uuid.UUID], repeated: Container[uuid.UUID]) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """Those with one value a step, and those with several in some."""
    return [one for one in experiments if one not in repeated], [one for one in experiments if one in repeated]


def narrower(experiments: Sequence[uuid.UUID] | None, metrics: Sequence[str] | None) -> str:
    """The conditions that narrow a query to what was named."""
    by_experiment = " AND experiment_id IN %(experiments)s" if experiments is not None else ""
    by_metric = " AND metric_name IN %(metrics)s" if metrics is not None else ""
    return by_experiment + by_metric


def counted(found: Mapping[str, Any]) -> dict[uuid.UUID, int]:
    """A result of experiments and points."""
    return dict(zip(map(uuid.UUID, found.get("experiment", ())), listed(found, "points"), strict=True))


def range_params(n: int, stretch: Stretch) -> dict[str, Any]:
    """The parameters of the n-th statements.END_RANGE."""
    values = {"team": stretch.place.team_id, "project": stretch.place.project_id, "experiment": stretch.experiment, "metric": stretch.metric}
    return {f"{name}_{n}": value for name, value in {**values, "low": stretch.low, "high": stretch.high}.items()}


def series_keys(found: Mapping[str, Any]) -> list[SeriesKey]:
    """(experiment, metric) of each row."""
    return [(uuid.UUID(experiment), metric) for experiment, metric in zip(found.get("experiment", ()), found.get("metric", ()), strict=True)]
