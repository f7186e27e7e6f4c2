"""What a valid point is, and the columns that a batch of them becomes. Pure: no Django, no store.

A body is decoded twice at most. The quick way lets msgspec decode straight into typed values and asks numpy for the bounds. Whatever it
refuses is looked at again, value by value, by `strictly`, which either names every fault with its index or, for the few things that msgspec
does not know (the literals NaN and Infinity of Python's json), accepts. Both ways end in the same arrays.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.errors import BadRequest, Fault, Invalid, TooLarge

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
FAULTS_KEPT = 100
NAME_BYTES = 250
HOST_BYTES = 250
STEP_MIN, STEP_MAX = -(2**63), 2**63 - 1
TIME_MIN_S, TIME_MAX_S = 0, 7_258_118_400  # 1970-01-01 to 2200-01-01
WRITER_MAX = (1 << 20) - 1
ORDINAL_MAX = (1 << 40) - 1
NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One point as a script sends it."""

    metric_name: str
    metric_value: float | str
    step: int = 0
    timestamp: float | str | None = None
    host: str = ""


class Rows(msgspec.Struct, forbid_unknown_fields=True):
    """{"metrics": [point, …]}"""

    metrics: list[Row]
    writer: int | None = None
    ordinal: int | None = None


class Columns(msgspec.Struct, forbid_unknown_fields=True):
    """{"steps": […], "timestamps"?: […], "metrics": {name: [value or null, …]}}"""

    metrics: dict[str, list[float | str | None]]
    steps: list[int]
    timestamps: list[float | str] | None = None
    host: str = ""
    writer: int | None = None
    ordinal: int | None = None


ONE, ROWS, COLUMNS = msgspec.json.Decoder(Row), msgspec.json.Decoder(Rows), msgspec.json.Decoder(Columns)


@dataclass(frozen=True)
class Points:
    """A valid batch as columns of shape (points,): `names[name_codes[i]]` is the metric of point i; times in microseconds.

    `writer` and `ordinal` are the client's own identity for the first point (the others follow), or None where the spool gives one.
    """

    names: list[str]
    name_codes: Codes
    steps: Ints
    times: Ints
    values: NDArray[np.float64]
    hosts: list[str]
    host_codes: Codes
    writer: int | None = None
    ordinal: int | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def encoded(self) -> bytes:
        """The batch as bytes for the spool: about 26 a point."""
        arrays = [a.tobytes() for a in (self.name_codes, self.steps, self.times, self.values, self.host_codes)]
        return msgspec.msgpack.encode([self.names, self.hosts, *arrays])

    @classmethod
    def decoded(cls, data: bytes) -> Points:
        """The inverse of `encoded`; arrays are read-only views."""
        names, hosts, codes, steps, times, values, host_codes = msgspec.msgpack.decode(data)
        read = np.frombuffer
        return cls(names, read(codes, "u4"), read(steps, "i8"), read(times, "i8"), read(values, "f8"), hosts, read(host_codes, "u4"))


@dataclass(frozen=True)
class Limits:
    """The most that one request may carry."""

    points: int = 100_000


def one(body: bytes, *, now_us: int) -> Points:
    """A single point. Raises BadRequest for what is no JSON, Invalid for what is no point."""
    try:
        return from_rows([ONE.decode(body)], None, None, now_us=now_us)
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


class Doubtful(Exception):
    """The quick way leaves the decision to the strict one."""


def rows_quickly(body: bytes, now_us: int, limits: Limits) -> Points:
    """Rows by msgspec. Raises MsgspecError or Doubtful where the strict way must look."""
    rows = ROWS.decode(body)
    within(len(rows.metrics), limits)
    return from_rows(rows.metrics, rows.writer, rows.ordinal, now_us=now_us)


