"""What counts as the same value of a param, for every page, filter, group and arm alike. Pure.

Numbers go by value: 64 is 64.0, -0.0 is 0, and 2**53 + 1 is not 2**53. `true` is never 1, text never a number, NaN is itself. Lists go in order;
the order of names in an object is of no matter, and a name with null, or with an object of nothing else, is a name that is not there. What is equal
is one text for `experiments.notation.params.distinct`; what differs is not.
"""

from __future__ import annotations

import json
import math
from typing import Any

# From here on a float no longer holds every whole number.
WHOLE_MOST = 10**16


def levelled(value: Any) -> Any:  # Any: params hold whatever JSON holds
    """The same with each number in one spelling, 1.0 as 1, and without what is nothing in objects."""
    if isinstance(value, dict):
        return {name: levelled(each) for name, each in value.items() if not is_nothing(each)}
    if isinstance(value, list):
        return [levelled(each) for each in value]
    return value if isinstance(value, bool) or not isinstance(value, int | float) else level_number(value)


def is_nothing(value: Any) -> bool:  # Any: params hold whatever JSON holds
    """Whether it is null, or an object of nulls. An empty object is a value."""
    return value is None or (isinstance(value, dict) and bool(value) and all(map(is_nothing, value.values())))


def level_number(value: float) -> float:
    """A number in the one spelling that all equal to it have: a whole one in digits, or with an exponent where that is shorter and says as much."""
    if isinstance(value, float) and not value.is_integer():
        return value
    whole = int(value)
    if abs(whole) < WHOLE_MOST:
        return whole
    rounded = floated(whole)
    return rounded if rounded == whole and len(repr(rounded)) < len(str(whole)) else whole


def canonical(value: Any) -> str:  # Any: params hold whatever JSON holds
    """JSON that is equal for equal values alone."""
    return json.dumps(levelled(value), ensure_ascii=False, sort_keys=True)


def is_same(one: Any, other: Any) -> bool:  # Any: params hold whatever JSON holds
    """Whether two values are equal."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if is_nothing(one) or is_nothing(other):
        return is_nothing(one) and is_nothing(other)
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        return type(one) is type(other) and canonical(one) == canonical(other)
    return bool(one == other or (one != one and other != other))


def floated(value: float) -> float:
    """A number as a float; one that is too large is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
