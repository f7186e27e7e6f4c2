"""The tables of a comparison as columns of files: whole numbers and every metric that fits, where the page rounds and shows the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from config.web.files import clean
from experiments.compare.comparison import Comparison
from experiments.compare.runs import column_of
from experiments.compare.side_by_side import SideBySide
from experiments.notation.numerals import NONE
from experiments.stalled import state_of
from experiments.table.files import took_s

Columns = list[tuple[str, pa.DataType, Sequence[Any]]]  # Any: values of the columns' types


def summary(comparison: Comparison) -> Columns:
    """A row for each run, of each metric `metric:`, the difference from the baseline `delta:` and the number of `points:`."""
    runs = comparison.runs
    rows = [run.experiment for run in runs]
    columns: Columns = [
        ("id", pa.string(), [str(row.pk) for row in rows]),
        ("slug", pa.string(), [row.slug for row in rows]),
        ("name", pa.string(), [clean(row.name) for row in rows]),
        ("baseline", pa.bool_(), [run.is_baseline for run in runs]),
        ("status", pa.string(), [state_of(row) for row in rows]),
        ("seed", pa.int64(), [row.seed_by(comparison.project.seeds) for row in rows]),
        ("replicates", pa.int64(), [run.replicates for run in runs]),
        ("took", pa.float64(), [took_s(row) for row in rows]),
    ]
    for metric in comparison.metrics:
        cells = column_of(metric, runs, comparison.measured).cells
        columns.append((f"metric:{metric.name}", pa.float64(), [cell.value for cell in cells]))
        columns.append((f"delta:{metric.name}", pa.float64(), [cell.change for cell in cells]))
        columns.append((f"points:{metric.name}", pa.int64(), [cell.count for cell in cells]))
    return columns


def groups(comparison: Comparison) -> Columns:
    """A row for each group or arm, of each metric `mean:`, `sd:`, the runs `n:` behind them and the difference `delta:` from the baseline's."""
    arms = comparison.arms
    columns: Columns = [
        ("group", pa.string(), [clean(arm.name) for arm in arms]),
        ("baseline", pa.bool_(), [arm.has_baseline for arm in arms]),
        ("runs", pa.int64(), [len(arm.runs) for arm in arms]),
        ("counted", pa.int64(), [len(arm.counted) for arm in arms]),
    ]
    for metric in comparison.metrics:
        column = column_of(metric, comparison.runs, comparison.measured)
        reference = comparison.reference(column)
        spreads = [arm.spread(column, reference) for arm in arms]
        columns.append((f"mean:{metric.name}", pa.float64(), [spread.mean for spread in spreads]))
        columns.append((f"sd:{metric.name}", pa.float64(), [spread.sd for spread in spreads]))
        columns.append((f"n:{metric.name}", pa.int64(), [spread.n for spread in spreads]))
        columns.append((f"delta:{metric.name}", pa.float64(), [spread.change for spread in spreads]))
    return columns


def side(comparison: Comparison) -> Columns:
    """A row for each thing that the reader wants to see, in that order, and a column `run:` for each run's slug. Values are text, whole."""
    rows = [(block.title, row) for block in SideBySide(comparison).blocks for row in block.wanted]
    columns: Columns = [
        ("kind", pa.string(), [kind for kind, _ in rows]),
        ("row", pa.string(), [clean(row.name) for _, row in rows]),
        ("values", pa.int64(), [row.values for _, row in rows]),
        ("spread", pa.float64(), [row.variation.spread for _, row in rows]),
    ]
    for n, run in enumerate(comparison.runs):
        columns.append((f"run:{run.experiment.slug}", pa.string(), [None if row.whole[n] == NONE else clean(row.whole[n]) for _, row in rows]))
    return columns


TABLES: dict[str, Callable[[Comparison], Columns]] = {"summary": summary, "groups": groups, "side": side}
