"""Asking for judgements: a mark in the record, set in the transaction that causes it, and a nudge once that is committed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from django.db import transaction
from django.utils import timezone

from config.celery import nudge
from experiments.models import Experiment
from hypotheses.models import Hypothesis, HypothesisEvent, HypothesisQuerySet, Link

JUDGE = "hypotheses.tasks.judge"
MOST_NUDGES = 20  # at once; the sweep finds the others
LOOK_AGAIN_S = 5.0


class Known:
    """Whether this process has seen a hypothesis: where there is none, the drain asks for nothing."""

    any_yet: ClassVar[bool] = False
    looked_at: ClassVar[float | None] = None


def are_there_any() -> bool:
    """Whether there are hypotheses at all. Looks at most every few seconds; "yes" is remembered."""
    now = time.monotonic()
    if not Known.any_yet and (Known.looked_at is None or now - Known.looked_at > LOOK_AGAIN_S):
        Known.any_yet, Known.looked_at = Hypothesis.objects.exists(), now
    return Known.any_yet


@transaction.atomic
def ask(hypotheses: HypothesisQuerySet, *, at: datetime | None = None) -> int:
    """Mark hypotheses to be judged (again), and wake a worker for each that was not marked yet. Returns how many were marked.

    Call it inside the transaction whose change makes the judgement necessary. `at`: since when it is due, now where not given.
    """
    ids = list(hypotheses.values_list("pk", flat=True))
    if not ids:
        return 0
    Known.any_yet = True
    at = at or timezone.now()
    asked = Hypothesis.objects.filter(pk__in=ids)
    unmarked = set(asked.filter(wanted_at=None).select_for_update().values_list("pk", flat=True))
    marked = asked.want(at=at)
    if unmarked:
        transaction.on_commit(lambda: wake(sorted(unmarked)), robust=True)
    return marked


def wake(hypotheses: Iterable[uuid.UUID]) -> None:
    """Ask workers to judge; what no broker takes now is found by the sweep."""
    for hypothesis in list(hypotheses)[:MOST_NUDGES]:
        if not nudge(JUDGE, arguments=[str(hypothesis)]):
            return


def ask_about(experiments: Iterable[uuid.UUID]) -> int:
    """Mark the hypotheses that an experiment concerns: linked to it, or compared with its arm. Returns how many."""
    return ask(Hypothesis.objects.concerned_by(experiments)) if are_there_any() else 0


def ask_about_late_points(experiments: Iterable[uuid.UUID]) -> int:
    """Mark the hypotheses that ended experiments among these concern: points came after they were, or could have been, judged."""
    if not are_there_any():
        return 0
    return ask(Hypothesis.objects.concerned_by(experiments, status__in=Experiment.Status.ended()))


@transaction.atomic
def begin(experiment: Experiment, *, at: datetime | None = None) -> int:
    """A run began: hypotheses that it is linked to and that were only proposed are tested from now on. Returns how many those are."""
    if not are_there_any():
        return 0
    at = at or timezone.now()
    linked = Link.objects.standing().filter(experiment=experiment).values("hypothesis")
    begun = [one for one in Hypothesis.objects.filter(pk__in=linked, status=Hypothesis.Status.PROPOSED) if begun_by(one, experiment, at=at)]
    return len(begun)


def begun_by(hypothesis: Hypothesis, experiment: Experiment, *, at: datetime) -> bool:
    """Move one hypothesis from proposed to testing, with its line of history; False where another was first."""
    moved = Hypothesis.objects.filter(pk=hypothesis.pk, status=Hypothesis.Status.PROPOSED).update(
        status=Hypothesis.Status.TESTING, frozen_at=at, updated_at=timezone.now()
    )
    if moved:
        HypothesisEvent.objects.create(
            hypothesis=hypothesis,
            kind=HypothesisEvent.Kind.STATUS,
            sentence=f"Testing: its first linked run, {experiment.name}, started."[:1000],
            detail={"from": Hypothesis.Status.PROPOSED, "to": Hypothesis.Status.TESTING},
            epoch=hypothesis.epoch,
            at=at,
        )
    return bool(moved)
