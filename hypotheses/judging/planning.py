"""What further runs would tell: the power of a number of runs, before any is started. Pure.

Effects are in standard deviations between seeds, and always the smallest that matters to the asker, never the one just observed (that would choose
the number of runs by its own luck). The power is that of one look, at runs of equal variance in one block; watching all along adds a little.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import optimize, stats

from hypotheses.judging.evidence import THRESHOLD, score_at

LARGEST_T = 1e8  # where the score has reached its limit for the number of runs
MOST_RUNS = 1_000_000  # a side
LARGEST_EFFECT_SD = 1e6


@lru_cache(maxsize=4096)
def t_threshold(n_exp: int, n_base: int) -> float | None:
    """The |t| at which the score of `n_exp` against `n_base` runs is 0.5; None where no t is large enough. Raises ValueError below 0 runs."""
    if min(n_exp, n_base) < 0:
        raise ValueError(f"Counts of runs are 0 or more, not {n_exp} and {n_base}.")
    if min(n_exp, n_base) < 2 or _beyond(LARGEST_T, n_exp, n_base) < 0:
        return None
    return float(optimize.brentq(_beyond, 0.0, LARGEST_T, args=(n_exp, n_base), xtol=1e-12, rtol=1e-14, maxiter=500))


def _beyond(t: float, n_exp: int, n_base: int) -> float:
    return score_at(t, df=n_exp + n_base - 2, n_eff=_n_eff(n_exp, n_base)) - THRESHOLD


def _n_eff(n_exp: int, n_base: int) -> float:
    return n_exp * n_base / (n_exp + n_base)


def power(effect_sd: float, n_exp: int, n_base: int) -> float:
    """The chance that an improvement of `effect_sd` beyond the margin is supported: the noncentral t beyond the threshold. In [0, 1].

    Raises ValueError for an effect that is negative or above 1e6.
    """
    if not 0 <= effect_sd <= LARGEST_EFFECT_SD:
        raise ValueError(f"The effect is from 0 to {LARGEST_EFFECT_SD:g} standard deviations between seeds, not {effect_sd!r}.")
    threshold = t_threshold(n_exp, n_base)
    if threshold is None:
        return 0.0
    return _beyond_t(threshold, n_exp + n_base - 2, effect_sd * np.sqrt(_n_eff(n_exp, n_base)))


def _beyond_t(threshold: float, df: int, shift: float) -> float:
    return float(np.clip(stats.nct.sf(threshold, df, shift), 0.0, 1.0))


def _check_power(target: float) -> None:
    if not 0 < target < 1:
        raise ValueError(f"The power lies between 0 and 1, not at {target!r}.")


def _check_effect(effect_sd: float) -> None:
    if not 0 < effect_sd <= LARGEST_EFFECT_SD:
        raise ValueError(f"The smallest effect that matters is above 0 and at most {LARGEST_EFFECT_SD:g} standard deviations, not {effect_sd!r}.")


def replicates_needed(effect_sd: float, power: float = 0.8) -> int | None:
    """Runs on each side for `power` at an improvement of `effect_sd` beyond the margin; None if a million are too few.

    Raises ValueError for an effect that is not above 0 and a power outside (0, 1).
    """
    added = runs_to_add(0, 0, effect_sd=effect_sd, power=power)
    return None if added is None else max(added)


@lru_cache(maxsize=4096)
def runs_to_add(n_exp: int, n_base: int, *, effect_sd: float, power: float = 0.8) -> tuple[int, int] | None:
    """(experiment, baseline) runs still to be made for `power`, the arm with fewer first; None if a million a side are too few.

    Raises ValueError as `replicates_needed`.
    """
    _check_effect(effect_sd)
    _check_power(power)
    most = 2 * MOST_RUNS
    if _power_with(0, n_exp, n_base, effect_sd) >= power:
        return 0, 0
    upper = 1
    while _power_with(upper, n_exp, n_base, effect_sd) < power:
        if upper >= most:
            return None
        upper = min(2 * upper, most)
    few, enough = upper // 2, upper
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if _power_with(middle, n_exp, n_base, effect_sd) >= power else (middle, enough)
    filled = _filled(enough, n_exp, n_base)
    return filled[0] - n_exp, filled[1] - n_base


def _filled(runs: int, n_exp: int, n_base: int) -> tuple[int, int]:
    """Both counts after `runs` more, each given to the arm with fewer, to the experiment's where they are equal."""
    apart = n_base - n_exp
    starved = min(runs, abs(apart))
    n_exp, n_base = (n_exp + starved, n_base) if apart > 0 else (n_exp, n_base + starved)
    rest = runs - starved
    return n_exp + (rest + 1) // 2, n_base + rest // 2


def _power_with(runs: int, n_exp: int, n_base: int, effect_sd: float) -> float:
    return power(effect_sd, *_filled(runs, n_exp, n_base))


def mde(n_exp: int, n_base: int, power: float = 0.8) -> float | None:
    """The smallest improvement beyond the margin, in standard deviations between seeds, that is supported with chance `power`.

    None where these numbers of runs support nothing. Raises ValueError for a power outside (0, 1) and counts below 0.
    """
    _check_power(power)
    threshold = t_threshold(n_exp, n_base)
    if threshold is None:
        return None
    df, scale = n_exp + n_base - 2, np.sqrt(_n_eff(n_exp, n_base))
    upper = threshold
    while _beyond_t(threshold, df, upper) < power:
        upper *= 2
    return float(optimize.brentq(lambda shift: _beyond_t(threshold, df, shift) - power, 0.0, upper, xtol=1e-12, rtol=1e-14)) / float(scale)
