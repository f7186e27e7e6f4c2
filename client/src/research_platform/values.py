"""What may be logged, and how it is spelled in JSON."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterator, Mapping
from typing import Any, SupportsFloat, SupportsIndex, Union

from research_platform.names import kept

Json = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]
Step = Union[SupportsIndex, float]

STEP_LEAST, STEP_MOST = -(2**63), 2**63 - 1
DEPTH_MOST = 20
NESTED_MOST = 100  # levels of params: the interpreter's own limit is not far beyond
TEXT = (str, bytes, bytearray)


def number(value: SupportsFloat) -> float:
    """`value` as a float; an array or tensor of one element is that element. Raises ValueError where it is none."""
    try:
        one = element(value)
        if not isinstance(one, TEXT):
            return float(one)
    except Exception as error:  # __float__ is other people's code (a lost GPU raises its own kind), and no training may end here
        raise ValueError(f"{shown(value)} is not a number") from error
    raise ValueError(f"{shown(value)} is text and not a number")


def shown(value: object) -> str:
    """Something logged, in a few words; its type where it cannot say itself."""
    try:
        return f"{value!r:.80}"
    except Exception:  # __repr__ is other people's code too
        return f"<{type(value).__name__}>"


def whole(step: Step) -> int:
    """`step` as an integer of 64 bits; a float without a fraction is one too, of whatever type. Raises ValueError where it is none."""
    result = index(step)
    if not STEP_LEAST <= result <= STEP_MOST:
        raise ValueError(f"the step {result} does not fit in 64 bits")
    return result


def index(step: Step) -> int:
    """`step` by its __index__, or as a float without a fraction. Raises ValueError where it has neither."""
    try:
        one = element(step)
        if hasattr(one, "__index__"):
            return operator.index(one)
        as_float = float(one) if not isinstance(one, str) else math.nan
        if not as_float.is_integer():
            raise TypeError("a fraction")
        return int(as_float)
    except Exception as error:  # __index__ is other people's code too
        raise ValueError(f"the step {shown(step)} is not a whole number") from error


def element(value: Any) -> Any:  # Any: other people's arrays and tensors, and what they hold
    """The one element of an array or tensor that has no more; anything else as it is."""
    if isinstance(value, (int, float)) or not hasattr(value, "item") or math.prod(getattr(value, "shape", (0,))) != 1:
        return value
    return value.item()


def flat(values: Mapping[Any, Any], *, depth: int = 0) -> Iterator[tuple[Any, Any]]:  # Any: whatever a script logs
    """Names and values, those of a dict inside under its name, a slash and their own."""
    for key, value in values.items():
        if isinstance(key, str) and isinstance(value, Mapping) and value and depth < DEPTH_MOST:
            for inner, leaf in flat(value, depth=depth + 1):
                yield (f"{key}/{inner}" if isinstance(inner, str) else inner), leaf
        else:
            yield key, value


def name(metric: object) -> str:
    """`metric` as the server keeps it: 1 to 250 bytes of UTF-8, stripped and composed. Raises ValueError where it cannot be a metric's name."""
    if not isinstance(metric, str):
        raise ValueError(f"{shown(metric)} is not a metric's name")
    return kept(metric)


def spelled(value: float) -> float | str:
    """A float as JSON has it: NaN and infinities are spelled out."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def plain(value: object, where: str = "", within: tuple[int, ...] = ()) -> Json:
    """`value` as JSON can hold it: arrays and scalars of NumPy and PyTorch by their `tolist`, what JSON does not know as text.

    Raises ValueError, which says `where`, for what holds itself or is too deep.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return spelled(value)
    if id(value) in within or len(within) >= NESTED_MOST:
        raise ValueError(f"{where:.80} {'holds itself' if id(value) in within else f'is more than {NESTED_MOST} levels deep'}, which JSON cannot say.")
    inside = (*within, id(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}", inside) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, f"{where}[{place}]", inside) for place, item in enumerate(value)]
    as_list = getattr(value, "tolist", None)
    return plain(as_list(), where, inside) if callable(as_list) else str(value)


def encoded(content: object) -> bytes:
    """`content` as compact JSON."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
