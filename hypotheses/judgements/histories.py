"""What was judged before, read back from the evidence as it was written; and which verdicts of a project stand together."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hypotheses.judgements.gathering import place_of
from hypotheses.judgements.recorded_evidence import GATE
from hypotheses.judging.rules import e_bh
from hypotheses.models import Hypothesis
from metrics import process
from metrics.store.evidence_rows import EvidenceRow, rows
from projects.models import Project

FALSE_DISCOVERY_RATE = 0.1


@dataclass(frozen=True, slots=True)
class PastReading:
    """One target metric at a past judgement, in the metric's unit; better is positive. Intervals are None where they had no end."""

    metric: str
    n_exp: int
    n_base: int
    improvement: float
    margin: float
    anytime_ci95: tuple[float, float] | None
    e_pos: float
    e_neg: float
    score: float


@dataclass(frozen=True, slots=True)
class Past:
    """One judgement as its evidence rows tell it. `score` and `status` are the hypothesis's, after gates; `gates`: names of those closed."""

    id: uuid.UUID
    at: datetime
    epoch: int
    score: float
    status: str
    gates: tuple[str, ...]
    readings: tuple[PastReading, ...]

    @property
    def n_exp(self) -> int:
        """Linked runs that had a value for every target."""
        return min(each.n_exp for each in self.readings)

    @property
    def n_base(self) -> int:
        """Baseline runs that had one."""
        return min(each.n_base for each in self.readings)


def history(hypothesis: Hypothesis, *, most: int = 20_000) -> list[Past]:
    """What was judged, the oldest first, from the evidence as it was written. Raises a StoreError where the store is away."""
    return histories([hypothesis], most=most).get(hypothesis.pk, [])


def histories(hypotheses: Sequence[Hypothesis], *, most: int = 20_000) -> dict[uuid.UUID, list[Past]]:
    """The same of several hypotheses of one project, in one question."""
    if not hypotheses:
        return {}
    found = rows(process.repository(), place_of(hypotheses[0]), [each.pk for each in hypotheses], only_pooled=True, limit=most)
    by_judgement: dict[tuple[uuid.UUID, uuid.UUID], list[EvidenceRow]] = {}
    for each in reversed(found):
        by_judgement.setdefault((each.hypothesis_id, each.judgement_id), []).append(each)
    past = {each.pk: list[Past]() for each in hypotheses}
    for (hypothesis_id, _), group in by_judgement.items():
        past[hypothesis_id].append(past_of(group))
    return past


def past_of(group: Sequence[EvidenceRow]) -> Past:
    """One judgement from its pooled rows."""
    first = group[0]
    gates = tuple(flag.removeprefix(GATE) for flag in first.flags if flag.startswith(GATE))
    return Past(first.judgement_id, first.at, first.epoch, first.score, first.status, gates, tuple(map(reading_of, group)))


def reading_of(each: EvidenceRow) -> PastReading:
    """A pooled row as it is drawn."""
    interval = None if math.isnan(each.at_low) else (each.at_low, each.at_high)
    counts = (each.n_exp, each.n_base)
    return PastReading(each.metric_name, *counts, each.improvement, each.margin, interval, each.e_pos, each.e_neg, each.confidence_score)


def badges(project: Project) -> set[uuid.UUID]:
    """The supported hypotheses of a project that stand when all of its hypotheses are read together (e-BH at FDR 0.1)."""
    all_ = list(project.hypotheses.exclude(score=None))
    latest = {pk: past[-1] for pk, past in histories(all_).items() if past}
    judged_ = [each for each in all_ if each.pk in latest]
    strength = [e_of(latest[each.pk], each.require) for each in judged_]
    stands = e_bh(strength, FALSE_DISCOVERY_RATE) if strength else []
    return {judged_[index].pk for index in stands if judged_[index].status == Hypothesis.Status.SUPPORTED}


def e_of(past: Past, mode: str) -> float:
    """One e-value for "better": the least of all targets, the mean of any and of the mean (an average of e-values is one)."""
    values = [each.e_pos for each in past.readings]
    return min(values) if mode == "all" else math.fsum(values) / len(values)
