"""What an experiment's own page shows, gathered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from experiments.models import Experiment, ExperimentEvent
from experiments.notation.colours import style_of
from experiments.notation.equality import is_nothing
from experiments.notation.numerals import decimals_for, decimals_of
from experiments.readings.measured import Measured, measured, replicate_counts
from experiments.readings.sections import Found, Sought
from experiments.stalled import state_of
from experiments.writer import LostWriter, Missing, lost_writer, missing
from hypotheses.models import Link
from metrics import process
from metrics.store import freshness
from metrics.store.shapes import Summary
from projects.models import ProjectMetric

ANCESTORS_MOST = 12
CHILDREN_MOST = 50
FACTS_MOST = 6
CLAIMS_MOST = 20
EVENTS_MOST = 50
READINGS_MOST = 200
ALL = Sought()


@dataclass(frozen=True)
class Reading:
    """One metric of the experiment, and how it moved against the parent."""

    metric: ProjectMetric
    summary: Summary | None
    value: float | None
    parent: float | None
    change: float | None

    @property
    def decimals(self) -> int | None:
        """The decimals of the value, so that its change lines up with it."""
        return decimals_for(abs(self.value)) if self.value else None


@dataclass(frozen=True)
class Step:
    """One node of the lineage strip. `skipped` counts the generations left out before it."""

    experiment: Experiment
    value: float | None
    is_here: bool
    skipped: int = 0


class Overview:
    """One experiment with its kin and its numbers."""

    def __init__(self, experiment: Experiment, sought: Sought = ALL) -> None:
        self.experiment, self.sought = experiment, sought
        self.parent = experiment.parent_experiment
        self.pending = process.pending([experiment.pk])

    @property
    def style(self) -> str:
        """The class of this run's colour, that of every page; the parent beside it is drawn in ink."""
        return style_of(self.experiment.number)

    @property
    def params(self) -> dict[str, object]:
        """The params that have a value: null is none."""
        return {name: value for name, value in self.experiment.params.items() if not is_nothing(value)}

    @cached_property
    def ancestors(self) -> list[Experiment]:
        """Parent, grandparent, … as far as the strip shows them."""
        return list(islice(self.experiment.ancestors(), ANCESTORS_MOST))

    @cached_property
    def children(self) -> list[Experiment]:
        """The newest experiments that came from this one."""
        return list(self.experiment.children.current()[:CHILDREN_MOST])

    @cached_property
    def measured(self) -> Measured:
        """The numbers of all of them, in one question."""
        return measured(self.experiment.project, [self.experiment, *self.ancestors, *self.children])

    @cached_property
    def metrics(self) -> list[ProjectMetric]:
        """The metrics that this experiment has; all that the project knows where the store is away."""
        if self.measured.is_store_away:
            return list(self.measured.metrics)
        return [metric for metric in self.measured.metrics if self.measured.summary(self.experiment, metric) is not None]

    @cached_property
    def found(self) -> Found:
        """Those that the reader looks for, in sections."""
        return Found(self.metrics, self.sought)

    @cached_property
    def readings(self) -> list[Reading]:
        """One row a metric that fits, READINGS_MOST at most."""
        return [self.reading(metric) for metric in self.found.metrics[:READINGS_MOST]]

    @cached_property
    def facts(self) -> list[Reading]:
        """The readings under the title: of the first metrics, whatever the reader looks for."""
        return [self.reading(metric) for metric in self.metrics[:FACTS_MOST]] if not self.measured.is_store_away else []

    def reading(self, metric: ProjectMetric) -> Reading:
        """One metric against the parent's."""
        read, parent = self.measured, self.parent
        theirs = read.value(parent, metric) if parent else None
        return Reading(
            metric, read.summary(self.experiment, metric), read.value(self.experiment, metric), theirs, read.change(self.experiment, metric, against=parent)
        )

    @cached_property
    def summaries(self) -> Sequence[Summary]:
        """The summaries of its series."""
        return list(self.measured.summaries.get(self.experiment.pk, {}).values())

    @property
    def points(self) -> int:
        """Points that can be read."""
        return sum(summary.count for summary in self.summaries)

    @property
    def nonfinite(self) -> int:
        """Points that are NaN or infinite."""
        return sum(summary.nonfinite for summary in self.summaries)

    @property
    def last_step(self) -> int | None:
        """The highest step of any series; None without a point."""
        return max((summary.last_step for summary in self.summaries), default=None)

    @property
    def pace(self) -> float | None:
        """Steps a second from the first to the last point; None where that says nothing."""
        if not self.summaries:
            return None
        steps = max(s.last_step for s in self.summaries) - min(s.first_step for s in self.summaries)
        span_s = (max(s.last_time for s in self.summaries) - min(s.first_time for s in self.summaries)) / 1e6
        return steps / span_s if steps > 0 and span_s >= 1 else None

    @cached_property
    def replicates(self) -> int:
        """Experiments of the project with the same change, this one among them."""
        return replicate_counts(self.experiment.project, [self.experiment])[self.experiment.replicate_key]

    @property
    def leading(self) -> ProjectMetric | None:
        """The metric that stands for a run in the strip and among the children."""
        return self.measured.metrics[0] if self.measured.metrics else None

    @property
    def strip(self) -> list[Step]:
        """The way from the root to here, its middle left out where it is long."""
        line = [*reversed(self.ancestors), self.experiment]
        root = self.experiment.root_experiment
        steps = [self.step(experiment) for experiment in line]
        if root is None or line[0].pk == root.pk:
            return steps
        return [self.step(root), Step(line[0], self.leading_value(line[0]), False, skipped=1), *steps[1:]]

    def step(self, experiment: Experiment) -> Step:
        """One node of the strip."""
        return Step(experiment, self.leading_value(experiment), experiment.pk == self.experiment.pk)

    def leading_value(self, experiment: Experiment) -> float | None:
        """A kin's reading of the leading metric."""
        return None if self.leading is None else self.measured.value(experiment, self.leading)

    @property
    def offspring(self) -> list[tuple[Experiment, float | None, float | None]]:
        """Each child with its reading of the leading metric and the change against this run."""
        leading = self.leading
        if leading is None:
            return [(child, None, None) for child in self.children]
        return [(child, self.leading_value(child), self.measured.change(child, leading, against=self.experiment)) for child in self.children]

    @property
    def kin_decimals(self) -> int | None:
        """The decimals that this run and its children share in the leading metric."""
        return decimals_of([self.leading_value(self.experiment), *(value for _, value, _ in self.offspring)])

    @cached_property
    def claims(self) -> list[Link]:
        """The hypotheses that it was linked to, the latest first."""
        return list(self.experiment.hypothesis_links.select_related("hypothesis").order_by("-linked_at", "-pk")[:CLAIMS_MOST])

    @cached_property
    def events(self) -> list[ExperimentEvent]:
        """Its history, latest first."""
        return list(self.experiment.events.select_related("by").order_by("-at", "-pk")[:EVENTS_MOST])

    @property
    def missing(self) -> list[Missing]:
        """Points that did not arrive, as its script says."""
        return missing(self.experiment)

    @cached_property
    def lost_writer(self) -> LostWriter | None:
        """Why nothing more comes of it, though it goes on."""
        return lost_writer(self.experiment)

    @property
    def version(self) -> str:
        """One word that changes when anything on the page does."""
        lost = f"-{self.lost_writer.why}" if self.lost_writer else ""
        return f"{freshness.version([self.experiment.pk])}.{self.pending}{lost}.{self.experiment.updated_at.timestamp():.6f}.{state_of(self.experiment)}"

    def has_state_of(self, version: str) -> bool:
        """Whether the run was in its present state when the page had this version."""
        return version.rpartition(".")[2] == state_of(self.experiment)
