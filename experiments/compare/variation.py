"""How much a row of values varies over the runs of a comparison, so that rows can be ordered by it.

Two numbers, the first before the second: how many different values there are (no value counts as one), and, for numbers, their relative spread: the
standard deviation over the mean of their sizes, sqrt(mean((v - mean(v))^2)) / mean(|v|), over the finite values. It knows no unit, and is 0 for equal
values; for values above zero it is the coefficient of variation. Rows of text have no spread and come after the numbers among rows with as many values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Variation:
    """`values` different ones; `spread` from 0 on, None where they are not all numbers."""

    values: int
    spread: float | None = None

    @property
    def order(self) -> tuple[int, float]:
        """The key that puts what varies most first."""
        return (-self.values, -1.0 if self.spread is None else -2.0 - self.spread)


def variation(values: Sequence[object], texts: Sequence[str]) -> Variation:
    """The variation of one row: a value for each run (None for none), and how each is written. What is written alike is one value."""
    return Variation(len(set(texts)), relative_spread(value for value in values if value is not None))


def relative_spread(values: Iterable[object]) -> float | None:
    """The standard deviation of the finite numbers over the mean of their sizes; None where one of the values is no number, or none is finite."""
    sizes = [as_float(value) for value in values]
    finite = [size for size in sizes if size is not None and math.isfinite(size)]
    if None in sizes or not finite:
        return None
    largest = max(abs(size) for size in finite)
    if not largest:
        return 0.0
    scaled = [size / largest for size in finite]  # so that no square is too large for a number
    mean = fmean(scaled)
    return math.sqrt(fmean((size - mean) ** 2 for size in scaled)) / fmean(abs(size) for size in scaled)


def as_float(value: object) -> float | None:
    """A number; None for all else, for truth values and for whole numbers that no float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
