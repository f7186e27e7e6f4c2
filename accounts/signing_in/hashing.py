"""Passwords are hashed a few at a time: the hash is slow on purpose, and a flood of sign-ins would otherwise take every core and every thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from config.errors import Unavailable

AT_ONCE = 1 if (os.cpu_count() or 1) <= 2 else 2  # two cores: one hashes, one answers
WAITING_MOST = 4
WAIT_S = 3.0
BUSY = "Many people sign in just now: try again in a moment."


class Places:
    """Room for some hashes at once in this process, and for some more to wait a while; the others are sent away at once."""

    def __init__(self, *, at_once: int, waiting_most: int, wait_s: float) -> None:
        self.inside = threading.BoundedSemaphore(at_once)
        self.admitted = threading.BoundedSemaphore(at_once + waiting_most)
        self.wait_s = wait_s

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place, as soon as there is one. Raises Unavailable where too many wait, or it takes too long."""
        if not self.admitted.acquire(blocking=False):
            raise Unavailable(BUSY, code="busy", retry_after_s=5)
        try:
            if not self.inside.acquire(timeout=self.wait_s):
                raise Unavailable(BUSY, code="busy", retry_after_s=5)
            try:
                yield
            finally:
                self.inside.release()
        finally:
            self.admitted.release()


PLACES = Places(at_once=AT_ONCE, waiting_most=WAITING_MOST, wait_s=WAIT_S)


class QueuedPBKDF2(PBKDF2PasswordHasher):
    """Django's own hash, in a place: whoever checks, sets or only pretends to check a password comes through here."""

    def encode(self, *args: Any, **options: Any) -> str:  # Any: Django's own signature
        """The hash. Raises Unavailable where too many are made at this moment."""
        with PLACES.one():
            return super().encode(*args, **options)
