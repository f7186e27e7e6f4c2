"""The numbers of a few experiments, as a page shows them: read once from the metric store, and said to be missing where it is away."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.models import Experiment
from experiments.readings.numbers import Numbers
from metrics.store.shapes import Place, Summaries, Summary
from projects.models import Project, ProjectMetric


@dataclass(frozen=True)
class Measured:
    """The summaries of a page's experiments and the metrics that they have, those with a direction first."""

    summaries: Summaries
    metrics: Sequence[ProjectMetric]
    is_store_away: bool = False

    def summary(self, experiment: Experiment, metric: ProjectMetric) -> Summary | None:
        """One series as numbers; None where the experiment has no point of the metric."""
        return self.summaries.get(experiment.pk, {}).get(metric.name)

    def value(self, experiment: Experiment, metric: ProjectMetric) -> float | None:
        """The one number of a series by the metric's aggregation, perhaps NaN; None where there is none."""
        summary = self.summary(experiment, metric)
        return None if summary is None else summary.shown(metric.aggregation)

    def change(self, experiment: Experiment, metric: ProjectMetric, *, against: Experiment | None) -> float | None:
        """The value less that of `against`. None where either has no finite value, or failed: a broken run shows no effect."""
        if against is None or against.pk == experiment.pk or is_failed(experiment) or is_failed(against):
            return None
        ours, theirs = self.value(experiment, metric), self.value(against, metric)
        if ours is None or theirs is None or not (math.isfinite(ours) and math.isfinite(theirs)):
            return None
        return ours - theirs


def is_failed(experiment: Experiment) -> bool:
    """Whether the run ended badly."""
    return experiment.status == Experiment.Status.FAILED


def measured(project: Project, experiments: Iterable[Experiment]) -> Measured:
    """What the metric store knows of these experiments of one project. Where it is away, the metrics of the record without numbers."""
    ids = [experiment.pk for experiment in experiments]
    nothing: Summaries = {}
    numbers = Numbers()
    found = numbers.ask(lambda repository: repository.summaries(Place(project.team_id, project.pk), experiments=ids), nothing) if ids else nothing
    defined = list(project.metrics.all())
    return Measured(found, in_order(defined if numbers.is_away else seen(project, found, defined)), is_store_away=numbers.is_away)


def seen(project: Project, found: Summaries, defined: Sequence[ProjectMetric]) -> list[ProjectMetric]:
    """The metrics that the experiments have, one that the record does not know yet as an unsaved row."""
    known = {metric.name: metric for metric in defined}
    names = {name for summaries in found.values() for name in summaries}
    return [known.get(name) or ProjectMetric(project=project, name=name) for name in names]


def in_order(metrics: Iterable[ProjectMetric]) -> list[ProjectMetric]:
    """Those whose direction is known first, then by name."""
    return sorted(metrics, key=lambda metric: (not metric.direction, metric.name))


def replicate_counts(project: Project, experiments: Iterable[Experiment]) -> dict[str, int]:
    """How many experiments of the project, not archived, share each of these experiments' replicate_key."""
    keys = {experiment.replicate_key for experiment in experiments}
    counts: dict[str, int] = dict.fromkeys(keys, 0)
    for key in Experiment.objects.filter(project=project, replicate_key__in=keys).current().values_list("replicate_key", flat=True).order_by():
        counts[key] += 1
    return counts
