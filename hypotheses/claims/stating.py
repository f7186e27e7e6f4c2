"""The verbs of hypotheses' record: state, link, invalidate, change terms. Each leaves a line of history and asks for a judgement, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.audit.recording import record
from accounts.models import User
from config.errors import Conflict, Fault, NotFound
from experiments.models import Experiment
from hypotheses.claims import verdict_alerts
from hypotheses.claims.epochs import is_known, redefining, respecify, store
from hypotheses.claims.linking import CHUNK, follow, had_ended, link, locked, want
from hypotheses.claims.terms import TARGETS_MOST, Content, TargetTerm, check, completed, in_one_line, in_text, metrics_of, refuse, terms_of
from hypotheses.claims.wanting import note
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Rule, Target
from projects.models import Project, ProjectMetric

__all__ = ["TARGETS_MOST", "Content", "TargetTerm", "add_rule", "delete", "edit", "invalidate", "link", "propose", "remove_rule", "unlink"]

logger = logging.getLogger(__name__)
Kind, Status = HypothesisEvent.Kind, Hypothesis.Status
SLUG_ATTEMPTS = 20
REASON_MOST = 500
FEATURE_MOST = 250
WORDS = ("title", "claim", "rationale", "description")
TERMS = ("require", "baseline", "baseline_experiment", "paired")


# Stating -----------------------------------------------------------------------------------------------------------------------------------


def propose(
    project: Project,
    *,
    by: User | None,
    at: datetime | None = None,
    experiments: Iterable[Experiment] = (),
    source: str = Link.Source.HAND,
    rules: Iterable[str] = (),
    **said: Unpack[Content],
) -> Hypothesis:
    """State a hypothesis: a title and at least one target, with the runs and rules that test it; `at` a time (for a recording) or now.

    A title that is taken gets a slug with a number. Raises Invalid, naming each field, for what could not be judged or linked: nothing is saved then.
    Raises Conflict where others take its slug again and again.
    """
    full = completed({"title": "", "targets": (), **said})
    check(project, full)
    for _ in range(SLUG_ATTEMPTS):
        try:
            with transaction.atomic():
                hypothesis = insert(project, full, by=by, at=at or timezone.now())
                put_to_test(hypothesis, experiments, rules, source=source, by=by, at=at)
                return hypothesis
        except IntegrityError as error:
            # Claims that are stated together ask for one slug: the next attempt sees the winner's and takes another.
            if "slug" not in str(error):
                raise
    raise Conflict(f"Others took the slug of {full['title']!r} at the same moment: try again, or choose another title.")


def insert(project: Project, said: Content, *, by: User | None, at: datetime) -> Hypothesis:
    """Save a hypothesis that was checked, with its targets and the first line of its history."""
    fields: dict[str, Any] = {name: value for name, value in said.items() if name != "targets"}  # Any: values of several fields
    hypothesis = Hypothesis.objects.create(project=project, created_by=by, epoch_began_at=at, **fields)
    Hypothesis.objects.filter(pk=hypothesis.pk).update(created_at=at)
    hypothesis.created_at = at
    set_targets(hypothesis, said["targets"], by=by)
    terms = terms_of(hypothesis)
    note(hypothesis, Kind.CREATED, f"Stated: {in_one_line(terms)}.", by=by, at=at, terms=terms)
    record("hypothesis.stated", on=hypothesis, by=by, details={"terms": in_one_line(terms)})
    want(hypothesis)
    return hypothesis


def put_to_test(hypothesis: Hypothesis, experiments: Iterable[Experiment], rules: Iterable[str], *, source: str, by: User | None, at: datetime | None) -> None:
    """Link runs, and add rules."""
    link(hypothesis, experiments, source=source, by=by, at=at)
    for feature in rules:
        add_rule(hypothesis, feature, by=by)


def set_targets(hypothesis: Hypothesis, aims: Sequence[TargetTerm], *, by: User | None) -> None:
    """Make these its targets, in this order; a stated direction becomes the metric's where it has none."""
    known = metrics_of(hypothesis.project, aims)
    say_directions(hypothesis, aims, known, by=by)
    hypothesis.targets.exclude(metric__in=known.values()).delete()
    for position, aim in enumerate(aims):
        metric = known[aim.metric]
        values = {"smallest_effect": aim.smallest_effect, "unit": aim.unit, "position": position}
        Target.objects.update_or_create(hypothesis=hypothesis, metric=metric, defaults=values)


