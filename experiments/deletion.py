"""Experiments deleted: marked and gone from the record at once, their children adopted, their points purged after."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from django.db import transaction
from django.utils import timezone

from accounts.audit.recording import record
from accounts.models import User
from config.errors import Unavailable
from experiments.lifecycle import DERIVED, Event, note
from experiments.models import DeletedExperiment, Experiment
from hypotheses.claims import wanting
from hypotheses.claims.linking import note_deletion
from metrics import process
from metrics.clickhouse.errors import StoreError
from metrics.ingest.grants import GRANTS
from metrics.store import freshness
from metrics.store.shapes import Place

logger = logging.getLogger(__name__)
T = TypeVar("T")
CHUNK = 500
NAMED_MOST = 50


@transaction.atomic
def delete(experiments: Iterable[Experiment], *, by: User | None) -> None:
    """Delete the record at once, and the points as soon as the metric store lets them go.

    Children of a deleted experiment go to its own parent; those of a deleted root become roots.
    """
    doomed = {experiment.pk: experiment for experiment in experiments}
    mark(doomed.values())
    tell(doomed.values(), by=by)
    for child in orphans(doomed):
        adopt(child, heir(child, doomed), by=by)
    for ids in chunks(doomed):
        wanting.changed(ids)
        note_deletion(ids, by=by)
        Experiment.objects.filter(pk__in=ids).delete()
    logger.info("%s deleted %d experiments: %s", by, len(doomed), ", ".join(map(str, islice(doomed, 20))))
    transaction.on_commit(GRANTS.forget)
    transaction.on_commit(purge, robust=True)


def mark(experiments: Iterable[Experiment]) -> None:
    """Write down, in the transaction that deletes the experiments, that their points must go. `project` is loaded with each."""
    marks = (DeletedExperiment(experiment_id=e.pk, project_id=e.project_id, team_id=e.project.team_id, name=e.name) for e in experiments)
    DeletedExperiment.objects.bulk_create(marks, batch_size=CHUNK, ignore_conflicts=True)


def tell(experiments: Iterable[Experiment], *, by: User | None) -> None:
    """Leave a line in the audit for each project: of the one run, or how many and the first of their names."""
    by_project: dict[uuid.UUID, list[Experiment]] = {}
    for each in experiments:
        by_project.setdefault(each.project_id, []).append(each)
    for gone in by_project.values():
        if len(gone) == 1:
            record("run.deleted", on=gone[0], by=by)
        else:
            record("runs.deleted", on=gone[0].project, by=by, details={"count": len(gone), "runs": {str(each.pk): each.name for each in gone[:NAMED_MOST]}})


def orphans(doomed: dict[uuid.UUID, Experiment]) -> list[Experiment]:
    """The children that stay while their parent goes."""
    found = [child for ids in chunks(doomed) for child in Experiment.objects.filter(parent_experiment__in=ids).select_related("parent_experiment", "project")]
    return [child for child in found if child.pk not in doomed]


def heir(child: Experiment, doomed: dict[uuid.UUID, Experiment]) -> uuid.UUID | None:
    """The nearest ancestor that stays, None where there is none."""
    ancestor = child.parent_experiment_id
    while ancestor in doomed:
        ancestor = doomed[ancestor].parent_experiment_id
    return ancestor


def adopt(child: Experiment, parent_id: uuid.UUID | None, *, by: User | None) -> None:
    """Give a child another parent, or make it a root, because its own parent is deleted."""
    if parent_id is None:
        child.features_diff_given = False
    was = child.parent_experiment
    child.parent_experiment_id = parent_id
    child.save(update_fields=["parent_experiment", *DERIVED, "updated_at"])
    note(child, Event.EDITED, by=by, detail=f"parent: {was} was deleted")


def purge() -> int:
    """Take the points of deleted experiments out of the metric store; returns how many experiments are done with.

    May run at any time and twice at once. What the store cannot do now stays marked for the next time.
    """
    done = 0
    for place, ids in waiting():
        try:
            process.repository().forget(place, ids)
        except (StoreError, Unavailable) as error:
            logger.warning("The points of %d deleted experiments wait for the metric store: %s", len(ids), error)
            continue
        freshness.touch([*ids, place.project_id])
        done += DeletedExperiment.objects.filter(pk__in=ids).update(purged_at=timezone.now())
    return done


def waiting() -> Iterator[tuple[Place, list[uuid.UUID]]]:
    """The deleted experiments whose points are still there, by place."""
    by_place: dict[Place, list[uuid.UUID]] = {}
    for mark_ in DeletedExperiment.objects.filter(purged_at=None):
        by_place.setdefault(Place(mark_.team_id, mark_.project_id), []).append(mark_.experiment_id)
    for place, found in by_place.items():
        yield from ((place, ids) for ids in chunks(found))


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of at most CHUNK, so that no statement has too many parameters."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
