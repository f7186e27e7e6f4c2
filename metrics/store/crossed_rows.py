"""One metric over another: the question to the metric store, and its rows on a shared grid."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.store.columns import floats, listed, spread
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Floats, Place

TURNS = 0.05  # a larger share of steps that go back makes a curve that turns back, and not one that was resumed
FEW, POINTS_EACH = 10, 6
LARGEST = 1.7976931348623157e308
# Halves are taken before the difference: the width of all floats is no float. `place` is the first x in a bucket, so that one of a single x stands at it.
CROSSED = """
    SELECT toString(experiment_id) AS experiment, groupArrayIf(bucket, is_placed) AS buckets, groupArrayIf(place, is_placed) AS places,
           groupArrayIf(centre, is_placed) AS centres, groupArrayIf(low, is_placed) AS lows, groupArrayIf(high, is_placed) AS highs,
           groupArrayIf(finite, is_placed) AS finites, sum(turns) AS turned, sumIf(n, is_placed) AS placed,
           sumIf(odd, is_placed) AS nonfinite, minIf(odd_at, is_placed) AS nonfinite_at,
           groupBitOrIf(odd_kinds, is_placed) AS nonfinite_kinds, sumIf(n, NOT is_placed) AS unplaced, sum(n) AS points,
           any(x_first) AS x_least, any(x_last) AS x_most
    FROM (
        SELECT experiment_id, is_placed,
               if(is_placed AND x_high / 2 - x_low / 2 > 0,
                  toUInt32(least(%(buckets)s - 1, floor((x / 2 - x_low / 2) / (x_high / 2 - x_low / 2) * %(buckets)s))), toUInt32(0)) AS bucket,
               min(x) AS place, ifNull(avgOrNullIf(y, isFinite(y)), nan) AS centre, ifNull(minOrNullIf(y, isFinite(y)), nan) AS low,
               ifNull(maxOrNullIf(y, isFinite(y)), nan) AS high, countIf(NOT isFinite(y)) AS odd, minOrNullIf(x, NOT isFinite(y)) AS odd_at,
               groupBitOr(toUInt8(multiIf(isFinite(y), 0, isNaN(y), 1, y > 0, 2, 4))) AS odd_kinds,
               count() AS n, countIf(isFinite(y)) AS finite, sum(is_turned) AS turns, any(x_low) AS x_first, any(x_high) AS x_last
        FROM (
            SELECT experiment_id, x, y, isFinite(x) AS is_placed,
                   x < lagInFrame(x, 1, x) OVER (PARTITION BY experiment_id ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS is_turned,
                   minIf(x, isFinite(x)) OVER () AS x_low, maxIf(x, isFinite(x)) OVER () AS x_high
            FROM (
                SELECT experiment_id, step, countIf(metric_name = %(metric)s) AS has_y, argMaxIf(metric_value, {came}, metric_name = %(metric)s) AS y,
                       if(countIf(metric_name = %(x_metric)s) > 0, argMaxIf(metric_value, {came}, metric_name = %(x_metric)s), nan) AS x
                FROM {database}.metrics FINAL
                WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
                      AND metric_name IN (%(metric)s, %(x_metric)s)
                GROUP BY experiment_id, step HAVING has_y > 0
            )
            WHERE NOT isFinite(x) OR (x >= %(first)s AND x <= %(last)s)
        )
        GROUP BY experiment_id, is_placed, bucket ORDER BY experiment_id, bucket
    )
    GROUP BY experiment_id
"""


@dataclass(frozen=True)
class Asked:
    """What a reader wants to see: `first` to `last` of the second metric, None for open, in at most `buckets`."""

    x_metric: str
    first: float | None = None
    last: float | None = None
    buckets: int = 1000


@dataclass(frozen=True)
class Row:
    """One run on the shared x: arrays of shape (buckets,), NaN where it has no finite value. `nonfinite` values of y, the first at x `nonfinite_at`,
    their kinds as bits (statements.CAREFUL); `unplaced` points have no finite x."""

    centre: Floats
    low: Floats
    high: Floats
    nonfinite: int
    nonfinite_at: float | None
    unplaced: int
    nonfinite_kinds: int = 0


@dataclass(frozen=True)
class Crossed:
    """Many runs over one x: `x` (buckets,) holds the first value that any of them has in a bucket; empty buckets are left out. `points` of y in all."""

    x: Floats
    width: float
    points: int
    rows: dict[uuid.UUID, Row]


def crossed(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID], metric: str, asked: Asked) -> Crossed:
    """One metric of many runs over another."""
    first = -LARGEST if asked.first is None else asked.first
    last = LARGEST if asked.last is None else asked.last
    bound = repository.narrowed(place, experiments, None) | {
        "metric": metric, "x_metric": asked.x_metric, "first": first, "last": last, "buckets": asked.buckets,
    }  # fmt: skip
    found = repository.engine.query(repository.sql(CROSSED), bound)
    return on_one_x(found, asked.buckets)


@dataclass(frozen=True)
class Buckets:
    """One run's own buckets: their numbers, the first x in each, and what fell into it; `finite` counts the values behind `centre`."""

    numbers: NDArray[np.int64]
    places: Floats
    centre: Floats
    low: Floats
    high: Floats
    finite: Floats

    def gathered(self, factor: int) -> Buckets:
        """The same in buckets `factor` times as wide."""
        used, at = np.unique(self.numbers // factor, return_inverse=True)
        many = np.bincount(at, self.finite, len(used))
        share = np.divide(self.finite, many[at], out=np.zeros(len(at)), where=many[at] > 0)
        centre = np.bincount(at, np.where(self.finite > 0, self.centre * share, 0.0), len(used))
        places, low, high = np.full(len(used), np.inf), np.full(len(used), np.nan), np.full(len(used), np.nan)
        np.minimum.at(places, at, self.places)
        np.fmin.at(low, at, self.low)
        np.fmax.at(high, at, self.high)
        return Buckets(used, places, np.where(many > 0, centre, np.nan), low, high, many.astype(np.float64))


def on_one_x(found: Mapping[str, Any], buckets: int) -> Crossed:
    """The result of CROSSED brought onto one x."""
    ids = [uuid.UUID(each) for each in found.get("experiment", ())]
    factor = coarseness(found, buckets)
    runs = [buckets_of(found, i) if factor == 1 else buckets_of(found, i).gathered(factor) for i in range(len(ids))]
    used = np.unique(np.concatenate([run.numbers for run in runs])) if runs else np.array([], dtype=np.int64)
    at, x = [np.searchsorted(used, run.numbers) for run in runs], np.full(len(used), np.inf)
    for where, run in zip(at, runs, strict=True):
        x[where] = np.minimum(x[where], run.places)
    rows = {each: row_of(found, i, runs[i], at[i], len(used)) for i, each in enumerate(ids)}
    return Crossed(x, width_of(found, buckets) * factor, sum(listed(found, "points")), rows)


def coarseness(found: Mapping[str, Any], buckets: int) -> int:
    """How many of the store's buckets make one: 1 where no curve turns back."""
    placed: list[int] = listed(found, "placed")
    turned: list[int] = listed(found, "turned")
    if not any(back > TURNS * points for back, points in zip(turned, placed, strict=True)):
        return 1
    return max(1, -(-buckets // max(FEW, max(placed) // POINTS_EACH)))


def buckets_of(found: Mapping[str, Any], i: int) -> Buckets:
    """The buckets of the i-th run of a result."""
    values = (np.array(found[name][i], dtype=np.float64) for name in ("places", "centres", "lows", "highs", "finites"))
    return Buckets(np.array(found["buckets"][i], dtype=np.int64), *values)


def row_of(found: Mapping[str, Any], i: int, run: Buckets, at: NDArray[Any], length: int) -> Row:
    """The i-th run of a result on the shared x."""
    centre, low, high = (spread(values, at, length) for values in (run.centre, run.low, run.high))
    odd, odd_at = int(found["nonfinite"][i]), found["nonfinite_at"][i]
    return Row(centre, low, high, odd, float(odd_at) if odd and odd_at is not None else None, int(found["unplaced"][i]), int(found["nonfinite_kinds"][i]))


def width_of(found: Mapping[str, Any], buckets: int) -> float:
    """How wide a bucket is; 0 where all x are one."""
    least, most = (floats(found, name) for name in ("x_least", "x_most"))
    return float(most[0] / buckets - least[0] / buckets) if len(least) else 0.0
