"""The ends of many series on the grids of their charts, in one question. Beside the repository, a module that knows the columns of points."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.store.repository import MetricRepository
from metrics.store.shapes import Floats, Ints, Place, SparseRow
from metrics.store.statements import BEGAN, WINDOW

# What lies outside a chart's window is only counted: each place of x for itself, so that the count can be taken up again anywhere. Summaries come
# along from the same moment. groupArray leaves NULL out, so that none may be in what it gathers.
ENDS = """
    SELECT toString(experiment_id) AS experiment, toString(metric_name) AS metric, toUInt64(0) AS known, any(origin) AS began,
           groupArray(is_inside) AS insides, groupArray(spot) AS spots, groupArray(place) AS places, groupArray(n) AS counts,
           groupArray(centre) AS centres, groupArray(low) AS lows, groupArray(high) AS highs, groupArray(odd) AS odds, groupArray(odd_at) AS odd_ats,
           groupArray(odd_kinds) AS odd_kinds, groupArray(several) AS repeats
    FROM (
        SELECT experiment_id, metric_name, toUInt8({x} >= first AND {x} <= last) AS is_inside,
               if({x} >= first AND {x} <= last, toInt64(intDiv(toUInt64({x} - first), width)), {x}) AS spot, min({x}) AS place, sum(logged) AS n,
               countIf(logged > 1) AS several,
               if(any(width) = 1, ifNull(argMaxOrNullIf(metric_value, point_id, isFinite(metric_value)), nan),
                  ifNull(avgOrNullIf(metric_value, isFinite(metric_value)), nan)) AS centre,
               ifNull(minOrNullIf(metric_value, isFinite(metric_value)), nan) AS low, ifNull(maxOrNullIf(metric_value, isFinite(metric_value)), nan) AS high,
               countIf(NOT isFinite(metric_value)) AS odd, minIf({x}, NOT isFinite(metric_value)) AS odd_at,
               groupBitOr(toUInt8(multiIf(isFinite(metric_value), 0, isNaN(metric_value), 1, metric_value > 0, 2, 4))) AS odd_kinds, any({origin}) AS origin
        FROM ({points}) AS points {began}
        WHERE {ranges}
        GROUP BY experiment_id, metric_name, is_inside, spot ORDER BY experiment_id, metric_name, is_inside, spot LIMIT %(most)s
    )
    GROUP BY experiment_id, metric_name
    UNION ALL
    SELECT toString(experiment_id), toString(metric_name), sum(count), toInt64(0), emptyArrayUInt8(), emptyArrayInt64(), emptyArrayInt64(), emptyArrayUInt64(),
           emptyArrayFloat64(), emptyArrayFloat64(), emptyArrayFloat64(), emptyArrayUInt64(), emptyArrayInt64(), emptyArrayUInt8(),
           emptyArrayUInt64()
    FROM {database}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name IN %(metrics)s
    GROUP BY experiment_id, metric_name
"""
POINTS = """
    SELECT experiment_id, metric_name, step, timestamp, logged_at, point_id, metric_value, toUInt64(1) AS logged,
           toInt64(transform(toString(metric_name), %(names)s, %(firsts)s, '0')) AS first,
           toInt64(transform(toString(metric_name), %(names)s, %(lasts)s, '0')) AS last,
           toUInt64(transform(toString(metric_name), %(names)s, %(widths)s, '1')) AS width
    FROM {database}.metrics FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name IN %(metrics)s {within}
"""
# The latest value of each step, and how many were logged there.
LATEST = """
    SELECT experiment_id, metric_name, step, timestamp, point_id, metric_value, number AS logged, first, last, width FROM (
        SELECT *, row_number() OVER (PARTITION BY experiment_id, metric_name, step ORDER BY logged_at, point_id) AS number,
               leadInFrame(point_id, 1, point_id) OVER (
                   PARTITION BY experiment_id, metric_name, step ORDER BY logged_at, point_id ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
               ) AS next_id
        FROM ({each})
    )
    WHERE next_id = point_id
"""
# Each series from its own x on, looked up, since a condition for each of hundreds would be worked out for every point; `least` leads by the key. And the
# windows of charts that are told whole.
RANGES = """
    {x} >= %(least)s AND (({x} >= first AND {x} <= last AND metric_name IN %(wholes)s)
    OR {x} >= toInt64(transform(concat(toString(experiment_id), toString(metric_name)), %(keys)s, %(lows)s, '9223372036854775807')))
"""
ROWS_MOST = 1_000_000
ARRAYS = ("insides", "spots", "places", "counts", "centres", "lows", "highs", "odds", "odd_ats", "odd_kinds", "repeats")
Key = tuple[str, uuid.UUID]


@dataclass(frozen=True)
class Frame:
    """A chart's grid: buckets of `width` from `first`; x beyond `last` is not drawn. x in steps or microseconds."""

    metric: str
    first: int
    last: int
    width: int


@dataclass(frozen=True)
class Part:
    """One metric of some experiments from an x on; or, for the window of the chart, in all of that, which `low` begins."""

    metric: str
    experiments: tuple[uuid.UUID, ...]
    low: int
    is_window: bool = False


