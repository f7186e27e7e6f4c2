"""What a row of a list shows of the long fields of a record: their beginnings, which are all of them that is read. A run may hold a megabyte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from django.db.models import Model, QuerySet, TextField
from django.db.models.functions import Cast, Left

from config.limits.sizes import CLAIM_SHOWN, PARAMS_SHOWN, TEXT_SHOWN

SUFFIX = "_beginning"
OBJECTS = ("params", "features_diff")
LONG = ("notes", "command", *OBJECTS)
SHOWN = {"notes": TEXT_SHOWN, "command": TEXT_SHOWN} | dict.fromkeys(OBJECTS, PARAMS_SHOWN)  # characters; of other texts CLAIM_SHOWN
Rows = TypeVar("Rows", bound=QuerySet[Any])  # Any: rows of any model with such fields
scan = json.JSONDecoder().raw_decode


def shown_of(field: str) -> int:
    """How many characters of a field a row shows."""
    return SHOWN.get(field, CLAIM_SHOWN)


def with_beginnings(rows: Rows, fields: tuple[str, ...] = LONG) -> Rows:
    """The same rows, of these fields no more than `text_of` and `object_of` take."""
    begun = {name + SUFFIX: Left(Cast(name, TextField()), shown_of(name) + 1) for name in fields}
    return rows.defer(*fields).annotate(**begun)


def cut_in(row: Model, fields: Iterable[str]) -> list[str]:
    """The fields of which a row shows a part."""
    return [name for name in fields if is_cut(row, name)]


def is_cut(row: Model, field: str) -> bool:
    """Whether a row shows a part of the field."""
    return len(getattr(row, field + SUFFIX)) > shown_of(field)


def text_of(row: Model, field: str) -> str:
    """The beginning of a text, with an ellipsis where it is a part."""
    text: str = getattr(row, field + SUFFIX)
    return text[: shown_of(field)] + "…" if is_cut(row, field) else text


def object_of(row: Model, field: str) -> dict[str, Any]:  # Any: whatever JSON holds
    """The first names of an object, with whole values; all of them where it is short."""
    text: str = getattr(row, field + SUFFIX)
    whole: dict[str, Any] = dict(first_pairs(text)) if is_cut(row, field) else json.loads(text)
    return whole


def first_pairs(text: str) -> Iterator[tuple[str, Any]]:  # Any: whatever JSON holds
    """The names and values that stand whole in the beginning of an object's JSON."""
    at = after_blanks(text, text.find("{") + 1)
    while at < len(text):
        try:
            name, at = scan(text, at)
            value, at = scan(text, after_blanks(text, after_blanks(text, at) + 1))
        except ValueError:
            return
        at = after_blanks(text, at)
        if text[at : at + 1] != ",":  # a number may go on behind the end
            return
        yield name, value
        at = after_blanks(text, at + 1)


def after_blanks(text: str, at: int) -> int:
    """The place of the next character that is no blank."""
    while text[at : at + 1].isspace():
        at += 1
    return at