def columns_quickly(body: bytes, now_us: int, limits: Limits) -> Points:
    """Columns by msgspec. Raises MsgspecError or Doubtful where the strict way must look."""
    columns = COLUMNS.decode(body)
    within(sum(len(values) - values.count(None) for values in columns.metrics.values()), limits)
    return from_columns(columns, now_us=now_us)


def within(points: int, limits: Limits) -> None:
    """Raise TooLarge over the limit."""
    if points > limits.points:
        raise TooLarge(f"{points} points in one request: send at most {limits.points}.")


def doubt(condition: Any) -> None:  # Any: bool or numpy's bool
    """Raise Doubtful where `condition` holds."""
    if condition:
        raise Doubtful


def from_rows(rows: Sequence[Row], writer: int | None, ordinal: int | None, *, now_us: int) -> Points:
    """Decoded rows as columns. Raises Doubtful where any value is out of bounds."""
    doubt(not rows or not is_identity(writer, ordinal))
    names, name_codes = coded([row.metric_name for row in rows])
    hosts, host_codes = coded([row.host for row in rows])
    doubt(not all(map(is_name, names)) or not all(map(is_host, hosts)))
    steps, times = steps_of([row.step for row in rows]), times_of([row.timestamp for row in rows], now_us)
    values = values_of([row.metric_value for row in rows])
    return Points(names, name_codes, steps, times, values, hosts, host_codes, writer, ordinal)


def from_columns(columns: Columns, *, now_us: int) -> Points:
    """Decoded columns as points, metric by metric; null is no point. Raises Doubtful where any value is out of bounds."""
    rows, names = len(columns.steps), list(columns.metrics)
    doubt(not rows or not names or not is_identity(columns.writer, columns.ordinal) or not is_host(columns.host))
    doubt(any(len(values) != rows for values in columns.metrics.values()) or not all(map(is_name, names)))
    doubt(columns.timestamps is not None and len(columns.timestamps) != rows)
    steps, times = steps_of(columns.steps), times_of(columns.timestamps or [None] * rows, now_us)
    flat = list(chain.from_iterable(columns.metrics.values()))
    name_codes, row_of = np.repeat(np.arange(len(names), dtype=np.uint32), rows), np.tile(np.arange(rows), len(names))
    if None in flat:
        kept = np.array([value is not None for value in flat])
        flat, name_codes, row_of = [value for value in flat if value is not None], name_codes[kept], row_of[kept]
    doubt(not flat)
    zeros = np.zeros(len(flat), dtype=np.uint32)
    return Points(names, name_codes, steps[row_of], times[row_of], values_of(flat), [columns.host], zeros, columns.writer, columns.ordinal)


