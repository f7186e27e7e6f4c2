"""The verbs of judging: look at a case, write down what it says, change the status by the recorded rule, and read it all back."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from hypotheses.cases import Case, Judgement, Reading, Run
from hypotheses.comparison import Comparison
from hypotheses.gathering import baselines, frozen_baseline, gather, linked, place_of
from hypotheses.judging import ENGINE_VERSION, combine, decide, e_bh
from hypotheses.models import BaselineRun, Hypothesis, HypothesisEvent
from hypotheses.verdicts import Thresholds, weigh
from metrics import alerts, process
from metrics.alert_models import Kind, Severity
from metrics.evidence_rows import ARM, NIL, POOLED, EvidenceRow, append, rows
from metrics.repository import MetricRepository
from projects.models import Project

logger = logging.getLogger(__name__)
HARD_LIMIT = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)
CAUGHT_UP = 20  # runs that ended since the last judgement and get a point each in the history
PENDING_S, PAUSE_S = 5.0, 0.05
FALSE_DISCOVERY_RATE = 0.1
GATE = "gate:"


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


def thresholds() -> Thresholds:
    """Those of the settings."""
    return Thresholds(settings.HYPOTHESIS_SUPPORT_THRESHOLD, settings.HYPOTHESIS_REFUTE_THRESHOLD)


def read(hypothesis: Hypothesis) -> Judgement:
    """What the runs say now; writes nothing. Raises a StoreError where the metric store is away."""
    return weigh(gather(hypothesis, process.repository()), at=timezone.now(), thresholds=thresholds())


# Judging -----------------------------------------------------------------------------------------------------------------------------------


def judge(hypothesis_id: uuid.UUID) -> Judgement | None:
    """Judge once and write it down; None where another does so now, or the hypothesis is gone. Raises a StoreError where the store is away.

    May be asked twice or late without harm. What is asked for meanwhile stays marked.
    """
    claim = timezone.now()
    if not free(hypothesis_id, claim).update(claimed_at=claim):
        return None
    try:
        return judged(hypothesis_id, process.open_repository())
    finally:
        Hypothesis.objects.filter(pk=hypothesis_id, claimed_at=claim).update(claimed_at=None)


def free(hypothesis_id: uuid.UUID, now: datetime) -> QuerySet[Hypothesis]:
    """The row, unless somebody judges it; one whose judge died is free after the hard limit."""
    return Hypothesis.objects.filter(Q(claimed_at=None) | Q(claimed_at__lt=now - HARD_LIMIT), pk=hypothesis_id)


def judged(hypothesis_id: uuid.UUID, repository: MetricRepository) -> Judgement:
    """Freeze the baseline where it is time, then judge: once for each run that ended since, so that the history has a point for each."""
    hypothesis = Hypothesis.objects.select_related("project__team", "baseline_experiment").get(pk=hypothesis_id)
    wants = hypothesis.wants
    await_points(hypothesis)
    freeze(hypothesis, repository)
    for moment in moments(hypothesis):
        settle(hypothesis, repository, gather(hypothesis, repository, as_of=moment), at=moment)
    judgement = settle(hypothesis, repository, gather(hypothesis, repository), at=timezone.now())
    Hypothesis.objects.filter(pk=hypothesis.pk, wants=wants).update(wanted_at=None)
    return judgement


def await_points(hypothesis: Hypothesis) -> None:
    """Give acknowledged points of its runs a moment to be stored. What comes later asks for a judgement of its own."""
    runs = list(hypothesis.links.standing().values_list("experiment_id", flat=True))
    process.flush()
    until = time.monotonic() + PENDING_S
    while process.pending(runs) and time.monotonic() < until:
        time.sleep(PAUSE_S)


def freeze(hypothesis: Hypothesis, repository: MetricRepository) -> None:
    """Fix the baseline as it was when the first linked run started, or was linked if that came later."""
    if hypothesis.frozen_at or hypothesis.status == Hypothesis.Status.PROPOSED:
        return
    starts = [max(link.experiment.started_at, link.linked_at) for link in linked(hypothesis) if link.experiment.started_at and not link.is_post_hoc]
    if not starts:
        return
    at = max(min(starts), hypothesis.epoch_began_at) if hypothesis.epoch > 1 else min(starts)
    found = frozen_baseline(hypothesis, repository, at=at)
    if Hypothesis.objects.filter(pk=hypothesis.pk, frozen_at=None).update(frozen=found, frozen_at=at):
        hypothesis.frozen, hypothesis.frozen_at = found, at
        sentence = f"The baseline ({hypothesis.get_baseline_display()}) is fixed as of {at:%Y-%m-%d %H:%M:%S} UTC, before any linked run ended."
        note(hypothesis, HypothesisEvent.Kind.FROZEN, sentence, at=at, detail=found)


def moments(hypothesis: Hypothesis) -> list[datetime]:
    """When runs ended since the last judgement, but for the last of them: that one is judged as it stands now."""
    runs = [link.experiment for link in linked(hypothesis) if not link.is_post_hoc]
    ends = [run.finished_at for run in [*runs, *baselines(hypothesis, runs)] if run.is_ended and run.finished_at]
    since = hypothesis.judged_at
    return sorted({end for end in ends if since is None or end > since})[:-1][-CAUGHT_UP:]


def settle(hypothesis: Hypothesis, repository: MetricRepository, case: Case, *, at: datetime) -> Judgement:
    """Weigh, write the evidence, then the record in one transaction. The evidence comes first: it may be there without a verdict, never the reverse."""
    judgement = weigh(case, at=at, thresholds=thresholds())
    append(repository, place_of(hypothesis), evidence(case, judgement), logged_at=timezone.now())
    with transaction.atomic():
        keep_baseline(hypothesis, case)
        record(hypothesis, judgement)
    return judgement


def record(hypothesis: Hypothesis, judgement: Judgement) -> None:
    """The verdict onto the hypothesis, with a line of history and an alert where it is another."""
    was = hypothesis.status
    hypothesis.status, hypothesis.score, hypothesis.judged_at = judgement.status, judgement.score, judgement.at
    hypothesis.sentence, hypothesis.missing = judgement.sentence[:1000], judgement.missing[:500]
    if was != judgement.status:
        hypothesis.decided_at = judgement.at if hypothesis.is_decided else None
    fields = ("status", "score", "judged_at", "sentence", "missing", "decided_at")
    Hypothesis.objects.filter(pk=hypothesis.pk).update(**{name: getattr(hypothesis, name) for name in fields})
    if was != judgement.status:
        detail = {"from": was, "to": judgement.status, "judgement": str(judgement.id)}
        note(hypothesis, HypothesisEvent.Kind.STATUS, judgement.sentence, at=judgement.at, detail=detail)
        tell(hypothesis, was, judgement)


def tell(hypothesis: Hypothesis, was: str, judgement: Judgement) -> None:
    """An alert where a verdict came or went."""
    message = f"{hypothesis.title}: {was} → {judgement.status}. {judgement.sentence}"
    alerts.open_alert(kind=Kind.VERDICT, severity=Severity.LOW, message=message[:1000], project=hypothesis.project, part=hypothesis.slug)


def note(hypothesis: Hypothesis, kind: HypothesisEvent.Kind, sentence: str, *, at: datetime, detail: Mapping[str, object]) -> None:
    """A line of the history."""
    HypothesisEvent.objects.create(
        hypothesis=hypothesis, kind=kind, sentence=sentence[:1000], detail=dict(detail), score=hypothesis.score, epoch=hypothesis.epoch, at=at
    )


def keep_baseline(hypothesis: Hypothesis, case: Case) -> None:
    """Remember which runs were compared with, so that a change of one asks for a judgement."""
    present = set(hypothesis.baseline_runs.values_list("experiment_id", flat=True))
    wanted = {run.id for run in case.baseline}
    hypothesis.baseline_runs.filter(experiment__in=present - wanted).delete()
    new = [BaselineRun(hypothesis=hypothesis, experiment_id=run) for run in sorted(wanted - present)]
    BaselineRun.objects.bulk_create(new, ignore_conflicts=True, batch_size=500)


# Evidence ----------------------------------------------------------------------------------------------------------------------------------


def evidence(case: Case, judgement: Judgement) -> list[EvidenceRow]:
    """A row for every target, pooled and by arm, where there was something to compare."""
    gates = tuple(f"{GATE}{gate.name}" for gate in judgement.closed)
    base = next((run.id for run in judgement.baseline), NIL)
    pooled = [row(case, judgement, each, each.comparison, gates, base) for each in judgement.readings if each.comparison]
    by_arm = [
        row(case, judgement, each, each.comparison, ("post_hoc",) if arm.is_post_hoc else (), base, arm=arm.key, first=arm.earliest)
        for arm in judgement.arms
        for each in arm.readings
        if each.comparison
    ]
    return pooled + by_arm


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
    )


def known(value: float | None) -> float:
    """NaN for what nobody knows."""
    return math.nan if value is None else value


def history(hypothesis: Hypothesis, *, most: int = 1000) -> list[Past]:
    """What was judged, the oldest first, from the evidence as it was written. Raises a StoreError where the store is away."""
    return histories([hypothesis], most=most).get(hypothesis.pk, [])


def histories(hypotheses: Sequence[Hypothesis], *, most: int = 1000) -> dict[uuid.UUID, list[Past]]:
    """The same of several hypotheses of one project, in one question."""
    if not hypotheses:
        return {}
    found = rows(process.repository(), place_of(hypotheses[0]), [each.pk for each in hypotheses], only_pooled=True, limit=most)
    by_judgement: dict[tuple[uuid.UUID, uuid.UUID], list[EvidenceRow]] = {}
    for each in reversed(found):
        by_judgement.setdefault((each.hypothesis_id, each.judgement_id), []).append(each)
    modes, past = {each.pk: each.require for each in hypotheses}, {each.pk: list[Past]() for each in hypotheses}
    for (hypothesis_id, _), group in by_judgement.items():
        before = past[hypothesis_id]
        before.append(past_of(group, modes[hypothesis_id], previous=before[-1] if before else None))
    return past


def past_of(group: Sequence[EvidenceRow], mode: str, *, previous: Past | None) -> Past:
    """One judgement from its pooled rows. A new epoch starts from testing."""
    gates = tuple(flag.removeprefix(GATE) for flag in group[0].flags if flag.startswith(GATE))
    raw = combine({each.metric_name: (each.e_pos, each.e_neg) for each in group}, mode=mode)  # type: ignore[arg-type]  # a choice of the model
    first, limits = group[0], thresholds()
    was = previous.status if previous and previous.epoch == first.epoch else Hypothesis.Status.TESTING
    status, score = decide(was, raw, gates, support_threshold=limits.support, refute_threshold=limits.refute)  # type: ignore[arg-type]  # one of its words
    return Past(first.judgement_id, first.at, first.epoch, score, status, gates, tuple(map(reading_of, group)))


def reading_of(each: EvidenceRow) -> PastReading:
    """A pooled row as it is drawn."""
    interval = None if math.isnan(each.at_low) else (each.at_low, each.at_high)
    counts = (each.n_exp, each.n_base)
    return PastReading(each.metric_name, *counts, each.improvement, each.margin, interval, each.e_pos, each.e_neg, each.confidence_score)


def badges(project: Project) -> set[uuid.UUID]:
    """The supported hypotheses of a project that stand when all of its hypotheses are read together (e-BH at FDR 0.1)."""
    all_ = list(project.hypotheses.exclude(score=None))
    latest = {pk: past[-1] for pk, past in histories(all_, most=10_000).items() if past}
    judged_ = [each for each in all_ if each.pk in latest]
    strength = [e_of(latest[each.pk], each.require) for each in judged_]
    stands = e_bh(strength, FALSE_DISCOVERY_RATE) if strength else []
    return {judged_[index].pk for index in stands if judged_[index].status == Hypothesis.Status.SUPPORTED}


def e_of(past: Past, mode: str) -> float:
    """One e-value for "better": the least of all targets, the mean of any and of the mean (an average of e-values is one)."""
    values = [each.e_pos for each in past.readings]
    return min(values) if mode == "all" else math.fsum(values) / len(values)


def as_json(judgement: Judgement) -> dict[str, Any]:  # Any: JSON
    """A judgement as JSON."""
    return {
        "id": judgement.id,
        "at": judgement.at,
        "status": judgement.status,
        "score": judgement.score,
        "raw_score": judgement.raw_score,
        "exploratory_score": judgement.exploratory,
        "sentence": judgement.sentence,
        "missing": judgement.missing,
        "gates": [{"name": g.name, "title": g.title, "is_open": g.is_open, "sentence": g.sentence, "opens": g.opens} for g in judgement.gates],
        "targets": [reading_json(each) for each in judgement.readings],
        "arms": [
            {
                "arm": arm.key,
                "name": arm.name,
                "is_post_hoc": arm.is_post_hoc,
                "score": arm.score,
                "experiments": [run.id for run in arm.runs],
                "targets": [reading_json(each) for each in arm.readings],
            }
            for arm in judgement.arms
        ],
        "baseline": [run.id for run in judgement.baseline],
        "needs": [asdict(need) for need in judgement.needs],
        "engine_version": ENGINE_VERSION,
    }


def reading_json(each: Reading) -> dict[str, Any]:  # Any: JSON
    """One metric's comparison as JSON; null where there was nothing to compare."""
    return {
        "metric": each.term.metric,
        "direction": each.term.direction,
        "aggregation": each.term.aggregation,
        "margin": each.margin,
        "failed": each.failed,
        "baseline_failed": each.baseline_failed,
        "comparison": asdict(each.comparison) if each.comparison else None,
    }
