"""Points that are older than their project keeps them, replaced by their hours: one mean, least and greatest value an hour.

A drop goes through phases, each noted before the next begins, each repeatable. First the hours before the cut are copied to a part of their own
(the number of the drop), only where they are exactly what the points say. Then the points go, in pieces, and part 0 is rebuilt from what is left:
nothing, or points that came later, which wait for the next drop. From `frozen_at` to the end a point may be in the store beside the hour that
stands for it; means and extremes do not change by that. Summaries are never touched: they tell of every point that was ever logged.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from metrics import process
from metrics.clock.occurrences import Turn
from metrics.models import Drop
from metrics.store import freshness, repeat_rows
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place
from metrics.upkeep.aggregation import STATEMENT_EXPERIMENTS, STATEMENT_POINTS, rebuild_span, spans
from projects.models import Project


def drop_old(turn: Turn) -> str:
    """Finish what was begun, then drop what is due in each project that keeps its points for a time; what was done. Raises OutOfTime, StoreError."""
    repository = process.open_repository()
    points = sum(finished(repository, one, turn) for one in Drop.objects.under_way())
    for project in Project.objects.exclude(retention_days=None):
        begun = begin(repository, project, turn)
        points += finished(repository, begun, turn) if begun else 0
    return f"Dropped {points} points."


def begin(repository: MetricRepository, project: Project, turn: Turn) -> Drop | None:
    """A new drop of a project; None where no hour is old enough."""
    cut_us = turn.midnight_us - int(timedelta(days=project.retention_days or 0) / timedelta(microseconds=1))
    if not repository.hour_counts(Place(project.team_id, project.pk), until=max(0, cut_us), part=0):
        return None
    cut = datetime.fromtimestamp(cut_us // 1_000_000, tz=UTC)
    return Drop.objects.create(team_id=project.team_id, project_id=project.pk, cut=cut, logged_until=timezone.now())


def finished(repository: MetricRepository, drop: Drop, turn: Turn) -> int:
    """Bring a drop to its end; how many points it dropped. One of a deleted project has nothing left to do."""
    if drop.frozen_at is None:
        freeze(repository, drop, turn)
        Drop.objects.filter(pk=drop.pk).update(frozen_at=timezone.now())
    process.failpoint("in-drop")
    kept = repository.hour_counts(place_of(drop), until=until_us(drop), part=drop.pk)
    for chunk in chunks(kept):
        release(repository, drop, chunk, kept, turn)
    points = sum(kept.values())
    Drop.objects.filter(pk=drop.pk).update(finished_at=timezone.now(), points=points)
    freshness.touch(kept)
    return points


def freeze(repository: MetricRepository, drop: Drop, turn: Turn) -> None:
    """Copy the hours of those experiments whose points they hold, no more and no less. The others wait until they were aggregated."""
    hours = repository.hour_counts(place_of(drop), until=until_us(drop), part=0)
    for chunk in chunks(hours):
        turn.require_time()
        points = point_counts(repository, drop, chunk)
        whole = [one for one in chunk if points.get(one, 0) == hours[one]]
        if whole:
            keep_hours(repository, drop, whole)


def keep_hours(repository: MetricRepository, drop: Drop, experiments: Sequence[uuid.UUID]) -> None:
    """Copy the hours of these experiments, and let them know what charts show where a step holds several values, while its points are there."""
    repository.freeze_hours(place_of(drop), experiments, until=until_us(drop), part=drop.pk)
    repeat_rows.freeze_shown(repository, place_of(drop), experiments, until=until_us(drop), part=drop.pk)


def release(repository: MetricRepository, drop: Drop, chunk: Sequence[uuid.UUID], kept: Mapping[uuid.UUID, int], turn: Turn) -> None:
    """Delete the points of a chunk and rebuild what is left of their hours. Points that came in meanwhile are taken along first."""
    place, until = place_of(drop), until_us(drop)
    grown = [one for one, points in point_counts(repository, drop, chunk).items() if points > kept[one]]
    if grown:
        rebuild_span(repository, place, grown, first=0, until=until, turn=turn)
        keep_hours(repository, drop, grown)
    for first, end in spans(repository, place, chunk, first=0, until=until):
        turn.require_time()
        repository.drop_points(place, chunk, first=first, until=end, logged=logged_us(drop))
        repository.rebuild_hours(place, chunk, first=first, until=end)


def chunks(counts: Mapping[uuid.UUID, int]) -> Iterator[list[uuid.UUID]]:
    """Experiments in groups of about one statement's worth of points."""
    held: list[uuid.UUID] = []
    total = 0
    for one, points in counts.items():
        if held and (total + points > STATEMENT_POINTS or len(held) == STATEMENT_EXPERIMENTS):
            yield held
            held, total = [], 0
        held.append(one)
        total += points
    if held:
        yield held


def point_counts(repository: MetricRepository, drop: Drop, experiments: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """How many points of each the drop would take."""
    return repository.point_counts(place_of(drop), experiments, until=until_us(drop), logged=logged_us(drop))


def place_of(drop: Drop) -> Place:
    """Where its points lie."""
    return Place(drop.team_id, drop.project_id)


def until_us(drop: Drop) -> int:
    """Its cut in microseconds."""
    return int(drop.cut.timestamp()) * 1_000_000


def logged_us(drop: Drop) -> int:
    """Points logged after this stay, in microseconds."""
    return int(drop.logged_until.timestamp() * 1_000_000)
