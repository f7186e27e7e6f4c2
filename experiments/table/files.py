"""Whole tables as files, CSV or Parquet, made piece by piece: what is sent does not have to fit into memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from config.web.files import Values, clean, file_of
from experiments.language.terms import AGGREGATES
from experiments.models import Experiment
from experiments.notation.equality import floated, is_nothing
from experiments.notation.params import shown
from experiments.stalled import state_of
from experiments.table.cells import Cell, Row
from experiments.table.columns import NUMBERS, RECORD, Column, aggregate_column, metric_column, param_column
from experiments.table.records import records
from experiments.table.rows import ExperimentTable
from projects.models import ProjectMetric

PIECE_ROWS = 500
NAMES = ("id", "slug", "name")
RECORD_TYPES = {"seed": pa.int64(), "took": pa.float64(), "created": pa.timestamp("us", "UTC"), "last_point": pa.timestamp("us", "UTC")}


def everything(table: ExperimentTable) -> list[Column]:
    """Every column that the table can have: those shown first, then the record's, each metric by each number, and each param of its rows."""
    names = sorted({name for params in table.found.values_list("params", flat=True) for name, value in params.items() if not is_nothing(value)})
    numbers = [
        column
        for metric in ProjectMetric.objects.filter(project=table.project).order_by("name")
        for column in (metric_column(metric), *(aggregate_column(metric, how) for how in AGGREGATES))
    ]
    all_columns = [*table.columns.shown, *RECORD.values(), *numbers, *map(param_column, names)]
    return [column for key, column in {column.key: column for column in all_columns}.items() if key != "name"]


def table_file(table: ExperimentTable, columns: Sequence[Column], kind: str) -> Iterator[bytes]:
    """All rows of a table, not only the page's, in these columns; `kind` is one of TYPES.

    The first piece is made at once, so that what is wrong (a FilterError, a StoreError) is raised before anything is sent.
    """
    ids = table.every_id
    schema = schema_of(columns, table)
    pieces = (table.rows_of(records(ids[first : first + PIECE_ROWS]), columns) for first in range(0, len(ids), PIECE_ROWS))
    lines = ([values_of(row, columns, schema) for row in rows] for rows in pieces)
    return file_of(schema, chain([next(lines, [])], lines), kind)


def schema_of(columns: Sequence[Column], table: ExperimentTable) -> pa.Schema:
    """Names and types of the file's columns: the experiment's names, then what the table shows. A name that comes twice gets its key."""
    params = [column.name for column in columns if column.kind == "param"]
    types = types_of(params, table.found.values_list("params", flat=True)) if params else {}
    fields = [pa.field(name, pa.string()) for name in NAMES]
    for column in columns:
        kind = pa.float64() if column.kind in (*NUMBERS, "at") else types[column.name] if column.kind == "param" else RECORD_TYPES.get(column.kind, pa.string())
        label = column.name if column.kind == "metric" else column.key
        fields.append(pa.field(label if label not in {field.name for field in fields} else column.key, kind))
    return pa.schema(fields)


def types_of(names: Sequence[str], all_params: Iterable[dict[str, Any]]) -> dict[str, pa.DataType]:
    """What type holds every value of each param: whole numbers, numbers or booleans where all are, else text."""
    seen: dict[str, set[type]] = {name: set() for name in names}
    for params in all_params:
        for name in names:
            seen[name].add(kind_of(params.get(name)))
    return {name: type_for(kinds - {type(None)}) for name, kinds in seen.items()}


def kind_of(value: object) -> type:
    """A value's type; a whole number that exceeds Int64 is a float."""
    if is_nothing(value):
        return type(None)
    return float if isinstance(value, int) and not -(2**63) <= value < 2**63 else type(value)


def type_for(kinds: set[type]) -> pa.DataType:
    """The type for values of these kinds."""
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {int, float} else pa.string()


def values_of(row: Row, columns: Sequence[Column], schema: pa.Schema) -> Values:
    """One experiment as a line of the file."""
    experiment = row.experiment
    types = list(schema.types)[len(NAMES) :]
    cells = (value_of(experiment, column, cell, kind) for column, cell, kind in zip(columns, row.cells, types, strict=True))
    return (str(experiment.pk), experiment.slug, clean(experiment.name), *cells)


def value_of(experiment: Experiment, column: Column, cell: Cell, kind: pa.DataType) -> Any:  # Any: a value of the column's type
    """One value of one experiment."""
    if column.kind == "param":
        return param_value(cell.value, kind)
    if cell.kind == "metric":
        return None if cell.value is None else float(cell.value)
    if column.kind == "seed":
        return cell.value if cell.value is None or -(2**63) <= cell.value < 2**63 else None
    return RECORD_VALUES[column.kind](experiment)


def param_value(value: Any, kind: pa.DataType) -> Any:  # Any: whatever JSON holds
    """A param as its column's type holds it."""
    if is_nothing(value):
        return None
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return value
    if pa.types.is_floating(kind):
        return floated(value)
    return clean(shown(value))


def took_s(experiment: Experiment) -> float | None:
    """How long an experiment that ended ran, in seconds."""
    began = experiment.started_at or experiment.created_at
    return (experiment.finished_at - began).total_seconds() if experiment.finished_at else None


RECORD_VALUES: dict[str, Callable[[Experiment], Any]] = {
    "status": state_of,
    "changed": lambda experiment: clean(json.dumps(experiment.features_diff, ensure_ascii=False)) if experiment.features_diff else None,
    "took": took_s,
    "created": lambda experiment: experiment.created_at,
    "last_point": lambda experiment: experiment.last_point_at,
    "tags": lambda experiment: clean(json.dumps([tag.name for tag in experiment.tags.all()], ensure_ascii=False)),
    "host": lambda experiment: experiment.host or None,
    "git_commit": lambda experiment: experiment.git_commit or None,
}
