"""Which version of an experiment's points a cached answer was made from."""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Iterable

from django.core.cache import cache

logger = logging.getLogger(__name__)


def key(experiment: uuid.UUID) -> str:
    """Where the version of an experiment is kept."""
    return f"points:{experiment.hex}"


def fresh() -> str:
    """A version that never was."""
    return secrets.token_hex(8)


def touch(experiments: Iterable[uuid.UUID]) -> None:
    """The points of these experiments changed: whatever was cached of them is old from now on."""
    cache.set_many({key(experiment): fresh() for experiment in experiments}, timeout=None)


def version(experiments: Iterable[uuid.UUID]) -> str:
    """One word for the present points of all these experiments. A version that the cache lost is a new one."""
    keys = [key(experiment) for experiment in experiments]
    known = cache.get_many(keys)
    missing = {name: fresh() for name in keys if name not in known}
    if missing:
        for name, value in missing.items():
            cache.add(name, value, timeout=None)
        known |= cache.get_many(list(missing))
    return "-".join(str(known.get(name, fresh())) for name in keys)
