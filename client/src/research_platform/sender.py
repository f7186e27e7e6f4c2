"""The thread that carries points to the server, in order, each batch until it is acknowledged."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

from research_platform.columns import Origin, Row, taken
from research_platform.connection import Connection
from research_platform.delivery import Delivery
from research_platform.keeping import Keep, KeptBatch
from research_platform.losses import DROPPED, KEPT, Losses
from research_platform.pace import Pace
from research_platform.parts import Batch
from research_platform.voice import Voice

# How often whoever waits for the end looks, where the word of it went to somebody else.
LOOK_S = 0.5


class Sender:
    """Points of one run on their way. `add` never waits for the network.

    Rows go through a deque, whose append and popleft are atomic: the training thread and the sending thread share no lock, and a
    KeyboardInterrupt cannot leave half a row behind.
    """

    def __init__(self, connection: Connection, path: str, origin: Origin, keep: Keep, losses: Losses, *, pace: Pace, voice: Voice) -> None:
        self._origin, self._keep, self._losses, self._pace, self._voice = origin, keep, losses, pace, voice
        self._delivery = Delivery(connection, path, keep, losses, pace=pace, voice=voice, settled=self._settle)
        self._rows: deque[Row] = deque()
        self._added = self._taken = self._settled = self._dropped = 0
        self._cry_at = 1
        # Held while rows become a batch in hand, so that whoever keeps the rest at the end finds each point in one of the two.
        self._taking = threading.Lock()
        # Waking goes through a queue in C: a KeyboardInterrupt in the midst of an Event's `set` may leave its lock held for ever.
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._is_closing = self._is_abandoned = self._is_over = False
        self._ends: SimpleQueue[None] = SimpleQueue()
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
        self._is_closing = True
        self._wake()

    def await_sent(self, timeout_s: float) -> None:
        """Wait until everything is settled, for at most `timeout_s`."""
        # Not by `join`: one that a signal cut short takes the thread for ended from then on.
        until = time.monotonic() + timeout_s
        while not self._is_over and time.monotonic() < until:
            with suppress(Empty):
                self._ends.get(timeout=max(0.0, min(LOOK_S, until - time.monotonic())))

    def abandon(self) -> None:
        """Stop, whatever still waits."""
        self._is_abandoned = True
        self._delivery.stop()

    def keep_rest(self) -> None:
        """After `abandon`: put what still waits where it can be sent from later."""
        with self._taking:
            waiting, self._delivery.in_hand = self._delivery.in_hand, []
            for batch in waiting:
                self._delivery.keep(batch, "not_sent")
            while self._rows:
                self._delivery.keep(self._next(), "not_sent")

    def _wake(self) -> None:
        if self._wakes.empty():
            self._wakes.put(None)

    def _await_wake(self) -> None:
        with suppress(Empty):
            self._wakes.get(timeout=self._pace.flush_s)

    def _drop(self, row: Row) -> None:
        self._dropped += len(row.names)
        self._losses.note(DROPPED, "waiting", len(row.names))
        if self._dropped >= self._cry_at:
            self._cry_at = self._dropped * 10
            self._voice.warn(f"{self._dropped:,} POINTS ARE LOST so far: {self.unsent:,} wait already, because the server does not take them.")

    def _work(self) -> None:
        try:
            self._send_all()
        finally:
            self._is_over = True
            self._ends.put(None)

    def _send_all(self) -> None:
        while not self._is_abandoned:
            self._await_wake()
            self._send_waiting()
            is_last = self._is_closing and not self._rows
            if self._keep and (is_last or self._delivery.is_welcome):
                self._send_kept(is_last=is_last)
            if is_last:
                return

    def _send_waiting(self) -> None:
        """One batch; more only where a backlog or the end of the run asks for it."""
        while self._rows and not self._is_abandoned:
            with self._taking:
                if self._is_abandoned:
                    return
                self._delivery.take(self._next())
            self._delivery.deliver()
            if self._added - self._taken < self._pace.flush_points and not self._is_closing:
                return

    def _send_kept(self, *, is_last: bool) -> None:
        """What was kept, now that the server takes points again; at the end of the run whether it does or not. Until it is shut out."""
        before = self._delivery.shut_outs
        try:
            with closing(self._keep.taken()) as waiting:
                while self._takes_kept(waiting):
                    self._delivery.deliver(is_last=is_last)
                    if self._delivery.shut_outs != before:
                        return
        except OSError as error:
            self._voice.once("keep", f"what was kept cannot be read or put back ({error}).")

    def _takes_kept(self, waiting: Iterator[KeptBatch]) -> bool:
        """Take the next of what was kept in hand; False where there is none, or the run is given up."""
        with self._taking:
            kept = None if self._is_abandoned else next(waiting, None)
            if kept is None:
                return False
            self._settled -= kept.batch.points
            self._losses.note(KEPT, kept.reason, -kept.batch.points)
            self._delivery.take(kept.batch)
        return True

    def _next(self) -> Batch:
        """The next batch of what waits."""
        origin = replace(self._origin, host="") if self._delivery.is_hostless else self._origin
        batch = origin.batch(taken(self._rows, self._pace), ordinal=self._taken)
        self._taken += batch.points
        return batch

    def _settle(self, points: int) -> None:
        self._settled += points
