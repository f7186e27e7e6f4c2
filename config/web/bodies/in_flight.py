"""The bytes of bodies that this process holds at once, as sent and decompressed: bounded, so that many large ones together cannot take its memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from config.errors import Unavailable

MOST_BYTES = 128_000_000
RETRY_AFTER_S = 2
# From this size on, as sent or decompressed, a body takes a thread for so long that not all of them may be taken.
LARGE_BYTES = 1_000_000
BUSY = "The server has its hands full with other large requests: nothing was written. Send this one again in a moment."


class Flight:
    """A count of bytes with a bound; safe between threads."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self.held = 0
        self.lock = threading.Lock()

    def take(self, count: int, *, own: int = 0) -> None:
        """Count bytes that are held from now on, for a request that holds `own` already. Raises Unavailable, with nothing counted, where they are too many.

        One that is larger than all room is taken while the others hold little: otherwise it never would be.
        """
        with self.lock:
            if self.held + count > self.most and self.held > own + self.most // 4:
                raise Unavailable(BUSY, code="busy", retry_after_s=RETRY_AFTER_S)
            self.held += count

    def give(self, count: int) -> None:
        """They are held no more."""
        with self.lock:
            self.held -= count

    @contextmanager
    def holding(self, count: int, *, own: int = 0) -> Iterator[None]:
        """Count them for the time of a block. Raises Unavailable."""
        self.take(count, own=own)
        try:
            yield
        finally:
            self.give(count)


class Slots:
    """Places for what takes a thread for long: whoever finds none is sent away at once, as waiting would take a thread, too."""

    def __init__(self, count: int) -> None:
        self.free = threading.BoundedSemaphore(count)

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for the time of a block. Raises Unavailable."""
        if not self.free.acquire(blocking=False):
            raise Unavailable(BUSY, code="busy", retry_after_s=RETRY_AFTER_S)
        try:
            yield
        finally:
            self.free.release()


FLIGHT = Flight()
# Small bodies, which anybody may send: they take no room of those whose sender is known.
STRANGERS = Flight(most=64_000_000)
# A third of the threads that answer.
LARGE = Slots(max(1, settings.SERVER_THREADS // 3))
