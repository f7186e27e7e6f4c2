"""Slugs: the readable half of a UUID-or-slug address."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils.text import slugify


def free_slug(name: str, *, taken: models.QuerySet[Any], otherwise: str) -> str:
    """A slug for `name` that no row of `taken` has: Unicode kept, 80 characters at most, `-2`, `-3`, … on a clash.

    A name that gives no slug at all, or one that could be read as a UUID, starts with `otherwise`.
    """
    slug = slugify(name, allow_unicode=True)[:80].strip("-_")
    if not slug or is_uuid(slug):
        slug = f"{otherwise}-{slug}".strip("-")
    used = set(taken.filter(slug__startswith=slug).values_list("slug", flat=True))
    number, free = 2, slug
    while free in used:
        free, number = f"{slug}-{number}", number + 1
    return free


def is_uuid(text: str) -> bool:
    """Whether `text` reads as a UUID."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
