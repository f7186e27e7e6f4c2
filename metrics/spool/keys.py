"""Idempotency keys that are being written just now, by any process of this host."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import InFlight

BUSY = "A request with this Idempotency-Key is being written: ask again in a moment."


class Keys:
    """One lock file for all processes: a key is a byte of it, locked while its batch is written; the kernel lets go of a dead process's.

    Such locks belong to the process, so that threads are kept apart by a set. They go with any descriptor of the file that the process closes: it is
    opened once, here, and stays open until the process ends.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.mutex = threading.Lock()
        self.held: set[int] = set()

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Hold a key. Raises InFlight where another request of this host holds it."""
        place = place_of(key)
        self.hold(place)
        try:
            yield
        finally:
            self.release(place)

    def hold(self, place: int) -> None:
        """Lock one byte. Raises InFlight where it is locked."""
        with self.mutex:
            if place in self.held:
                raise InFlight(BUSY)
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except (BlockingIOError, PermissionError) as error:  # which of the two is the system's choice
                raise InFlight(BUSY) from error
            self.held.add(place)

    def release(self, place: int) -> None:
        """Unlock one byte."""
        with self.mutex:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, place)
            self.held.discard(place)


def place_of(key: str) -> int:
    """The byte of a key: 62 bits of its hash, within what a lock may span; the file itself stays empty."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) >> 2
