"""The thread that tells the server that a run is alive, so that a quiet run and a dead one can be told apart."""

from __future__ import annotations

import threading
from collections.abc import Callable

from research_platform.connection import Connection, packed
from research_platform.values import encoded

FIRST_AFTER_S = 5.0


class Heartbeat:
    """Beats every `every_s` seconds until stopped, and says so: silence is noticed by that. A beat that is lost is not repeated: the next is due soon.

    After each beat it calls `then`.
    """

    def __init__(self, connection: Connection, path: str, *, every_s: float, then: Callable[[], None]) -> None:
        self._connection, self._path, self._every_s, self._then = connection, path, every_s, then
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="research-platform-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()

    def _work(self) -> None:
        promise = packed(encoded({"every_s": self._every_s}))
        pause_s = min(FIRST_AFTER_S, self._every_s)
        while not self._stopped.wait(pause_s):
            self._connection.ask("POST", self._path, promise)
            self._then()
            pause_s = self._every_s
