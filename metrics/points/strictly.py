"""The strict way to read points: value by value, every fault named with its index."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from config.errors import BadRequest, Fault, Invalid
from config.names import flaw_in_name, tidied
from metrics.points.valid import (
    HOST_BYTES,
    NAME_BYTES,
    NONFINITE,
    STEP_MAX,
    STEP_MIN,
    WRITER_MAX,
    Columns,
    Doubtful,
    Limits,
    Points,
    Row,
    Rows,
    coded,
    is_host,
    is_identity,
    is_name,
    microseconds,
    within,
)

FAULTS_KEPT = 100


def loaded(body: bytes) -> Any:  # Any: whatever JSON holds
    """The body by Python's json, which knows NaN and Infinity. A number beyond float64 stays text, so that it is refused. Raises BadRequest."""
    try:
        return json.loads(body, parse_float=exact, object_pairs_hook=once)
    except RecursionError as error:
        raise BadRequest("The body is nested too deep: points are flat.") from error
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}") from error


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names differ. Raises Invalid where one comes twice: one of its values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(
            f"The name {brief(twice)} comes twice in one object: send each once.", [Fault(None, str(twice)[:60], "duplicate", "Send each name once.")]
        )
    return found


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
    raise Invalid(
        '"metrics" is missing: send a list of points, or columns {"steps": [0], "metrics": {"loss": [0.42]}}.',
        [Fault(None, "metrics", "missing", "A list or an object.")],
    )


def refuse_unknown(body: dict[str, Any], shape: type[msgspec.Struct]) -> None:
    """Raise Invalid for a field that `shape` does not have."""
    unknown = [name for name in body if name not in shape.__struct_fields__]
    if unknown:
        raise Invalid(
            f"Unknown field {unknown[0]!r}.", [Fault(None, name, "unknown_field", f"Known are {', '.join(shape.__struct_fields__)}.") for name in unknown]
        )


class Faults:
    """Collects what is wrong, up to the number that is shown."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self.count = 0

    def add(self, index: int | None, field: str, code: str, message: str, *, position: int | None = None, metric: str | None = None) -> None:
        """Note one fault."""
        self.count += 1
        if len(self.found) < FAULTS_KEPT:
            self.found.append(Fault(index, field, code, message, position=position, metric=metric))

    def check(self, index: int | None, field: str, value: Any, rule: Callable[[Any], Any], *, metric: str | None = None) -> Any:
        """The value as `rule` reads it; where the rule refuses, its sentence is noted and 0 stands in. `metric` is whose value it is."""
        try:
            return rule(value)
        except Wrong as wrong:
            self.add(index, field, wrong.code, f"{wrong} Got {brief(value)}.", position=wrong.position, metric=metric)
            return 0

    def refuse(self) -> None:
        """Raise Invalid where anything was found."""
        if self.count:
            raise Invalid(f"{self.count} invalid value{'s' if self.count > 1 else ''}: nothing was written. {self.found[0].message}", self.found)


class Wrong(Exception):
    """One value breaks one rule."""

    def __init__(self, code: str, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.code, self.position = code, position


def brief(value: Any) -> str:
    """A value for a message, at most 60 characters."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else f"a number of more than {40} digits"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 60 else text[:57] + "…"


def strict_name(value: Any) -> str:
    """A metric name."""
    if not isinstance(value, str):
        raise Wrong("type", "A metric name is text.")
    flaw, name = flaw_in_name(value), tidied(value)
    if flaw:
        raise Wrong("name", flaw.message, position=flaw.position)
    if not is_name(name):
        raise Wrong("name", f"A metric name has 1 to {NAME_BYTES} bytes of UTF-8.")
    return name


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
    return from_strict(kept, writer, ordinal, is_rows=indexed)


def strict_row(faults: Faults, index: int | None, row: Any, now_us: int) -> tuple[str, float, int, int, str]:
    """(name, value, step, time, host) of one row, its faults noted."""
    if not isinstance(row, dict):
        faults.add(index, "", "type", f"A point is an object with metric_name and metric_value. Got {brief(row)}.")
        return ("", 0.0, 0, 0, "")
    for field in row:
        if field not in Row.__struct_fields__:
            faults.add(index, str(field), "unknown_field", f"Unknown field {brief(field)}: known are {', '.join(Row.__struct_fields__)}.")
    for field in ("metric_name", "metric_value"):
        if field not in row:
            faults.add(index, field, "missing", f"{field} is missing.")
    name = row.get("metric_name", "-")
    metric = name if isinstance(name, str) else None
    return (
        faults.check(index, "metric_name", name, strict_name, metric=metric),
        faults.check(index, "metric_value", row.get("metric_value", 0), strict_value, metric=metric),
        faults.check(index, "step", row.get("step", 0), strict_step, metric=metric),
        faults.check(index, "timestamp", row.get("timestamp"), strict_time(now_us), metric=metric),
        faults.check(index, "host", row.get("host", ""), strict_host, metric=metric),
    )


def from_strict(rows: list[tuple[str, float, int, int, str]], writer: int | None, ordinal: int | None, *, is_rows: bool = False) -> Points:
    """Checked rows as columns."""
    columns = list(zip(*rows, strict=True))
    names, name_codes = coded(list(columns[0]))
    hosts, host_codes = coded(list(columns[4]))
    values, steps, times = np.array(columns[1], "f8"), np.array(columns[2], "i8"), np.array(columns[3], "i8")
    return Points(names, name_codes, steps, times, values, hosts, host_codes, writer, ordinal, is_rows=is_rows)


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
        kept = faults.check(None, "metrics", name, strict_name, metric=name)
        rows += strict_metric(faults, kept or name, values, steps, times, host)
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
        faults.add(
            None, name, "length", f"The values of {brief(name)} are a list with one entry for each of the {len(steps)} steps, null for no point.", metric=name
        )
        return []
    points = [(place, value) for place, value in enumerate(values) if value is not None]
    return [(name, faults.check(place, name, value, strict_value, metric=name), steps[place], times[place], host) for place, value in points]
