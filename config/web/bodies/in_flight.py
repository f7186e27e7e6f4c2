"""The bytes of bodies that this process holds at once, as sent and decompressed: bounded, so that many large ones together cannot take its memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from config.errors import Unavailable

MOST_BYTES = 128_000_000
RETRY_AFTER_S = 2
# From this size on, as sent or decompressed, a body takes a thread for so long that not all of them may be taken.
LARGE_BYTES = 1_000_000
BUSY = "The server has its hands full with other large requests: nothing was written. Send this one again in a moment."
BUSY_WITH_YOU = "The server has its hands full with other large requests of yours: nothing was written. Send them one after the other."


def busy(*, is_own: bool = False) -> Unavailable:
    """The refusal of what there is no room for just now."""
    return Unavailable(BUSY_WITH_YOU if is_own else BUSY, code="busy", retry_after_s=RETRY_AFTER_S)


class Flight:
    """A count of bytes with a bound, and one for all of the same sender; safe between threads. Whose "" is nobody in particular."""

    def __init__(self, most: int, *, of_one: int) -> None:
        self.most, self.of_one = most, of_one
        self.held = 0
        self.held_by: Counter[str] = Counter()
        self.lock = threading.Lock()

    def take(self, count: int, *, own: int = 0, whose: str = "") -> None:
        """Count bytes that are held from now on, for a request that holds `own` already. Raises Unavailable, with nothing counted, where they are too many.

        One that is larger than all room is taken while the others hold little: otherwise it never would be.
        """
        with self.lock:
            if whose and self.held_by[whose] + count > self.of_one and self.held_by[whose] > own:
                raise busy(is_own=True)
            if self.held + count > self.most and self.held > own + self.most // 4:
                raise busy()
            self.held += count
            self.held_by[whose] += count

    def give(self, count: int, *, whose: str = "") -> None:
        """They are held no more."""
        with self.lock:
            self.held -= count
            self.held_by[whose] -= count
            if not self.held_by[whose]:
                del self.held_by[whose]

    @contextmanager
    def holding(self, count: int, *, own: int = 0, whose: str = "") -> Iterator[None]:
        """Count them for the time of a block. Raises Unavailable."""
        self.take(count, own=own, whose=whose)
        try:
            yield
        finally:
            self.give(count, whose=whose)


class Slots:
    """Places for what takes a thread for long: whoever finds none is sent away at once, as waiting would take a thread, too."""

    def __init__(self, count: int) -> None:
        self.count, self.of_one = count, max(1, count // 2)
        self.taken: Counter[str] = Counter()
        self.lock = threading.Lock()

    @contextmanager
    def one(self, *, whose: str = "") -> Iterator[None]:
        """A place for the time of a block; one sender has half of them at the most. Raises Unavailable."""
        with self.lock:
            is_own = bool(whose) and self.taken[whose] >= self.of_one
            if is_own or self.taken.total() >= self.count:
                raise busy(is_own=is_own)
            self.taken[whose] += 1
        try:
            yield
        finally:
            with self.lock:
                self.taken[whose] -= 1
                if not self.taken[whose]:
                    del self.taken[whose]


# One sender has half of it, so that it is not one who keeps all others from sending.
FLIGHT = Flight(MOST_BYTES, of_one=MOST_BYTES // 2)
# Small bodies, which anybody may send: by the network they come from. They take no room of those whose sender is known.
STRANGERS = Flight(64_000_000, of_one=16_000_000)
# A third of the threads that answer.
LARGE = Slots(max(1, settings.SERVER_THREADS // 3))
