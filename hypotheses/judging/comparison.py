"""Linked runs against baseline runs: one comparison, with everything that is shown about it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from hypotheses.judging.evidence import ALPHA, PRIOR_VARIANCE, Direction, Evidence, Floats, Sums, judged, sign_of

Blocks = Sequence[tuple[Sequence[float], Sequence[float]]]
Side = tuple[float, ...]
Interval = tuple[float, float]
Method = Literal["pooled_t", "welch_guard", "sign_only"]

LARGEST = 1e300  # beyond it a difference of two values may not be a number
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one metric's runs say about "better than the baseline by more than the margin".

    Values, `delta` (experiment - baseline) and `se` are in the metric's unit; `improvement` is the delta with the sign that makes better
    positive, and so are both intervals of it. None stands for what cannot be known: se, t, p and intervals where no variance was
    seen; `relative` (a share of |baseline|) beside a zero baseline; an interval that has no end.
    """

    n_exp: int
    n_base: int
    experiment_value: float
    baseline_value: float
    delta: float
    improvement: float
    relative: float | None
    standardised: float | None  # Hedges g, in standard deviations of a single run
    se: float | None
    t: float | None  # of improvement - margin
    df: float
    p_two_sided: float | None
    ci95: Interval | None
    anytime_ci95: Interval | None
    n_eff: float
    e_pos: float
    e_neg: float
    score: float
    prob_improvement: float
    method: Method
    flags: tuple[str, ...]


class _Matched(NamedTuple):
    """Blocks with both sides, each side sorted, and what was noticed on the way."""

    blocks: list[tuple[Side, Side]]
    flags: set[str]


def compare(blocks: Blocks, *, direction: Direction, margin: float = 0.0, within_var: float = 0.0) -> Comparison:
    """Judge linked runs against baseline runs. `blocks`: (experiment values, baseline values) of each block, one number a run.

    `margin` (the metric's unit, >= 0): the smallest improvement that matters. `within_var` (its square, >= 0): a floor for the variance between
    runs. Flags: `insufficient_replicates` a side has fewer than two runs, the score is held at 0.49; `identical_replicates` copies counted
    once; `unmatched_runs` a block had one side only and was left out; `noise_floor` the floor was used; `zero_baseline`.

    Raises ValueError if no block has runs on both sides, a value is not finite or beyond ±1e300, or direction, margin or floor are not valid.
    """
    sign = sign_of(direction)
    matched = _matched(blocks)
    _check(matched.blocks, margin=margin, within_var=within_var)
    unit = _unit(matched.blocks, margin, math.sqrt(within_var))
    sums = _summed(matched.blocks, unit)
    evidence = judged(sums, sign=sign, margin=margin / unit, floor=(math.sqrt(within_var) / unit) ** 2)
    return _described(matched, sums, evidence, sign=sign, margin=margin, unit=unit)


def _matched(blocks: Blocks) -> _Matched:
    """Sort (so that the order of runs changes no digit), leave out one-sided blocks, count copies once."""
    sides = [(_side(x), _side(b)) for x, b in blocks]
    whole = sorted((x, b) for x, b in sides if x and b)
    single = [(_collapsed(x), _collapsed(b)) for x, b in whole]
    if len(single) > 1 and len(set(single)) == 1:
        single = single[:1]
    flags = {"unmatched_runs"} if any(bool(x) != bool(b) for x, b in sides) else set()
    return _Matched(single, flags | ({"identical_replicates"} if single != whole else set()))


def _side(values: Sequence[float]) -> Side:
    side = tuple(sorted(float(value) for value in values))
    for value in side:
        if not abs(value) <= LARGEST:
            raise ValueError(f"Runs are compared by finite values within ±{LARGEST:g}, not by {value!r}: leave that run out, or count it as diverged.")
    return side


def _collapsed(side: Side) -> Side:
    return side[:1] if side[0] == side[-1] else side


def _check(blocks: list[tuple[Side, Side]], *, margin: float, within_var: float) -> None:
    if not blocks:
        raise ValueError("There is nothing to compare: no block has runs on both sides. Without a comparison the e-values are (1, 1).")
    if not 0 <= margin <= LARGEST:
        raise ValueError(f"The smallest improvement that matters is 0 or more and at most {LARGEST:g}, not {margin!r}.")
    if not (0 <= within_var < math.inf):
        raise ValueError(f"The variance within runs is 0 or more and finite, not {within_var!r}.")


def _unit(blocks: list[tuple[Side, Side]], *others: float) -> float:
    """A power of two that brings every number to order one at most: exact, and no square of it overflows."""
    largest = max(*others, *(abs(end) for pair in blocks for side in pair for end in (side[0], side[-1])))
    return math.ldexp(1.0, math.frexp(largest)[1]) if largest > 0 else 1.0


def _summed(blocks: list[tuple[Side, Side]], unit: float) -> Sums:
    """Sufficient statistics of S blocks, each of shape (S,), values in units of `unit`."""
    x, b = ([_moments(np.asarray(side) / unit) for side in sides] for sides in zip(*blocks, strict=True))
    (n_x, mean_x, ss_x), (n_b, mean_b, ss_b) = np.array(x).T, np.array(b).T
    return Sums(n_x, n_b, mean_x, mean_b, ss_x, ss_b)