def coded(texts: list[str]) -> tuple[list[str], Codes]:
    """Distinct texts in the order of their first appearance, and each text's place among them."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return list(places), np.fromiter(map(places.__getitem__, texts), dtype=np.uint32, count=len(texts))


def steps_of(steps: list[int]) -> Ints:
    """Steps as int64. Raises Doubtful outside of it."""
    try:
        return np.array(steps, dtype=np.int64)
    except OverflowError as error:
        raise Doubtful from error


def values_of(values: list[Any]) -> NDArray[np.float64]:
    """Values as float64, the three words for non-finite numbers among them. Raises Doubtful for any other text."""
    try:
        found = np.array(values, dtype=np.float64) if str not in set(map(type, values)) else np.array([number(v) for v in values])
    except (KeyError, OverflowError) as error:
        raise Doubtful from error
    return found


def number(value: float | str) -> float:
    """A value as a float. Raises KeyError for a text that is none of NaN, Infinity, -Infinity."""
    return NONFINITE[value] if isinstance(value, str) else float(value)


def times_of(times: Sequence[float | str | None], now_us: int) -> Ints:
    """Timestamps in microseconds, the present where none is given. Raises Doubtful outside 1970 to 2200."""
    kinds = set(map(type, times))
    if kinds == {type(None)}:
        return np.full(len(times), now_us, dtype=np.int64)
    if kinds <= {float, int}:
        seconds = np.array(times, dtype=np.float64)
        doubt(not (np.all(seconds >= TIME_MIN_S) and np.all(seconds < TIME_MAX_S)))
        return np.rint(seconds * 1e6).astype(np.int64)
    return np.array([microseconds(time, now_us) for time in times], dtype=np.int64)


def microseconds(time: float | str | None, now_us: int) -> int:
    """One timestamp: seconds since 1970, ISO 8601 with its offset, or None for now. Raises Doubtful for anything else."""
    if time is None:
        return now_us
    if isinstance(time, str):
        return iso_microseconds(time)
    doubt(not TIME_MIN_S <= time < TIME_MAX_S)
    return round(time * 1e6)


def iso_microseconds(text: str) -> int:
    """ISO 8601 with Z or an offset, exact to the microsecond. Raises Doubtful for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Doubtful from error
    doubt(moment.tzinfo is None)
    try:
        passed = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    except OverflowError as error:
        raise Doubtful from error
    micros = (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
    doubt(not TIME_MIN_S * 1_000_000 <= micros < TIME_MAX_S * 1_000_000)
    return micros


def is_name(name: str) -> bool:
    """1 to 250 bytes of UTF-8 without control characters, not only spaces."""
    return is_text(name, NAME_BYTES) and bool(name.strip())


def is_host(host: str) -> bool:
    """Up to 250 bytes of UTF-8 without control characters; may be empty."""
    return is_text(host, HOST_BYTES)


def is_text(text: str, most_bytes: int) -> bool:
    """Whether `text` is storable as it stands."""
    if text.isascii():
        return len(text) <= most_bytes and (text.isprintable())
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= most_bytes and not any(unicodedata.category(c) == "Cc" for c in text)


def is_identity(writer: int | None, ordinal: int | None) -> bool:
    """Writer and ordinal come together and in bounds, or not at all."""
    if writer is None or ordinal is None:
        return writer is None and ordinal is None
    return 1 <= writer <= WRITER_MAX and 0 <= ordinal <= ORDINAL_MAX - 10_000_000


# The strict way -----------------------------------------------------------------------------------------------------------------------------


def loaded(body: bytes) -> Any:  # Any: whatever JSON holds
    """The body by Python's json, which knows NaN and Infinity. A number beyond float64 stays text, so that it is refused. Raises BadRequest."""
    try:
        return json.loads(body, parse_float=exact)
    except RecursionError as error:
        raise BadRequest("The body is nested too deep: points are flat.") from error
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}") from error


def exact(literal: str) -> float | str:
    """A number of the body, or its own text where float64 cannot hold it."""
    value = float(literal)
    return literal if math.isinf(value) else value


def strictly(body: Any, *, now_us: int, limits: Limits) -> Points:
    """A batch by its parts. Raises Invalid with every fault, TooLarge over the limit."""
    if not isinstance(body, dict):
        raise Invalid('Send an object: {"metrics": [{"metric_name": "loss", "metric_value": 0.42, "step": 0}]}.')
    metrics, writer, ordinal = body.get("metrics"), body.get("writer"), body.get("ordinal")
    if isinstance(metrics, list):
        refuse_unknown(body, Rows)
        within(len(metrics), limits)
        return strictly_rows(metrics, writer, ordinal, now_us=now_us)
    if isinstance(metrics, dict):
        refuse_unknown(body, Columns)
        return strictly_columns(body, now_us=now_us, limits=limits)
    raise Invalid('"metrics" is missing: send a list of points, or columns {"steps": [0], "metrics": {"loss": [0.42]}}.', [Fault(None, "metrics", "missing", "A list or an object.")])


def refuse_unknown(body: dict[str, Any], shape: type[msgspec.Struct]) -> None:
    """Raise Invalid for a field that `shape` does not have."""
    unknown = [name for name in body if name not in shape.__struct_fields__]
    if unknown:
        raise Invalid(f"Unknown field {unknown[0]!r}.", [Fault(None, name, "unknown_field", f"Known are {', '.join(shape.__struct_fields__)}.") for name in unknown])


