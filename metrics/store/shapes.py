"""What the metric store is asked by, and what it answers with: places, windows, series, grids, summaries."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """Where a series lives. A query never leaves its team and project."""

    team_id: uuid.UUID
    project_id: uuid.UUID


@dataclass(frozen=True)
class Window:
    """A closed range of x: `kind` step, time or relative; times in microseconds."""

    kind: str = "step"
    first: int = -(2**63)
    last: int = 2**63 - 1


@dataclass(frozen=True)
class Series:
    """Points in the order of x: four arrays of shape (points,). Times in microseconds since 1970, UTC."""

    step: Ints
    time: Ints
    x: Ints
    value: Floats


@dataclass(frozen=True)
class ThinnedSeries(Series):
    """One row a bucket: `value` is the mean of its finite values, `low` and `high` their extremes (NaN where there is none)."""

    low: Floats
    high: Floats


@dataclass(frozen=True)
class Extent:
    """How many points, between which x (both 0 where there is no point), and how many of them are NaN or infinite where the summaries were asked."""

    points: int
    first: int
    last: int
    nonfinite: int = 0


@dataclass(frozen=True)
class GridRow:
    """One experiment on a shared grid: arrays of shape (buckets,), NaN where it has no finite value there; kinds of the others as bits (statements.CAREFUL)."""

    centre: Floats
    low: Floats
    high: Floats
    nonfinite: int
    nonfinite_at: int | None
    nonfinite_kinds: int = 0


@dataclass(frozen=True)
class SparseRow:
    """One experiment's own buckets, in their order: their numbers, the first place in each, and its values."""

    buckets: NDArray[np.uint64]
    places: Ints
    centre: Floats
    low: Floats
    high: Floats
    nonfinite: int
    nonfinite_at: int | None
    nonfinite_kinds: int = 0

    @property
    def is_finite(self) -> bool:
        """Whether every value that went into it was. A NaN can hide from min and max, never from a mean."""
        return not self.nonfinite and bool(np.isfinite(self.centre).all() and np.isfinite(self.low).all() and np.isfinite(self.high).all())


@dataclass(frozen=True)
class Grid:
    """Many series on one x: `x` (buckets,) holds the first place that any of them has in a bucket; empty buckets are left out."""

    x: Ints
    width: int
    rows: dict[uuid.UUID, GridRow]


@dataclass(frozen=True)
class Summary:
    """One series as numbers. `low`, `high` and `average` over its finite values (NaN where there is none); `last` may be NaN or infinite."""

    count: int
    nonfinite: int
    total: float
    low: float
    high: float
    last: float
    first_step: int
    last_step: int
    first_time: int
    last_time: int

    @property
    def average(self) -> float:
        """Mean of the finite values."""
        finite = self.count - self.nonfinite
        return self.total / finite if finite else float("nan")

    def by(self, aggregation: str) -> float:
        """The one number of the series by `last`, `min`, `max` or `avg`. Raises KeyError for another word."""
        return {"last": self.last, "min": self.low, "max": self.high, "avg": self.average}[aggregation]

    def shown(self, aggregation: str) -> float | None:
        """The same for people: None where no finite value is there to be least, greatest or averaged. NaN is what was logged alone."""
        value = self.by(aggregation)
        return None if aggregation != "last" and value != value else value

    @property
    def least(self) -> float | None:
        """The least finite value."""
        return self.shown("min")

    @property
    def most(self) -> float | None:
        """The greatest finite value."""
        return self.shown("max")


@dataclass(frozen=True)
class Stretch:
    """A range of steps of one series, its ends included."""

    place: Place
    experiment: uuid.UUID
    metric: str
    low: int
    high: int


Summaries = dict[uuid.UUID, dict[str, Summary]]
SeriesKey = tuple[uuid.UUID, str]


@dataclass(frozen=True)
class Behind:
    """An experiment whose hours do not hold what its summaries count: how many points more or fewer, and the end of what is known, in microseconds."""

    experiment: uuid.UUID
    points: int
    since_us: int


@dataclass(frozen=True)
class Spooled:
    """What the spools count of one series, taken together (`count` may wrap), and the version of its last correction, 0 where there is none."""

    count: int
    nonfinite: int
    total: float
    version: int
    spools: tuple[int, ...]


@dataclass(frozen=True)
class Hours:
    """Which hours are read for their points: from `first` to before `until`, microseconds. None, and false, where these are no span."""

    first: int = 0
    until: int = 0

    def __bool__(self) -> bool:
        return self.first < self.until


@dataclass(frozen=True)
class Readings:
    """One metric of a whole project: which experiments have it, and by `last`, `min`, `max` and `avg` their numbers in the same order; NaN for none."""

    experiments: list[uuid.UUID]
    numbers: dict[str, Floats]
