"""The verbs of judging: look at a case, write down what it says, change the status by the recorded rule, and read it all back."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from experiments.arms import as_json
from experiments.models import Experiment, MovedArm
from experiments.notation.params import by_name
from experiments.rekeying import rekey_due
from hypotheses.claims import verdict_alerts, wanting
from hypotheses.judgements import failing
from hypotheses.judgements.gathering import as_it_stood, frozen_baseline, gather, linked, place_of
from hypotheses.judgements.recorded_evidence import evidence
from hypotheses.judging.rules import ENGINE_VERSION
from hypotheses.models import BaselineRun, Hypothesis, HypothesisEvent, Link
from hypotheses.weighing.cases import Case, Judgement
from hypotheses.weighing.readings import Thresholds
from hypotheses.weighing.verdicts import weigh
from metrics import process
from metrics.clickhouse.errors import StoreError
from metrics.store import freshness
from metrics.store.evidence_rows import append
from metrics.store.repository import MetricRepository

HARD_LIMIT = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)
CAUGHT_UP = 20  # runs that ended since the last judgement and get a point each in the history
PENDING_S, PAUSE_S = 5.0, 0.05
KEPT_S = 60  # what was read, at most: a run's name may change without a mark. The key counts up where what is kept, or its module, changes its form.
NAMED_MOST = 5
JOINED = (
    "Arms were joined since the last judgement: runs whose params are equal,{spelled} seeds aside, are replicates."
    " Concerned {arms}. What was judged before stands as it was written."
)
SPELLED = " 64 and 64.0 among them,"
SEEN = ("wants", "status", "epoch", "epoch_began_at", "frozen_at", "require", "baseline", "baseline_experiment", "paired", "kept_seeds")
# What is not the hypothesis's own fault: a store or a database that is away, or a row that is gone.
PASSING = (StoreError, OperationalError, Hypothesis.DoesNotExist)


def thresholds() -> Thresholds:
    """Those of the settings."""
    return Thresholds(settings.HYPOTHESIS_SUPPORT_THRESHOLD, settings.HYPOTHESIS_REFUTE_THRESHOLD)


def read(hypothesis: Hypothesis) -> Judgement:
    """What the runs say now; writes nothing. Kept until points, runs, links or terms change.

    Raises a StoreError where the metric store is away, CouldNotBeJudged where something is wrong with the hypothesis.
    """
    key = f"judgement:2:{hypothesis.pk.hex}:{present(hypothesis)}"
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
    """Who judges: since when, how often a judgement had been asked for when the look began, and when the one before was given."""

    at: datetime
    wants: int
    judged_at: datetime | None


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
    hypothesis = loaded(hypothesis_id)
    if hypothesis.project.keys_due_at:
        rekey_due(pk=hypothesis.project_id)
        hypothesis = loaded(hypothesis_id)
    claim = Claim(claimed_at, hypothesis.wants, hypothesis.judged_at)
    begin(hypothesis)
    freeze(hypothesis, repository)
    case = gather(hypothesis, repository)
    for moment in moments(hypothesis, case):
        settle(hypothesis, repository, as_it_stood(hypothesis, case, moment), at=moment, claim=claim)
    return settle(hypothesis, repository, case, at=timezone.now(), claim=claim, is_last=True)


def loaded(hypothesis_id: uuid.UUID) -> Hypothesis:
    """The hypothesis with what a judgement needs of it. Raises Hypothesis.DoesNotExist."""
    return Hypothesis.objects.select_related("project__team", "baseline_experiment").get(pk=hypothesis_id)


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
            tell_joined(hypothesis, case, since=claim.judged_at)
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


def tell_joined(hypothesis: Hypothesis, case: Case, *, since: datetime | None) -> None:
    """Say in the history which arms of the case were joined since the judgement before; that one stands as it was written."""
    if since is None or hypothesis.kept_seeds is not None:
        return
    runs = {arm: run for run in reversed((*case.baseline, *case.linked)) for arm in (run.root_arm, run.arm)}
    moved = MovedArm.objects.filter(project=hypothesis.project_id, is_joined=True, at__gt=since, new_key__in=list(runs))
    joined: dict[str, list[str]] = {}
    for old, new in moved.order_by("old_key").values_list("old_key", "new_key"):
        joined.setdefault(new, []).append(old)
    if joined:
        spelled = SPELLED if are_spelled_otherwise(hypothesis, joined) else ""
        sentence = JOINED.format(spelled=spelled, arms=arms_of([runs[arm].name for arm in joined]))
        wanting.note(hypothesis, HypothesisEvent.Kind.METHOD, sentence, joined=joined)


def are_spelled_otherwise(hypothesis: Hypothesis, arms: Collection[str]) -> bool:
    """Whether runs of one of these arms have params that are equal by value alone, and not only the seeds told them apart."""
    seeds, found = hypothesis.project.seeds, defaultdict[str, set[str]](set)
    rows = Experiment.objects.filter(project=hypothesis.project_id, replicate_key__in=arms).order_by().values_list("replicate_key", "params")
    for arm, params in rows.iterator(chunk_size=1000):
        found[arm].add(as_json(by_name(seeds.without(params))))
    return any(len(spellings) > 1 for spellings in found.values())


def arms_of(names: Sequence[str]) -> str:
    """Arms in words, by a run of each."""
    named, more = sorted(set(names))[:NAMED_MOST], len(set(names)) - NAMED_MOST
    if len(names) == 1:
        return f"is the arm of {names[0]}"
    return f"are {len(names)} arms, those of {', '.join(named)}{f' and {more} more' if more > 0 else ''}"


def keep_baseline(hypothesis: Hypothesis, case: Case) -> None:
    """Remember which runs were compared with, so that a change of one asks for a judgement."""
    present = set(hypothesis.baseline_runs.values_list("experiment_id", flat=True))
    wanted = {run.id for run in case.baseline}
    hypothesis.baseline_runs.filter(experiment__in=present - wanted).delete()
    new = [BaselineRun(hypothesis=hypothesis, experiment_id=run) for run in sorted(wanted - present)]
    BaselineRun.objects.bulk_create(new, ignore_conflicts=True, batch_size=500)
