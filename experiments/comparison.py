"""What the compare page shows: who is compared, by which numbers, and in what they differ."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from django.db.models import Q
from django.http import QueryDict
from django.utils.http import urlencode

from accounts.slugs import is_uuid
from experiments.colours import styles_of
from experiments.grouping import PLAIN, Choices, Group, Grouping, Spread, by_reading, choices, groups_of, replicates_of
from experiments.measured import Measured, is_failed, measured, replicate_counts
from experiments.models import Experiment, digest
from experiments.param_values import by_name, distinct
from experiments.sections import Found, Sought, sought
from experiments.templatetags.readings import decimals_of
from metrics.store import freshness
from projects.models import Project, ProjectMetric

LEAST, MOST = 2, 100
COLUMNS_MOST = 12
WORD_MOST, WORDS_MOST = 80, 2000
CLAIMED_MOST = 5
X = ("step", "relative", "time")
METRIC = "metric"
NO_TIP = "."  # an address that says nothing would mean the usual
SMOOTHEST = 0.99


@dataclass(frozen=True)
class Selection:
    """The experiments that a link names, in its order; what it names in vain; how many it names beyond MOST."""

    experiments: list[Experiment]
    unknown: list[str]
    beyond: int

    @property
    def is_enough(self) -> bool:
        """Whether there is something to compare."""
        return len(self.experiments) >= LEAST

    @property
    def total(self) -> int:
        """How many experiments were found, those beyond MOST among them."""
        return len(self.experiments) + self.beyond


def select(project: Project, references: Iterable[str]) -> Selection:
    """The experiments named by slug or UUID, each reference one or several with commas between."""
    asked = list(dict.fromkeys(part.strip() for reference in references for part in reference.split(",") if part.strip()))
    slugs, ids = [text for text in asked if not is_uuid(text)], [uuid.UUID(text) for text in asked if is_uuid(text)]
    rows = Experiment.objects.filter(Q(slug__in=slugs) | Q(pk__in=ids), project=project).select_related("parent_experiment").prefetch_related("tags")
    known: dict[str | uuid.UUID, Experiment] = {row.slug: row for row in rows} | {row.pk: row for row in rows}
    found = {text: known.get(uuid.UUID(text) if is_uuid(text) else text) for text in asked}
    chosen = list(dict.fromkeys(row for row in found.values() if row is not None))
    return Selection(chosen[:MOST], [text for text, row in found.items() if row is None], max(0, len(chosen) - MOST))


def version_of(experiments: Sequence[Experiment]) -> str:
    """How many these are, and a word that changes when a point or a record of theirs does."""
    return f"{len(experiments)}." + digest(
        freshness.version([row.pk for row in experiments]), *(f"{row.updated_at.timestamp():.6f}{row.state}" for row in experiments)
    )


@dataclass(frozen=True)
class Outlook:
    """How the reader looks at it, as the address says. What cannot be read there counts as not said."""

    x: str = "step"
    x_metric: str = ""
    is_log: bool = False
    is_clipped: bool = False
    smoothing: float = 0.0
    first: str = ""
    last: str = ""
    order: str = ""
    grouping: Grouping = PLAIN
    shows_equal: bool = False
    hidden: frozenset[str] = frozenset()
    baseline: str = ""
    sought: Sought = field(default_factory=Sought)
    is_by_mention: bool = False
    tips: tuple[str, ...] | None = None


def outlook(query: QueryDict) -> Outlook:
    """The outlook that a query string asks for."""
    zoomed = is_number(query.get("from", "")) and is_number(query.get("to", ""))
    return Outlook(
        x=axis(query),
        x_metric=query.get("x_metric", ""),
        is_log=query.get("log") == "1",
        is_clipped=query.get("clip") == "1",
        smoothing=smoothing(query.get("smooth", "")),
        first=query.get("from", "") if zoomed else "",
        last=query.get("to", "") if zoomed else "",
        order=query.get("order", ""),
        grouping=Grouping.read(query),
        shows_equal=query.get("params") == "all",
        hidden=frozenset(query.getlist("hide")),
        baseline=query.get("base", ""),
        sought=sought(query),
        is_by_mention=query.get("rows") == "mention",
        tips=tuple(name for name in query.getlist("tip") if name != NO_TIP) if "tip" in query else None,
    )


def axis(query: QueryDict) -> str:
    """What x is: one of X, or METRIC where the query names the metric."""
    if query.get("x") == METRIC and query.get("x_metric"):
        return METRIC
    return next((x for x in X if x == query.get("x")), X[0])


def is_number(text: str) -> bool:
    """Whether `text` is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def smoothing(text: str) -> float:
    """A weight from 0 to SMOOTHEST; 0 where `text` is none."""
    return min(max(float(text), 0.0), SMOOTHEST) if is_number(text) else 0.0


