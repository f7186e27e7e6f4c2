"""What asks for a judgement: a mark in the record, set in the transaction that causes it, and a nudge where there was none yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from config.celery import nudge
from experiments.models import Experiment
from hypotheses.models import Hypothesis, HypothesisEvent, HypothesisQuerySet, Known

JUDGE = "hypotheses.tasks.judge_wanted"
Kind = HypothesisEvent.Kind
SENTENCE_MOST = 1000


def want(hypotheses: HypothesisQuerySet) -> int:
    """Have them judged soon, once each; how many were not waiting already. Only for those a worker is asked."""
    marked = hypotheses.want(at=timezone.now())
    if marked:
        transaction.on_commit(partial(nudge, JUDGE), robust=True)
    return marked


def started(experiment: Experiment) -> None:
    """A run began: what it tests is being tested from now on."""
    if not Known.any():
        return
    tested = Hypothesis.objects.filter(links__in=experiment.hypothesis_links.standing())
    for hypothesis in tested.filter(status=Hypothesis.Status.PROPOSED):
        begin_testing(hypothesis, experiment)
    want(tested.filter(frozen_at=None))


def note(hypothesis: Hypothesis, kind: str, sentence: str, *, by: User | None = None, at: datetime | None = None, **detail: Any) -> None:  # Any: JSON
    """A line of the history."""
    line = sentence if len(sentence) <= SENTENCE_MOST else f"{sentence[: SENTENCE_MOST - 2]} …"
    HypothesisEvent.objects.create(
        hypothesis=hypothesis, kind=kind, sentence=line, detail=detail, score=hypothesis.score, epoch=hypothesis.epoch, by=by, at=at or timezone.now()
    )


def begin_testing(hypothesis: Hypothesis, experiment: Experiment) -> None:
    """Its first linked run started."""
    was = Hypothesis.objects.filter(pk=hypothesis.pk, status=Hypothesis.Status.PROPOSED)
    if was.update(status=Hypothesis.Status.TESTING, updated_at=timezone.now()):
        sentence = f"Testing: its first linked run, {experiment.name}, started."
        detail: dict[str, Any] = {"from": Hypothesis.Status.PROPOSED, "to": Hypothesis.Status.TESTING}
        note(hypothesis, Kind.STATUS, sentence, **detail)


def ended(experiment: Experiment) -> None:
    """A run ended, or goes on after all, or belongs to another arm now: what it tests, or is a baseline of, is judged."""
    changed([experiment.pk])


def changed(experiments: Iterable[uuid.UUID]) -> None:
    """What is known of these runs changed: whatever they test, or are a baseline of, is judged."""
    if Known.any():
        want(Hypothesis.objects.concerned_by(experiments))


def late_points(experiments: Iterable[uuid.UUID]) -> None:
    """Points came. Where the run had ended, its number may be another. One question, and none where nobody states hypotheses."""
    if Known.any():
        want(Hypothesis.objects.concerned_by(experiments, status__in=Experiment.Status.ended()))
