"""Values of params, which are whatever JSON holds: how they are written. What counts as one value is `experiments.notation.equality`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from experiments.notation.equality import WHOLE_MOST, canonical, is_nothing, levelled

ABSENT = "–"
NESTED = " (nested)"
NOTHING = "none"  # as axes name it
GIVEN_DIGITS = 15
NAMES_MOST, VALUES_MOST, NAMES_LEAST = 5_000, 100_000, 200


def flat(params: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:  # Any: params hold whatever JSON a script holds
    """Params with nested objects opened: {"optimizer": {"lr": 1}} gives optimizer.lr. One that is null is none, and so is an object of such."""
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
        found[f"{name}{NESTED}" if is_taken else name] = value
    return found


def weighed(names: Iterable[str], runs: int) -> list[str]:
    """The names of which a comparison of so many runs looks at every value: the first NAMES_MOST, or as many as make VALUES_MOST, each once."""
    return list(dict.fromkeys(names))[: max(NAMES_LEAST, min(NAMES_MOST, VALUES_MOST // max(1, runs)))]


def shown(value: Any) -> str:  # Any: params hold whatever JSON holds
    """A param's value as people read it: an en dash for absent, JSON for what is not text, equal values alike."""
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json.dumps(levelled(value), ensure_ascii=False)


def distinct(value: Any) -> str:  # Any: params hold whatever JSON holds
    """As `shown`, but values are written alike where they are equal, and there alone: text that would read as something else is in quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if reads_as_other(value) else value
    if type(value) is int and -WHOLE_MOST < value < WHOLE_MOST:  # as `canonical` writes it, at a tenth of the time: most params are numbers
        return str(value)
    if type(value) is float and math.isfinite(value) and not value.is_integer():
        return repr(value)
    return ABSENT if is_nothing(value) else canonical(value)


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
