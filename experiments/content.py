"""What an experiment may hold: params, tags and words that every database keeps, within limits."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypedDict

from config.errors import Fault, Invalid
from config.limits.sizes import COMMAND_BYTES, FORM_TEXT_BYTES, LEAVES_MOST, NOTES_BYTES, PARAMS_BYTES, TAGS_MOST, size_of
from config.names import flaw_in_name, tidied

if TYPE_CHECKING:
    from experiments.models import Experiment

JSON_DEPTH = 50
OBJECTS = frozenset({"params", "features_diff"})
TEXT_BYTES = {"notes": NOTES_BYTES, "command": COMMAND_BYTES}
TOO_MANY = f"It holds {{:,}} values, those inside of lists counted: {LEAVES_MOST:,} at most. Keep large tables in a file."
COLUMNS = {"parent": "parent_experiment"}


class Fields(TypedDict, total=False):
    """What a person or a script may say of an experiment."""

    id: uuid.UUID
    name: str
    slug: str
    parent: Experiment | None
    features_diff: dict[str, Any]  # Any: these hold whatever JSON a script holds, and so do params
    params: dict[str, Any]
    seed: int | None
    notes: str
    replicate_group: str
    host: str
    git_commit: str
    command: str
    made_with: uuid.UUID | None


def columns(fields: Fields) -> dict[str, Any]:
    """The fields by the names of the model's columns."""
    return {COLUMNS.get(name, name): value for name, value in fields.items()}


def check(fields: Fields) -> None:
    """Raise Invalid, naming each field, where a database could not keep the content: NUL, half surrogate pairs, NaN, too deep."""
    refuse([Fault(None, name, "invalid", flaw) for name, value in fields.items() if (flaw := flaw_in(name, value))])


def check_sizes(fields: Fields, tags: Iterable[str] = ()) -> None:
    """Raise Invalid, naming each field, for what is larger than a run may hold. Takes what `check` has passed, and only what is new: see `config.limits`."""
    flaws = {name: excess_of(name, value) for name, value in fields.items()} | {"tags": excess_of_tags(tags)}
    refuse([Fault(None, name, "too_large", flaw) for name, flaw in flaws.items() if flaw])


def check_counts(fields: Fields, kept: Experiment | None = None) -> None:
    """Raise Invalid at once for an object of too many values: all else looks at each. One of as many as are kept may be the same, said again."""
    for name in OBJECTS & set(fields):
        value: Any = fields[name]  # type: ignore[literal-required]  # Any: whatever was sent
        if isinstance(value, dict) and (count := leaf_count(value)) > LEAVES_MOST and (kept is None or count != leaf_count(getattr(kept, name))):
            refuse([Fault(None, name, "too_large", TOO_MANY.format(count))])


def refuse(faults: list[Fault]) -> None:
    """Raise Invalid where there are faults."""
    if faults:
        raise Invalid(f"Not valid: nothing was saved. {faults[0].field}: {faults[0].message}", faults)


def with_kept_names(fields: Fields) -> Fields:
    """The fields, the names inside params and features_diff as names are kept everywhere (`config.names`). Takes what `check` has passed.

    Raises Invalid for a character that shows nowhere, and for two names that would become one: a value would be lost.
    """
    kept: Any = {name: renamed(name, value) for name, value in fields.items() if name in OBJECTS}
    return {**fields, **kept}


def renamed(field: str, value: Any, place: str = "") -> Any:  # Any: whatever JSON holds
    """A JSON value, the names in it as they are kept; `place` is where it is in the field."""
    if isinstance(value, list):
        return [renamed(field, leaf, f"{place}.{number}") for number, leaf in enumerate(value)]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, leaf in value.items():
        where, flaw, name = f"{place}.{key}".lstrip("."), flaw_in_name(key), tidied(key)
        if flaw:
            raise refusal(field, f"{where!r}: {flaw.message}", "invisible", flaw.position)
        if name in found:
            raise refusal(field, f"{where!r} and another name there are both {name!r}, blanks and composition aside: give one value for it.", "duplicate")
        found[name] = renamed(field, leaf, where)
    return found


