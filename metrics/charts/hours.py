"""Where a chart's numbers come from: the points, or hours where these say the same for less work, or where the points were dropped.

Hours stand in for points on a wall-clock axis whose buckets are an hour or wider (half an hour is widened to one), up to the last hour that was
aggregated; the rest is read from points, and so is every series whose hours do not hold all of it. Where a project drops old points, their hours
are part of every reading, on every axis: each stands as one value (its mean, with least and greatest) at its first point.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Sequence

from metrics.models import Drop
from metrics.store.columns import grid
from metrics.store.repository import MetricRepository, parted
from metrics.store.shapes import Extent, Grid, Hours, Place, Series, ThinnedSeries, Window

HOUR_US = 3_600_000_000
NO_HOURS = Hours()


def series_grid(
    repository: MetricRepository,
    place: Place,
    experiments: Sequence[uuid.UUID],
    metric: str,
    window: Window,
    *,
    width: int,
    is_odd: bool,
    repeated: Container[uuid.UUID],
) -> Grid:
    """Many series on one grid, whose `width` may be wider than asked where hours are read. A series that its hours do not hold whole is read again.

    `is_odd` says whether some values are NaN or infinite, which costs a second reading where it was not known. Those `repeated` have steps with
    several values, of which the latest counts: they are read from points alone.
    """
    hours = readable(window, width)
    if not hours and not has_dropped(place):
        return repository.grid(place, experiments, metric, window, width=width, is_odd=is_odd, repeated=repeated)
    origin, wide = (origin_of(window), whole_hours(window, width)) if hours else (window.first, width)
    single, several = parted(experiments, repeated)
    found, torn = repository.mixed_grid(place, single, metric, window, hours, origin=origin, width=wide)
    found |= repository.mixed_grid(place, list(torn), metric, window, NO_HOURS, origin=origin, width=wide)[0]
    found |= repository.mixed_grid(place, several, metric, window, NO_HOURS, origin=origin, width=wide, is_repeated=True)[0]
    return grid(found, wide)


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
    repository: MetricRepository, place: Place, experiment: uuid.UUID, metric: str, window: Window, extent: Extent, *, width: int, is_repeated: bool
) -> ThinnedSeries:
    """One series in buckets of `width`, wider where hours are read. `extent` is how far it reaches within the window.

    Where it `is_repeated`, some steps hold several values, of which the latest counts.
    """
    narrow = Window(window.kind, max(window.first, extent.first), min(window.last, extent.last))
    hours = readable(narrow, width)
    if hours and not is_repeated and not repository.torn(place, [experiment], metric):
        return repository.mixed_thinned(place, experiment, metric, narrow, hours, origin=origin_of(narrow), width=whole_hours(narrow, width))
    if has_dropped(place):
        return repository.mixed_thinned(place, experiment, metric, window, NO_HOURS, origin=extent.first, width=width, is_repeated=is_repeated)
    return repository.thinned(place, experiment, metric, window, start=extent.first, width=width, is_repeated=is_repeated)


def whole_series(repository: MetricRepository, place: Place, experiment: uuid.UUID, metric: str, window: Window, extent: Extent) -> Series:
    """Every point as it was logged. Where some were dropped: each place of x, with the hours in it as means, least and greatest."""
    stored = repository.series(place, experiment, metric, window)
    if len(stored.step) < extent.points and has_dropped(place):
        return repository.mixed_thinned(place, experiment, metric, window, NO_HOURS, origin=extent.first, width=1)
    return stored


def has_dropped(place: Place) -> bool:
    """Whether points of the project were ever replaced by their hours."""
    return Drop.objects.filter(project_id=place.project_id).exists()


def readable(window: Window, width: int) -> Hours:
    """The full hours inside a window that may be read for their points, in so far as they are known."""
    if window.kind != "time" or 2 * width <= HOUR_US:
        return NO_HOURS
    return Hours(-(-window.first // HOUR_US) * HOUR_US, (window.last + 1) // HOUR_US * HOUR_US)


def origin_of(window: Window) -> int:
    """The full hour at or before the window's first moment: buckets are cut from there, so that none cuts an hour."""
    return window.first // HOUR_US * HOUR_US


def whole_hours(window: Window, width: int) -> int:
    """The least width in whole hours that takes no more buckets than `width` does."""
    buckets = -(-(window.last - window.first + 1) // width)
    return -(-max(width, -(-(window.last - origin_of(window) + 1) // buckets)) // HOUR_US) * HOUR_US
