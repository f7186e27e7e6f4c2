"""Leaving a server alone that does not answer: while it is away, one caller a moment tries it, and all others go on at once without it."""

from __future__ import annotations

import logging
import threading
import time

logger = logging.getLogger(__name__)
REST_S = 1.0
SAY_AGAIN_S = 60.0


class Circuit:
    """Whether a server is tried. After a failure it is left alone for REST_S, and then one caller in REST_S tries it. `said` is what the log is told."""

    def __init__(self, said: str = "") -> None:
        self.said = said
        self.lock = threading.Lock()
        self.closed_until = self.said_at = 0.0

    @property
    def has_failed(self) -> bool:
        """Whether the last that is known of it is a failure."""
        return bool(self.closed_until)

    def may_try(self) -> bool:
        """Whether to ask it now."""
        if not self.has_failed:
            return True
        with self.lock:
            now = time.monotonic()
            if now < self.closed_until:
                return False
            self.closed_until = now + REST_S
            return True

    def succeeded(self) -> None:
        """It answered."""
        if self.has_failed:
            self.closed_until = self.said_at = 0.0
            if self.said:
                logger.info("No longer so: %s", self.said)

    def failed(self, error: object) -> None:
        """It did not. Said in the log once in SAY_AGAIN_S."""
        with self.lock:
            now = time.monotonic()
            self.closed_until = now + REST_S
            if not self.said or (self.said_at and now - self.said_at < SAY_AGAIN_S):
                return
            self.said_at = now
        logger.warning("%s: %s", self.said, error)
