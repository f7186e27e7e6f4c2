"""From a request's bytes to points.

A body is decoded twice at most. The quick way lets msgspec decode straight into typed values and asks numpy for the bounds. Whatever it
refuses is looked at again, value by value, by `strictly`, which either names every fault with its index or, for the few things that msgspec
does not know (the literals NaN and Infinity of Python's json), accepts. Both ways end in the same arrays. A JSON name that comes twice in one
object would drop values silently: the quick way counts, and where the count is odd the strict way looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import msgspec
import numpy as np

from metrics.points.strictly import loaded, strictly, strictly_rows
from metrics.points.valid import (
    Columns,
    Doubtful,
    Limits,
    Points,
    Row,
    Rows,
    coded,
    distinct,
    doubt,
    floats_of,
    is_host,
    is_identity,
    is_name,
    steps_of,
    times_of,
    values_of,
    within,
)

ONE, ROWS, COLUMNS = msgspec.json.Decoder(Row), msgspec.json.Decoder(Rows), msgspec.json.Decoder(Columns)


def one(body: bytes, *, now_us: int) -> Points:
    """A single point. Raises BadRequest for what is no JSON, Invalid for what is no point."""
    try:
        return from_rows([ONE.decode(body)], None, None, now_us=now_us, indexed=False)
    except (msgspec.MsgspecError, Doubtful, UnicodeDecodeError, RecursionError):
        value = loaded(body)
    return strictly_rows([value], None, None, now_us=now_us, indexed=False)


def many(body: bytes, *, now_us: int, limits: Limits) -> Points:
    """A batch in rows or columns. Raises BadRequest for what is no JSON, TooLarge over the limit, Invalid for any invalid point."""
    for decode in (rows_quickly, columns_quickly):
        try:
            return decode(body, now_us, limits)
        except (msgspec.MsgspecError, Doubtful, UnicodeDecodeError, RecursionError):
            continue
    return strictly(loaded(body), now_us=now_us, limits=limits)


def rows_quickly(body: bytes, now_us: int, limits: Limits) -> Points:
    """Rows by msgspec. Raises MsgspecError or Doubtful where the strict way must look."""
    rows = ROWS.decode(body)
    doubt(any(body.count(field) != len(rows.metrics) for field in (b'"metric_name"', b'"metric_value"')))
    within(len(rows.metrics), limits)
    return from_rows(rows.metrics, rows.writer, rows.ordinal, now_us=now_us)


def columns_quickly(body: bytes, now_us: int, limits: Limits) -> Points:
    """Columns by msgspec. Raises MsgspecError or Doubtful where the strict way must look."""
    columns = COLUMNS.decode(body)
    doubt(body.count(b"[") != len(columns.metrics) + 1 + (columns.timestamps is not None))
    if sum(map(len, columns.metrics.values())) > limits.points:
        within(sum(len(values) - values.count(None) for values in columns.metrics.values()), limits)
    return from_columns(columns, now_us=now_us)


def from_rows(rows: Sequence[Row], writer: int | None, ordinal: int | None, *, now_us: int, indexed: bool = True) -> Points:
    """Decoded rows as columns. Raises Doubtful where any value is out of bounds."""
    doubt(not rows or not is_identity(writer, ordinal))
    names, name_codes = distinct(*coded([row.metric_name for row in rows]))
    hosts, host_codes = coded([row.host for row in rows])
    doubt(not all(map(is_name, names)) or not all(map(is_host, hosts)))
    steps, times = steps_of([row.step for row in rows]), times_of([row.timestamp for row in rows], now_us)
    values = values_of([row.metric_value for row in rows])
    return Points(names, name_codes, steps, times, values, hosts, host_codes, writer, ordinal, is_rows=indexed)


def from_columns(columns: Columns, *, now_us: int) -> Points:
    """Decoded columns as points, metric by metric; null is no point. Raises Doubtful where any value is out of bounds."""
    rows = len(columns.steps)
    names, of_names = distinct(list(columns.metrics), np.arange(len(columns.metrics), dtype=np.uint32))
    doubt(not rows or not names or not is_identity(columns.writer, columns.ordinal) or not is_host(columns.host))
    doubt(any(len(values) != rows for values in columns.metrics.values()) or not all(map(is_name, names)))
    doubt(columns.timestamps is not None and len(columns.timestamps) != rows)
    steps, times = steps_of(columns.steps), times_of(columns.timestamps or [None] * rows, now_us)
    flat = list(chain.from_iterable(columns.metrics.values()))
    values = floats_of(flat)
    name_codes = np.repeat(of_names, rows)
    steps, times = np.tile(steps, len(of_names)), np.tile(times, len(of_names))
    if values is None:  # nulls, or words for numbers that are not finite
        kept = np.array([value is not None for value in flat])
        name_codes, steps, times = name_codes[kept], steps[kept], times[kept]
        values = values_of([value for value in flat if value is not None])
    doubt(not len(values))
    zeros = np.zeros(len(values), dtype=np.uint32)
    return Points(names, name_codes, steps, times, values, [columns.host], zeros, columns.writer, columns.ordinal)
