"""The verbs of hypotheses' record: state, link, invalidate, change terms. Each leaves a line of history and asks for a judgement, in one transaction."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from config.errors import Conflict
from experiments.lifecycle import flaw_in_text
from experiments.models import Experiment
from hypotheses.linking import link, note, refusal, want
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Rule, Target
from projects.models import Direction, Project, ProjectMetric

logger = logging.getLogger(__name__)
Kind = HypothesisEvent.Kind
Status = Hypothesis.Status
TARGETS_MOST = 20
WORDS = ("title", "claim", "rationale", "description")
TERMS = ("require", "baseline", "baseline_experiment", "paired")
CLOSED_BY_HAND = "A verdict follows from the runs: status can be set to proposed or testing only."


@dataclass(frozen=True)
class TargetTerm:
    """A target as it is asked for: `unit` is "metric" or "percent"; `direction` is for a metric of which nobody has said it."""

    metric: str
    smallest_effect: float = 0.0
    unit: str = "metric"
    direction: str = ""


class Content(TypedDict, total=False):
    """What may be said of a hypothesis."""

    title: str
    claim: str
    rationale: str
    description: str
    require: str
    baseline: str
    baseline_experiment: Experiment | None
    paired: bool
    status: str
    targets: Sequence[TargetTerm]


# Stating -----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def propose(
    project: Project,
    *,
    by: User | None,
    at: datetime | None = None,
    experiments: Iterable[Experiment] = (),
    source: str = Link.Source.HAND,
    rules: Iterable[str] = (),
    **content: Unpack[Content],
) -> Hypothesis:
    """State a hypothesis, with the runs and rules that test it. Raises Invalid, naming the field, for anything that could not be judged.

    Nothing is saved then. `at`: when it was stated, for a recording.
    """
    check_words(content)
    hypothesis = Hypothesis(project=project, created_by=by, **{name: content[name] for name in (*WORDS, *TERMS, "status") if name in content})  # type: ignore[literal-required]
    if not hypothesis.title.strip():
        raise refusal("title", "A hypothesis needs a title: say the claim in a few words.")
    check_status(hypothesis.status)
    check_baseline(hypothesis)
    terms = checked_targets(project, content.get("targets", ()))
    if at:
        hypothesis.epoch_began_at = at
    hypothesis.save()
    set_targets(hypothesis, terms)
    if at:
        Hypothesis.objects.filter(pk=hypothesis.pk).update(created_at=at)
    note(hypothesis, Kind.CREATED, f"Stated: {hypothesis.title}.", by=by, at=at)
    link(hypothesis, experiments, source=source, by=by, at=at)
    for feature in rules:
        add_rule(hypothesis, feature, by=by)
    return hypothesis


def check_words(content: Content) -> None:
    """Raise Invalid for text that no database could keep, and for a title that is too long."""
    for name in WORDS:
        if name in content and (flaw := flaw_in_text(str(content[name]))):  # type: ignore[literal-required]
            raise refusal(name, flaw)
    if len(content.get("title", "")) > 255:
        raise refusal("title", f"A title has at most 255 characters, this one has {len(content['title'])}: the claim may be longer.")


def check_status(status: str) -> None:
    """Raise Invalid for a verdict set by hand."""
    if status not in (Status.PROPOSED, Status.TESTING):
        raise refusal("status", CLOSED_BY_HAND)


def check_baseline(hypothesis: Hypothesis) -> None:
    """Raise Invalid where the baseline names no experiment, one of another project, or one that the hypothesis itself tests."""
    chosen = hypothesis.baseline_experiment
    if hypothesis.baseline != Hypothesis.Baseline.EXPERIMENT:
        if chosen is not None:
            raise refusal("baseline_experiment", 'It goes with "baseline": "experiment".')
        return
    if chosen is None:
        raise refusal("baseline_experiment", "Say which experiment to compare with: its UUID or slug.")
    if chosen.project_id != hypothesis.project_id:
        raise refusal("baseline_experiment", f"{chosen} belongs to another project: choose a baseline in {hypothesis.project}.")
    if hypothesis.pk:
        ours = {link.experiment_id for link in hypothesis.links.standing()}
        if chosen.pk in ours or any(ancestor.pk in ours for ancestor in chosen.ancestors()):
            raise refusal("baseline_experiment", f"A cycle: {chosen} is linked, or descends from a linked run: choose one that came before.")


def checked_targets(project: Project, asked: Sequence[TargetTerm]) -> list[tuple[TargetTerm, ProjectMetric]]:
    """The targets with their metrics. Raises Invalid for none, too many, a repeat, an unknown metric, no direction, an effect that is no size."""
    if not asked:
        raise refusal("targets", "A hypothesis needs at least one target metric: what should improve?")
    if len(asked) > TARGETS_MOST:
        raise refusal("targets", f"At most {TARGETS_MOST} targets, not {len(asked)}: each one more makes all of them harder to show.")
    if len({term.metric for term in asked}) < len(asked):
        raise refusal("targets", "A metric is a target twice: name each once.")
    return [(term, checked_target(project, term)) for term in asked]


def checked_target(project: Project, term: TargetTerm) -> ProjectMetric:
    """The metric of one target, its direction known. Raises Invalid."""
    metric = project.metrics.filter(name=term.metric).first()
    if metric is None:
        there = ", ".join(project.metrics.values_list("name", flat=True)[:10]) or "none yet: log a point of it, or define it first"
        raise refusal("targets", f"There is no metric {term.metric!r} in {project}. There are: {there}.")
    if not (math.isfinite(term.smallest_effect) and 0 <= term.smallest_effect <= 1e300):
        given = f"not {term.smallest_effect}: an improvement is positive in either direction"
        raise refusal("targets", f"The smallest effect that matters is 0 or more, {given}.")
    if term.unit not in Target.Unit.values:
        raise refusal("targets", f'The unit is "metric" or "percent", not {term.unit!r}.')
    if term.unit == Target.Unit.PERCENT and term.smallest_effect == 0:
        raise refusal("targets", f'{term.metric}: zero percent is no size: give a percentage above 0, or 0 with the unit "metric".')
    return directed(metric, term)


def directed(metric: ProjectMetric, term: TargetTerm) -> ProjectMetric:
    """The metric with a direction: its own, or the one asked for. Raises Invalid where there is none, or another."""
    if term.direction and term.direction not in (Direction.MINIMIZE, Direction.MAXIMIZE):
        raise refusal("targets", f'The direction is "minimize" or "maximize", not {term.direction!r}.')
    if metric.direction and term.direction and metric.direction != term.direction:
        raise refusal("targets", f"{metric.name} is to {metric.direction} in this project: change it on the Metrics page, or leave the direction out.")
    if not metric.direction and not term.direction:
        raise refusal(
            "targets", f'Nobody has said which way {metric.name} is better: add "direction": "minimize" or "maximize", or say it on the Metrics page.'
        )
    if not metric.direction:
        metric.direction = term.direction
        metric.save(update_fields=["direction"])
    return metric


def set_targets(hypothesis: Hypothesis, terms: Iterable[tuple[TargetTerm, ProjectMetric]]) -> None:
    """Make these the targets."""
    hypothesis.targets.all().delete()
    rows = [
        Target(hypothesis=hypothesis, metric=metric, smallest_effect=term.smallest_effect, unit=term.unit, position=n) for n, (term, metric) in enumerate(terms)
    ]
    Target.objects.bulk_create(rows)


# Changing ----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def edit(hypothesis: Hypothesis, *, by: User | None, **content: Unpack[Content]) -> None:
    """Change what is given; what is equal already changes nothing. Other terms after data begin a new epoch. Raises Invalid."""
    check_words(content)
    words = [name for name in WORDS if name in content and getattr(hypothesis, name) != content[name]]  # type: ignore[literal-required]
    terms = [name for name in TERMS if name in content and getattr(hypothesis, name) != content[name]]  # type: ignore[literal-required]
    for name in (*words, *terms):
        setattr(hypothesis, name, content[name])  # type: ignore[literal-required]
    if not hypothesis.title.strip():
        raise refusal("title", "A hypothesis needs a title: say the claim in a few words.")
    check_baseline(hypothesis)
    has_moved = "targets" in content and retarget(hypothesis, content["targets"])
    if words:
        hypothesis.save(update_fields=[*words, "updated_at"])
        note(hypothesis, Kind.EDITED, f"Changed: {', '.join(words)}.", by=by)
    if terms or has_moved:
        respecify(hypothesis, [*terms, *(["targets"] if has_moved else [])], by=by)
    if "status" in content:
        set_status(hypothesis, content["status"], by=by)


def retarget(hypothesis: Hypothesis, asked: Sequence[TargetTerm]) -> bool:
    """Make these the targets; whether they are others."""
    terms = checked_targets(hypothesis.project, asked)
    was = [(target.metric_id, target.smallest_effect, target.unit) for target in hypothesis.targets.all()]
    now = [(metric.pk, term.smallest_effect, term.unit) for term, metric in terms]
    if was != now:
        set_targets(hypothesis, terms)
    return was != now


def respecify(hypothesis: Hypothesis, changed: Sequence[str], *, by: User | None) -> None:
    """Keep other terms: before data they are just terms; after data a new epoch begins, and what was known does not count in it."""
    names = ", ".join(name.replace("_", " ") for name in changed)
    fields = [name for name in changed if name != "targets"]
    if not has_data(hypothesis):
        hypothesis.save(update_fields=[*fields, "updated_at"])
        note(hypothesis, Kind.TERMS, f"Terms changed before any data: {names}.", by=by)
    else:
        hypothesis.epoch, hypothesis.epoch_began_at = hypothesis.epoch + 1, timezone.now()
        hypothesis.frozen, hypothesis.frozen_at, hypothesis.status, hypothesis.decided_at = {}, None, Status.TESTING, None
        fresh = ["epoch", "epoch_began_at", "frozen", "frozen_at", "status", "decided_at"]
        hypothesis.save(update_fields=[*fields, *fresh, "updated_at"])
        text = f"Respecified after data ({names}): epoch {hypothesis.epoch} begins, and only runs that end from now on count."
        note(hypothesis, Kind.RESPECIFIED, text, by=by)
    want(hypothesis)


def has_data(hypothesis: Hypothesis) -> bool:
    """Whether a linked run has ended: from then on the terms may follow from what was seen."""
    return hypothesis.links.standing().filter(experiment__status__in=Experiment.Status.ended()).exists()


def set_status(hypothesis: Hypothesis, status: str, *, by: User | None) -> None:
    """Between proposed and testing. Raises Invalid for a verdict, Conflict where runs have been judged."""
    if status == hypothesis.status:
        return
    check_status(status)
    if hypothesis.is_decided or (status == Status.PROPOSED and has_data(hypothesis)):
        raise Conflict(f"{hypothesis} is {hypothesis.status} by its runs. {CLOSED_BY_HAND}")
    was, hypothesis.status = hypothesis.status, status
    hypothesis.save(update_fields=["status", "updated_at"])
    note(hypothesis, Kind.STATUS, f"{status.capitalize()}, was {was}: set by hand.", by=by, was=was)
    want(hypothesis)


@transaction.atomic
def delete(hypothesis: Hypothesis, *, by: User | None) -> None:
    """Delete it with its links and its history. Evidence rows stay in the metric store, where nothing shows them."""
    logger.info("%s deleted the hypothesis %s (%s)", by, hypothesis, hypothesis.pk)
    hypothesis.delete()


# Links -------------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def unlink(hypothesis: Hypothesis, experiment: Experiment, *, by: User | None) -> None:
    """Take a link back. A run that has ended still counts, unless it is invalidated. Raises Invalid where it is not linked."""
    found = linked(hypothesis, experiment)
    counts = experiment.is_ended and not found.is_post_hoc
    Link.objects.filter(pk=found.pk).update(unlinked_at=timezone.now(), counts_unlinked=counts)
    text = "it had ended and still counts; invalidate it with a reason if it must not" if counts else "it no longer counts"
    note(hypothesis, Kind.UNLINKED, f"Unlinked: {experiment.name}: {text}.", by=by, experiment=str(experiment.pk))
    want(hypothesis)


@transaction.atomic
def invalidate(hypothesis: Hypothesis, experiment: Experiment, *, reason: str, by: User | None) -> None:
    """A run does not count, for a reason that everyone can read. Raises Invalid without one, or where it is not linked."""
    if not reason.strip():
        raise refusal("reason", "Say in a sentence why the run does not count: it stands in the history.")
    if flaw := flaw_in_text(reason):
        raise refusal("reason", flaw)
    found = linked(hypothesis, experiment)
    Link.objects.filter(pk=found.pk).update(invalidated_at=timezone.now(), reason=reason.strip()[:500])
    note(hypothesis, Kind.INVALIDATED, f"Invalidated: {experiment.name}: {reason.strip()}", by=by, experiment=str(experiment.pk))
    want(hypothesis)


def linked(hypothesis: Hypothesis, experiment: Experiment) -> Link:
    """The link that stands. Raises Invalid."""
    found = hypothesis.links.standing().filter(experiment=experiment).first()
    if found is None:
        raise refusal("experiment", f"{experiment} is not linked to {hypothesis}.")
    return found


# Rules -------------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def add_rule(hypothesis: Hypothesis, feature: str, *, by: User | None) -> Rule:
    """Link every experiment of the project whose features_diff holds the feature: those there are, and those to come. Raises Invalid."""
    feature = feature.strip()
    if not feature or len(feature) > 250 or flaw_in_text(feature):
        raise refusal("feature", "A rule names one feature of features_diff, in at most 250 characters.")
    rule, is_new = Rule.objects.get_or_create(hypothesis=hypothesis, feature=feature, defaults={"created_by": by})
    if is_new:
        note(hypothesis, Kind.RULE, f"Rule: every experiment that changes {feature} is linked.", by=by)
        there = [run for run in hypothesis.project.experiments.current() if feature in run.features_diff]
        link(hypothesis, there, source=Link.Source.RULE, by=by)
    return rule


@transaction.atomic
def remove_rule(hypothesis: Hypothesis, feature: str, *, by: User | None) -> None:
    """Link nothing more by the rule of this feature; what it has linked stays."""
    if hypothesis.rules.filter(feature=feature).delete()[0]:
        note(hypothesis, Kind.RULE, f"Rule removed: experiments that change {feature} are no longer linked by themselves.", by=by)
