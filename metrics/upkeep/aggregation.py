"""The hours of series: rebuilt each night for the days that gained points, or lost them.

What is to be done is found by counting: a series whose hours and summaries tell of other numbers of points has something to rebuild, however
late a point came and whatever its clock said. Every step may be repeated: an hour is rebuilt as a whole, and its highest version counts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metrics import process
from metrics.clock.occurrences import Turn
from metrics.drain import record
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Behind, Place

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
# One statement's worth: a second or two of work, after which a stopping server is heeded, and memory that an embedded engine has to spare.
STATEMENT_POINTS = 1_000_000
STATEMENT_HOURS = 100_000
STATEMENT_EXPERIMENTS = 200


@dataclass(frozen=True)
class Chunk:
    """Experiments whose hours from `first` on (microseconds) are rebuilt together, and how many points that is about."""

    experiments: list[uuid.UUID]
    first: int
    points: int


def aggregate(turn: Turn) -> str:
    """Bring the hours of every project up to the midnight of the turn; what was done. Raises OutOfTime, StoreError."""
    repository, rebuilt, unclear = process.open_repository(), 0, 0
    for place in record.places():
        turn.require_time()
        behind = repository.behind(place, until=turn.midnight_us)
        if behind:
            rebuilt += len(behind)
            unclear += len(of_place(repository, place, behind, turn))
    told = f"Rebuilt the hours of {rebuilt} experiments."
    return f"{told} {unclear} of them have other numbers of points by their summaries: reconcile looks at them." if unclear else told


def of_place(repository: MetricRepository, place: Place, behind: Sequence[Behind], turn: Turn) -> list[Behind]:
    """Rebuild from the last day that is known; where that was not enough, a late point came and all days are. Whoever is behind even then."""
    ids = [one.experiment for one in behind]
    rebuild(repository, place, behind, turn, is_whole=False)
    late = repository.behind(place, until=turn.midnight_us, experiments=ids)
    if not late:
        return []
    rebuild(repository, place, late, turn, is_whole=True)
    return repository.behind(place, until=turn.midnight_us, experiments=[one.experiment for one in late])


def rebuild(repository: MetricRepository, place: Place, behind: Sequence[Behind], turn: Turn, *, is_whole: bool) -> None:
    """Rebuild the hours of experiments, from the start or from the last day that is known of them."""
    for chunk in chunks(behind, is_whole=is_whole):
        rebuild_span(repository, place, chunk.experiments, first=chunk.first, until=turn.midnight_us, turn=turn)
        forget_gone(repository, place, chunk.experiments)
        process.failpoint("in-aggregation")


def chunks(behind: Sequence[Behind], *, is_whole: bool) -> Iterator[Chunk]:
    """Experiments in groups of about one statement's worth. They come in the order of the day from which they are rebuilt."""
    held: list[uuid.UUID] = []
    first = points = 0
    for one in behind:
        if held and (points + abs(one.points) > STATEMENT_POINTS or len(held) == STATEMENT_EXPERIMENTS):
            yield Chunk(held, first, points)
            held, points = [], 0
        first = first if held else 0 if is_whole else one.since_us // DAY_US * DAY_US
        held.append(one.experiment)
        points += abs(one.points)
    if held:
        yield Chunk(held, first, points)


def rebuild_span(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID], *, first: int, until: int, turn: Turn) -> None:
    """Rebuild the hours in [first, until), in as many statements as their points need. Raises OutOfTime between two of them."""
    for start, end in spans(repository, place, experiments, first=first, until=until):
        turn.require_time()
        repository.rebuild_hours(place, experiments, first=start, until=end)


def spans(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID], *, first: int, until: int) -> Iterator[tuple[int, int]]:
    """[first, until) cut at full hours into parts of at most one statement's points and hours of series, where no single hour has more."""
    start = first
    held_points = held_hours = 0
    for hour, points, series in repository.density(place, experiments, first=first, until=until):
        if held_points and (held_points + points > STATEMENT_POINTS or held_hours + series > STATEMENT_HOURS):
            yield start, hour
            start, held_points, held_hours = hour, 0, 0
        held_points, held_hours = held_points + points, held_hours + series
    yield start, until


def forget_gone(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID]) -> None:
    """Take out again what was made of experiments that were deleted meanwhile."""
    gone = set(experiments) - record.living(experiments)
    if gone:
        repository.forget(place, list(gone))
