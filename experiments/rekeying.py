"""All runs of a project put into arms anew: by another notion of equal params, or by other seeds. What moved is written down (`MovedArm`).

A version from before, which goes on for a while beside this one, leaves `placed_key` as it was: such runs are found by it, and put in place too.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from config.celery import nudge
from experiments.arms import Params, canonical_params, difference, key_of
from experiments.models import Experiment, MovedArm
from experiments.notation.params import distinct
from hypotheses.claims import wanting
from hypotheses.models import Hypothesis
from projects.models import Project, ProjectQuerySet
from projects.seeds import Seeds

logger = logging.getLogger(__name__)
REKEY = "experiments.tasks.rekey"
BATCH = 1000
PASSES = 10
SEEDS_BEFORE = {"seed", "random_seed", "replicate"}
Model = Any  # a model, or one as a migration has it


@dataclass(slots=True)
class Placing:
    """One run, and what follows for it. `difference` is None where somebody gave it, or where it is what is stored.

    `is_misplaced`: a version from before wrote its key; `is_found_given`: and its features_diff is one that somebody gave, which that version does not tell.
    """

    parent: uuid.UUID | None
    group: str
    above: str
    changes: dict[str, Any]  # Any: whatever JSON holds
    difference: dict[str, Any] | None
    old_key: str
    is_misplaced: bool
    is_found_given: bool
    new_key: str = ""


def placings(runs: Model, project_id: uuid.UUID, seeds: Seeds) -> dict[uuid.UUID, Placing]:
    """Every run of a project with the key that it has by these seeds. Two questions, and little more in memory than what changed against parents."""
    mine = runs.objects.filter(project_id=project_id)
    parents = mine.filter(pk__in=mine.filter(parent_experiment__isnull=False).values("parent_experiment_id"))
    params_of = dict(parents.order_by().values_list("pk", "params").iterator(chunk_size=BATCH))
    fields = ("pk", "parent_experiment_id", "replicate_group", "replicate_key", key_written(runs), "features_diff_given", "features_diff", "params")
    found: dict[uuid.UUID, Placing] = {}
    for pk, parent, group, key, written, is_given, stored, params in mine.order_by().values_list(*fields).iterator(chunk_size=BATCH):
        above = params_of.get(parent, {}) if parent else None
        follows = difference(above, params, seeds) if above is not None else {}
        is_found_given = key != written and not is_given and stored not in ({}, follows, worked_out_before(above, params))
        changes = stored if is_given or is_found_given else follows
        root = "" if parent else canonical_params(params, seeds)
        found[pk] = Placing(parent, group, root, changes, None if changes == stored else changes, key, key != written, is_found_given)
    for pk in found:
        place(pk, found, project_id, seeds)
    return found


def key_written(runs: Model) -> str:
    """The field that tells whether this version wrote a run's key; the key itself in a migration from before there was one."""
    return "placed_key" if any(field.name == "placed_key" for field in runs._meta.get_fields()) else "replicate_key"


def worked_out_before(above: Params | None, params: Params) -> dict[str, Any] | None:  # Any: whatever JSON holds
    """What changed against the parent, as versions worked it out that knew three seeds, at the top alone. None for a root."""
    if above is None:
        return None
    names = sorted({*above, *params} - SEEDS_BEFORE)
    return {name: {"from": above.get(name), "to": params.get(name)} for name in names if distinct(above.get(name)) != distinct(params.get(name))}


def place(pk: uuid.UUID, found: Mapping[uuid.UUID, Placing], project_id: uuid.UUID, seeds: Seeds) -> None:
    """Give a run its key, and those above it theirs."""
    line, at = [], found.get(pk)
    while at is not None and not at.new_key and at not in line:
        line.append(at)
        at = found.get(at.parent) if at.parent else None
    for each in reversed(line):
        above = found.get(each.parent) if each.parent else None
        each.new_key = each.group or key_of(project_id, above.new_key if above else each.above, each.changes, seeds)


def keys_by(project_id: uuid.UUID, seeds: Seeds) -> dict[uuid.UUID, str]:
    """The arm of every run of a project by other seeds than the project's; writes nothing."""
    return {pk: placing.new_key for pk, placing in placings(Experiment, project_id, seeds).items()}


def keys_above(run: Experiment, seeds: Seeds) -> dict[uuid.UUID, str]:
    """The same of one run and of those above it. One question a level."""
    found: dict[uuid.UUID, str] = {}
    above, parent = "", None
    for each in reversed([run, *run.ancestors()]):
        worked_out = each.features_diff if each.features_diff_given else difference(parent.params, each.params, seeds) if parent else {}
        above = each.replicate_group or key_of(each.project_id, above if parent else canonical_params(each.params, seeds), worked_out, seeds)
        found[each.pk], parent = above, each
    return found