def say_directions(hypothesis: Hypothesis, aims: Sequence[TargetTerm], known: Mapping[str, ProjectMetric], *, by: User | None) -> None:
    """Give metrics without a direction the one that was stated; other hypotheses that target them learn of it."""
    said = [(known[aim.metric], aim.direction) for aim in aims if aim.direction and not known[aim.metric].direction]
    with redefining([metric for metric, _ in said], by=by, besides=hypothesis):
        for metric, direction in said:
            if ProjectMetric.objects.filter(pk=metric.pk, direction="").update(direction=direction):
                record("metric.changed", on=metric, by=by, details={"changed": "direction", "values": {"direction": ["", direction]}})


# Changing ----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def edit(hypothesis: Hypothesis, *, by: User | None, **said: Unpack[Content]) -> None:
    """Change what is given; what is equal already changes nothing.

    A change of terms after data (a linked run ended, or it was decided) begins a new epoch, in which older runs no longer count.
    Raises Invalid, naming each field, and NotFound where it was deleted meanwhile.
    """
    found, full = locked(hypothesis), completed(said)
    check(found.project, full, hypothesis=found)
    edit_words(found, full, by=by)
    edit_terms(found, full, by=by)
    edit_status(found, full.get("status"), by=by)
    hypothesis.refresh_from_db()


def edit_words(hypothesis: Hypothesis, said: Content, *, by: User | None) -> None:
    """Change title, claim, rationale and description."""
    changed: dict[str, str] = {name: said[name] for name in WORDS if name in said and said[name] != getattr(hypothesis, name)}  # type: ignore[literal-required]
    if changed:
        before = {name: getattr(hypothesis, name) for name in changed}
        store(hypothesis, changed)
        note(hypothesis, Kind.EDITED, f"Edited: {', '.join(changed)}.", by=by, before=before, after=changed)
        record("hypothesis.changed", on=hypothesis, by=by, details={"changed": ", ".join(changed)})


def edit_terms(hypothesis: Hypothesis, said: Content, *, by: User | None) -> None:
    """Change targets, what is required of them, baseline and pairing."""
    before, has_data = terms_of(hypothesis), is_known(hypothesis)
    store(hypothesis, {name: said[name] for name in TERMS if name in said})  # type: ignore[literal-required]  # the names are Content's
    if "targets" in said:
        set_targets(hypothesis, said["targets"], by=by)
    respecify(hypothesis, before, has_data=has_data, by=by)


def edit_status(hypothesis: Hypothesis, status: str | None, *, by: User | None) -> None:
    """From proposed to testing, or back."""
    if status is None or status == hypothesis.status:
        return
    was = hypothesis.status
    store(hypothesis, {"status": status})
    note(hypothesis, Kind.STATUS, f"Set by hand from {was} to {status}.", by=by, before=was, after=status)
    want(hypothesis)


@transaction.atomic
def delete(hypothesis: Hypothesis, *, by: User | None) -> None:
    """Delete it with its links, rules and history. The runs stay; so do evidence rows in the metric store, where nothing shows them."""
    logger.info("%s deleted the hypothesis %s (%s)", by, hypothesis, hypothesis.pk)
    record("hypothesis.deleted", on=hypothesis, by=by, details={"status": hypothesis.status, "runs": hypothesis.links.count()})
    verdict_alerts.retract(hypothesis, why="The hypothesis was deleted.")
    hypothesis.delete()


