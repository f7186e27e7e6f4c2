"""Several runs' values of one metric as mean, deviation and n."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Spread:
    """What several runs say of one metric: mean and sample standard deviation (None for a single run) of `n` finite values."""

    n: int
    mean: float | None
    sd: float | None
    change: float | None


def spread_of(values: Iterable[float | None], reference: float | None) -> Spread:
    """Mean, deviation and difference from `reference` of the finite values."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return Spread(0, None, None, None)
    mean = fmean(finite)
    return Spread(len(finite), mean, stdev(finite) if len(finite) > 1 else None, None if reference is None else mean - reference)
