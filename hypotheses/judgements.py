"""The verbs of judging: look at a case, write down what it says, change the status by the recorded rule, and read it all back."""

from __future__ import annotations

import hashlib
import math
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from experiments.models import Experiment
from hypotheses import failing, verdict_alerts, wanting
from hypotheses.cases import Case, Judgement, Reading, Run
from hypotheses.comparison import Comparison
from hypotheses.gathering import UNSAID, as_it_stood, frozen_baseline, gather, linked, place_of
from hypotheses.judging import ENGINE_VERSION, e_bh
from hypotheses.models import BaselineRun, Hypothesis, HypothesisEvent, Link
from hypotheses.verdicts import Thresholds, weigh
from metrics import freshness, process
from metrics.clickhouse.errors import StoreError
from metrics.evidence_rows import ARM, NIL, POOLED, EvidenceRow, append, rows
from metrics.repository import MetricRepository
from projects.models import Project

HARD_LIMIT = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)
CAUGHT_UP = 20  # runs that ended since the last judgement and get a point each in the history
PENDING_S, PAUSE_S = 5.0, 0.05
KEPT_S = 60  # what was read, at most: a run's name may change without a mark
SEEN = ("wants", "status", "epoch", "epoch_began_at", "frozen_at", "require", "baseline", "baseline_experiment", "paired")
FALSE_DISCOVERY_RATE = 0.1
GATE = "gate:"
# What is not the hypothesis's own fault: a store or a database that is away, or a row that is gone.
PASSING = (StoreError, OperationalError, Hypothesis.DoesNotExist)


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
    """What the runs say now; writes nothing. Kept until points, runs, links or terms change.

    Raises a StoreError where the metric store is away, CouldNotBeJudged where something is wrong with the hypothesis.
    """
    key = f"judgement:{hypothesis.pk.hex}:{present(hypothesis)}"
    found: Judgement | None = cache.get(key)
    if found is None:
        found = looked_at(hypothesis)
        cache.set(key, found, timeout=KEPT_S)
    return found


def looked_at(hypothesis: Hypothesis) -> Judgement:
    """Gathered and weighed anew. Raises a StoreError or CouldNotBeJudged."""
    try:
        return weigh(gather(hypothesis, process.repository()), at=timezone.now(), thresholds=thresholds())
    except PASSING:
        raise
    except Exception as error:  # any defect of one hypothesis, which its page tells of
        raise failing.CouldNotBeJudged(failing.sentence(error)) from error


def present(hypothesis: Hypothesis) -> str:
    """A word that is another one as soon as a judgement might be."""
    terms = hypothesis.targets.values_list("metric__name", "metric__direction", "metric__aggregation", "smallest_effect", "unit")
    runs = ("experiment__status", "experiment__failure_kind", "experiment__finished_at", "experiment__updated_at", "experiment__replicate_key")
    links = hypothesis.links.values_list("experiment_id", "is_post_hoc", "unlinked_at", "invalidated_at", *runs)
    based = hypothesis.baseline_runs.values_list("experiment_id", *runs)
    row = Hypothesis.objects.filter(pk=hypothesis.pk).values_list(*SEEN)
    points = freshness.version([hypothesis.project_id])
    whole = repr((list(row), list(terms), list(links), list(based), points, thresholds(), ENGINE_VERSION))
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


# Judging -----------------------------------------------------------------------------------------------------------------------------------


class Overtaken(Exception):
    """The hypothesis was changed, or taken over, while it was judged: what was found is of the past."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who judges: since when, and how often a judgement had been asked for when the look began."""

    at: datetime
    wants: int


def judge(hypothesis_id: uuid.UUID) -> Judgement | None:
    """Judge once and write it down; None where another does so now, or it was changed meanwhile.

    Raises a StoreError where the store is away, CouldNotBeJudged where something is wrong with this hypothesis: that is noted, and tried again later.
    May be asked twice or late without harm. What is asked for meanwhile stays marked.
    """
    now = timezone.now()
    if not free(hypothesis_id, now).update(claimed_at=now):
        return None
    try:
        judgement = judged(hypothesis_id, now, process.open_repository())
    except Overtaken:
        return None
    except PASSING:
        raise
    except Exception as error:  # any defect of one hypothesis, which must not be everyone's
        raise failing.noted(hypothesis_id, error, at=now) from error
    else:
        failing.forgotten(hypothesis_id)
        return judgement
    finally:
        Hypothesis.objects.filter(pk=hypothesis_id, claimed_at=now).update(claimed_at=None)


def free(hypothesis_id: uuid.UUID, now: datetime) -> QuerySet[Hypothesis]:
    """The row, unless somebody judges it; one whose judge died is free after the hard limit."""
    return Hypothesis.objects.filter(Q(claimed_at=None) | Q(claimed_at__lt=now - HARD_LIMIT), pk=hypothesis_id)


def judged(hypothesis_id: uuid.UUID, claimed_at: datetime, repository: MetricRepository) -> Judgement:
    """Freeze the baseline where it is time, then judge: once for each run that ended since, so that the history has a point for each."""
    await_points(hypothesis_id)
    hypothesis = Hypothesis.objects.select_related("project__team", "baseline_experiment").get(pk=hypothesis_id)
    claim = Claim(claimed_at, hypothesis.wants)
    begin(hypothesis)
    freeze(hypothesis, repository)
    case = gather(hypothesis, repository)
    for moment in moments(hypothesis, case):
        settle(hypothesis, repository, as_it_stood(hypothesis, case, moment), at=moment, claim=claim)
    return settle(hypothesis, repository, case, at=timezone.now(), claim=claim, is_last=True)


