"""How a hypothesis is judged: the rules that turn comparisons into a verdict. Pure: numbers in, numbers out.

The method is described in docs/judging.md. Series to values: `series`. One metric's comparison: `comparison`, on the e-values of `evidence`. What further
runs would tell: `planning`. Which change did it: `attribution`. Here: several metrics together, the verdict, failed runs, many hypotheses.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from hypotheses.judging.evidence import ALPHA, THRESHOLD, Direction, Floats, confidence, sign_of

ENGINE_VERSION = "1.1"  # another number wherever the same runs would get another score

Mode = Literal["all", "any", "mean"]
Status = Literal["proposed", "testing", "supported", "refuted"]
EValues = tuple[float, float]
NO_EVIDENCE: EValues = (1.0, 1.0)


class Adjusted(NamedTuple):
    """p-values adjusted for being read together, in the order given: `holm` (any wrong one), `bh` (the share of wrong ones)."""

    holm: list[float]
    bh: list[float]


def combine(e_values: Mapping[str, EValues | None], *, mode: Mode) -> float:
    """The score of all M target metrics together, in (-1, 1), from (E+, E-) of each; None, a metric without evidence, counts as (1, 1).

    `all`: the weakest link, min over metrics of the score with a₊ = a and a₋ = a/M (Berger 1982: no correction where every one must hold,
    Bonferroni's where one failure suffices). `any`: mirrored. `mean`: the mean of the scores. Raises ValueError without a metric, for
    an unknown mode, and for an e-value that is negative or not finite.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"Targets are required as one of {', '.join(get_args(Mode))}, not {mode!r}.")
    if not e_values:
        raise ValueError("A hypothesis needs at least one target metric.")
    each = [NO_EVIDENCE if pair is None else pair for pair in e_values.values()]
    e_pos, e_neg = _checked([pair[0] for pair in each]), _checked([pair[1] for pair in each])
    shared = ALPHA / len(each)
    if mode == "all":
        return float(confidence(e_pos, e_neg, a_neg=shared).min())
    if mode == "any":
        return float(confidence(e_pos, e_neg, a_pos=shared).max())
    return float(confidence(e_pos, e_neg).mean())


def _checked(e: Sequence[float]) -> Floats:
    values = np.asarray(e, dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(f"E-values are 0 or more and finite, not {list(e)!r}.")
    return values


def decide(
    previous: Status, score: float, gates: Collection[str], *, support_threshold: float = THRESHOLD, refute_threshold: float = -THRESHOLD
) -> tuple[Status, float]:
    """(status, score as it is shown) after a judgement. `gates`: names of those that are closed.

    A verdict is reached at its threshold and left when the score falls to half of it. A closed gate holds the score just short of both
    thresholds and the status at testing. A proposed hypothesis stays proposed: starting its first linked run makes it testing. Raises ValueError
    for a score outside [-1, 1], an unknown status, and thresholds nearer to 0 than 0.5, where the bound on wrong verdicts is lost.
    """
    _check_terms(previous, score, support_threshold, refute_threshold)
    if gates or previous == "proposed":
        held = min(max(score, 0.98 * refute_threshold), 0.98 * support_threshold)
        return ("proposed" if previous == "proposed" else "testing"), held
    if score >= support_threshold or (previous == "supported" and score > support_threshold / 2):
        return "supported", score
    if score <= refute_threshold or (previous == "refuted" and score < refute_threshold / 2):
        return "refuted", score
    return "testing", score


def _check_terms(previous: str, score: float, support_threshold: float, refute_threshold: float) -> None:
    if previous not in get_args(Status):
        raise ValueError(f"A hypothesis is {', '.join(get_args(Status))}, not {previous!r}.")
    if not -1 <= score <= 1:
        raise ValueError(f"A score lies between -1 and 1, not at {score!r}.")
    if not (THRESHOLD <= support_threshold < 1 and -1 < refute_threshold <= -THRESHOLD):
        given = f"{support_threshold!r} and {refute_threshold!r}"
        raise ValueError(f"The thresholds are at least {THRESHOLD} and at most {-THRESHOLD}, short of 1 and -1, not {given}: nearer to 0 they bound no error.")


def worst_rank(x: Sequence[float], b: Sequence[float], x_failed: int, b_failed: int, direction: Direction) -> tuple[list[float], list[float]]:
    """(x', b'): both arms with the worst value seen in either given to each failed run, completed runs first (worst-rank, Lachin 1999).

    Raises ValueError if there are failed runs and no value at all, or a count is negative.
    """
    if min(x_failed, b_failed) < 0:
        raise ValueError(f"Counts of failed runs are 0 or more, not {x_failed} and {b_failed}.")
    if x_failed + b_failed == 0:
        return list(x), list(b)
    if not (seen := [*x, *b]):
        raise ValueError("No run of either arm has a value: there is no worst one to give to the failed runs.")
    worst = min(seen) if sign_of(direction) > 0 else max(seen)
    return [*x, *[worst] * x_failed], [*b, *[worst] * b_failed]


def attrition_gates(previous: Status, score: float, worst_rank_score: float) -> tuple[str, ...]:
    """("attrition",) if completed runs alone would give a verdict that does not survive giving failed runs the worst value, else ()."""
    verdict, _ = decide(previous, score, ())
    survived, _ = decide(previous, worst_rank_score, ())
    return ("attrition",) if verdict in ("supported", "refuted") and survived != verdict else ()


def e_bh(e: Sequence[float], q: float) -> list[int]:
    """Indices, ascending, of the hypotheses that stand when a project's are read together: at most a share `q` is expected to be wrong.

    The largest k for which the k-th largest of K e-values is at least K/(k q) (Wang and Ramdas 2022); holds under any dependence. Raises
    ValueError unless 0 < q < 1 and the e-values are finite and not negative.
    """
    if not 0 < q < 1:
        raise ValueError(f"The false discovery rate lies between 0 and 1, not at {q!r}.")
    values = _checked(e)
    order = np.argsort(-values, kind="stable")
    stands = values[order] * np.arange(1, values.size + 1) * q >= values.size
    count = int(stands.nonzero()[0].max()) + 1 if stands.any() else 0
    return sorted(int(index) for index in order[:count])


def adjust(p: Sequence[float]) -> Adjusted:
    """Holm's (1979) and Benjamini and Hochberg's (1995) adjusted p-values, for tables labelled exploratory. Raises ValueError outside [0, 1]."""
    values = np.asarray(p, dtype=np.float64)
    if any(not 0 <= value <= 1 or math.isnan(value) for value in values):
        raise ValueError(f"p-values lie between 0 and 1, not {list(p)!r}.")
    size, order = values.size, np.argsort(values, kind="stable")
    holm, bh = np.empty(size), np.empty(size)
    holm[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(size, 0, -1)), 1)
    bh[order] = np.minimum(np.minimum.accumulate((values[order] * size / np.arange(1, size + 1))[::-1])[::-1], 1)
    return Adjusted(holm.tolist(), bh.tolist())
