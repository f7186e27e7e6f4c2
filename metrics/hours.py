"""Where a chart's numbers come from: the points, or hours where these say the same for less work, or where the points were dropped.

Hours stand in for points on a wall-clock axis whose buckets are an hour or wider (half an hour is widened to one), up to the last hour that was
aggregated; the rest is read from points, and so is every series whose hours do not hold all of it. Where a project drops old points, their hours
are part of every reading, on every axis: each stands as one value (its mean, with least and greatest) at its first point.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from metrics.models import Drop
from metrics.repository import MetricRepository, grid
from metrics.shapes import Extent, Grid, Hours, Place, Series, SparseRow, ThinnedSeries, Window

HOUR_US = 3_600_000_000
NO_HOURS = Hours()


def series_grid(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, *, width: int) -> Grid:
    """Many series on one grid, whose `width` may be wider than asked where hours are read."""
    covered = aggregated_until(repository, place, experiments, metric, window, width)
    if covered:
        return hourly_grid(repository, place, experiments, metric, window, covered, width=whole_hours(window, width))
    if not has_dropped(place):
        return repository.grid(place, experiments, metric, window, width=width)
    return grid(repository.mixed_grid(place, experiments, metric, window, NO_HOURS, origin=window.first, width=width), width)


def hourly_grid(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, covered: int, *, width: int) -> Grid:
    """The grid in buckets of whole hours. A series that its hours do not hold whole is read from its points."""
    whole = repository.complete(place, experiments, metric, until=covered)
    rest = [one for one in experiments if one not in set(whole)]
    found: dict[uuid.UUID, SparseRow] = {}
    for ids, hours in ((whole, within(window, covered)), (rest, NO_HOURS)):
        if ids:
            found |= repository.mixed_grid(place, ids, metric, window, hours, origin=origin_of(window), width=width)
    return grid(found, width)


def series_extent(repository: MetricRepository, place: Place, experiment: uuid.UUID, metric: str, window: Window) -> Extent:
    """How many points were logged within the window, dropped ones included, and how far they reach."""
    if window.kind == "time":
        reach = repository.reach(place, [experiment], metric, window.kind)
        if window.first <= reach.first and reach.last <= window.last:
            return reach
    if has_dropped(place):
        return repository.mixed_extent(place, experiment, metric, window)
    return repository.extent(place, [experiment], metric, window)


def thinned_series(
    repository: MetricRepository, place: Place, experiment: uuid.UUID, metric: str, window: Window, extent: Extent, *, width: int
) -> ThinnedSeries:
    """One series in buckets of `width`, wider where hours are read. `extent` is how far it reaches within the window."""
    narrow = Window(window.kind, max(window.first, extent.first), min(window.last, extent.last))
    covered = aggregated_until(repository, place, [experiment], metric, narrow, width)
    if covered and repository.complete(place, [experiment], metric, until=covered):
        wide = whole_hours(narrow, width)
        return repository.mixed_thinned(place, experiment, metric, narrow, within(narrow, covered), origin=origin_of(narrow), width=wide)
    if has_dropped(place):
        return repository.mixed_thinned(place, experiment, metric, window, NO_HOURS, origin=extent.first, width=width)
    return repository.thinned(place, experiment, metric, window, start=extent.first, width=width)


def whole_series(repository: MetricRepository, place: Place, experiment: uuid.UUID, metric: str, window: Window, extent: Extent) -> Series:
    """Every point as it was logged. Where some were dropped: each place of x, with the hours in it as means, least and greatest."""
    stored = repository.series(place, experiment, metric, window)
    if len(stored.step) < extent.points and has_dropped(place):
        return repository.mixed_thinned(place, experiment, metric, window, NO_HOURS, origin=extent.first, width=1)
    return stored


def has_dropped(place: Place) -> bool:
    """Whether points of the project were ever replaced by their hours."""
    return Drop.objects.filter(project_id=place.project_id).exists()


def aggregated_until(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, width: int) -> int:
    """The end of the hours that may be read for this window, in microseconds; 0 where points are to be read."""
    if window.kind != "time" or 2 * width <= HOUR_US:
        return 0
    covered = repository.aggregated_until(place, experiments, metric)
    hours = within(window, covered)
    return covered if hours.first < hours.until else 0


def within(window: Window, covered: int) -> Hours:
    """The full hours inside a window that are covered."""
    return Hours(-(-window.first // HOUR_US) * HOUR_US, min(covered, (window.last + 1) // HOUR_US * HOUR_US))


def origin_of(window: Window) -> int:
    """The full hour at or before the window's first moment: buckets are cut from there, so that none cuts an hour."""
    return window.first // HOUR_US * HOUR_US


def whole_hours(window: Window, width: int) -> int:
    """The least width in whole hours that takes no more buckets than `width` does."""
    buckets = -(-(window.last - window.first + 1) // width)
    return -(-max(width, -(-(window.last - origin_of(window) + 1) // buckets)) // HOUR_US) * HOUR_US
