"""The state of a series as absolute numbers, and how a block of points adds to it."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKED = struct.Struct("<QQddddqqQqq")


@dataclass(frozen=True)
class State:
    """One series of one spool. `low` and `high` are NaN where there is no finite value; times in microseconds.

    Beside the packed numbers are kept: `once`, no step comes twice, for certain; and when the server took the point of `last`, in microseconds, 0 where
    an earlier version did not say. The last value is that of the highest step, and there of the point that came last.
    """

    count: int
    nonfinite: int
    total: float
    low: float
    high: float
    last: float
    last_step: int
    last_us: int
    last_point: int
    first_step: int
    first_us: int
    once: bool = False
    last_logged: int = 0

    def packed(self) -> bytes:
        """88 bytes, every bit kept."""
        return PACKED.pack(*(getattr(self, name) for name in PACKED_FIELDS))

    @classmethod
    def unpacked(cls, data: bytes, *, once: bool, last_logged: int) -> State:
        """The inverse of `packed`."""
        return replace(cls(*PACKED.unpack(data)), once=once, last_logged=last_logged)

    def joined(self, other: State) -> State:
        """This state and the points of `other`."""
        later = max(self, other, key=lambda state: (state.last_step, state.last_logged, state.last_point))
        return State(
            count=self.count + other.count,
            nonfinite=self.nonfinite + other.nonfinite,
            total=self.total + other.total,
            low=least(self.low, other.low),
            high=-least(-self.high, -other.high),
            last=later.last,
            last_step=later.last_step,
            last_us=max(self.last_us, other.last_us),
            last_point=later.last_point,
            first_step=min(self.first_step, other.first_step),
            first_us=min(self.first_us, other.first_us),
            once=self.once and other.once and (self.last_step < other.first_step or other.last_step < self.first_step),
            last_logged=later.last_logged,
        )


PACKED_FIELDS = [each.name for each in fields(State) if each.name not in ("once", "last_logged")]


def least(a: float, b: float) -> float:
    """The smaller one; NaN only where both are."""
    return b if math.isnan(a) or b < a else a


def states(
    series: NDArray[Any],
    steps: NDArray[np.int64],
    times: NDArray[np.int64],
    point_ids: NDArray[np.uint64],
    values: NDArray[np.float64],
    logged: NDArray[np.int64],
) -> dict[int, State]:
    """The state of each series among points: `series` (points,) holds a number for each point's series; the result is keyed by it."""
    order = np.lexsort((point_ids, logged, steps, series))
    series, steps, times, point_ids, values, logged = series[order], steps[order], times[order], point_ids[order], values[order], logged[order]
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
    ends = np.r_[starts[1:], len(series)] - 1
    finite = np.isfinite(values)
    low = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
    high = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
    counts, odd = ends - starts + 1, np.add.reduceat(~finite, starts, dtype=np.int64)
    none_finite = counts == odd
    is_again = np.r_[False, (series[1:] == series[:-1]) & (steps[1:] == steps[:-1])]
    with np.errstate(over="ignore"):
        totals = np.add.reduceat(np.where(finite, values, 0.0), starts)
    columns = [
        counts, odd, totals, np.where(none_finite, np.nan, low), np.where(none_finite, np.nan, high),
        values[ends], steps[ends], np.maximum.reduceat(times, starts), point_ids[ends], steps[starts], np.minimum.reduceat(times, starts),
        ~np.logical_or.reduceat(is_again, starts), logged[ends],
    ]  # fmt: skip
    return {key: State(*row) for key, *row in zip(series[starts].tolist(), *(column.tolist() for column in columns), strict=True)}
