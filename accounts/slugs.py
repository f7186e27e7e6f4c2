"""Slugs: the readable half of an address; and what is meant by a word that may be a name or a slug."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from django.db import models

from config.errors import Conflict
from config.names import tidied

SLUG_CHARACTERS = 80
SEVERAL = 5
UNHELD = re.compile(r"[^\w]+")


class Addressed(Protocol):
    """A row with a name for people and a slug for addresses."""

    pk: Any  # Any: Django's own type
    name: str
    slug: str


Row = TypeVar("Row", bound=Addressed)
Model = TypeVar("Model", bound=models.Model)


def free_slug(name: str, *, taken: models.QuerySet[Any], otherwise: str, spoken: str = "slug") -> str:
    """A slug for `name` that no row of `taken` has, in `spoken` neither (a field by which rows are found before they are by slug): 80 characters at most.

    A clash gets `-2`, `-3`, …, and so does a name that lost a character: `C++` is no `c`, which is left for a name that is.
    A name that gives no slug at all, or one that could be read as a UUID, starts with `otherwise`.
    """
    slug, is_whole = base_slug(name, otherwise)
    begins_so = models.Q(slug__startswith=slug) | models.Q(**{f"{spoken}__startswith": slug})
    rows = taken.filter(begins_so).values_list("slug", spoken)
    used = {word for row in rows for word in row}
    number, free = 2, slug if is_whole else f"{slug}-2"
    while free in used:
        free, number = f"{slug}-{number}", number + 1
    return free


def base_slug(name: str, otherwise: str) -> tuple[str, bool]:
    """The slug of a name before any number, and whether every character of the name is in it, itself or as a `-`.

    Letters and digits of every language stay, in small letters; what a slug cannot hold becomes `-`, blanks around it with it.
    """
    text = unicodedata.normalize("NFKC", name).lower().strip()
    pieces = UNHELD.findall(text)
    slug = UNHELD.sub("-", text)
    is_whole = slug == slug.strip("-") and all(len("".join(piece.split())) <= 1 for piece in pieces)
    slug = slug.strip("-")[:SLUG_CHARACTERS].strip("-")
    if not slug or is_uuid(slug):
        return f"{otherwise}-{slug}".strip("-"), True
    return slug, is_whole


def about_slug(name: str, slug: str, *, field: str) -> list[dict[str, str]]:
    """What an answer says where a new row's slug is not what its name gives: an entry of `warnings`, or none. `field` is where the name was sent."""
    base, is_whole = base_slug(name, "")
    if slug == base and is_whole:
        return []
    why = f"The slug {base} is taken" if base and is_whole and not is_uuid(base) else f"No slug can be the whole of {name!r}"
    message = f"{why}: the slug is {slug}. Address it by that, by its UUID, or by its exact name."
    return [{"field": field, "code": "slug", "message": message}]


def spellings(reference: str) -> list[str]:
    """What rows are looked up by: the words as they came, for names from before names were tidied, then as names are kept. A NUL is in none."""
    word = reference.replace("\0", "")
    return list(dict.fromkeys((word, tidied(word))))


def meant(rows: Iterable[Row], reference: str) -> list[Row]:
    """Of rows that have a spelling of `reference` as name or slug, those that are meant: by exact name, else by slug exactly as written.

    Several that share the name are told apart by the slug where it is the same word.
    """
    found = list(rows)
    for word in spellings(reference):
        named = [row for row in found if row.name == word]
        chosen = [row for row in named if row.slug == word] or named or [row for row in found if row.slug == word]
        if chosen:
            return chosen
    return []


def with_slug_or(field: str, rows: models.QuerySet[Model], reference: str) -> list[Model]:
    """The row with this slug, else those with this word in `field` (which tells no rows apart), the oldest few."""
    words = spellings(reference)
    found = list(rows.filter(slug__in=words)[:1])
    for word in filter(None, words):
        found = found or list(rows.filter(**{field: word}).order_by("created_at", "pk")[:SEVERAL])
    return found


def only(rows: Sequence[Model], reference: str, *, whose: str) -> Model | None:
    """The one row, or None where there is none. Raises Conflict, naming the UUIDs, where there are several; `whose` begins the sentence."""
    if len(rows) > 1:
        ids = [str(row.pk) for row in rows[:SEVERAL]]
        raise Conflict(f"{whose} {reference!r}: say which by its UUID, {', '.join(ids[:-1])} or {ids[-1]}.")
    return rows[0] if rows else None


def is_uuid(text: str) -> bool:
    """Whether `text` reads as a UUID."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
