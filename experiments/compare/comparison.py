"""What the compare page shows: who is compared, by which numbers, and in what they differ."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from django.utils.http import urlencode

from experiments.arms import digest
from experiments.compare.groups import Choices, Group, by_reading, choices, groups_of, replicates_of
from experiments.compare.outlook import Outlook
from experiments.compare.runs import Cell, Column, Run, column_of, runs_of
from experiments.models import Experiment
from experiments.notation.params import by_name
from experiments.readings.measured import measured
from experiments.readings.sections import Found
from experiments.readings.selection import Selection
from experiments.readings.spread import Spread
from experiments.stalled import state_of
from metrics.store import freshness
from projects.models import Project, ProjectMetric

COLUMNS_MOST = 12
CLAIMED_MOST = 5


def version_of(experiments: Sequence[Experiment]) -> str:
    """How many these are, and a word that changes when a point or a record of theirs does."""
    return f"{len(experiments)}." + digest(
        freshness.version([row.pk for row in experiments]), *(f"{row.updated_at.timestamp():.6f}{state_of(row)}" for row in experiments)
    )


Head = tuple[Group, Spread | None]


class Comparison:
    """Two or more experiments beside each other."""

    def __init__(self, project: Project, selection: Selection, look: Outlook) -> None:
        self.project, self.selection, self.look = project, selection, look
        runs = runs_of(project, selection.experiments, look)
        self.groups = groups_of(runs, look.grouping)
        self.runs = sorted((run for group in self.groups for run in group.runs), key=lambda run: run.slot) or runs
        self.measured = measured(project, selection.experiments)

    @property
    def is_going_on(self) -> bool:
        """Whether any of the runs may still change."""
        return any(not run.experiment.is_ended for run in self.runs)

    @property
    def version(self) -> str:
        """As of the experiments that are compared."""
        return version_of(self.selection.experiments)

    @property
    def baseline(self) -> Run:
        """The run that all others are held against."""
        return next(run for run in self.runs if run.is_baseline)

    @cached_property
    def found(self) -> Found:
        """The metrics that the reader looks for, in sections."""
        return Found(self.measured.metrics, self.look.sought)

    @property
    def metrics(self) -> list[ProjectMetric]:
        """The metrics whose name fits."""
        return self.found.metrics

    @property
    def as_claim(self) -> str:
        """The query of the form that turns this comparison into a hypothesis: its runs, the baseline, the first metrics with a direction."""
        slugs = [run.experiment.slug for run in self.runs if not run.is_baseline]
        metrics = [metric.name for metric in self.metrics if metric.direction][:CLAIMED_MOST]
        query = [("experiments", ",".join(slugs)), ("baseline", self.baseline.experiment.slug), *(("metric", name) for name in metrics)]
        return urlencode(query)

    @cached_property
    def columns(self) -> list[Column]:
        """The summary table by columns: the first COLUMNS_MOST of the metrics that fit, those with a direction before the others."""
        return [column_of(metric, self.runs, self.measured) for metric in self.metrics[:COLUMNS_MOST]]

    @property
    def rows(self) -> list[tuple[Run, list[tuple[Column, Cell]]]]:
        """The summary table by rows."""
        return [(run, [(column, column.cells[i]) for column in self.columns]) for i, run in enumerate(self.runs)]

    @cached_property
    def ordering(self) -> Column | None:
        """The column that the run list is sorted by; None where it stands as chosen."""
        return next((column_of(metric, self.runs, self.measured) for metric in self.measured.metrics if metric.name == self.look.order), None)

    @cached_property
    def leading(self) -> Column | None:
        """The column that the run list shows: the one that it is sorted by, else the first of all metrics, whatever the reader looks for."""
        return self.ordering or next((column_of(metric, self.runs, self.measured) for metric in self.measured.metrics[:1]), None)

    @cached_property
    def listed(self) -> list[tuple[Run, Cell | None, Head | None]]:
        """The run list: each run with its reading of the leading metric, and the group that it is the first of with what that says."""
        parts: list[tuple[Head | None, Sequence[Run]]] = [(head, self.sorted(head[0].runs)) for head in self.arm_heads]
        parts = parts or [(None, self.sorted(self.runs))]
        cells = self.leading.cells if self.leading else None
        return [(run, cells[run.slot] if cells else None, head if n == 0 else None) for head, runs in parts for n, run in enumerate(runs)]

    def sorted(self, runs: Sequence[Run]) -> Sequence[Run]:
        """Runs in the order of the list."""
        column = self.ordering
        if column is None:
            return runs
        return sorted(runs, key=lambda run: by_reading(column.cells[run.slot].value, column.metric.better.sign))

    @cached_property
    def ordered_groups(self) -> list[Group]:
        """The groups in the order of the list."""
        column = self.ordering
        if column is None:
            return self.groups
        return sorted(self.groups, key=lambda group: by_reading(group.spread(column, None).mean, column.metric.better.sign))

    @property
    def legend(self) -> Sequence[Run] | Sequence[Group]:
        """What has a colour of its own."""
        return self.groups or self.runs

    @property
    def shown_count(self) -> int:
        """Runs whose curves are drawn."""
        return sum(not run.is_hidden for run in self.runs)

    @property
    def has_replicates(self) -> bool:
        """Whether any of the runs has replicates in the project."""
        return any(run.replicates > 1 for run in self.runs)

    @cached_property
    def arms(self) -> list[Group]:
        """The groups that the tables sum up: those asked for, else replicates; empty where no two selected runs are replicates of each other."""
        return self.ordered_groups or replicates_of(self.runs)

    @property
    def arm_rows(self) -> list[tuple[Group, list[tuple[Column, Spread]]]]:
        """The arms as rows over the columns."""
        means = [self.reference(column) for column in self.columns]
        return [(arm, [(column, arm.spread(column, mean)) for column, mean in zip(self.columns, means, strict=True)]) for arm in self.arms]

    @property
    def arm_heads(self) -> list[Head]:
        """Each group with what it says of the leading metric."""
        leading = self.leading
        if leading is None:
            return [(group, None) for group in self.groups]
        mean = self.reference(leading)
        return [(group, group.spread(leading, mean)) for group in self.ordered_groups]

    def reference(self, column: Column) -> float | None:
        """The mean over the baseline's group; None where the baseline failed."""
        group = next((arm for arm in self.arms if arm.has_baseline), None)
        return None if group is None or self.baseline.is_failed else group.spread(column, None).mean

    @cached_property
    def groupable(self) -> Choices:
        """What the runs can be grouped by."""
        return choices(self.runs, [by_name(run.experiment.params) for run in self.runs], self.look.grouping)
