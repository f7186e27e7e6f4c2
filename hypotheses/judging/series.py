"""From one run's series to one number for a metric, and what the tail of the series says about its own noise. Pure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from hypotheses.judging.evidence import Floats

Aggregation = Literal["last", "min", "max", "avg"]
SeriesStatus = Literal["ok", "missing", "non_finite"]

LAST_POINTS = 5  # a non-finite value among these: the run had diverged when it ended
NON_FINITE_SHARE = 0.05  # more than this anywhere: the same
TAIL_POINTS, TAIL_SHARE = 10, 5  # the tail is the last ten points, or a fifth where that is more
HORIZON_SHARE = 0.10


class TailNoise(NamedTuple):
    """Noise of a series' tail: `var` is the floor it sets for the variance of a run's value (the metric's unit squared; 0: none),

    `n` the points looked at, `rho` their lag-one correlation in [0, 1), `ess` the effective sample size n(1 - rho)/(1 + rho).
    """

    var: float
    n: int
    rho: float
    ess: float


def aggregate(series: Sequence[float], how: str) -> tuple[float | None, SeriesStatus]:
    """One number for the points of a series in the order of their steps, and its status; the number is None unless "ok".

    "missing": no points. "non_finite": one of the last five points, or more than 5% of all, is NaN or infinite: the run diverged.
    Elsewhere non-finite points are left out. Raises ValueError for an unknown aggregation.
    """
    _check(how)
    values = np.asarray(series, dtype=np.float64)
    if values.size == 0:
        return None, "missing"
    finite = np.isfinite(values)
    if not finite[-LAST_POINTS:].all() or (~finite).sum() > NON_FINITE_SHARE * values.size:
        return None, "non_finite"
    return _one(values[finite], how), "ok"


def _check(how: str) -> None:
    if how not in get_args(Aggregation):
        raise ValueError(f"A series is aggregated by one of {', '.join(get_args(Aggregation))}, not {how!r}.")


def _one(values: Floats, how: str) -> float:
    if how == "last":
        return float(values[-1])
    if how == "avg":
        return float((values / values.size).sum()) if np.abs(values).max() > 1e300 else float(values.mean())
    return float(values.min() if how == "min" else values.max())


def tail_noise(series: Sequence[float], how: str, *, of: int | None = None) -> TailNoise:
    """How noisy the tail of a series is about its own line: a floor for the variance between runs, never an estimate of it.

    `series` is whole, or its end where `of` says how many points the whole has.
    The tail is the last max(10, 20%) finite points; residuals of a straight line have n - 2 degrees of freedom. `last`: their variance; `avg`:
    that divided by the effective sample size; `min` and `max`: none. Fewer than three points: none. Negative correlation counts as
    none, which keeps the floor high. Raises ValueError for an unknown aggregation.
    """
    _check(how)
    values = np.asarray(series, dtype=np.float64)
    values = values[np.isfinite(values)]
    tail = values[-tail_length(values.size if of is None else of) :]
    if tail.size < 3:
        return TailNoise(0.0, tail.size, 0.0, float(tail.size))
    unit = max(float(np.abs(tail).max()), sys.float_info.min)
    residuals = _detrended(tail / unit)
    rho = _lag_one(residuals)
    ess = max(tail.size * (1 - rho) / (1 + rho), 1.0)
    share = {"last": 1.0, "avg": 1 / ess}.get(how, 0.0)
    return TailNoise(_squared(float(np.sqrt(residuals @ residuals / (tail.size - 2) * share)), unit), tail.size, rho, ess)


def tail_length(points: int) -> int:
    """How many of a series' last points are its tail."""
    return max(TAIL_POINTS, -(-points // TAIL_SHARE))


def _detrended(tail: Floats) -> Floats:
    """Residuals about the least-squares line over the points' order."""
    at = np.arange(tail.size) - (tail.size - 1) / 2
    centred = tail - tail.mean()
    return np.asarray(centred - at * (at @ centred) / (at @ at))


def _lag_one(residuals: Floats) -> float:
    """Σ r_i r_i+1 / Σ r_i², not below 0; 0 where the line is exact."""
    power = float(residuals @ residuals)
    return max(float(residuals[1:] @ residuals[:-1]) / power, 0.0) if power > 0 else 0.0


def _squared(sd: float, unit: float) -> float:
    """(sd · unit)², the largest float where that is too large for one."""
    root = min(sd * unit, float(np.sqrt(sys.float_info.max)) * (1 - 1e-15))
    return root**2


def is_unequal_horizon(how: str, experiment_points: Sequence[int], baseline_points: Sequence[int]) -> bool:
    """True if the runs' point counts differ by more than 10% between the arms and the aggregation is `min` or `max`.

    The longer a run, the better its best value: such a comparison carries the flag `unequal_horizon`. Each run of one arm is held against each
    of the other. Raises ValueError for an unknown aggregation.
    """
    _check(how)
    if how not in ("min", "max") or not experiment_points or not baseline_points:
        return False
    longest = max(max(experiment_points), max(baseline_points))
    apart = max(max(experiment_points) - min(baseline_points), max(baseline_points) - min(experiment_points))
    return apart > HORIZON_SHARE * longest
