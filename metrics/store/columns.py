"""Columns as the engine gives them, made into what the repository answers."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.store import statements
from metrics.store.shapes import (
    Floats,
    Grid,
    GridRow,
    Ints,
    Place,
    Readings,
    SparseRow,
    Summaries,
    Summary,
)


def pairs(places: Iterable[Place]) -> tuple[tuple[uuid.UUID, uuid.UUID], ...]:
    """Places as the store compares them."""
    return tuple({(place.team_id, place.project_id) for place in places})


def ints(found: Mapping[str, Any], name: str) -> Ints:
    """A result column as int64, empty where the result is."""
    return np.array(found.get(name, ()), dtype=np.int64)


def listed(found: Mapping[str, Any], name: str) -> list[Any]:
    """A result column of numbers as Python's own, empty where the result is."""
    column: list[Any] = np.asarray(found.get(name, ())).tolist()
    return column


def floats(found: Mapping[str, Any], name: str) -> Floats:
    """A result column as float64, empty where the result is."""
    return np.array(found.get(name, ()), dtype=np.float64)


def sparse_rows(found: Mapping[str, Any]) -> dict[uuid.UUID, SparseRow]:
    """The result of statements.GRID."""
    columns = [found.get(name, ()) for name in ("buckets", "places", "centres", "lows", "highs", "nonfinite", "nonfinite_at", "nonfinite_kinds")]
    return {uuid.UUID(experiment): SparseRow(*row) for experiment, *row in zip(found.get("experiment", ()), *columns, strict=True)}


def grid(found: Mapping[uuid.UUID, SparseRow], width: int) -> Grid:
    """Sparse rows brought onto one x: the first place that any series has in a bucket."""
    used = np.unique(np.concatenate([row.buckets for row in found.values()])) if found else np.array([], dtype=np.uint64)
    x = np.full(len(used), 2**63 - 1, dtype=np.int64)
    rows = {}
    for experiment, row in found.items():
        at = np.searchsorted(used, row.buckets)
        x[at] = np.minimum(x[at], row.places)
        centre, low, high = (spread(values, at, len(used)) for values in (row.centre, row.low, row.high))
        odd_at = int(row.nonfinite_at) if row.nonfinite_at is not None and row.nonfinite else None
        rows[experiment] = GridRow(centre, low, high, int(row.nonfinite), odd_at, int(row.nonfinite_kinds))
    return Grid(x=x, width=width, rows=rows)


def spread(values: Floats, at: NDArray[Any], length: int) -> Floats:
    """`values` put at the places `at` of an array of NaN."""
    spread_out = np.full(length, np.nan)
    spread_out[at] = values
    return spread_out


def several_readings(found: Mapping[str, Any]) -> dict[str, Readings]:
    """The result of statements.READINGS_OF, which comes in the order of metrics."""
    names, ids = list(found.get("metric", ())), [*map(uuid.UUID, found.get("experiment", ()))]
    columns = {how: floats(found, f"number_{how}") for how in statements.VALUE}
    starts = [n for n, name in enumerate(names) if not n or names[n - 1] != name]
    spans = zip(starts, [*starts[1:], len(names)], strict=False)
    return {names[first]: Readings(ids[first:end], {how: column[first:end] for how, column in columns.items()}) for first, end in spans}


def summaries(found: Mapping[str, Any]) -> Summaries:
    """The result of statements.SUMMARIES or statements.RECOMPUTED."""
    names = ("n", "odd", "total", "low", "high", "final", "initial_step", "final_step", "initial_time", "final_time")
    result: Summaries = {}
    if not found:
        return result
    for experiment, metric, *numbers in zip(found["experiment"], found["metric"], *(listed(found, name) for name in names), strict=True):
        result.setdefault(uuid.UUID(experiment), {})[metric] = Summary(*numbers)
    return result