def refusal(field: str, message: str, code: str, position: int | None = None) -> Invalid:
    """The refusal of one field."""
    return Invalid(f"Not valid: nothing was saved. {field}: {message}", [Fault(None, field, code, message, position=position)])


def flaw_in(field: str, value: object) -> str:
    """What keeps a field's value from being stored, as a sentence; "" where nothing does."""
    if isinstance(value, str):
        return flaw_in_text(value)
    if field not in OBJECTS:
        return ""
    if not isinstance(value, dict):
        return "This is a JSON object: names with values, in braces."
    return next((flaw for place, leaf, depth in leaves(value) if (flaw := flaw_in_leaf(place, leaf, depth))), "")


def flaw_in_text(text: str) -> str:
    """What is wrong with text."""
    if "\x00" in text:
        return "Text cannot hold the character NUL (\\u0000): leave it out."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "Text cannot hold half of a surrogate pair: send it as proper Unicode."
    return ""


def flaw_in_leaf(place: str, leaf: object, depth: int) -> str:
    """What is wrong with one value inside a JSON object."""
    if depth > JSON_DEPTH:
        return f"JSON is nested deeper than {JSON_DEPTH} levels: flatten it."
    if isinstance(leaf, float) and not math.isfinite(leaf):
        return f'{place} is {leaf}, which JSON cannot hold: send it as text ("NaN", "Infinity", "-Infinity") or leave it out.'
    return flaw_in_text(leaf) if isinstance(leaf, str) else ""


def excess_of(field: str, value: object) -> str:
    """What of a field's value is beyond its limit, as a sentence; "" where nothing is."""
    if isinstance(value, str) and field in TEXT_BYTES:
        size, most = size_of(value), TEXT_BYTES[field]
        return "" if size <= most else f"This text takes {size:,} bytes: {most:,} at most."
    if field not in OBJECTS or not isinstance(value, dict):
        return ""
    size = size_of(compact(value))
    if size > PARAMS_BYTES:
        return f"JSON takes {size:,} bytes: {PARAMS_BYTES:,} at most."
    count = leaf_count(value)
    return "" if count <= LEAVES_MOST else TOO_MANY.format(count)


def excess_of_tags(tags: Iterable[str]) -> str:
    """What is said of too many tags."""
    count = len(list(tags))
    return "" if count <= TAGS_MOST else f"There are {count:,} tags: {TAGS_MOST} at most."


def retyped(text: str, kept: str) -> str:
    """What a form sends of a text: the text that is kept, where only its line ends and the blanks around it differ, as browsers send them."""
    return kept if text.replace("\r\n", "\n").strip() == kept.replace("\r\n", "\n").strip() else text


def is_too_long_for_a_form(value: object) -> bool:
    """Whether a form could not send a value that is kept back: it is shown, and changed over the API."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return size_of(text) > FORM_TEXT_BYTES


def compact(value: object) -> str:
    """JSON without a blank that could be left out."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def leaf_count(value: dict[str, Any]) -> int:
    """How many values are inside a JSON object that hold no others, without recursion."""
    count, waiting = 0, list(value.values())
    while waiting:
        node = waiting.pop()
        if node and isinstance(node, (dict, list)):
            waiting += node.values() if isinstance(node, dict) else node
        else:
            count += 1
    return count


def leaves(value: dict[str, Any]) -> Iterator[tuple[str, object, int]]:
    """(where, what, depth) of every key and every value inside a JSON object, without recursion; stops below JSON_DEPTH."""
    waiting: list[tuple[str, object, int]] = [("", value, 1)]
    while waiting:
        place, node, depth = waiting.pop()
        yield place, node, depth
        if depth > JSON_DEPTH or not isinstance(node, (dict, list)):
            continue
        if isinstance(node, dict):
            yield from ((str(key), key, depth) for key in node)
        inside = node.items() if isinstance(node, dict) else enumerate(node)
        waiting += [(f"{place}.{key}".lstrip("."), leaf, depth + isinstance(leaf, (dict, list))) for key, leaf in inside]