def read_stored(hypothesis: Hypothesis) -> Judgement:
    """What the runs say once their acknowledged points are stored; writes nothing. Raises a StoreError where the metric store is away."""
    await_points(hypothesis.pk)
    return read(hypothesis)


def await_points(hypothesis_id: uuid.UUID) -> None:
    """Give acknowledged points of ended runs a moment to be stored. What comes later asks for a judgement of its own."""
    linked_ = Link.objects.standing().filter(hypothesis=hypothesis_id, experiment__status__in=Experiment.Status.ended())
    based = BaselineRun.objects.filter(hypothesis=hypothesis_id, experiment__status__in=Experiment.Status.ended())
    runs = {*linked_.values_list("experiment_id", flat=True), *based.values_list("experiment_id", flat=True)}
    until = time.monotonic() + PENDING_S
    while process.pending(runs) and time.monotonic() < until:
        process.flush()
        time.sleep(PAUSE_S)


def begin(hypothesis: Hypothesis) -> None:
    """A run that was linked when it ran already makes a proposed hypothesis one that is tested."""
    if hypothesis.status != Hypothesis.Status.PROPOSED:
        return
    begun = next((link.experiment for link in linked(hypothesis) if link.experiment.started_at and not link.is_post_hoc), None)
    if begun is not None:
        wanting.begin_testing(hypothesis, begun)
        hypothesis.refresh_from_db(fields=["status"])


def freeze(hypothesis: Hypothesis, repository: MetricRepository) -> None:
    """Fix the baseline as it was when the first linked run started, or was linked if that came later."""
    if hypothesis.frozen_at or hypothesis.status == Hypothesis.Status.PROPOSED:
        return
    starts = [max(link.experiment.started_at, link.linked_at) for link in linked(hypothesis) if link.experiment.started_at and not link.is_post_hoc]
    if not starts:
        return
    at = max(min(starts), hypothesis.epoch_began_at) if hypothesis.epoch > 1 else min(starts)
    found = frozen_baseline(hypothesis, repository, at=at)
    with transaction.atomic():
        if Hypothesis.objects.filter(pk=hypothesis.pk, frozen_at=None, epoch=hypothesis.epoch).update(frozen=found, frozen_at=at):
            hypothesis.frozen, hypothesis.frozen_at = found, at
            sentence = f"The baseline ({hypothesis.get_baseline_display()}) is fixed as of {at:%Y-%m-%d %H:%M:%S} UTC, before any linked run ended."
            wanting.note(hypothesis, HypothesisEvent.Kind.FROZEN, sentence, at=at, arms=found["arms"], chosen_by=found["chosen_by"])


def moments(hypothesis: Hypothesis, case: Case) -> list[datetime]:
    """When runs ended since the last judgement, but for the last of them: that one is judged as it stands now.

    What the baseline's runs did before the first linked one ended is no history of this claim.
    """
    ours = [run.finished_at for run in case.linked if run.finished_at and not run.is_post_hoc]
    if not ours:
        return []
    since, now = max(hypothesis.judged_at or min(ours), min(ours)), timezone.now()
    ends = {run.finished_at for run in (*case.linked, *case.baseline) if run.finished_at and not run.is_post_hoc}
    fresh = sorted(end for end in ends if (end > since or (hypothesis.judged_at is None and end == since)) and end < now)
    return fresh[:-1][-CAUGHT_UP:]


def settle(hypothesis: Hypothesis, repository: MetricRepository, case: Case, *, at: datetime, claim: Claim, is_last: bool = False) -> Judgement:
    """Weigh, write the evidence, then the record in one transaction. The evidence comes first: it may be there without a verdict, never the reverse.

    One moment of one epoch has one judgement's name, so that looking back once more writes the same rows. Raises Overtaken.
    """
    name = uuid.uuid5(hypothesis.pk, f"{case.epoch} {at.isoformat()}")
    judgement = weigh(replace(case, previous=hypothesis.status), at=at, thresholds=thresholds(), judgement_id=name)  # type: ignore[arg-type]  # a choice of the model
    append(repository, place_of(hypothesis), evidence(case, judgement), logged_at=timezone.now())
    with transaction.atomic():
        record(hypothesis, judgement, claim)
        if is_last:
            keep_baseline(hypothesis, case)
            Hypothesis.objects.filter(pk=hypothesis.pk, wants=claim.wants).update(wanted_at=None)
    return judgement


def record(hypothesis: Hypothesis, judgement: Judgement, claim: Claim) -> None:
    """The verdict onto the hypothesis, with a line of history and an alert where it is another. Raises Overtaken where the row is another's now."""
    was = hypothesis.status
    hypothesis.status, hypothesis.score, hypothesis.judged_at = judgement.status, judgement.score, judgement.at
    hypothesis.sentence, hypothesis.missing = judgement.sentence[:1000], judgement.missing[:500]
    if was != judgement.status:
        hypothesis.decided_at = judgement.at if hypothesis.is_decided else None
    fields = ("status", "score", "judged_at", "sentence", "missing", "decided_at")
    ours = Hypothesis.objects.filter(pk=hypothesis.pk, claimed_at=claim.at, epoch=hypothesis.epoch, status=was)
    if not ours.update(**{name: getattr(hypothesis, name) for name in fields}):
        raise Overtaken
    if was != judgement.status:
        detail: dict[str, Any] = {"from": was, "to": judgement.status, "judgement": str(judgement.id)}
        wanting.note(hypothesis, HypothesisEvent.Kind.STATUS, judgement.sentence, at=judgement.at, **detail)
        verdict_alerts.tell(hypothesis, was, judgement)


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
