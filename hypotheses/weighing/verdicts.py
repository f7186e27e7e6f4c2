"""From a case to a judgement: sides, readings, gates, the score, what is still needed. Pure; the method is docs/judging.md."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from hypotheses.judging.planning import runs_to_add
from hypotheses.judging.rules import decide
from hypotheses.weighing.cases import Arm, Case, Judgement, Need, Reading
from hypotheses.weighing.gates import gates_of
from hypotheses.weighing.readings import Thresholds, arms_of, reading, score_of, sure_score
from hypotheses.weighing.sentences import missing_of, sentence_of
from hypotheses.weighing.sides import matched, split


def weigh(case: Case, *, at: datetime, thresholds: Thresholds = Thresholds(), judgement_id: uuid.UUID | None = None) -> Judgement:  # noqa: B008  # a constant
    """Judge a case as it stands."""
    counted, late = split(case)
    sides = matched(case, counted)
    readings = tuple(reading(term, sides) for term in case.terms)
    raw = sure_score(case, readings, thresholds)
    gates = gates_of(case, counted, late, readings, sides, raw, thresholds)
    status, score = decide(
        case.previous, raw, [gate.name for gate in gates if not gate.is_open], support_threshold=thresholds.support, refute_threshold=thresholds.refute
    )
    arms = arms_of(case, counted, is_post_hoc=False) + arms_of(case, late, is_post_hoc=True)
    needs = needs_of(case, readings, arms)
    exploratory = tuple(reading(term, matched(case, late)) for term in case.terms) if late else ()
    draft = Judgement(
        id=judgement_id or uuid.uuid4(),
        at=at,
        status=status,
        score=score,
        raw_score=raw,
        sentence="",
        missing="",
        readings=readings,
        arms=arms,
        baseline=tuple(run for run in case.baseline if run.is_ended),
        gates=gates,
        needs=needs,
        exploratory=score_of(case, exploratory) if any(each.comparison for each in exploratory) else None,
        exploratory_readings=exploratory,
    )
    missing = missing_of(case, draft)
    return replace(draft, missing=missing, sentence=sentence_of(case, draft, missing))


# What is still needed ------------------------------------------------------------------------------------------------------------------------


def needs_of(case: Case, readings: Sequence[Reading], arms: Sequence[Arm]) -> tuple[Need, ...]:
    """For the pooled row and each arm that counts: runs to tell no effect from the smallest that matters, with power 0.8."""
    pooled = [need("", each, sd_of(each)) for each in readings if each.margin > 0]
    counted = [arm for arm in arms if not arm.is_post_hoc]
    pairs = [(arm, own, sd_of(all_)) for arm in counted for own, all_ in zip(arm.readings, readings, strict=True)]
    single = [need(arm.key, own, sd) for arm, own, sd in pairs if own.margin > 0]
    return tuple(pooled + (single if len(counted) > 1 else []))


def sd_of(each: Reading) -> float | None:
    """The standard deviation of one run, None where it is not known."""
    found = each.comparison
    return found.se * math.sqrt(found.n_eff) if found and found.se else None


@lru_cache(maxsize=1024)
def to_add(n_exp: int, n_base: int, effect_sd: float) -> tuple[int, int] | None:
    """Arms of one size need the same."""
    return runs_to_add(n_exp, n_base, effect_sd=effect_sd)


def need(arm: str, each: Reading, sd: float | None) -> Need:
    """One row."""
    n_exp, n_base = (each.comparison.n_exp, each.comparison.n_base) if each.comparison else (0, 0)
    if not sd or each.margin / sd < 0.01:
        return Need(arm, each.term.metric, each.margin, n_exp, n_base, None, None, None)
    effect_sd = min(each.margin / sd, 1e6)
    added, fresh = to_add(n_exp, n_base, effect_sd), to_add(0, 0, effect_sd)
    return Need(arm, each.term.metric, each.margin, n_exp, n_base, max(fresh) if fresh else None, *(added or (None, None)))
