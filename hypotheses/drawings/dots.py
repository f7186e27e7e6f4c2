"""A run as a dot of a drawing: its place, and what it says on hover. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypotheses.weighing.cases import Run

DOTS_MOST = 60
LANES = (13, 16, 19)


@dataclass(frozen=True, slots=True)
class Dot:
    """One run: its place, how deep it lies, what it says on hover."""

    x: str
    y: str
    title: str


def values_of(runs: Iterable[Run], metric: str) -> list[tuple[Run, float]]:
    """The runs that have a finite value of the metric, with it."""
    found = ((run, run.values.get(metric)) for run in runs)
    return [(run, value.value) for run, value in found if value is not None and value.status == "ok" and value.value is not None]
