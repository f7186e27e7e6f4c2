"""The verbs of a hypothesis's record: its claim, its terms, and the runs that test it. Each says who acts (`by`), and each change is told in its history."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from config.errors import Conflict, Fault, NotFound
from experiments.models import Experiment
from hypotheses import wanting
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Rule, Target
from hypotheses.terms import (
    FEATURE_MOST,
    REASON_MOST,
    Aim,
    Bars,
    Content,
    bars,
    check,
    completed,
    difference,
    in_one_line,
    in_text,
    metrics_of,
    named,
    refuse,
    terms_of,
)
from projects.models import Project, ProjectMetric

__all__ = ["Aim", "Content", "add_rule", "delete", "edit", "invalidate", "link", "link_by_rules", "note_deletion", "propose", "remove_rule", "unlink"]

logger = logging.getLogger(__name__)
Kind, Status, Source = HypothesisEvent.Kind, Hypothesis.Status, Link.Source
SLUG_ATTEMPTS = 20
CHUNK = 500
SENTENCE_MOST = 1000
WORDS = ("title", "claim", "rationale", "description")
TERMS = ("require", "baseline", "baseline_experiment", "paired")
HOW = {Source.HAND: "by hand", Source.COMPARISON: "from a comparison", Source.RULE: "by a rule", Source.SCRIPT: "by its script"}


# Stating it --------------------------------------------------------------------------------------------------------------------------------


def propose(project: Project, *, by: User | None, **said: Unpack[Content]) -> Hypothesis:
    """State a hypothesis: a title and at least one target; status testing unless `proposed` is said. A title that is taken gets a slug with a number.

    Raises Invalid, naming each field, for what cannot be stated; Conflict where others take its slug again and again.
    """
    full = completed({"title": "", "targets": (), **said})
    check(project, full)
    for _ in range(SLUG_ATTEMPTS):
        try:
            return insert(project, full, by=by)
        except IntegrityError as error:
            if "slug" not in str(error):
                raise
    raise Conflict(f"Others took the slug of {full['title']!r} at the same moment: try again, or choose another title.")


@transaction.atomic
def insert(project: Project, said: Content, *, by: User | None) -> Hypothesis:
    """Save a hypothesis that was checked, with its targets and the first line of its history."""
    fields: dict[str, Any] = {name: value for name, value in said.items() if name != "targets"}
    hypothesis = Hypothesis.objects.create(project=project, created_by=by, **fields)
    set_targets(hypothesis, said["targets"])
    terms = terms_of(hypothesis)
    note(hypothesis, Kind.CREATED, f"Stated: {in_one_line(terms)}.", by=by, detail=terms)
    want(hypothesis)
    return hypothesis


def set_targets(hypothesis: Hypothesis, aims: Sequence[Aim]) -> None:
    """Make these its targets, in this order; a stated direction becomes the metric's where it has none."""
    known = metrics_of(hypothesis.project, aims)
    hypothesis.targets.exclude(metric__name__in=list(known)).delete()
    for position, aim in enumerate(aims):
        metric = known[aim.metric]
        Target.objects.update_or_create(
            hypothesis=hypothesis, metric=metric, defaults={"smallest_effect": aim.smallest_effect, "unit": aim.unit, "position": position}
        )
        if aim.direction:
            ProjectMetric.objects.filter(pk=metric.pk, direction="").update(direction=aim.direction)


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


