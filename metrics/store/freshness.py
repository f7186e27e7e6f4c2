"""Which version of an experiment's points, or of all the points of a project, a cached answer was made from.

A version lies in the cache, and changes when the points do. Where the cache is a server that can be away, two things more make a version: what
could not be said to it is counted in the record (CacheEpoch), so that it may come back with all it knew before; and each of its lives counts
apart, so that it may come back with what it had saved even earlier.
"""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Iterable

from django.core.cache import DEFAULT_CACHE_ALIAS, cache, caches
from django.db.models import F

from metrics.models import CacheEpoch

logger = logging.getLogger(__name__)
KEPT_S = 86_400  # longer than any answer is; after that, a version is a new one


def key(owner: uuid.UUID) -> str:
    """Where the version of an experiment or a project is kept."""
    return f"points:{owner.hex}"


def fresh() -> str:
    """A version that never was."""
    return secrets.token_hex(8)


def touch(owners: Iterable[uuid.UUID]) -> None:
    """The points of these experiments or projects changed: whatever was cached of them is old from now on, also where the cache is away.

    Raises DatabaseError where neither the cache nor the record can be told.
    """
    unsaid = cache.set_many({key(owner): fresh() for owner in owners}, timeout=KEPT_S)
    if unsaid:
        begin_epoch()


def touch_all() -> None:
    """Everything that was cached is old from now on. Nothing to do where the cache began with this process. Raises DatabaseError."""
    if can_be_away():
        begin_epoch()


def version(owners: Iterable[uuid.UUID]) -> str:
    """One word for the present points of all these experiments or projects. A version that the cache lost is a new one."""
    keys = [key(owner) for owner in owners]
    known = cache.get_many(keys)
    missing = {name: fresh() for name in keys if name not in known}
    if missing:
        for name, value in missing.items():
            cache.add(name, value, timeout=KEPT_S)
        known |= cache.get_many(list(missing))
    return "-".join([*(str(known.get(name, fresh())) for name in keys), *circumstances()])


def can_be_away() -> bool:
    """Whether the cache is a server, with a life of its own."""
    return hasattr(caches[DEFAULT_CACHE_ALIAS], "life")


def circumstances() -> tuple[str, ...]:
    """Life and epoch of a cache that can be away, asked for after the versions were read; nothing for one in this process."""
    return (caches[DEFAULT_CACHE_ALIAS].life(), str(epoch())) if can_be_away() else ()  # type: ignore[attr-defined]


def epoch() -> int:
    """How often the cache could not be told of a change."""
    return CacheEpoch.objects.filter(pk=CacheEpoch.ONLY).values_list("number", flat=True).first() or 0


def begin_epoch() -> None:
    """Make everything old that was cached so far."""
    if not CacheEpoch.objects.filter(pk=CacheEpoch.ONLY).update(number=F("number") + 1):
        CacheEpoch.objects.bulk_create([CacheEpoch(pk=CacheEpoch.ONLY)], ignore_conflicts=True)
        CacheEpoch.objects.filter(pk=CacheEpoch.ONLY).update(number=F("number") + 1)
