"""What the drain asks of the record, and tells it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone as clock

from experiments.models import DeletedExperiment, Experiment
from hypotheses.claims.wanting import late_points
from metrics.models import FIRST_SPOOL_WRITER, Spool
from metrics.store.shapes import Place
from projects.models import Project, ProjectMetric

CHUNK = 500


def living(experiments: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those of `experiments` that the record still has."""
    asked = list(experiments)
    found: set[uuid.UUID] = set()
    for first in range(0, len(asked), CHUNK):
        found |= set(Experiment.objects.filter(pk__in=asked[first : first + CHUNK]).values_list("pk", flat=True))
    return found


def note_points(received: Mapping[uuid.UUID, int]) -> None:
    """Move each experiment's time of the last point forward. Times in microseconds. In one order, so that no two drains wait for each other."""
    with transaction.atomic():
        for experiment, at_us in sorted(received.items()):
            at = Value(datetime.fromtimestamp(at_us / 1e6, tz=UTC))
            Experiment.objects.filter(pk=experiment).update(last_point_at=Greatest(Coalesce(F("last_point_at"), at), at))
        late_points(received)


def define_metrics(names: Iterable[tuple[uuid.UUID, str]]) -> None:
    """Make a project metric, its direction unset, for each (project, name) that has none."""
    wanted = list(names)
    projects = set(Project.objects.filter(pk__in={project for project, _ in wanted}).values_list("pk", flat=True))
    rows = [ProjectMetric(project_id=project, name=name) for project, name in sorted(wanted) if project in projects]
    ProjectMetric.objects.bulk_create(rows, ignore_conflicts=True, batch_size=CHUNK)


def unpurged() -> list[tuple[Place, uuid.UUID]]:
    """Deleted experiments whose points are still in the metric store."""
    marks = DeletedExperiment.objects.filter(purged_at=None)
    return [(Place(mark.team_id, mark.project_id), mark.experiment_id) for mark in marks]


def purged(experiment: uuid.UUID) -> None:
    """The points of a deleted experiment are gone."""
    DeletedExperiment.objects.filter(pk=experiment).update(purged_at=clock.now())


def places() -> list[Place]:
    """Where series live: every project."""
    return [Place(team, project) for project, team in Project.objects.values_list("pk", "team_id").order_by("pk")]


def restore_is_asked(writer: int) -> bool:
    """Whether somebody misses points that the spool with this number may have kept, and has had no answer."""
    asked = Q(restored_at=None) | Q(restored_at__lt=F("restore_asked_at"))
    return Spool.objects.filter(asked, pk=writer - FIRST_SPOOL_WRITER, restore_asked_at__isnull=False).exists()


def restored(writer: int) -> None:
    """What the spool had kept is stored again."""
    Spool.objects.filter(pk=writer - FIRST_SPOOL_WRITER).update(restored_at=clock.now())