def locked(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis as it is now, held until the transaction ends. Raises NotFound where it was deleted."""
    found = Hypothesis.objects.select_for_update(of=("self",)).select_related("project", "baseline_experiment").filter(pk=hypothesis.pk).first()
    if found is None:
        raise NotFound(f"The hypothesis {hypothesis} was deleted.")
    return found


def edit_words(hypothesis: Hypothesis, said: Content, *, by: User | None) -> None:
    """Change title, claim, rationale and description."""
    changed: dict[str, str] = {name: said[name] for name in WORDS if name in said and said[name] != getattr(hypothesis, name)}  # type: ignore[literal-required]
    if changed:
        before = {name: getattr(hypothesis, name) for name in changed}
        store(hypothesis, changed)
        note(hypothesis, Kind.EDITED, f"Edited: {', '.join(changed)}.", by=by, detail={"before": before, "after": changed})


def edit_terms(hypothesis: Hypothesis, said: Content, *, by: User | None) -> None:
    """Change targets, what is required of them, baseline and pairing."""
    before, has_data = terms_of(hypothesis), is_known(hypothesis)
    store(hypothesis, {name: said[name] for name in TERMS if name in said})  # type: ignore[literal-required]  # the names are Content's
    if "targets" in said:
        set_targets(hypothesis, said["targets"])
    after = terms_of(hypothesis)
    changes = difference(before, after)
    if not changes:
        return
    sentence = f"Changed: {changes}."
    if has_data:
        begin_epoch(hypothesis)
        sentence = f"Epoch {hypothesis.epoch} begins, and runs that ended before it no longer count. {sentence}"
    note(hypothesis, Kind.RESPECIFIED if has_data else Kind.TERMS, sentence, by=by, detail={"before": before, "after": after})
    if not has_data:
        store(hypothesis, {"frozen": {}, "frozen_at": None})
    want(hypothesis)


def is_known(hypothesis: Hypothesis) -> bool:
    """Whether there are data that could have suggested other terms: a linked run that ended, or a verdict."""
    ended = hypothesis.links.exclude(unlinked_at__isnull=False, counts_unlinked=False).filter(experiment__status__in=Experiment.Status.ended())
    return hypothesis.is_decided or bool(hypothesis.score) or ended.exists()


def begin_epoch(hypothesis: Hypothesis) -> None:
    """Start again under new terms: nothing is decided, and the baseline is not fixed yet."""
    now = timezone.now()
    undecided = {"status": Status.PROPOSED if hypothesis.status == Status.PROPOSED else Status.TESTING, "score": None, "decided_at": None}
    store(hypothesis, {"epoch": hypothesis.epoch + 1, "epoch_began_at": now, "frozen": {}, "frozen_at": None, "sentence": "", "missing": "", **undecided})


def edit_status(hypothesis: Hypothesis, status: str | None, *, by: User | None) -> None:
    """From proposed to testing, or back."""
    if status is None or status == hypothesis.status:
        return
    was = hypothesis.status
    store(hypothesis, {"status": status})
    note(hypothesis, Kind.STATUS, f"Set by hand from {was} to {status}.", by=by, detail={"before": was, "after": status})
    want(hypothesis)


def store(hypothesis: Hypothesis, fields: Mapping[str, object]) -> None:
    """Write these fields and nothing else: a judgement writes the others meanwhile."""
    for name, value in fields.items():
        setattr(hypothesis, name, value)
    if fields:
        hypothesis.save(update_fields=[*fields, "updated_at"])


@transaction.atomic
def delete(hypothesis: Hypothesis, *, by: User | None) -> None:
    """Delete the record of a hypothesis: claim, links, rules and history. Its evidence rows stay in the metric store, where nothing shows them."""
    logger.info("%s deleted the hypothesis %s (%s)", by, hypothesis, hypothesis.pk)
    hypothesis.delete()


# What tests it -----------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def link(
    hypothesis: Hypothesis, experiments: Iterable[Experiment], *, source: str = Source.HAND, by: User | None, at: datetime | None = None
) -> list[Link]:
    """Have runs test it, `at` a time or now; one that has ended by then is post hoc. What is linked already stays as it is; what was unlinked is linked again.

    Returns the links of all given. Raises Invalid for runs of another project, of the baseline, in a cycle with it, or invalidated: then none is linked.
    """
    found, runs = locked(hypothesis), fresh(run.pk for run in experiments)
    kept_out = bars(found)
    refuse([fault for index, run in enumerate(runs) if (fault := kept_out.fault(index, run))])
    put(found, runs, source=source, by=by, at=at or timezone.now())
    return list(found.links.filter(experiment__in=[run.pk for run in runs]).select_related("experiment"))


def fresh(ids: Iterable[uuid.UUID]) -> list[Experiment]:
    """The runs as they are now, each once and in the order given, held until the transaction ends. Raises NotFound where one was deleted."""
    wanted = list(dict.fromkeys(ids))
    rows: dict[uuid.UUID, Experiment] = {}
    for first in range(0, len(wanted), CHUNK):
        some = Experiment.objects.select_for_update(of=("self",)).select_related("root_experiment").filter(pk__in=wanted[first : first + CHUNK])
        rows |= {run.pk: run for run in some.order_by("pk")}
    if len(rows) < len(wanted):
        raise NotFound("One of these experiments was deleted: look at the list again.")
    return [rows[pk] for pk in wanted]


def put(hypothesis: Hypothesis, runs: Sequence[Experiment], *, source: str, by: User | None, at: datetime) -> None:
    """Make or renew the links that do not stand, tell it, and have it judged."""
    known = {one.experiment_id: one for one in hypothesis.links.all()}
    changed = [run for run in runs if run.pk not in known or known[run.pk].unlinked_at is not None]
    if not changed:
        return
    made = [Link(hypothesis=hypothesis, experiment=run, source=source, by=by, linked_at=at, is_post_hoc=had_ended(run, at)) for run in changed if run.pk not in known]
    Link.objects.bulk_create(made, batch_size=CHUNK)
    for run in changed:
        if run.pk in known:
            renew(known[run.pk], run, source=source, by=by, at=at)
    late = sum(had_ended(run, at) for run in changed)
    sentence = f"Linked {HOW.get(Source(source), source)}: {named(changed)}."
    if late:
        sentence += f" {late} of {len(changed)} had ended already: exploratory, as what suggests a claim cannot confirm it."
    note(hypothesis, Kind.LINKED, sentence, by=by, detail={"experiments": [str(run.pk) for run in changed], "source": str(source)}, at=at)
    begun = next((run for run in changed if run.is_live), None)
    if begun is not None and hypothesis.status == Status.PROPOSED:
        wanting.begin_testing(hypothesis, begun)
    want(hypothesis)


def had_ended(run: Experiment, at: datetime) -> bool:
    """Whether the run was over at that time."""
    return run.is_ended and (run.finished_at is None or run.finished_at <= at)


def renew(old: Link, run: Experiment, *, source: str, by: User | None, at: datetime) -> None:
    """Let a link that was taken back stand again; one that never ceased to count stays of the day it was made."""
    if not old.counts_unlinked:
        old.linked_at, old.is_post_hoc, old.source, old.by = at, had_ended(run, at), source, by
    old.unlinked_at, old.counts_unlinked = None, False
    old.save()


@transaction.atomic
def unlink(hypothesis: Hypothesis, experiment: Experiment, *, by: User | None, at: datetime | None = None) -> Link:
    """Take a link back. A run that has ended since it was linked counts all the same, until it is invalidated with a reason.

    Raises NotFound where it is not linked. A second time changes nothing.
    """
    found = locked(hypothesis)
    taken, now = standing(found, experiment), at or timezone.now()
    if taken.unlinked_at is not None:
        return taken
    taken.unlinked_at = now
    taken.counts_unlinked = had_ended(taken.experiment, now) and not taken.is_post_hoc
    taken.save(update_fields=["unlinked_at", "counts_unlinked"])
    still = " It had ended, so it still counts: invalidate it with a reason if it must not." if taken.counts_unlinked else ""
    note(found, Kind.UNLINKED, f"Unlinked: {taken.experiment.name}.{still}", by=by, detail={"experiments": [str(experiment.pk)]}, at=now)
    want(found)
    return taken


@transaction.atomic
def invalidate(hypothesis: Hypothesis, experiment: Experiment, *, reason: str, by: User | None) -> Link:
    """Let a linked run not count, for a reason that everybody can read. There is no way back: a fresh run takes its place.

    Raises Invalid without a reason, NotFound where the run is not linked, Conflict where it is invalidated already.
    """
    said = reason.strip()
    refuse([*in_text("reason", said, most=REASON_MOST), *([] if said else [Fault(None, "reason", "blank", "Say why this run must not count.")])])
    found = locked(hypothesis)
    taken = standing(found, experiment)
    taken.invalidated_at, taken.reason = timezone.now(), said
    taken.save(update_fields=["invalidated_at", "reason"])
    note(found, Kind.INVALIDATED, f"Invalidated {taken.experiment.name}: {said}", by=by, detail={"experiments": [str(experiment.pk)], "reason": said})
    want(found)
    return taken


def standing(hypothesis: Hypothesis, experiment: Experiment) -> Link:
    """The link of the run, which counts or is shown. Raises NotFound where there is none, Conflict where it is invalidated."""
    run = Experiment.objects.select_for_update().filter(pk=experiment.pk).first()
    found = hypothesis.links.filter(experiment=run).select_related("experiment").first() if run else None
    if found is None or (found.unlinked_at is not None and not found.counts_unlinked and found.invalidated_at is None):
        raise NotFound(f"{experiment} is not linked to {hypothesis}.")
    if found.invalidated_at is not None:
        raise Conflict(f"{experiment} was invalidated already: {found.reason}")
    return found


def note_deletion(experiments: Sequence[uuid.UUID], *, by: User | None) -> None:
    """Tell each hypothesis which of its runs are about to be deleted: no verdict loses its runs in silence."""
    gone: dict[uuid.UUID, list[Link]] = {}
    for one in Link.objects.standing().filter(experiment__in=experiments).select_related("hypothesis", "experiment"):
        gone.setdefault(one.hypothesis_id, []).append(one)
    for links in gone.values():
        runs = [one.experiment for one in links]
        note(links[0].hypothesis, Kind.UNLINKED, f"Deleted: {named(runs)}. What was linked is gone.", by=by, detail={"deleted": [str(run.pk) for run in runs]})


# Rules -------------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def add_rule(hypothesis: Hypothesis, feature: str, *, by: User | None) -> Rule:
    """Link every experiment of the project whose features_diff holds the feature: those there are, and those to come. A rule that is there already stays.

    What may not be linked (runs of the baseline, invalidated ones) and what was linked or unlinked before is passed over.
    Raises Invalid for a feature without a name.
    """
    refuse([*in_text("feature", feature, most=FEATURE_MOST), *([] if feature else [Fault(None, "feature", "blank", "Name a feature, as features_diff does.")])])
    found = locked(hypothesis)
    rule, is_new = Rule.objects.get_or_create(hypothesis=found, feature=feature, defaults={"created_by": by})
    if is_new:
        note(found, Kind.RULE, f"Every experiment that changes {feature} is linked from now on.", by=by, detail={"added": feature})
        differences = Experiment.objects.filter(project=found.project).values_list("pk", "features_diff").iterator(chunk_size=CHUNK)
        follow(found, [pk for pk, changed in differences if feature in changed], by=by)
    return rule


@transaction.atomic
def remove_rule(rule: Rule, *, by: User | None) -> None:
    """Link no more experiments by this rule; what it has linked stays linked."""
    note(rule.hypothesis, Kind.RULE, f"Experiments that change {rule.feature} are no longer linked by themselves.", by=by, detail={"removed": rule.feature})
    rule.delete()


def link_by_rules(experiment: Experiment, *, by: User | None = None) -> None:
    """Link a new or changed experiment to the hypotheses whose rules name what it changed. Where it changed nothing, nothing is asked."""
    if not experiment.features_diff:
        return
    rules = Rule.objects.filter(hypothesis__project_id=experiment.project_id, feature__in=list(experiment.features_diff)[:CHUNK])
    for hypothesis in Hypothesis.objects.filter(pk__in=rules.values("hypothesis")).exclude(links__experiment=experiment):
        with transaction.atomic():
            follow(locked(hypothesis), [experiment.pk], by=by)


def follow(hypothesis: Hypothesis, experiments: Sequence[uuid.UUID], *, by: User | None) -> None:
    """Link by a rule what may be linked and never was."""
    before = set(hypothesis.links.values_list("experiment_id", flat=True))
    kept_out: Bars = bars(hypothesis)
    runs = [run for index, run in enumerate(fresh(pk for pk in experiments if pk not in before)) if kept_out.fault(index, run) is None]
    put(hypothesis, runs, source=Source.RULE, by=by, at=timezone.now())


# History -----------------------------------------------------------------------------------------------------------------------------------


def note(hypothesis: Hypothesis, kind: str, sentence: str, *, by: User | None, detail: Mapping[str, Any], at: datetime | None = None) -> None:
    """Add a line to its history."""
    line = sentence if len(sentence) <= SENTENCE_MOST else f"{sentence[: SENTENCE_MOST - 2]} …"
    HypothesisEvent.objects.create(
        hypothesis=hypothesis, kind=kind, sentence=line, detail=dict(detail), epoch=hypothesis.epoch, by=by, at=at or timezone.now()
    )


def want(hypothesis: Hypothesis) -> None:
    """Have it judged soon."""
    wanting.want(Hypothesis.objects.filter(pk=hypothesis.pk))
