"""Answers kept until a point changes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence

from django.core.cache import caches

from metrics.store import freshness

CACHE_S = 3600
# Where answers are kept, by the largest that lie there, in bytes; times MAX_ENTRIES of the settings it is what the caches may hold.
SHELVES = {"readings": 100_000, "charts": 4_000_000}


def cached(parts: Sequence[object], owners: Sequence[uuid.UUID], make: Callable[[], bytes]) -> bytes:
    """What `make` returns, kept under `parts` and the present version of the points of `owners` (experiments or projects).

    An acknowledged visible write makes it old. Many small answers are kept and few large ones, apart, so that these push none of those out; what is
    too large for either is made anew each time.
    """
    name = hashlib.blake2b(f"{parts!r} {freshness.version(owners)}".encode(), digest_size=16).hexdigest()
    for shelf in SHELVES:
        known: bytes | None = caches[shelf].get(name)
        if known is not None:
            return known
    made = make()
    for shelf, largest in SHELVES.items():
        if len(made) <= largest:
            caches[shelf].set(name, made, CACHE_S)
            break
    return made
