"""Whether a series has diverged: it lost what it had gained. Pure arithmetic on its two ends and its best value.

In the direction in which the metric is better: `gained` is from where it began to its best, `lost` from its best to where it is now; both ends
are medians of WINDOW points, so that a spike is no end. It has diverged where it lost most of what it gained, and far more than its points
scatter. The scatter is the median step between neighbours at both ends (as a standard deviation, where they are independent and normal): an end
that runs away is half of the steps and does not excuse itself. A flat, noisy series is 4 to 5 of these below its best. One bad value as the best
(heavy tails) can fool it, which is why a metric is watched only where somebody asks for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
WINDOW = 20
LEAST_POINTS = 2 * WINDOW
LOST_SHARE = 0.75
SCATTERS = 10.0
LEAST_CHANGE = 0.02
# The median of |x - y| of two normal values is 0.954 standard deviations of one.
DEVIATION = 1.0 / 0.954


@dataclass(frozen=True)
class Divergence:
    """Where a series began, its best, where it is now, and the share of what it gained that it lost (infinite where it gained nothing)."""

    began: float
    best: float
    now: float
    share: float


def divergence(beginning: Floats, ending: Floats, best: float, *, sign: int) -> Divergence | None:
    """What was lost, or None where the series is well. `sign` is +1 where more is better, -1 where less is; values of shape (points,) in order."""
    first, last = beginning[np.isfinite(beginning)], ending[np.isfinite(ending)]
    if len(first) < WINDOW or len(last) < WINDOW or not math.isfinite(best) or sign == 0:
        return None
    began, now = float(np.median(first)), float(np.median(last))
    gained, lost = sign * (best - began), sign * (best - now)
    least = max(SCATTERS * scatter(first, last), LEAST_CHANGE * abs(best))
    if lost <= least or lost <= LOST_SHARE * gained:
        return None
    return Divergence(began, best, now, lost / gained if gained > 0 else math.inf)


def scatter(*ends: Floats) -> float:
    """How far points lie from their neighbours, as a standard deviation; a trend hardly counts."""
    return float(np.median(np.abs(np.concatenate([np.diff(values) for values in ends])))) * DEVIATION
