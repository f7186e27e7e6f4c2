"""Which series' summaries may differ from their points: found by comparing counts and sums, where nothing moves any more."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from experiments.models import Experiment
from metrics.clock.occurrences import Turn
from metrics.clock.schedule import RECONCILE
from metrics.models import Drop, Occurrence
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, SeriesKey, Summary

MARGIN = timedelta(days=1)
# Besides what changed, a part of everything: all of it within a month.
SLICES = 30
CHUNK_EXPERIMENTS = 200
CHUNK_POINTS = 5_000_000
SERIES_POINTS = 50
TOLERANCE = 1e-9
# A statement may be 256 KB long, a metric's name 250 bytes.
NAMED_MOST = 500


@dataclass(frozen=True)
class Doubt:
    """A series whose summary and points differ; None for the one that there is not."""

    place: Place
    experiment: uuid.UUID
    metric: str
    kept: Summary | None
    found: Summary | None

    @property
    def key(self) -> SeriesKey:
        """The series."""
        return self.experiment, self.metric


def due(turn: Turn) -> Iterator[tuple[Place, list[uuid.UUID]]]:
    """The experiments to look at, by place, in chunks. A project whose points are being dropped waits until that is done."""
    asked = changed() | Experiment.objects.filter(of_slice(turn.slot.toordinal() % SLICES))
    quiet = asked.filter(last_point_at__lt=rest_before()).exclude(project_id__in=Drop.objects.under_way().values("project_id"))
    rows = quiet.values_list("project__team_id", "project_id", "pk").order_by("project_id", "pk")
    held: list[uuid.UUID] = []
    at: Place | None = None
    for team, project, experiment in rows.iterator(chunk_size=2000):
        place = Place(team, project)
        if at is not None and held and (place != at or len(held) == CHUNK_EXPERIMENTS):
            yield at, held
            held = []
        at = place
        held.append(experiment)
    if at is not None and held:
        yield at, held


def rest_before() -> datetime:
    """Points on their way into the store, or summaries on theirs, are no difference: who had a point after this is looked at another time."""
    return timezone.now() - timedelta(seconds=settings.RECONCILE_QUIET_S)


def changed() -> QuerySet[Experiment]:
    """The experiments that had points since a day before the last pass."""
    last = Occurrence.objects.filter(task=RECONCILE.name, finished_at__isnull=False).order_by("-started_at").first()
    return Experiment.objects.filter(last_point_at__gte=last.started_at - MARGIN) if last else Experiment.objects.exclude(last_point_at=None)


def of_slice(number: int) -> Q:
    """One of SLICES parts of all experiments, by their ids."""
    first, until = (uuid.UUID(int=(1 << 128) // SLICES * edge) for edge in (number, number + 1))
    return Q(pk__gte=first) if number == SLICES - 1 else Q(pk__gte=first, pk__lt=until)


def doubts(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID]) -> list[Doubt]:
    """The series at rest whose summary and points differ, seen twice: what was on its way at the first look has arrived at the second."""
    first = {doubt.key for doubt in compared(repository, place, experiments)}
    if not first:
        return []
    return [doubt for doubt in compared(repository, place, sorted({experiment for experiment, _ in first})) if doubt.key in first]


def compared(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID]) -> Iterator[Doubt]:
    """One look."""
    for ids in by_points(repository, place, experiments):
        kept = repository.summaries(place, experiments=ids)
        found, logged = repository.logged(place, ids)
        noted = dict(Experiment.objects.filter(pk__in=ids).values_list("pk", "last_point_at"))
        for experiment in ids:
            if experiment not in noted or not is_at_rest(noted[experiment], max((at for key, at in logged.items() if key[0] == experiment), default=0)):
                continue
            one, other = kept.get(experiment, {}), found.get(experiment, {})
            for metric in sorted(one.keys() | other.keys()):
                if differs(one.get(metric), other.get(metric)):
                    yield Doubt(place, experiment, metric, one.get(metric), other.get(metric))


def by_points(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID]) -> Iterator[list[uuid.UUID]]:
    """Experiments in groups of a bounded number of points, where a series costs as much memory as some points."""
    known = repository.summaries(place, experiments=experiments)
    held: list[uuid.UUID] = []
    total = 0
    for experiment in experiments:
        cost = sum(summary.count + SERIES_POINTS for summary in known.get(experiment, {}).values())
        if held and total + cost > CHUNK_POINTS:
            yield held
            held, total = [], 0
        held.append(experiment)
        total += cost
    if held:
        yield held


def is_at_rest(noted: datetime | None, logged_us: int) -> bool:
    """Whether every block of an experiment has come to its end: its summaries are stored, and the record knows of the last point, a while ago."""
    return noted is not None and noted < rest_before() and logged_us <= int(noted.timestamp() * 1e6) + 1000


def differs(kept: Summary | None, found: Summary | None) -> bool:
    """Whether a summary is not what the points make it. Extremes of points that are not there any more are no difference by themselves."""
    if kept is None or found is None:
        return kept is not found
    return (kept.count, kept.nonfinite) != (found.count, found.nonfinite) or not is_same_sum(kept, found) or exceeds(found, kept)


def is_same_sum(kept: Summary, found: Summary) -> bool:
    """Whether two sums are equal within what adding in another order changes. One that ran over Float64 cannot be compared."""
    if not (math.isfinite(kept.total) and math.isfinite(found.total)):
        return True
    largest = 0.0 if math.isnan(found.low) else max(abs(found.low), abs(found.high))
    return abs(kept.total - found.total) <= TOLERANCE * max(abs(found.total), found.count * largest)


def exceeds(one: Summary, other: Summary) -> bool:
    """Whether `one` reaches further than `other` anywhere."""
    return (
        one.low < other.low or one.high > other.high or (math.isnan(other.low) and not math.isnan(one.low))
        or one.last_step > other.last_step or one.first_step < other.first_step
        or one.last_time > other.last_time or one.first_time < other.first_time
        or (one.last_step == other.last_step and repr(one.last) != repr(other.last))
    )  # fmt: skip


def parts(doubted: Sequence[Doubt]) -> Iterator[Sequence[Doubt]]:
    """As many as one statement can name."""
    return (doubted[first : first + NAMED_MOST] for first in range(0, len(doubted), NAMED_MOST))
