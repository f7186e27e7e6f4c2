"""How long one statement may keep the record's PostgreSQL: as DATABASE_TIMEOUT_S says, except where a block of code says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

FOR_EVER = float("inf")
LIMIT_S: ContextVar[float | None] = ContextVar("LIMIT_S", default=None)


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Let each statement of this thread take `limit_s` seconds, whatever the settings say."""
    before = LIMIT_S.set(limit_s)
    try:
        yield
    finally:
        LIMIT_S.reset(before)
