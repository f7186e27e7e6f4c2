"""What a planned hypothesis would take: how many replicates show an effect, judged by the spread between seeds that the project has seen."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.models import Experiment
from experiments.readings.numbers import Numbers
from hypotheses.judgements.values import noise_of
from hypotheses.judging.planning import mde, replicates_needed
from metrics.store.shapes import Place, Summaries
from projects.models import Project, ProjectMetric

RUNS_MOST = 5_000
NOISE_RUNS = 100  # the newest, whose tails say how noisy a run's own end is
PLANS = (3, 5, 10, 20)
Values = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Spread:
    """The standard deviation between seeds in the metric's unit, pooled over `arms` arms with `df` degrees of freedom, never below a run's own noise."""

    sd: float
    df: int
    arms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The finite values of a metric by replicate_key, and the variance that the tails of the newest runs demand at least."""

    arms: Values
    noise: float


@dataclass(frozen=True, slots=True)
class Prospect:
    """What one target would take. `effect` in the metric's unit, None where a percentage has no baseline to be of; `needed` runs a side."""

    metric: ProjectMetric
    effect: float | None
    spread: Spread | None
    base: float | None
    needed: int | None
    detectable: Sequence[tuple[int, float]]  # (runs a side, the smallest effect that they show)

    @property
    def effect_sd(self) -> float | None:
        """The effect in standard deviations between seeds."""
        return None if self.effect is None or self.spread is None or self.spread.sd == 0 else self.effect / self.spread.sd


def seen_in(project: Project, metric: ProjectMetric, numbers: Numbers) -> Seen:
    """What the project's complete runs say of the metric; nothing where the store is away."""
    rows = Experiment.objects.filter(project=project, status=Experiment.Status.COMPLETE).current()
    keys = dict(rows.order_by("-created_at").values_list("pk", "replicate_key")[:RUNS_MOST])
    nothing: Summaries = {}
    place = Place(project.team_id, project.pk)
    found = numbers.ask(lambda store: store.summaries(place, experiments=list(keys), metrics=[metric.name]), nothing) if keys else nothing
    arms: Values = defaultdict(list)
    for pk, summaries in found.items():
        summary = summaries.get(metric.name)
        if summary is not None and math.isfinite(value := summary.by(metric.aggregation)):
            arms[keys[pk]].append(value)
    newest = {pk: found[pk] for pk in list(keys)[:NOISE_RUNS] if pk in found}
    return Seen(arms, numbers.ask(lambda store: noise_of(store, place, newest, metric.name, metric.aggregation), 0.0))


def spread_of(arms: Iterable[Sequence[float]], noise: float) -> Spread | None:
    """The pooled standard deviation of arms with two runs or more, raised to that of `noise`; None where there is none."""
    replicated = [values for values in arms if len(values) > 1]
    df = sum(len(values) - 1 for values in replicated)
    if df == 0:
        return None
    within = sum((value - sum(values) / len(values)) ** 2 for values in replicated for value in values)
    return Spread(math.sqrt(max(within / df, noise)), df, len(replicated))


def prospect(metric: ProjectMetric, seen: Seen, *, effect: float, is_percent: bool, baseline_key: str = "") -> Prospect:
    """How many runs a side show `effect` with chance 0.8; the baseline's mean is that of its arm, else of all runs."""
    spread = spread_of(seen.arms.values(), seen.noise)
    base = mean_of(seen.arms.get(baseline_key) or [value for values in seen.arms.values() for value in values])
    size = effect if not is_percent else None if base is None else effect / 100 * abs(base)
    needed = replicates_needed(size / spread.sd) if spread and spread.sd and size else None
    detectable = [(n, sd * spread.sd) for n in PLANS if (sd := mde(n, n)) is not None] if spread else []
    return Prospect(metric, size, spread, base, needed, detectable)


def mean_of(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None
