"""When terms change after data: a new epoch begins, in which older runs no longer count. Terms are also how a target's metric is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.audit.recording import record
from accounts.models import User
from experiments.models import Experiment
from hypotheses.claims import verdict_alerts
from hypotheses.claims.linking import locked, want
from hypotheses.claims.terms import difference, terms_of
from hypotheses.claims.wanting import note
from hypotheses.models import Hypothesis, HypothesisEvent, Known, Target
from projects.models import ProjectMetric

Kind, Status = HypothesisEvent.Kind, Hypothesis.Status
UNFIXED: Mapping[str, object] = {"frozen": {}, "frozen_at": None, "kept_seeds": None}
Terms = Mapping[str, Any]  # Any: whatever JSON holds


@contextmanager
def redefining(metrics: Sequence[ProjectMetric], *, by: User | None, besides: Hypothesis | None = None) -> Iterator[list[Hypothesis]]:
    """Inside, these metrics may be given another direction or aggregation: one transaction with what follows for the hypotheses that target them.

    Gives a list that holds, afterwards, those that began a new epoch. `besides`: one that sees to itself.
    """
    begun: list[Hypothesis] = []
    with transaction.atomic():
        targeting = Target.objects.filter(metric__in=list(metrics)).values("hypothesis")
        concerned = Hypothesis.objects.filter(pk__in=targeting) if metrics and Known.any() else Hypothesis.objects.none()
        before = [(each, terms_of(each)) for each in (concerned.exclude(pk=besides.pk) if besides else concerned).order_by("pk")]
        yield begun
        for each, terms in before:
            found = locked(each)
            if respecify(found, terms, has_data=is_known(found), by=by):
                begun.append(found)


def respecify(hypothesis: Hypothesis, before: Terms, *, has_data: bool, by: User | None) -> bool:
    """Tell how the terms differ from what they were, and have it judged by them; whether a new epoch began, as it does where there were data."""
    after = terms_of(hypothesis)
    changes = difference(before, after)
    if not changes:
        return False
    sentence = f"Changed: {changes}."
    if has_data:
        begin_epoch(hypothesis)
        sentence = f"Respecified after data: epoch {hypothesis.epoch} begins, and only runs that end from now on count. {sentence}"
        verdict_alerts.retract(hypothesis, why=sentence)
    else:
        store(hypothesis, UNFIXED)
    note(hypothesis, Kind.RESPECIFIED if has_data else Kind.TERMS, sentence, by=by, before=before, after=after)
    details = {"changed": changes, "epoch": hypothesis.epoch}
    record("hypothesis.epoch" if has_data else "hypothesis.changed", on=hypothesis, by=by, details=details)
    want(hypothesis)
    return has_data


def is_known(hypothesis: Hypothesis) -> bool:
    """Whether there are data that could have suggested other terms: a run that ended while it was linked or before, or a verdict."""
    taken_back = hypothesis.links.exclude(unlinked_at__isnull=False, counts_unlinked=False)
    return hypothesis.is_decided or bool(hypothesis.score) or taken_back.filter(experiment__status__in=Experiment.Status.ended()).exists()


def begin_epoch(hypothesis: Hypothesis) -> None:
    """Start again under new terms: nothing is decided, and the baseline is not fixed yet."""
    status = Status.PROPOSED if hypothesis.status == Status.PROPOSED else Status.TESTING
    blank: dict[str, object] = {**UNFIXED, "score": None, "sentence": "", "missing": "", "decided_at": None}
    store(hypothesis, {"epoch": hypothesis.epoch + 1, "epoch_began_at": timezone.now(), "status": status, **blank})


def store(hypothesis: Hypothesis, fields: Mapping[str, object]) -> None:
    """Write these fields and nothing else: a judgement writes the others meanwhile."""
    for name, value in fields.items():
        setattr(hypothesis, name, value)
    if fields:
        hypothesis.save(update_fields=[*fields, "updated_at"])