@dataclass(frozen=True)
class Run:
    """One experiment in a comparison. `slot` is its place in the selection, `style` the classes of its colour and dash, `group` the id of its group."""

    experiment: Experiment
    slot: int
    is_baseline: bool
    is_hidden: bool
    replicates: int
    style: str = ""
    group: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether the run ended badly."""
        return is_failed(self.experiment)

    @property
    def words(self) -> str:
        """What it is found by in the list, besides its name: its params, what it changed and its tags, as many as WORDS_MOST characters take."""
        params = (f"{name} {distinct(value)[:WORD_MOST]}" for name, value in by_name(self.experiment.params).items())
        changed = (f"{change.feature} {change.now[:WORD_MOST]}" for change in self.experiment.changes)
        return " ".join(dict.fromkeys([*(tag.name for tag in self.experiment.tags.all()), *changed, *params]))[:WORDS_MOST]


def runs_of(project: Project, experiments: Sequence[Experiment], look: Outlook) -> list[Run]:
    """The experiments as runs; the baseline, drawn in ink, is the one that the outlook names, else the first."""
    baseline = next((e for e in experiments if look.baseline in (e.slug, str(e.pk))), experiments[0])
    replicates, styles = replicate_counts(project, experiments), styles_of([e.number for e in experiments])
    return [
        Run(e, slot, e.pk == baseline.pk, e.slug in look.hidden, replicates[e.replicate_key], "base" if e.pk == baseline.pk else styles[slot])
        for slot, e in enumerate(experiments)
    ]


@dataclass(frozen=True)
class Cell:
    """One reading: a run by a metric. `count` is the number of points behind it."""

    value: float | None
    change: float | None
    count: int
    is_best: bool = False


@dataclass(frozen=True)
class Column:
    """One metric over all runs."""

    metric: ProjectMetric
    cells: list[Cell]

    @cached_property
    def decimals(self) -> int | None:
        """The decimals that the column shares."""
        return decimals_of(cell.value for cell in self.cells)

    @property
    def has_changes(self) -> bool:
        """Whether any run can be held against the baseline."""
        return any(cell.change is not None for cell in self.cells)


def column_of(metric: ProjectMetric, runs: Sequence[Run], read: Measured) -> Column:
    """A metric's column, the best run marked where the metric says which way is better."""
    baseline = next(run.experiment for run in runs if run.is_baseline)
    cells = [cell_of(metric, run, read, baseline) for run in runs]
    fit = [cell.value for cell, run in zip(cells, runs, strict=True) if not run.is_failed]
    best = best_of(fit, metric.better.sign)
    return Column(metric, [replace(cell, is_best=best is not None and cell.value == best and not run.is_failed) for cell, run in zip(cells, runs, strict=True)])


def cell_of(metric: ProjectMetric, run: Run, read: Measured, baseline: Experiment) -> Cell:
    """The reading of one run."""
    summary = read.summary(run.experiment, metric)
    return Cell(read.value(run.experiment, metric), read.change(run.experiment, metric, against=baseline), summary.count if summary else 0)


def best_of(values: Iterable[float | None], sign: int) -> float | None:
    """The best of the finite values: the largest where `sign` is 1, the smallest where it is -1. None where it is 0, or where all are alike."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not sign or len(set(finite)) < LEAST:
        return None
    return max(finite, key=lambda value: sign * value)


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