@dataclass(frozen=True)
class End:
    """What is stored of one series within the parts asked for: arrays of shape (spots,), ordered by x within and without the window.

    `spots` are numbers of buckets where `insides`, else x itself. `known` is how many points the whole series has by its summaries. The values of
    a spot are those of its finite points, NaN where there is none; `odds` counts the others, the first of which is at `odd_ats`, of `odd_kinds`.
    `began` is the experiment's first moment in microseconds, where x is relative to it, else 0. `repeats` counts the steps of a spot that hold several
    values, where the latest of each was asked for.
    """

    known: int
    began: int
    insides: NDArray[np.bool_]
    spots: Ints
    places: Ints
    counts: Ints
    centres: Floats
    lows: Floats
    highs: Floats
    odds: Ints
    odd_ats: Ints
    odd_kinds: Ints
    repeats: Ints

    def starts(self, frame: Frame) -> Ints:
        """The x from which each spot reaches."""
        return np.where(self.insides, frame.first + self.spots * frame.width, self.spots)

    @property
    def first_odd(self) -> int | None:
        """The first x within the window that has a NaN or an infinity."""
        at = self.odd_ats[self.insides & (self.odds > 0)]
        return int(at.min()) if len(at) else None

    def sparse(self) -> SparseRow:
        """What lies in the window, as the repository's grids have it."""
        here = self.insides
        drawn = (self.spots[here].astype(np.uint64), self.places[here], self.centres[here], self.lows[here], self.highs[here])
        return SparseRow(*drawn, nonfinite=int(self.odds[here].sum()), nonfinite_at=self.first_odd, nonfinite_kinds=kinds(self.odd_kinds[here]))


def kinds(bits: Ints) -> int:
    """The kinds that are in any of them (statements.CAREFUL)."""
    return int(np.bitwise_or.reduce(bits, initial=0))


NO_INTS, NO_FLOATS = np.array([], np.int64), np.array([], np.float64)
NOTHING = End(0, 0, np.array([], np.bool_), NO_INTS, NO_INTS, NO_INTS, NO_FLOATS, NO_FLOATS, NO_FLOATS, NO_INTS, NO_INTS, NO_INTS, NO_INTS)


def ends(repository: MetricRepository, place: Place, kind: str, frames: Sequence[Frame], parts: Sequence[Part], *, are_latest: bool = False) -> dict[Key, End]:
    """The ends of series by (metric, experiment), x of `kind`: one question. Each metric has one frame. With `are_latest` a step shows its latest value."""
    if not parts:
        return {}
    is_relative = kind == "relative"
    # Where x is a column, the key leads to the ranges; but a point outside of a range of time may take the place of one inside.
    within, beyond = ("", RANGES) if is_relative or (are_latest and kind == "time") else (f"AND {RANGES}", "1")
    points = LATEST.replace("{each}", POINTS) if are_latest else POINTS
    text = repository.sql(ENDS, points=points, ranges=beyond, began=BEGAN if is_relative else "").replace("{within}", within)
    sql = repository.sql(text, x=WINDOW[kind], origin="began" if is_relative else "toInt64(0)")
    return found_ends(repository.engine.query(sql, bound(repository, place, frames, parts)))


def bound(repository: MetricRepository, place: Place, frames: Sequence[Frame], parts: Sequence[Part]) -> dict[str, Any]:
    """The parameters of ENDS. Numbers go as text into its arrays, which would else have no one type for the least and the greatest."""
    params = repository.narrowed(place, sorted({one for part in parts for one in part.experiments}), sorted({part.metric for part in parts}))
    params |= {"names": [frame.metric for frame in frames], "most": ROWS_MOST}
    params |= {f"{name}s": [str(getattr(frame, name)) for frame in frames] for name in ("first", "last", "width")}
    open_parts = [part for part in parts if not part.is_window]
    params |= {"wholes": tuple({part.metric for part in parts if part.is_window}) or ("",), "least": min(part.low for part in parts)}
    params |= {"keys": [f"{one}{part.metric}" for part in open_parts for one in part.experiments] or [""]}
    params |= {"lows": [str(part.low) for part in open_parts for _ in part.experiments] or ["0"]}
    return params


def found_ends(found: Mapping[str, Any]) -> dict[Key, End]:
    """The result of ENDS: a row of each series from its points, and one from its summaries."""
    result: dict[Key, End] = {}
    known: dict[Key, int] = {}
    for n, (experiment, metric) in enumerate(zip(found.get("experiment", ()), found.get("metric", ()), strict=True)):
        key = (str(metric), uuid.UUID(experiment))
        known[key] = known.get(key, 0) + int(found["known"][n])
        if len(found["spots"][n]):
            result[key] = end_of(found, n)
    return {key: with_known(result.get(key, NOTHING), count) for key, count in known.items()}


def end_of(found: Mapping[str, Any], n: int) -> End:
    """The row of points of one series."""
    kinds = (np.bool_, *(np.int64,) * 3, *(np.float64,) * 3, *(np.int64,) * 4)
    return End(0, int(found["began"][n]), *(np.array(found[name][n], dtype=kind) for name, kind in zip(ARRAYS, kinds, strict=True)))


def with_known(end: End, known: int) -> End:
    """The same with the count of the summaries."""
    return End(known, end.began, *(getattr(end, name) for name in ARRAYS))
