"""The strips: every run's raw value, an arm a row. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from experiments.notation.numerals import number
from hypotheses.drawings.dots import LANES, Dot, values_of
from hypotheses.drawings.scales import Scale, Tick, scale_over
from hypotheses.weighing.cases import Arm, Run, Term


@dataclass(frozen=True, slots=True)
class StripRow:
    """The raw values of one arm: a dot for each run, its mean, and how many failed."""

    name: str
    slug: str
    n: int
    is_baseline: bool
    is_post_hoc: bool
    dots: tuple[Dot, ...]
    mean: float | None
    mean_at: str
    sd: float | None
    failed: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class Strips:
    """The values of one metric, baseline first, on one scale."""

    rows: list[StripRow]
    base_mean: str
    ticks: list[Tick]


def strips(arms: Sequence[Arm], baseline: Sequence[Run], term: Term) -> Strips:
    """Raw values of the baseline and of each arm by one metric; a metric to minimise runs from right to left."""
    every = [value for runs in (baseline, *(arm.runs for arm in arms)) for _, value in values_of(runs, term.metric)]
    scale = scale_over(every, is_flipped=term.direction == "minimize")
    base = strip_row("baseline", "", baseline, term.metric, scale, is_baseline=True)
    rows = [strip_row(arm.name, arm.earliest.slug, arm.runs, term.metric, scale, is_post_hoc=arm.is_post_hoc) for arm in arms]
    return Strips([base, *rows], base.mean_at, scale.ticks() if every else [])


def strip_row(name: str, slug: str, runs: Sequence[Run], metric: str, scale: Scale, *, is_baseline: bool = False, is_post_hoc: bool = False) -> StripRow:
    """One arm's strip; its dots lie in three lanes, so that equal values show."""
    found = values_of(runs, metric)
    values = [value for _, value in found]
    mean = fmean(values) if values else None
    return StripRow(
        name=name,
        slug=slug,
        n=len(values),
        is_baseline=is_baseline,
        is_post_hoc=is_post_hoc,
        dots=tuple(Dot(scale.at(value), str(LANES[i % len(LANES)]), f"{run.name}: {number(value)}") for i, (run, value) in enumerate(found)),
        mean=mean,
        mean_at="" if mean is None else scale.at(mean),
        sd=stdev(values) if len(values) > 1 else None,
        failed=sum(has_failed(run, metric) for run in runs),
        unfinished=sum(not run.is_ended for run in runs),
    )


def has_failed(run: Run, metric: str) -> bool:
    """Whether the run ended without a value of the metric, and nobody stopped it."""
    value = run.values.get(metric)
    return run.is_ended and not run.is_interrupted and (run.state != "complete" or (value is not None and value.status == "non_finite"))
