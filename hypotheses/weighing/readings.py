"""What the runs of both sides say: a comparison for each metric, a score of all, and the same for each arm. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hypotheses.judging.comparison import Comparison, compare
from hypotheses.judging.evidence import CAP, THRESHOLD
from hypotheses.judging.rules import combine
from hypotheses.weighing.cases import BETWEEN_CHANGES, Arm, Case, Reading, Run, Term
from hypotheses.weighing.sides import Sides, failures, matched, values_of


class Thresholds(NamedTuple):
    """The scores at which a claim is supported and refuted."""

    support: float = THRESHOLD
    refute: float = -THRESHOLD


def reading(term: Term, sides: Sides) -> Reading:
    """One metric's comparison over all blocks."""
    blocks = [(values_of(linked, term.metric), values_of(baseline, term.metric)) for linked, baseline in sides.blocks.values()]
    margin = margin_of(term, [value for _, side in blocks for value in side])
    return Reading(
        term=term,
        margin=margin,
        comparison=compared(term, blocks, margin=margin, floor=floor_of(term, [*sides.linked, *sides.baseline])),
        failed=failures(sides.linked, term.metric),
        baseline_failed=failures(sides.baseline, term.metric),
    )


def compared(term: Term, blocks: Sequence[tuple[Sequence[float], Sequence[float]]], *, margin: float, floor: float) -> Comparison | None:
    """The comparison, None where no block has runs on both sides."""
    if not any(linked and baseline for linked, baseline in blocks):
        return None
    return compare(blocks, direction=term.direction, margin=margin, within_var=floor)


def margin_of(term: Term, baseline: Sequence[float]) -> float:
    """The smallest effect in the metric's unit."""
    if not term.is_percent:
        return term.smallest_effect
    return abs(math.fsum(baseline) / len(baseline)) * term.smallest_effect / 100 if baseline else 0.0


def floor_of(term: Term, runs: Sequence[Run]) -> float:
    """The variance between runs that their own tails demand at least: the mean of what each says that has a number."""
    found = (run.values.get(term.metric) for run in runs if run.state == "complete")
    floors = [value.noise_var for value in found if value is not None and value.status == "ok"]
    return math.fsum(floors) / len(floors) if floors else 0.0


def score_of(case: Case, readings: Sequence[Reading]) -> float:
    """The score of all targets together; one without a comparison counts as e-values of 1 and is not left out."""
    pairs = {each.term.metric: (each.comparison.e_pos, each.comparison.e_neg) if each.comparison else None for each in readings}
    return combine(pairs, mode=case.mode) if pairs else 0.0


def is_replicated(each: Reading) -> bool:
    """Whether both sides have two runs that differ."""
    return each.comparison is not None and "insufficient_replicates" not in each.comparison.flags


def sure_score(case: Case, readings: Sequence[Reading], thresholds: Thresholds) -> float:
    """The score, from replicated targets alone where these decide whatever the others hold (the gate stays open then); else from all."""
    if all(map(is_replicated, readings)) or not any(map(is_replicated, readings)):
        return score_of(case, readings)
    sure = score_of(case, [each if is_replicated(each) else replace(each, comparison=None) for each in readings])
    return sure if sure >= thresholds.support or sure <= thresholds.refute else score_of(case, readings)


def arms_of(case: Case, runs: Sequence[Run], *, is_post_hoc: bool) -> tuple[Arm, ...]:
    """Runs of one replicate_key together, in the order in which each arm began to finish."""
    keys = dict.fromkeys(run.arm for run in runs)
    return tuple(arm_of(case, key, tuple(run for run in runs if run.arm == key), is_post_hoc=is_post_hoc) for key in keys)


def arm_of(case: Case, key: str, runs: tuple[Run, ...], *, is_post_hoc: bool) -> Arm:
    """One arm against the baseline; its score is held like the whole one's where a side has fewer than two runs."""
    sides = matched(case, runs)
    readings = tuple(reading(term, sides) for term in case.terms)
    score = score_of(case, readings) if any(each.comparison for each in readings) else None
    if score is not None and not all(map(is_replicated, readings)):
        score = min(max(score, -CAP), CAP)
    return Arm(key, shared_change(runs) or runs[0].name, runs, is_post_hoc, readings, score)


def shared_change(runs: Sequence[Run]) -> str:
    """What all runs of an arm changed, as people read it: runs that share an arm by hand, or but for seeds, may have changed more."""
    told = [run.change.split(BETWEEN_CHANGES) for run in runs]
    return BETWEEN_CHANGES.join(part for part in told[0] if all(part in each for each in told))
