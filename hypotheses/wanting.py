"""What asks for a judgement: a mark in the record, set in the transaction that causes it, and a nudge where there was none yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from functools import partial

from django.db import transaction
from django.utils import timezone

from config.celery import nudge
from experiments.models import Experiment
from hypotheses.models import Hypothesis, HypothesisEvent, HypothesisQuerySet

JUDGE = "hypotheses.tasks.judge_wanted"
Kind = HypothesisEvent.Kind


def want(hypotheses: HypothesisQuerySet) -> int:
    """Have them judged soon, once each; how many were not waiting already. Only for those a worker is asked."""
    marked = hypotheses.want(at=timezone.now())
    if marked:
        transaction.on_commit(partial(nudge, JUDGE), robust=True)
    return marked


def started(experiment: Experiment) -> None:
    """A run began: what it tests is being tested from now on."""
    for hypothesis in Hypothesis.objects.filter(status=Hypothesis.Status.PROPOSED, links__in=experiment.hypothesis_links.standing()):
        begin_testing(hypothesis, experiment)
    want(Hypothesis.objects.filter(frozen_at=None, links__in=experiment.hypothesis_links.standing()))


def begin_testing(hypothesis: Hypothesis, experiment: Experiment) -> None:
    """Its first linked run started."""
    was = Hypothesis.objects.filter(pk=hypothesis.pk, status=Hypothesis.Status.PROPOSED)
    if was.update(status=Hypothesis.Status.TESTING, updated_at=timezone.now()):
        sentence = f"Testing: its first linked run, {experiment.name}, started."
        HypothesisEvent.objects.create(hypothesis=hypothesis, kind=Kind.STATUS, sentence=sentence[:1000], epoch=hypothesis.epoch)


def ended(experiment: Experiment) -> None:
    """A run ended: what it tests, or is a baseline of, is judged."""
    want(Hypothesis.objects.concerned_by([experiment.pk]))


def late_points(experiments: Iterable[uuid.UUID]) -> None:
    """Points came. Where the run had ended, its number may be another. One question where nobody states hypotheses."""
    linked = Hypothesis.objects.all()
    if not linked.exists():
        return
    over = list(Experiment.objects.filter(pk__in=list(experiments), status__in=Experiment.Status.ended()).values_list("pk", flat=True))
    if over:
        want(Hypothesis.objects.concerned_by(over))
