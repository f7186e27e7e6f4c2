"""What the compare page shows: who is compared, by which numbers, and in what they differ."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

from django.db.models import Q
from django.http import QueryDict
from django.utils.http import urlencode

from accounts.slugs import is_uuid
from experiments.measured import Measured, is_failed, measured, replicate_counts
from experiments.models import Experiment
from experiments.sections import Found, Sought, sought
from experiments.templatetags.readings import decimals_of
from projects.models import Project, ProjectMetric

LEAST, MOST = 2, 100
COLUMNS_MOST = 12
CLAIMED_MOST = 5
COLOURS = 10
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
    """One experiment in a comparison. `slot` is its place in the selection: its colour and dash hang on it alone."""

    experiment: Experiment
    slot: int
    is_baseline: bool
    is_hidden: bool
    replicates: int

    @property
    def style(self) -> str:
        """The classes of its colour and dash: ink for the baseline; from the eleventh on, colours come again with another dash."""
        if self.is_baseline:
            return "base"
        round_, colour = divmod(self.slot, COLOURS)
        own = f"r{colour + 1}"
        return f"{own} dash{(colour + round_) % COLOURS + 1}" if round_ else own

    @property
    def is_failed(self) -> bool:
        """Whether the run ended badly."""
        return is_failed(self.experiment)


def runs_of(project: Project, experiments: Sequence[Experiment], look: Outlook) -> list[Run]:
    """The experiments as runs; the baseline is the one that the outlook names, else the first."""
    baseline = next((e for e in experiments if look.baseline in (e.slug, str(e.pk))), experiments[0])
    replicates = replicate_counts(project, experiments)
    return [
        Run(experiment=e, slot=slot, is_baseline=e.pk == baseline.pk, is_hidden=e.slug in look.hidden, replicates=replicates[e.replicate_key])
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


@dataclass(frozen=True)
class Spread:
    """What replicates say of one metric: mean and sample standard deviation (None for a single run) of `n` finite values."""

    n: int
    mean: float | None
    sd: float | None
    change: float | None


@dataclass(frozen=True)
class Arm:
    """The selected replicates of one change, those that did not fail."""

    name: str
    runs: list[Run]
    has_baseline: bool
    spreads: list[Spread]

    @property
    def style(self) -> str:
        """The colour of its first run."""
        return "base" if self.has_baseline else self.runs[0].style


def arm_name(runs: Sequence[Run]) -> str:
    """The name of an arm."""
    return shared_name([run.experiment for run in runs])


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


def spread_of(values: Iterable[float | None], reference: float | None) -> Spread:
    """Mean, deviation and difference from `reference` of the finite values."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return Spread(0, None, None, None)
    mean = fmean(finite)
    return Spread(len(finite), mean, stdev(finite) if len(finite) > 1 else None, None if reference is None else mean - reference)


def flat(params: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:  # Any: params hold whatever JSON a script holds
    """Params with nested objects opened: {"optimizer": {"lr": 1}} gives optimizer.lr."""
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


class Comparison:
    """Two or more experiments beside each other."""

    def __init__(self, project: Project, selection: Selection, look: Outlook) -> None:
        self.project, self.selection, self.look = project, selection, look
        self.runs = runs_of(project, selection.experiments, look)
        self.measured = measured(project, selection.experiments)

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
    def leading(self) -> Column | None:
        """The column that the run list shows: the first of all metrics, whatever the reader looks for."""
        return next((column_of(metric, self.runs, self.measured) for metric in self.measured.metrics[:1]), None)

    @property
    def listed(self) -> list[tuple[Run, Cell | None]]:
        """The run list: each run with its reading of the leading metric."""
        return [(run, self.leading.cells[i] if self.leading else None) for i, run in enumerate(self.runs)]

    @property
    def shown_count(self) -> int:
        """Runs whose curves are drawn."""
        return sum(not run.is_hidden for run in self.runs)

    @property
    def has_replicates(self) -> bool:
        """Whether any of the runs has replicates in the project."""
        return any(run.replicates > 1 for run in self.runs)

    @cached_property
    def arms(self) -> list[Arm]:
        """The runs by replicates, in the order of selection; empty where no two selected runs are replicates of each other."""
        fit = sorted((run for run in self.runs if not run.is_failed), key=lambda run: run.experiment.replicate_key)
        groups = sorted((list(group) for _, group in groupby(fit, key=lambda run: run.experiment.replicate_key)), key=lambda runs: runs[0].slot)
        if all(len(group) < LEAST for group in groups):
            return []
        return [self.arm(group) for group in groups]

    @property
    def arm_rows(self) -> list[tuple[Arm, list[tuple[Column, Spread]]]]:
        """The arms as rows over the columns."""
        return [(arm, list(zip(self.columns, arm.spreads, strict=True))) for arm in self.arms]

    def arm(self, runs: list[Run]) -> Arm:
        """One arm, its means held against the baseline's arm."""
        has_baseline = any(run.is_baseline for run in runs)
        references = [None] * len(self.columns) if has_baseline else self.references
        spreads = [spread_of([column.cells[run.slot].value for run in runs], reference) for column, reference in zip(self.columns, references, strict=True)]
        return Arm(arm_name(runs), runs, has_baseline, spreads)

    @cached_property
    def references(self) -> list[float | None]:
        """For each column the mean over the baseline's selected replicates; None where the baseline failed."""
        fellows = [run for run in self.runs if run.experiment.replicate_key == self.baseline.experiment.replicate_key and not run.is_failed]
        if self.baseline.is_failed:
            return [None] * len(self.columns)
        return [spread_of([column.cells[run.slot].value for run in fellows], None).mean for column in self.columns]