class Faults:
    """Collects what is wrong, up to the number that is shown."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self.count = 0

    def add(self, index: int | None, field: str, code: str, message: str) -> None:
        """Note one fault."""
        self.count += 1
        if len(self.found) < FAULTS_KEPT:
            self.found.append(Fault(index, field, code, message))

    def check(self, index: int | None, field: str, value: Any, rule: Callable[[Any], Any]) -> Any:
        """The value as `rule` reads it; where the rule refuses, its sentence is noted and 0 stands in."""
        try:
            return rule(value)
        except Wrong as wrong:
            self.add(index, field, wrong.code, f"{wrong} Got {brief(value)}.")
            return 0

    def refuse(self) -> None:
        """Raise Invalid where anything was found."""
        if self.count:
            raise Invalid(f"{self.count} invalid value{'s' if self.count > 1 else ''}: nothing was written. {self.found[0].message}", self.found)


class Wrong(Exception):
    """One value breaks one rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def brief(value: Any) -> str:
    """A value for a message, at most 60 characters."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else f"a number of more than {40} digits"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 60 else text[:57] + "…"


def strict_name(value: Any) -> str:
    """A metric name."""
    if not isinstance(value, str):
        raise Wrong("type", "A metric name is text.")
    if not is_name(value):
        raise Wrong("name", f"A metric name has 1 to {NAME_BYTES} bytes of UTF-8 and no control characters.")
    return value


def strict_host(value: Any) -> str:
    """A host."""
    if not isinstance(value, str) or not is_host(value):
        raise Wrong("host", f"A host is text of up to {HOST_BYTES} bytes without control characters.")
    return value


def strict_value(value: Any) -> float:
    """A metric value."""
    if isinstance(value, str) and value in NONFINITE:
        return NONFINITE[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Wrong("type", 'A metric value is a number, or one of "NaN", "Infinity", "-Infinity".')
    try:
        return float(value)
    except OverflowError as error:
        raise Wrong("range", 'A metric value fits float64; send "Infinity" if that is what it is.') from error


def strict_step(value: Any) -> int:
    """A step: a whole number, `3.0` too, as in JSON the two are one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong("type", "A step is a whole number.")
    if not STEP_MIN <= value <= STEP_MAX:
        raise Wrong("range", "A step fits Int64.")
    return value


def strict_time(now_us: int) -> Callable[[Any], int]:
    """The rule for a timestamp, with the present for None."""

    def rule(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float, str, type(None))):
            raise Wrong("type", "A timestamp is seconds since 1970, or ISO 8601 with Z or an offset.")
        try:
            return microseconds(value, now_us)
        except Doubtful as doubtful:
            raise Wrong("time", "A timestamp is seconds since 1970, or ISO 8601 with Z or an offset, and lies within 1970 and 2200.") from doubtful

    return rule


def strict_identity(faults: Faults, writer: Any, ordinal: Any) -> None:
    """Writer and ordinal."""
    whole = all(value is None or (isinstance(value, int) and not isinstance(value, bool)) for value in (writer, ordinal))
    if not whole or not is_identity(writer, ordinal):
        faults.add(None, "writer", "writer", f"writer (1 to {WRITER_MAX}) and ordinal (0 to 2**40) are whole numbers that come together.")


def strictly_rows(rows: list[Any], writer: Any, ordinal: Any, *, now_us: int, indexed: bool = True) -> Points:
    """Rows, value by value. Raises Invalid with every fault."""
    faults, kept = Faults(), []
    if not rows:
        faults.add(None, "metrics", "empty", "There is no point: send one at least.")
    strict_identity(faults, writer, ordinal)
    for place, row in enumerate(rows):
        kept.append(strict_row(faults, place if indexed else None, row, now_us))
    faults.refuse()
    return from_strict(kept, writer, ordinal)


