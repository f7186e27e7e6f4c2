"""Values of params, which are whatever JSON holds: how they are written, and what tells them apart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ABSENT = "–"
NOTHING = "none"  # as axes name it
# From here on a float no longer holds every whole number, and is written with an exponent.
WHOLE_MOST = 1e16
GIVEN_DIGITS = 15


def flat(params: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:  # Any: params hold whatever JSON a script holds
    """Params with nested objects opened: {"optimizer": {"lr": 1}} gives optimizer.lr. One that is null is none."""
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{path}{key}.")
        elif value is not None:
            yield f"{path}{key}", value


def by_name(params: Mapping[str, Any]) -> dict[str, Any]:  # Any: params hold whatever JSON a script holds
    """Params with nested objects opened. A nested one that would have the name of another says that it is nested."""
    found: dict[str, Any] = {}
    for name, value in flat(params):
        is_taken = name in found or (params.get(name) is not None and params[name] is not value)
        found[f"{name} (nested)" if is_taken else name] = value
    return found


def shown(value: Any) -> str:  # Any: params hold whatever JSON holds
    """A param's value as people read it: an en dash for absent, JSON for what is not text."""
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def distinct(value: Any) -> str:  # Any: params hold whatever JSON holds
    """As `shown`, but no two different values are written alike: text that would read as something else is in quotes. 1.0 is 1."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if reads_as_other(value) else value
    return json.dumps(levelled(value), ensure_ascii=False, sort_keys=True) if value is not None else ABSENT


def written(value: Any) -> str:  # Any: params hold whatever JSON holds
    """As `distinct`, but floats without the dust of arithmetic: 0.1 + 0.2 is 0.3. Every digit that a person gives stays."""
    return distinct(undusted(value))


def written_apart(values: Sequence[Any]) -> list[str]:  # Any: params hold whatever JSON holds
    """Values that stand beside each other as `written`; every digit of all where two that differ would look alike."""
    brief, whole = [*map(written, values)], [*map(distinct, values)]
    return brief if len(set(brief)) == len(set(whole)) else whole


def undusted(value: Any) -> Any:  # Any: params hold whatever JSON holds
    """The same with its floats in GIVEN_DIGITS digits, which every number of so many digits survives."""
    if isinstance(value, dict):
        return {name: undusted(each) for name, each in value.items()}
    if isinstance(value, list):
        return [undusted(each) for each in value]
    return float(f"{value:.{GIVEN_DIGITS}g}") if isinstance(value, float) and math.isfinite(value) else value


def reads_as_other(text: str) -> bool:
    """Whether text looks like a number, a truth value, a list, nothing, or another text in quotes."""
    if text in ("", ABSENT, NOTHING) or text != text.strip():
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def levelled(value: Any) -> Any:  # Any: params hold whatever JSON holds
    """The same with whole numbers written alike, 1.0 as 1, and without what is null in objects."""
    if isinstance(value, dict):
        return {name: levelled(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [levelled(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE_MOST else value


def floated(value: float) -> float:
    """A number as a float; one that is too large is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
