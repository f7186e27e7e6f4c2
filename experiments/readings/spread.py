"""Several runs' values of one metric as mean, deviation and n, and what they are called together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from experiments.models import Experiment


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


def shared_name(replicates: Sequence[Experiment]) -> str:
    """What the names of replicates share, without what counts them: `wider · s1`, `wider · s2` give `wider`."""
    names = [run.name for run in replicates]
    shared = names[0][: next((i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), min(map(len, names)))]
    trimmed = shared.rstrip(" ·-_/#:([,0123456789") if len(names) > 1 else names[0]
    for word in ("seed", "run", "s"):
        cut = trimmed.removesuffix(word)
        if cut != trimmed and cut[-1:] in tuple(" ·-_/#:(["):
            trimmed = cut.rstrip(" ·-_/#:([")
    return replicates[0].replicate_group or trimmed or names[0]