# Links -------------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def unlink(hypothesis: Hypothesis, experiment: Experiment, *, by: User | None, at: datetime | None = None) -> None:
    """Take a link back, `at` a time or now. A run that ended since it was linked counts all the same, until it is invalidated with a reason.

    Raises NotFound where it is not linked, Conflict where it is invalidated. A second time changes nothing.
    """
    found, now = locked(hypothesis), at or timezone.now()
    taken = standing(found, experiment)
    if taken.unlinked_at is not None:
        return
    counts = had_ended(taken.experiment, now) and not taken.is_post_hoc
    Link.objects.filter(pk=taken.pk).update(unlinked_at=now, counts_unlinked=counts)
    text = "it had ended and still counts: invalidate it with a reason if it must not" if counts else "it no longer counts"
    note(found, Kind.UNLINKED, f"Unlinked {taken.experiment.name}: {text}.", by=by, at=at, experiments=[str(experiment.pk)])
    want(found)


@transaction.atomic
def invalidate(hypothesis: Hypothesis, experiment: Experiment, *, reason: str, by: User | None) -> None:
    """Let a linked run not count, for a reason that everybody can read. There is no way back: a fresh run takes its place.

    Raises Invalid without a reason, NotFound where the run is not linked, Conflict where it is invalidated already.
    """
    said, blank = reason.strip(), Fault(None, "reason", "blank", "Say in a sentence why the run does not count: it stands in the history.")
    refuse([*in_text("reason", said, most=REASON_MOST), *([] if said else [blank])])
    found = locked(hypothesis)
    taken = standing(found, experiment)
    Link.objects.filter(pk=taken.pk).update(invalidated_at=timezone.now(), reason=said)
    note(found, Kind.INVALIDATED, f"Invalidated {taken.experiment.name}: {said}", by=by, experiments=[str(experiment.pk)], reason=said)
    want(found)


def standing(hypothesis: Hypothesis, experiment: Experiment) -> Link:
    """The link of the run, which counts or is shown, with the run as it is now. Raises NotFound where there is none, Conflict where it is invalidated."""
    run = Experiment.objects.select_for_update().filter(pk=experiment.pk).first()
    found = hypothesis.links.filter(experiment=run).select_related("experiment").first() if run else None
    if found is not None and found.invalidated_at is not None:
        raise Conflict(f"{experiment} was invalidated already: {found.reason}")
    if found is None or (found.unlinked_at is not None and not found.counts_unlinked):
        raise NotFound(f"{experiment} is not linked to {hypothesis}.")
    return found


# Rules -------------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def add_rule(hypothesis: Hypothesis, feature: str, *, by: User | None) -> Rule:
    """Link every experiment of the project whose features_diff holds the feature: those there are, and those to come. A rule that is there stays.

    What may not be linked (runs of the baseline), and what was linked or unlinked before, is passed over. Raises Invalid for a feature without a name.
    """
    blank = Fault(None, "feature", "blank", "Name a feature as features_diff does.")
    refuse([*in_text("feature", feature, most=FEATURE_MOST), *([] if feature.strip() else [blank])])
    found = locked(hypothesis)
    rule, is_new = Rule.objects.get_or_create(hypothesis=found, feature=feature, defaults={"created_by": by})
    if is_new:
        note(found, Kind.RULE, f"Every experiment that changes {feature} is linked from now on.", by=by, added=feature)
        differences = Experiment.objects.filter(project=found.project).order_by("created_at").values_list("pk", "features_diff")
        follow(found, [pk for pk, changed in differences.iterator(chunk_size=CHUNK) if feature in changed], by=by)
    return rule


@transaction.atomic
def remove_rule(hypothesis: Hypothesis, feature: str, *, by: User | None) -> None:
    """Link nothing more by the rule of this feature; what it has linked stays. Raises NotFound where there is no such rule."""
    if not hypothesis.rules.filter(feature=feature).delete()[0]:
        raise NotFound(f"There is no rule for {feature!r} on {hypothesis}.")
    note(hypothesis, Kind.RULE, f"Experiments that change {feature} are no longer linked by themselves.", by=by, removed=feature)
