"""What a valid point is, and the columns that a batch of them becomes. Pure: no Django, no store."""

from __future__ import annotations

import math
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.errors import TooLarge
from config.names import flaw_in_name, tidied

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
NAME_BYTES = 250
HOST_BYTES = 250
STEP_MIN, STEP_MAX = -(2**63), 2**63 - 1
STRIDE_MOST = 1 << 40  # so that no difference between two steps can have wrapped around to it
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


@dataclass(frozen=True)
class Points:
    """A valid batch as columns of shape (points,): `names[name_codes[i]]` is the metric of point i; times in microseconds.

    `writer` and `ordinal` are the client's own identity for the first point (the others follow), or None where the spool gives one. `is_rows` says that the
    points came one by one, in this order.
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
    is_rows: bool = False

    def __len__(self) -> int:
        return len(self.steps)

    def encoded(self) -> bytes:
        """The batch as bytes for the spool: 16 to 32 a point. Codes of one name or host are left out, steps that go evenly are two numbers."""
        codes, host_codes = (b"" if len(texts) == 1 else c.tobytes() for texts, c in ((self.names, self.name_codes), (self.hosts, self.host_codes)))
        return msgspec.msgpack.encode(
            [self.names, self.hosts, codes, even(self.steps) or self.steps.tobytes(), self.times.tobytes(), self.values.tobytes(), host_codes]
        )

    @classmethod
    def decoded(cls, data: bytes) -> Points:
        """The inverse of `encoded`; arrays are read-only views."""
        names, hosts, codes, steps, times, values, host_codes = msgspec.msgpack.decode(data)
        read, rows = np.frombuffer, len(values) // 8
        name_codes, of_hosts = (read(c, "u4") if c else np.zeros(rows, "u4") for c in (codes, host_codes))
        step = read(steps, "i8") if isinstance(steps, bytes) else steps[0] + steps[1] * np.arange(rows, dtype=np.int64)
        return cls(names, name_codes, step, read(times, "i8"), read(values, "f8"), hosts, of_hosts)


def even(steps: Ints) -> list[int] | None:
    """(first, stride) where every step is as far from the one before, else None."""
    first, second = steps[0].item(), steps[min(1, len(steps) - 1)].item()
    stride = second - first
    is_even = -STRIDE_MOST < stride < STRIDE_MOST and bool(np.all(steps[1:] - steps[:-1] == stride))
    return [first, stride] if is_even else None


@dataclass(frozen=True)
class Limits:
    """The most that one request may carry."""

    points: int = 100_000


def within(points: int, limits: Limits) -> None:
    """Raise TooLarge over the limit."""
    if points > limits.points:
        raise TooLarge(f"{points} points in one request: send at most {limits.points}.")


class Doubtful(Exception):
    """A value breaks a rule; the strict way says which and why."""


def doubt(condition: Any) -> None:  # Any: bool or numpy's bool
    """Raise Doubtful where `condition` holds."""
    if condition:
        raise Doubtful


def coded(texts: list[str]) -> tuple[list[str], Codes]:
    """Distinct texts in the order of their first appearance, and each text's place among them."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return list(places), np.fromiter(map(places.__getitem__, texts), dtype=np.uint32, count=len(texts))


def distinct(names: list[str], codes: Codes) -> tuple[list[str], Codes]:
    """Names as they are kept, each once, with codes that point to them: two that were spelled alike are one metric. Asks once for each name."""
    kept = [tidied(name) for name in names]
    if kept == names:
        return names, codes
    once, places = coded(kept)
    return once, places[codes]


def steps_of(steps: list[int]) -> Ints:
    """Steps as int64. Raises Doubtful outside of it."""
    try:
        return np.array(steps, dtype=np.int64)
    except OverflowError as error:
        raise Doubtful from error


def floats_of(values: Sequence[Any]) -> NDArray[np.float64] | None:
    """Numbers as float64, or None where one is no number (numpy would read the text "1.5" as one). Raises Doubtful for an integer beyond float64."""
    try:
        return np.frombuffer(array("d", values), dtype=np.float64)
    except TypeError:
        return None
    except OverflowError as error:
        raise Doubtful from error


def values_of(values: list[Any]) -> NDArray[np.float64]:
    """Values as float64, the three words for non-finite numbers among them. Raises Doubtful for any other text."""
    found = floats_of(values)
    try:
        return np.array([number(v) for v in values]) if found is None else found
    except (KeyError, OverflowError) as error:
        raise Doubtful from error


def number(value: float | str) -> float:
    """A value as a float. Raises KeyError for a text that is none of NaN, Infinity, -Infinity."""
    return NONFINITE[value] if isinstance(value, str) else float(value)


def times_of(times: Sequence[float | str | None], now_us: int) -> Ints:
    """Timestamps in microseconds, the present where none is given. Raises Doubtful outside 1970 to 2200."""
    if not any(time is not None for time in times):
        return np.full(len(times), now_us, dtype=np.int64)
    seconds = floats_of(times)
    if seconds is not None:
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
        passed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError as error:
        raise Doubtful from error
    micros = (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
    doubt(not TIME_MIN_S * 1_000_000 <= micros < TIME_MAX_S * 1_000_000)
    return micros


def is_name(name: str) -> bool:
    """1 to 250 bytes of UTF-8 that people see, composed, without blanks around them."""
    return bool(name) and is_text(name, NAME_BYTES) and tidied(name) == name and flaw_in_name(name) is None


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
