"""The runs of a comparison, and their numbers: a cell for each run and metric, the best one marked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from experiments.compare.outlook import Outlook
from experiments.models import Experiment, changes
from experiments.notation.colours import styles_of
from experiments.notation.numerals import decimals_of
from experiments.notation.params import by_name, distinct
from experiments.readings.measured import Measured, is_failed, replicate_counts
from experiments.readings.selection import LEAST
from projects.models import Project, ProjectMetric

WORD_MOST, WORDS_MOST, NAMES_READ = 80, 2000, 500


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
        params = (f"{name} {distinct(value)[:WORD_MOST]}" for name, value in islice(by_name(self.experiment.params).items(), NAMES_READ))
        changed = (f"{change.feature} {change.now[:WORD_MOST]}" for change in changes(dict(islice(self.experiment.features_diff.items(), NAMES_READ))))
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
