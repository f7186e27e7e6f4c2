"""From runs to one score: a sequential t-test's e-values and what they say together. Arrays in, arrays out; pure.

Formulas: the e-values are those of the right-Haar e-process for the t statistic with a normal prior of variance g on the standardised
effect, one for each direction (Pérez-Ortiz, Lardy, de Heide and Grünwald 2024; Wang and Ramdas 2023). By Ville's inequality (1939) the chance
that such a number ever reaches 1/a, when nothing is there, is at most a, however often one looks.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import special

Direction = Literal["maximize", "minimize"]
Floats = NDArray[np.float64]

ALPHA = 0.05  # the chance, per direction, of ever deciding wrongly
PRIOR_VARIANCE = 4.0  # g: effects of about two standard deviations between seeds are expected
THRESHOLD = 0.5  # a score of this size implies an e-value of 1/ALPHA
CAP = 0.98 * THRESHOLD  # where a score is held that may not decide
LARGEST_E = 1e300  # beyond it nothing changes but the risk of an infinity
LARGEST_SCORE = float(np.nextafter(1.0, 0.0))
LARGEST_T = 1e100  # beyond it e-values have reached their limit, and squares would overflow
RESOLUTION = 2.0**-48  # a spread below this share of the values themselves is rounding, not variance between runs


class Sums(NamedTuple):
    """Counts, means and sums of squares about the mean of both sides of S blocks; each of shape (..., S).

    Values are scaled to order one at most, so that no square overflows.
    """

    n_x: Floats
    n_b: Floats
    mean_x: Floats
    mean_b: Floats
    ss_x: Floats
    ss_b: Floats


class Statistic(NamedTuple):
    """A t statistic for "the improvement exceeds the margin"; each of shape (...). df = 0: the variance is unknown and t only a sign."""

    theta: Floats  # improvement minus margin
    se: Floats
    t: Floats
    df: Floats
    n_eff: Floats
    is_floored: NDArray[np.bool_]  # the variance was below the floor


class Evidence(NamedTuple):
    """What a statistic says: e-values for better and for worse, the score in (-1, 1), and whether the Welch guard spoke."""

    statistic: Statistic
    e_pos: Floats
    e_neg: Floats
    score: Floats
    is_guarded: NDArray[np.bool_]
    variance: Floats  # pooled, of a single run, never below the floor; 0 where unknown
    pooled_df: Floats


def sign_of(direction: str) -> int:
    """+1 where more is better, -1 where less is. Raises ValueError for any other word."""
    if direction not in get_args(Direction):
        raise ValueError(f"A metric's direction is {' or '.join(get_args(Direction))}, not {direction!r}.")
    return 1 if direction == "maximize" else -1


def e_values(t: Floats, df: Floats, n_eff: Floats) -> tuple[Floats, Floats]:
    """(E+, E-) of a t statistic with `df` degrees of freedom and effective sample size `n_eff`, broadcast; each in [0, 1e300].

    q = 1 + n_eff g; BF = q^(-1/2) [(1 + t²/df) / (1 + t²/(df q))]^((df+1)/2); z = t sqrt((n_eff g/q)(df + 1)/(df + t²/q));
    E± = 2 BF F(±z), F being Student's distribution with df + 1 degrees. df = 0: BF = 1, z = sign(t) sqrt(n_eff g).
    """
    q, known = 1 + n_eff * PRIOR_VARIANCE, np.asarray(df) > 0
    nu = np.where(known, df, 1.0)
    growth = (nu + 1) / 2 * (np.log1p(t**2 / nu) - np.log1p(t**2 / (nu * q)))
    log_factor = np.where(known, growth - np.log(q) / 2, 0.0)
    narrowing = np.sqrt((nu + 1) / (q * (nu + t**2 / q)))
    z = np.sqrt(n_eff * PRIOR_VARIANCE) * np.where(known, t * narrowing, np.sign(t))
    return _half(z, df, log_factor), _half(-z, df, log_factor)


def _half(z: Floats, df: Floats, log_factor: Floats) -> Floats:
    """2 BF F(z), summed as logarithms since BF alone may be too large for a float."""
    with np.errstate(divide="ignore", under="ignore"):
        return np.asarray(np.exp(np.minimum(log_factor + np.log(2 * special.stdtr(df + 1, z)), np.log(LARGEST_E))))


def confidence(e_pos: Floats, e_neg: Floats, *, a_pos: float = ALPHA, a_neg: float = ALPHA) -> Floats:
    """The score (a₊E₊ - a₋E₋) / (1 + a₊E₊ + a₋E₋), strictly within (-1, 1): P(better) - P(worse) under the prior 1 : a₊ : a₋.

    A score of 0.5 or more implies E₊ >= 1/a₊, and the mirror.
    """
    better, worse = a_pos * e_pos, a_neg * e_neg
    return np.clip((better - worse) / (1 + (better + worse)), -LARGEST_SCORE, LARGEST_SCORE)


def score_at(t: float, *, df: float, n_eff: float) -> float:
    """The score of one t statistic (of its sign where df is 0), before any cap."""
    return float(confidence(*e_values(np.asarray(t), np.asarray(df), np.asarray(n_eff))))


def judged(sums: Sums, *, sign: int, margin: float = 0.0, floor: float = 0.0) -> Evidence:
    """Evidence for "the improvement exceeds `margin`" (both in the unit of the means; `floor` a variance, that unit squared).

    The pooled t, or the Welch t where that claims less (unequal counts in a block, both sides with degrees of freedom); held at CAP
    where a side has fewer than two runs. Shapes: (..., S) in, (...) out.
    """
    statistic, variance = pooled(sums, sign=sign, margin=margin, floor=floor)
    evidence = _weighed(sums, statistic)
    is_guarded = _may_differ_in_variance(sums)
    if is_guarded.any():
        careful = _weighed(sums, welch(sums, sign=sign, margin=margin, floor=floor))
        is_guarded = is_guarded & (statistic.df > 0) & (np.abs(careful[3]) < np.abs(evidence[3]))
        evidence = _chosen(is_guarded, careful, evidence)
    return Evidence(*evidence, is_guarded=is_guarded, variance=variance, pooled_df=statistic.df)


def pooled(sums: Sums, *, sign: int, margin: float, floor: float) -> tuple[Statistic, Floats]:
    """The OLS t of "linked or baseline" with an intercept a block, and the variance of one run behind it (0 where unknown).

    A spread that is no more than rounding is no variance: the blocks are copies of one another, count as one, and only the sign speaks.
    """
    n, d, theta, n_eff = _contrast(sums, sign=sign, margin=margin)
    ssr = (sums.ss_x + sums.ss_b + n * (d - theta[..., None]) ** 2).sum(-1)
    df = (sums.n_x + sums.n_b - 1).sum(-1) - 1
    seen = ssr / np.maximum(df, 1)
    known = (df > 0) & (seen > _rounding(sums))
    variance = np.where(known, np.maximum(seen, floor), 0.0)
    n_eff, df = np.where(known, n_eff, n.max(-1)), np.where(known, df, 0.0)
    se = np.sqrt(variance / n_eff)
    t = np.clip(theta / np.where(known, se, 1.0), -LARGEST_T, LARGEST_T)
    return Statistic(theta, se, t, df, n_eff, known & (seen < floor)), variance


def welch(sums: Sums, *, sign: int, margin: float, floor: float) -> Statistic:
    """The t with a variance for each side, se² = s_x² Σw²/n_x + s_b² Σw²/n_b, and Satterthwaite's degrees of freedom (1946).

    Meaningful only where both sides have degrees of freedom; elsewhere its numbers are finite and not to be used.
    """
    n, _, theta, n_eff = _contrast(sums, sign=sign, margin=margin)
    w2 = (n / n_eff[..., None]) ** 2
    least = np.maximum(_rounding(sums), np.finfo(np.float64).tiny)
    var_x, df_x, is_floored_x = _one_side(sums.ss_x, sums.n_x, floor, least)
    var_b, df_b, is_floored_b = _one_side(sums.ss_b, sums.n_b, floor, least)
    of_x, of_b = var_x * (w2 / sums.n_x).sum(-1), var_b * (w2 / sums.n_b).sum(-1)
    se = np.sqrt(of_x + of_b)
    share = of_x / (of_x + of_b)
    df = 1 / (share**2 / df_x + (1 - share) ** 2 / df_b)
    return Statistic(theta, se, np.clip(theta / se, -LARGEST_T, LARGEST_T), df, n_eff, is_floored_x | is_floored_b)


def _contrast(sums: Sums, *, sign: int, margin: float) -> tuple[Floats, Floats, Floats, Floats]:
    """(n, d, theta, n_eff): each block's weight n_x n_b/(n_x + n_b) and improvement beyond the margin, their mean, the weights' sum."""
    n = sums.n_x * sums.n_b / (sums.n_x + sums.n_b)
    d = sign * (sums.mean_x - sums.mean_b) - margin
    n_eff = n.sum(-1)
    return n, d, (n * d).sum(-1) / n_eff, n_eff


def _rounding(sums: Sums) -> Floats:
    """The variance that rounding alone may leave, from the size of the means; shape (...)."""
    return np.asarray(np.maximum(sums.mean_x**2, sums.mean_b**2).max(-1) * RESOLUTION**2)


def _one_side(ss: Floats, n: Floats, floor: float, least: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """(variance, degrees of freedom, floored?) of one side over all blocks; at least `least`, so that nothing is divided by zero."""
    df = np.maximum((n - 1).sum(-1), 1)
    seen = ss.sum(-1) / df
    return np.maximum(seen, np.maximum(floor, least)), df, seen < floor


def _may_differ_in_variance(sums: Sums) -> NDArray[np.bool_]:
    """True where counts differ within a block and both sides can show a variance: there the pooled t may claim too much."""
    both = ((sums.n_x - 1).sum(-1) > 0) & ((sums.n_b - 1).sum(-1) > 0)
    return np.asarray((sums.n_x != sums.n_b).any(-1) & both)


Weighed = tuple[Statistic, Floats, Floats, Floats]


def _weighed(sums: Sums, statistic: Statistic) -> Weighed:
    """(statistic, E+, E-, score), the score held at CAP where a side has fewer than two runs."""
    e_pos, e_neg = e_values(statistic.t, statistic.df, statistic.n_eff)
    score = confidence(e_pos, e_neg)
    is_short = (sums.n_x.sum(-1) < 2) | (sums.n_b.sum(-1) < 2)
    return statistic, e_pos, e_neg, np.where(is_short, np.clip(score, -CAP, CAP), score)


def _chosen(where: NDArray[np.bool_], one: Weighed, other: Weighed) -> Weighed:
    """`one` where true, else `other`, number by number."""
    statistic = Statistic(*(np.where(where, a, b) for a, b in zip(one[0], other[0], strict=True)))
    e_pos, e_neg, score = (np.where(where, a, b) for a, b in zip(one[1:], other[1:], strict=True))
    return statistic, e_pos, e_neg, score
