"""From one run's series to one number for a metric, and what the tail of the series says about its own noise. Pure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from hypotheses.judging.evidence import Floats

Aggregation = Literal["last", "min", "max", "avg"]
SeriesStatus = Literal["ok", "missing", "non_finite"]

LAST_POINTS = 5  # a non-finite value among these: the run had diverged when it ended
NON_FINITE_SHARE = 0.05  # more than this anywhere: the same
TAIL_POINTS, TAIL_SHARE = 10, 5  # the tail is the last fifth; with fewer than ten points it says nothing
HORIZON_SHARE = 0.10


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


def tail_noise(series: Sequence[float], how: str, *, of: int | None = None) -> float:
    """How noisy the tail of a series is about its own curve: a floor for the variance between runs (the metric's unit squared; 0: none), never an estimate.

    `series` has one value a step in the order of steps, whole, or its end where `of` says how many finite points the whole has.
    The tail is the last fifth, m finite points. Second differences are blind to level and slope and nearly blind to curvature: with white noise of
    variance v the mean of their squares is 6 v. Fewer than ten points in the tail, or another aggregation than `last`: no floor, so that a verdict
    does not hang on how often a run logs. Raises ValueError for an unknown aggregation.
    """
    _check(how)
    values = np.asarray(series, dtype=np.float64)
    values = values[np.isfinite(values)]
    length = tail_length(values.size if of is None else of)
    if how != "last" or length < TAIL_POINTS or values.size < TAIL_POINTS:
        return 0.0
    tail = values[-length:]
    unit = max(float(np.abs(tail).max()), sys.float_info.min)
    bends = np.diff(tail / unit, n=2)
    return _squared(float(np.sqrt(bends @ bends / (6 * bends.size))), unit)


def tail_length(points: int) -> int:
    """How many of a series' last points are its tail: a fifth, rounded up."""
    return -(-points // TAIL_SHARE)


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
