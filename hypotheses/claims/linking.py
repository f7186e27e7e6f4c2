"""Linking runs to hypotheses: by hand, from a comparison, by a rule, or by the script that starts the run."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from config.errors import Fault, Invalid, NotFound
from experiments.models import Experiment
from hypotheses.claims import wanting
from hypotheses.claims.grouping import Keys, frozen_arms, kept_keys, regroup
from hypotheses.claims.wanting import note
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Rule
from projects.models import Project

Kind, Status, Source, Baseline = HypothesisEvent.Kind, Hypothesis.Status, Link.Source, Hypothesis.Baseline
CHUNK = 500
NAMED_MOST = 5
NAME_SHOWN = 80
HOW = {Source.HAND: "by hand", Source.COMPARISON: "from a comparison", Source.RULE: "by a rule", Source.SCRIPT: "by its script"}


def refusal(field: str, message: str, code: str = "invalid", *, index: int | None = None) -> Invalid:
    """One thing that is wrong."""
    return Invalid(message, [Fault(index, field, code, message)])


def want(hypothesis: Hypothesis) -> None:
    """Have it judged soon, also where it could not be judged before: somebody changed something about it."""
    mine = Hypothesis.objects.filter(pk=hypothesis.pk)
    mine.filter(retry_at__isnull=False).update(retry_at=None)
    wanting.want(mine)


def locked(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis as it is now, held until the transaction ends. Raises NotFound where it was deleted."""
    held = Hypothesis.objects.select_for_update(of=("self",)).select_related("project", "baseline_experiment")
    found = held.filter(pk=hypothesis.pk).first()
    if found is None:
        raise NotFound(f"The hypothesis {hypothesis} was deleted.")
    return found


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


def in_words(runs: Sequence[Experiment]) -> str:
    """Runs by name, the first few of many."""
    names = ", ".join(run.name[:NAME_SHOWN] for run in runs[:NAMED_MOST])
    return names if len(runs) <= NAMED_MOST else f"{names} and {len(runs) - NAMED_MOST:,} more"


# What may be linked ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bars:
    """What keeps runs from being linked: `arms` of the baseline, the runs `above` it, and the reasons of those invalidated, by run. `keys`: arms it keeps."""

    hypothesis: Hypothesis
    arms: frozenset[str]
    above: frozenset[uuid.UUID]
    invalidated: Mapping[uuid.UUID, str]
    keys: Keys

    def fault(self, index: int, run: Experiment) -> Fault | None:
        """Why the run, loaded with its root, cannot be linked; None where it can. `index`: its place among those asked for."""
        code, message = self.reason(run)
        return Fault(index, "experiments", code, message) if code else None

    def reason(self, run: Experiment) -> tuple[str, str]:
        """(code, sentence); both empty where nothing keeps it out."""
        if run.project_id != self.hypothesis.project_id:
            return "other_project", f"{run} belongs to another project: link runs of {self.hypothesis.project}."
        if run.pk in self.invalidated:
            return "invalidated", f"{run} was invalidated ({self.invalidated[run.pk]}) and stays out: start a fresh run."
        if run.pk in self.above:
            return "cycle", f"A cycle: the baseline {self.hypothesis.baseline_experiment} descends from {run}. Link runs that come after the baseline."
        regroup([run], self.keys)
        if run.replicate_key in self.arms or (self.hypothesis.baseline == Baseline.ROOT and is_of_root(run)):
            return "baseline", f"{run} belongs to the baseline: link runs that change something against it, with the baseline as parent."
        return "", ""


def bars(hypothesis: Hypothesis, runs: Sequence[Experiment]) -> Bars:
    """What the hypothesis's baseline and its history keep out of these runs."""
    baseline = hypothesis.baseline_experiment
    invalidated = Link.objects.filter(hypothesis=hypothesis).exclude(invalidated_at=None)
    keys = kept_keys(hypothesis, of=[*runs, *([baseline] if baseline else [])])
    if baseline:
        regroup([baseline], keys)
    return Bars(
        hypothesis=hypothesis,
        arms=frozenset([*frozen_arms(hypothesis), *([baseline.replicate_key] if baseline else [])]),
        above=frozenset(ancestor.pk for ancestor in baseline.ancestors()) if baseline else frozenset(),
        invalidated=dict(invalidated.values_list("experiment_id", "reason")),
        keys=keys,
    )


def is_of_root(run: Experiment) -> bool:
    """Whether it is a root, or a replicate of its own root."""
    root = run.root_experiment
    return root is None or root.replicate_key == run.replicate_key


# Linking -----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def link(
    hypothesis: Hypothesis, experiments: Iterable[Experiment], *, source: str = Source.HAND, by: User | None, at: datetime | None = None
) -> list[Experiment]:
    """Have runs test it, `at` a time (for a recording) or now. Returns those that were not linked before; the others stay as they are.

    A run that has ended by then suggested the claim, and cannot confirm it: post hoc. One that was unlinked is linked again. Raises Invalid, and links
    none, for a run of another project, of the baseline, in a cycle with it, or invalidated; NotFound where something was deleted meanwhile.
    """
    found, runs = locked(hypothesis), fresh(run.pk for run in experiments)
    kept_out = bars(found, runs)
    faults = [fault for index, run in enumerate(runs) if (fault := kept_out.fault(index, run))]
    if faults:
        raise Invalid(faults[0].message, faults)
    changed = put(found, runs, source=source, by=by, at=at)
    hypothesis.status = found.status
    return changed