def strict_row(faults: Faults, index: int | None, row: Any, now_us: int) -> tuple[str, float, int, int, str]:
    """(name, value, step, time, host) of one row, its faults noted."""
    if not isinstance(row, dict):
        faults.add(index, "", "type", f'A point is an object with metric_name and metric_value. Got {brief(row)}.')
        return ("", 0.0, 0, 0, "")
    for field in row:
        if field not in Row.__struct_fields__:
            faults.add(index, str(field), "unknown_field", f"Unknown field {brief(field)}: known are {', '.join(Row.__struct_fields__)}.")
    for field in ("metric_name", "metric_value"):
        if field not in row:
            faults.add(index, field, "missing", f"{field} is missing.")
    return (
        faults.check(index, "metric_name", row.get("metric_name", "-"), strict_name),
        faults.check(index, "metric_value", row.get("metric_value", 0), strict_value),
        faults.check(index, "step", row.get("step", 0), strict_step),
        faults.check(index, "timestamp", row.get("timestamp"), strict_time(now_us)),
        faults.check(index, "host", row.get("host", ""), strict_host),
    )


def from_strict(rows: list[tuple[str, float, int, int, str]], writer: int | None, ordinal: int | None) -> Points:
    """Checked rows as columns."""
    columns = list(zip(*rows, strict=True))
    names, name_codes = coded(list(columns[0]))
    hosts, host_codes = coded(list(columns[4]))
    values, steps, times = np.array(columns[1], "f8"), np.array(columns[2], "i8"), np.array(columns[3], "i8")
    return Points(names, name_codes, steps, times, values, hosts, host_codes, writer, ordinal)


def strictly_columns(body: dict[str, Any], *, now_us: int, limits: Limits) -> Points:
    """Columns, value by value. Raises Invalid with every fault, TooLarge over the limit."""
    faults = Faults()
    strict_identity(faults, body.get("writer"), body.get("ordinal"))
    host = faults.check(None, "host", body.get("host", ""), strict_host)
    steps = strict_column(faults, "steps", body.get("steps"), strict_step)
    times = [now_us] * len(steps) if body.get("timestamps") is None else strict_column(faults, "timestamps", body["timestamps"], strict_time(now_us))
    if len(times) != len(steps):
        faults.add(None, "timestamps", "length", f"{len(times)} timestamps for {len(steps)} steps: give one for each.")
    faults.refuse()
    rows = []
    for name, values in body["metrics"].items():
        faults.check(None, "metrics", name, strict_name)
        rows += strict_metric(faults, name, values, steps, times, host)
    if not rows and not faults.count:
        faults.add(None, "metrics", "empty", "There is no point: send one at least.")
    faults.refuse()
    within(len(rows), limits)
    return from_strict(rows, body.get("writer"), body.get("ordinal"))


def strict_column(faults: Faults, field: str, values: Any, rule: Callable[[Any], Any]) -> list[Any]:
    """One list of the columns form, its faults noted by index."""
    if not isinstance(values, list):
        faults.add(None, field, "type", f'"{field}" is a list with one entry for each row.')
        return []
    return [faults.check(place, field, value, rule) for place, value in enumerate(values)]


def strict_metric(faults: Faults, name: str, values: Any, steps: list[int], times: list[int], host: str) -> list[tuple[str, float, int, int, str]]:
    """The points of one metric of the columns form; null is no point."""
    if not isinstance(values, list) or len(values) != len(steps):
        faults.add(None, name, "length", f"The values of {brief(name)} are a list with one entry for each of the {len(steps)} steps, null for no point.")
        return []
    points = [(place, value) for place, value in enumerate(values) if value is not None]
    return [(name, faults.check(place, name, value, strict_value), steps[place], times[place], host) for place, value in points]