def _moments(values: Floats) -> tuple[float, float, float]:
    mean = float(values.mean())
    from_mean = values - mean
    return float(values.size), mean, float(from_mean @ from_mean)


def _described(matched: _Matched, sums: Sums, evidence: Evidence, *, sign: int, margin: float, unit: float) -> Comparison:
    """Back in the metric's unit, with everything that is shown beside the score."""
    t, is_known = evidence.statistic, bool(evidence.statistic.df > 0)
    value_x, value_b = _weighted_means(sums, unit)
    improvement = float(t.theta) * unit + margin
    return Comparison(
        n_exp=int(sums.n_x.sum()),
        n_base=int(sums.n_b.sum()),
        experiment_value=value_x,
        baseline_value=value_b,
        delta=sign * improvement,
        improvement=improvement,
        relative=None if _is_zero(value_b, matched.blocks) else _finite(improvement / abs(value_b)),
        standardised=_hedges_g(float(t.theta) + margin / unit, evidence),
        se=float(t.se) * unit if is_known else None,
        t=float(t.t) if is_known else None,
        df=float(t.df),
        p_two_sided=float(2 * special.stdtr(t.df, -abs(t.t))) if is_known else None,
        ci95=_interval(improvement, float(t.se) * unit * float(special.stdtrit(t.df, 0.975))) if is_known else None,
        anytime_ci95=_interval(improvement, float(t.se) * unit * _anytime_factor(float(t.df), float(t.n_eff))) if is_known else None,
        n_eff=float(t.n_eff),
        e_pos=float(evidence.e_pos),
        e_neg=float(evidence.e_neg),
        score=float(evidence.score),
        prob_improvement=_prob_improvement(matched.blocks, sign),
        method="sign_only" if not is_known else "welch_guard" if evidence.is_guarded else "pooled_t",
        flags=_flags(matched, sums, evidence, is_zero_baseline=_is_zero(value_b, matched.blocks)),
    )


def _weighted_means(sums: Sums, unit: float) -> tuple[float, float]:
    """(experiment, baseline): means over blocks with the weights of the delta, so that their difference is the delta."""
    n = sums.n_x * sums.n_b / (sums.n_x + sums.n_b)
    w = n / n.sum()
    return float(w @ sums.mean_x) * unit, float(w @ sums.mean_b) * unit


def _is_zero(mean: float, blocks: list[tuple[Side, Side]]) -> bool:
    """True if the baseline's mean is 0 but for rounding."""
    return abs(mean) <= 4 * EPSILON * max(abs(end) for _, b in blocks for end in (b[0], b[-1]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(centre: float, half: float) -> Interval | None:
    """centre ± half, or None where that has no end."""
    return (centre - half, centre + half) if math.isfinite(half) else None


def _anytime_factor(df: float, n_eff: float) -> float:
    """Half-width, in standard errors, of the interval that holds at every look at once: sqrt(df (R - 1)/(1 - R/q)), infinite if R >= q.

    R = (sqrt(q)/a)^(2/(df+1)): the t values for which the two-sided e-value stays below 1/a (Wang and Ramdas 2023).
    """
    q = 1 + n_eff * PRIOR_VARIANCE
    log_r = 2 / (df + 1) * math.log(math.sqrt(q) / ALPHA)
    if log_r >= math.log(q):
        return math.inf
    return math.sqrt(df * math.expm1(log_r) / -math.expm1(log_r - math.log(q)))


def _hedges_g(improvement: float, evidence: Evidence) -> float | None:
    """The improvement in standard deviations of one run, with Hedges' correction for few runs (1981); None below two degrees of freedom."""
    df, variance = float(evidence.pooled_df), float(evidence.variance)
    if df < 2 or variance == 0:
        return None
    log_j = math.lgamma(df / 2) - math.lgamma((df - 1) / 2) - math.log(df / 2) / 2
    return _finite(math.exp(log_j) * improvement / math.sqrt(variance))


def _prob_improvement(blocks: list[tuple[Side, Side]], sign: int) -> float:
    """U / (n_x n_b) within blocks: the share of pairs of runs in which the linked one is better, ties a half (Mann and Whitney 1947)."""
    above = sum(float((np.searchsorted(b, x, "left") + np.searchsorted(b, x, "right")).sum()) / 2 for x, b in blocks)
    pairs = sum(len(x) * len(b) for x, b in blocks)
    return above / pairs if sign > 0 else (pairs - above) / pairs


def _flags(matched: _Matched, sums: Sums, evidence: Evidence, *, is_zero_baseline: bool) -> tuple[str, ...]:
    """All flags, in the order of the alphabet."""
    has_spread = bool(evidence.statistic.df > 0)
    raised = {
        "insufficient_replicates": not has_spread or min(sums.n_x.sum(), sums.n_b.sum()) < 2,
        "identical_replicates": not has_spread and sums.n_x.sum() + sums.n_b.sum() > 2,
        "noise_floor": bool(evidence.statistic.is_floored),
        "zero_baseline": is_zero_baseline,
    }
    return tuple(sorted(matched.flags | {name for name, is_raised in raised.items() if is_raised}))