def put_in_place(runs: Model, moved_arms: Model, project_id: uuid.UUID, seeds: Seeds) -> list[uuid.UUID]:
    """Write the keys that follow from these seeds, and what moved; the runs that got another key. Once more changes nothing.

    Takes models, as a migration has its own.
    """
    found = placings(runs, project_id, seeds)
    with transaction.atomic():  # before the runs: whoever dies between leaves every old key with its new one
        write_down(moved_arms, project_id, found.values())
    moved = [pk for pk, each in found.items() if each.new_key != each.old_key]
    is_told = key_written(runs)
    keyed = [
        runs(pk=pk, **{"replicate_key": each.new_key, is_told: each.new_key}) for pk, each in found.items() if each.is_misplaced or each.new_key != each.old_key
    ]
    runs.objects.bulk_update(keyed, sorted({"replicate_key", is_told}), batch_size=BATCH)
    changed = [runs(pk=pk, features_diff=each.difference) for pk, each in found.items() if each.difference is not None]
    runs.objects.bulk_update(changed, ["features_diff"], batch_size=BATCH)
    given = [pk for pk, each in found.items() if each.is_found_given]
    for first in range(0, len(given), BATCH):
        runs.objects.filter(pk__in=given[first : first + BATCH]).update(features_diff_given=True)
    return moved


def write_down(moved_arms: Model, project_id: uuid.UUID, found: Collection[Placing]) -> None:
    """Tell from which key to which each arm moved, what moved before among them."""
    moves, origins = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    if all(each.new_key == each.old_key for each in found):
        return
    for each in found:
        moves[each.old_key].add(each.new_key)
        origins[each.new_key].add(each.old_key)
    before = set(moved_arms.objects.filter(project_id=project_id).values_list("old_key", "new_key"))
    is_itself_again = {old for old, _ in before if old in origins and (old, old) not in before}
    wanted = {(old, later) for old, new in before if old not in is_itself_again for later in moves.get(new, {new})}
    wanted |= {(old, new) for old, news in moves.items() if news != {old} for new in news}
    only_itself = {old for old, new in wanted if old == new} - {old for old, new in wanted if old != new}
    wanted = {pair for pair in wanted if pair[0] not in only_itself}
    gone, now = before - wanted, timezone.now()
    for old in {old for old, _ in gone}:
        moved_arms.objects.filter(project_id=project_id, old_key=old, new_key__in=[new for each, new in gone if each == old]).delete()
    fresh = sorted(wanted - before)
    rows = [moved_arms(project_id=project_id, old_key=old, new_key=new, is_joined=len(origins[new]) > 1, at=now) for old, new in fresh]
    moved_arms.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)


def want(project: Project) -> None:
    """Have the runs of a project put into arms anew, soon: a mark in the record, and a nudge."""
    now = timezone.now()
    Project.objects.filter(pk=project.pk).update(keys_due_at=now)
    project.keys_due_at = now
    transaction.on_commit(partial(nudge, REKEY), robust=True)


def rekey(project: Project) -> list[uuid.UUID]:
    """Put the runs of a project into arms by its setting as it is now; those that moved. Looks until nothing moves: runs are made meanwhile."""
    found: dict[uuid.UUID, None] = {}
    for _ in range(PASSES):
        project.refresh_from_db(fields=["seed_params", "keys_due_at"])
        moved = put_in_place(Experiment, MovedArm, project.pk, project.seeds)
        found |= dict.fromkeys(moved)
        if not moved:
            Project.objects.filter(pk=project.pk, keys_due_at=project.keys_due_at).update(keys_due_at=None)
            break
    return list(found)


def due() -> ProjectQuerySet:
    """The projects that are marked, and those with runs that a version from before put into arms."""
    return Project.objects.filter(Q(keys_due_at__isnull=False) | Q(pk__in=Experiment.objects.misplaced().order_by().values("project")))


def rekey_due(**narrowed: uuid.UUID) -> int:
    """Do so for every project that is due, or one of them, and have its hypotheses judged by the arms that there are then; how many runs moved."""
    count = 0
    for project in due().filter(**narrowed).order_by("keys_due_at", "pk"):
        moved = rekey(project)
        if moved:
            logger.info("%d runs of the project %s (%s) are in other arms now", len(moved), project, project.pk)
            wanting.want(Hypothesis.objects.filter(project=project).exclude(judged_at=None))
        count += len(moved)
    return count
