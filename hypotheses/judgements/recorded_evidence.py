"""A judgement as the rows of evidence that are kept of it."""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection, Sequence

from hypotheses.judgements.gathering import UNSAID
from hypotheses.judging.comparison import Comparison
from hypotheses.judging.rules import ENGINE_VERSION
from hypotheses.weighing.cases import Case, Judgement, Reading, Run
from metrics.store.evidence_rows import ARM, NIL, POOLED, EvidenceRow

GATE = "gate:"


def evidence(case: Case, judgement: Judgement) -> list[EvidenceRow]:
    """A row for every target, pooled and by arm, where there was something to compare."""
    gates = tuple(f"{GATE}{gate.name}" for gate in judgement.closed)
    base = next((run.id for run in judgement.baseline), NIL)
    unsaid = {gate.name for gate in judgement.closed if gate.name.startswith(UNSAID)}  # which way such a metric is better would be a guess
    pooled = [row(case, judgement, each, one, gates, base) for each in judgement.readings if (one := told(each, unsaid))]
    by_arm = [
        row(case, judgement, each, one, ("post_hoc",) if arm.is_post_hoc else (), base, arm=arm.key, first=arm.earliest)
        for arm in judgement.arms
        for each in arm.readings
        if (one := told(each, unsaid))
    ]
    return pooled + by_arm


def told(each: Reading, unsaid: Collection[str]) -> Comparison | None:
    """The comparison, where there is one that can be written down."""
    return None if f"{UNSAID}{each.term.metric}" in unsaid else each.comparison


def row(
    case: Case, judgement: Judgement, each: Reading, one: Comparison, flags: Sequence[str], base: uuid.UUID, *, arm: str = "", first: Run | None = None
) -> EvidenceRow:
    """One comparison as a row."""
    return EvidenceRow(
        at=judgement.at,
        hypothesis_id=case.hypothesis_id,
        judgement_id=judgement.id,
        scope=ARM if first else POOLED,
        arm=arm,
        experiment_id=first.id if first else NIL,
        baseline_id=base,
        metric_name=each.term.metric,
        direction=each.term.direction,
        baseline_value=one.baseline_value,
        experiment_value=one.experiment_value,
        delta=one.delta,
        confidence_score=one.score,
        n_exp=one.n_exp,
        n_base=one.n_base,
        improvement=one.improvement,
        margin=each.margin,
        se=known(one.se),
        df=one.df,
        t=known(one.t),
        p_value=known(one.p_two_sided),
        ci_low=known(one.ci95 and one.ci95[0]),
        ci_high=known(one.ci95 and one.ci95[1]),
        at_low=known(one.anytime_ci95 and one.anytime_ci95[0]),
        at_high=known(one.anytime_ci95 and one.anytime_ci95[1]),
        e_pos=one.e_pos,
        e_neg=one.e_neg,
        prob_improvement=one.prob_improvement,
        method=one.method,
        flags=(*one.flags, *flags),
        epoch=case.epoch,
        engine_version=ENGINE_VERSION,
        score=judgement.score,
        status=judgement.status,
    )


def known(value: float | None) -> float:
    """NaN for what nobody knows."""
    return math.nan if value is None else value
