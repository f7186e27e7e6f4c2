"""Which version of an experiment's points, or of all the points of a project, a cached answer was made from."""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Iterable

from django.core.cache import cache

logger = logging.getLogger(__name__)


def key(owner: uuid.UUID) -> str:
    """Where the version of an experiment or a project is kept."""
    return f"points:{owner.hex}"


def fresh() -> str:
    """A version that never was."""
    return secrets.token_hex(8)


def touch(owners: Iterable[uuid.UUID]) -> None:
    """The points of these experiments or projects changed: whatever was cached of them is old from now on."""
    cache.set_many({key(owner): fresh() for owner in owners}, timeout=None)


def version(owners: Iterable[uuid.UUID]) -> str:
    """One word for the present points of all these experiments or projects. A version that the cache lost is a new one."""
    keys = [key(owner) for owner in owners]
    known = cache.get_many(keys)
    missing = {name: fresh() for name in keys if name not in known}
    if missing:
        for name, value in missing.items():
            cache.add(name, value, timeout=None)
        known |= cache.get_many(list(missing))
    return "-".join(str(known.get(name, fresh())) for name in keys)