def put(hypothesis: Hypothesis, runs: Sequence[Experiment], *, source: str, by: User | None, at: datetime | None = None) -> list[Experiment]:
    """Make or renew the links that do not stand, tell it, and have it judged."""
    known, when = {one.experiment_id: one for one in hypothesis.links.all()}, at or timezone.now()
    changed = [run for run in runs if run.pk not in known or known[run.pk].unlinked_at is not None]
    made = [linked(hypothesis, run, source=source, by=by, at=when) for run in changed if run.pk not in known]
    Link.objects.bulk_create(made, batch_size=CHUNK)
    for run in changed:
        if run.pk in known:
            renew(known[run.pk], run, source=source, by=by, at=when)
    if changed:
        tell(hypothesis, changed, source=source, by=by, at=when)
        begin(hypothesis, changed)
        want(hypothesis)
    return changed


def linked(hypothesis: Hypothesis, run: Experiment, *, source: str, by: User | None, at: datetime) -> Link:
    """A new link, not stored yet."""
    return Link(hypothesis=hypothesis, experiment=run, source=source, by=by, linked_at=at, is_post_hoc=had_ended(run, at))


def had_ended(run: Experiment, at: datetime) -> bool:
    """Whether the run was over at that time."""
    return run.is_ended and (run.finished_at is None or run.finished_at <= at)


def renew(old: Link, run: Experiment, *, source: str, by: User | None, at: datetime) -> None:
    """Let a link that was taken back stand again; one that never ceased to count stays of the day it was made."""
    if not old.counts_unlinked:
        old.linked_at, old.is_post_hoc, old.source, old.by = at, had_ended(run, at), source, by
    old.unlinked_at, old.counts_unlinked = None, False
    old.save()


def tell(hypothesis: Hypothesis, runs: Sequence[Experiment], *, source: str, by: User | None, at: datetime) -> None:
    """The history's line of links."""
    late = sum(had_ended(run, at) for run in runs)
    sentence = f"Linked {HOW[Source(source)]}: {in_words(runs)}."
    if late:
        sentence += f" {late} of {len(runs)} had ended: what suggests a claim cannot confirm it, so these are exploratory."
    note(hypothesis, Kind.LINKED, sentence, by=by, at=at, experiments=[str(run.pk) for run in runs], source=str(source))


def begin(hypothesis: Hypothesis, runs: Sequence[Experiment]) -> None:
    """A proposed hypothesis is tested from its first running run on."""
    running = next((run for run in runs if run.is_live), None)
    if running is not None and hypothesis.status == Status.PROPOSED:
        wanting.begin_testing(hypothesis, running)
        hypothesis.status = Status.TESTING


# Rules -------------------------------------------------------------------------------------------------------------------------------------


def link_by_rules(experiment: Experiment, *, by: User | None = None) -> None:
    """Link a run, just made or changed, wherever a rule of its project names a feature that it changes. Where it changes none, nothing is asked.

    What may not be linked (runs of the baseline), and what was linked or unlinked before, is passed over.
    """
    features = list(experiment.features_diff)
    for first in range(0, len(features), CHUNK):
        rules = Rule.objects.filter(hypothesis__project_id=experiment.project_id, feature__in=features[first : first + CHUNK])
        for hypothesis in Hypothesis.objects.filter(pk__in=rules.values("hypothesis")).exclude(links__experiment=experiment):
            with transaction.atomic():
                follow(locked(hypothesis), [experiment.pk], by=by)


def link_all_by_rules(experiments: Sequence[Experiment], *, by: User | None = None) -> None:
    """The same for several runs of one project: those whose change no rule names are passed over together."""
    if not any(run.features_diff for run in experiments):
        return
    named = set(Rule.objects.filter(hypothesis__project_id=experiments[0].project_id).values_list("feature", flat=True))
    for run in experiments:
        if not named.isdisjoint(run.features_diff):
            link_by_rules(run, by=by)


def follow(hypothesis: Hypothesis, experiments: Iterable[uuid.UUID], *, by: User | None) -> None:
    """Link by a rule what may be linked and never was."""
    before = set(hypothesis.links.values_list("experiment_id", flat=True))
    runs = fresh(pk for pk in experiments if pk not in before)
    kept_out = bars(hypothesis, runs)
    put(hypothesis, [run for run in runs if not kept_out.fault(0, run)], source=Source.RULE, by=by)


def note_deletion(experiments: Sequence[uuid.UUID], *, by: User | None) -> None:
    """Tell each hypothesis which of its runs are about to be deleted: no verdict loses its runs in silence."""
    gone: dict[uuid.UUID, list[Link]] = {}
    for one in Link.objects.standing().filter(experiment__in=experiments).select_related("hypothesis", "experiment"):
        gone.setdefault(one.hypothesis_id, []).append(one)
    for links in gone.values():
        runs = [one.experiment for one in links]
        note(links[0].hypothesis, Kind.UNLINKED, f"Deleted, with all points: {in_words(runs)}.", by=by, deleted=[str(run.pk) for run in runs])


def named(project: Project | None, references: Iterable[str]) -> list[Hypothesis]:
    """The project's hypotheses of these UUIDs or slugs, each once. Raises Invalid for one that is not there."""
    found: dict[uuid.UUID, Hypothesis] = {}
    for reference in references:
        try:
            hypothesis = Hypothesis.objects.filter(project=project).named(reference)
        except NotFound as error:
            message = f"There is no hypothesis {reference!r} in {project or 'a new project'}: state it first, then start its runs."
            raise refusal("hypotheses", message, "unknown") from error
        found[hypothesis.pk] = hypothesis
    return list(found.values())
