"""Linking runs to hypotheses: by hand, from a comparison, by a rule, or by the script that starts the run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from config.errors import Fault, Invalid, NotFound
from experiments.models import Experiment
from hypotheses import wanting
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Rule
from projects.models import Project

Kind = HypothesisEvent.Kind
Status = Hypothesis.Status


def refusal(field: str, message: str) -> Invalid:
    """One thing that is wrong."""
    return Invalid(message, [Fault(None, field, "invalid", message)])


def note(hypothesis: Hypothesis, kind: str, sentence: str, *, by: User | None, at: datetime | None = None, **detail: Any) -> None:  # Any: JSON
    """A line of the history."""
    HypothesisEvent.objects.create(
        hypothesis=hypothesis,
        kind=kind,
        sentence=sentence[:1000],
        detail=detail,
        score=hypothesis.score,
        epoch=hypothesis.epoch,
        by=by,
        at=at or timezone.now(),
    )


def want(hypothesis: Hypothesis) -> None:
    """Have it judged soon."""
    wanting.want(Hypothesis.objects.filter(pk=hypothesis.pk))


@transaction.atomic
def link(
    hypothesis: Hypothesis, experiments: Iterable[Experiment], *, source: str = Link.Source.HAND, by: User | None, at: datetime | None = None
) -> list[Experiment]:
    """Link experiments; those that are linked already stay as they are. One that has ended suggested the claim, and cannot confirm it.

    `at`: when it was linked, for a recording. Raises Invalid for an experiment of another project.
    """
    when, linked = at or timezone.now(), []
    for experiment in experiments:
        if experiment.project_id != hypothesis.project_id:
            raise refusal("experiments", f"{experiment} belongs to another project: link runs of {hypothesis.project}.")
        if link_one(hypothesis, experiment, source=source, by=by, at=when):
            linked.append(experiment)
    if linked:
        names = ", ".join(run.name for run in linked[:5]) + (f" and {len(linked) - 5} more" if len(linked) > 5 else "")
        note(hypothesis, Kind.LINKED, f"Linked: {names} ({Link.Source(source).label.lower()}).", by=by, at=at, experiments=[str(run.pk) for run in linked])
        want(hypothesis)
    return linked


def link_one(hypothesis: Hypothesis, experiment: Experiment, *, source: str, by: User | None, at: datetime) -> bool:
    """Link one; whether it was not linked before."""
    is_post_hoc = bool(experiment.finished_at and experiment.finished_at <= at)
    found, is_new = Link.objects.get_or_create(
        hypothesis=hypothesis, experiment=experiment, defaults={"source": source, "linked_at": at, "is_post_hoc": is_post_hoc, "by": by}
    )
    if not is_new:
        if found.unlinked_at is None:
            return False
        again = {"unlinked_at": None} if found.counts_unlinked else {"unlinked_at": None, "linked_at": at, "is_post_hoc": is_post_hoc, "source": source}
        Link.objects.filter(pk=found.pk).update(counts_unlinked=False, **again)
    if hypothesis.status == Status.PROPOSED and experiment.is_live:
        wanting.begin_testing(hypothesis, experiment)
        hypothesis.refresh_from_db(fields=["status"])
    return True


def link_by_rules(experiment: Experiment, *, by: User | None) -> None:
    """Link a run, just made or changed, wherever a rule of its project asks for a feature that it changes."""
    features = set(experiment.features_diff)
    if not features:
        return
    rules = Rule.objects.filter(hypothesis__project_id=experiment.project_id, feature__in=features).select_related("hypothesis__project")
    for hypothesis in {rule.hypothesis_id: rule.hypothesis for rule in rules}.values():
        link(hypothesis, [experiment], source=Link.Source.RULE, by=by)


def named(project: Project | None, references: Iterable[str]) -> list[Hypothesis]:
    """The project's hypotheses of these UUIDs or slugs. Raises Invalid for one that is not there."""
    found = []
    for reference in references:
        try:
            found.append(Hypothesis.objects.filter(project=project).select_related("project").named(reference))
        except NotFound as error:
            raise refusal(
                "hypotheses", f"There is no hypothesis {reference!r} in {project or 'a new project'}: state it first, then start its runs."
            ) from error
    return found
