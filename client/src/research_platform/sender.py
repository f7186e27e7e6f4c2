"""The thread that carries points to the server, in order, each batch until it is acknowledged."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from itertools import count
from queue import Empty, SimpleQueue

from research_platform.columns import Batch, Origin, Row, taken
from research_platform.connection import CONFLICT, Answer, Connection
from research_platform.pace import Pace
from research_platform.voice import Voice

# The same key in flight is over in seconds; a 409 that stays means that the experiment takes no points.
CONFLICTS_AT_MOST = 12


class Sender:
    """Points of one run on their way. `add` never waits for the network.

    Rows go through a deque, whose append and popleft are atomic: the training thread and the sending thread share no lock, and a
    KeyboardInterrupt cannot leave half a row behind.
    """

    def __init__(self, connection: Connection, path: str, origin: Origin, *, pace: Pace, voice: Voice) -> None:
        self._connection, self._path, self._origin, self._pace, self._voice = connection, path, origin, pace, voice
        self._rows: deque[Row] = deque()
        self._added = self._taken = self._settled = 0
        self.refused = self.dropped = 0
        self._cry_at = 1
        # Waking goes through a queue in C: a KeyboardInterrupt in the midst of an Event's `set` may leave its lock held for ever.
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._closing, self._abandoned = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="research-platform-sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    @property
    def unsent(self) -> int:
        """Points that no answer has settled yet."""
        return self._added - self._settled

    def add(self, row: Row) -> None:
        """Take one row to be sent; drop it, loudly, where too many wait already."""
        if self.unsent + len(row.names) > self._pace.waiting_points:
            self._drop(row)
            return
        self._added += len(row.names)
        self._rows.append(row)
        if self._added - self._taken >= self._pace.flush_points:
            self._wake()

    def close(self) -> None:
        """Begin to send what waits, and take no more."""
        self._closing.set()
        self._wake()

    def await_sent(self, timeout_s: float) -> None:
        """Wait until everything is settled, for at most `timeout_s`."""
        self._thread.join(max(0.0, timeout_s))

    def abandon(self) -> None:
        """Stop, whatever still waits."""
        self._abandoned.set()

    def _wake(self) -> None:
        if self._wakes.empty():
            self._wakes.put(None)

    def _await_wake(self) -> None:
        with suppress(Empty):
            self._wakes.get(timeout=self._pace.flush_s)

    def _drop(self, row: Row) -> None:
        self.dropped += len(row.names)
        if self.dropped >= self._cry_at:
            self._cry_at = self.dropped * 10
            self._voice.warn(f"{self.dropped:,} POINTS ARE LOST so far: {self.unsent:,} wait already, because the server does not take them.")

    def _work(self) -> None:
        while not self._abandoned.is_set():
            self._await_wake()
            self._send_waiting()
            if self._closing.is_set() and not self._rows:
                return

    def _send_waiting(self) -> None:
        """One batch; more only where a backlog or the end of the run asks for it."""
        while self._rows and not self._abandoned.is_set():
            batch = self._origin.batch(taken(self._rows, self._pace), ordinal=self._taken)
            self._taken += batch.points
            self._deliver(batch)
            if self._added - self._taken < self._pace.flush_points and not self._closing.is_set():
                return

    def _deliver(self, batch: Batch) -> None:
        """Offer `batch` until it is acknowledged or refused, or the run is given up."""
        for attempt in count():
            answer = self._connection.ask("POST", self._path, batch.body, headers={"Idempotency-Key": batch.key})
            if is_receipt(answer):
                self._settle(batch)
                return
            if is_refusal(answer, attempt):
                self._refuse(batch, answer)
                return
            self._tell_of_outage(attempt, answer)
            if self._abandoned.wait(self._pace.pause_s(attempt, answer.retry_after_s)):
                return

    def _settle(self, batch: Batch) -> None:
        self._settled += batch.points
        self._voice.forget("outage")

    def _refuse(self, batch: Batch, answer: Answer) -> None:
        self._settled += batch.points
        self.refused += batch.points
        self._voice.once("refused", f"the server refused {batch.points:,} points, which are lost ({answer}). Logging goes on; later refusals are counted.")

    def _tell_of_outage(self, attempt: int, answer: Answer) -> None:
        if attempt == 1:  # a single failure is no outage
            self._voice.once("outage", f"{self._connection.url} does not take points now ({answer}). They are kept and sent again until it does.")


def is_receipt(answer: Answer) -> bool:
    """Whether the points are durable. A proxy's own 200 page is no receipt."""
    return answer.is_good and answer.content.get("status") == "success"


def is_refusal(answer: Answer, attempt: int) -> bool:
    """Whether sending the same batch again is of no use."""
    if answer.status == CONFLICT:
        return attempt >= CONFLICTS_AT_MOST
    return not answer.is_passing and not answer.is_good
