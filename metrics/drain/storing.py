"""From the spool into the metric store: one thread a process, in the order in which the batches came.

A block's boundaries are on disk before its insert, so that a repeat after a kill is the same block and every point overwrites itself.
Then one spool transaction marks the block drained and updates the state of its series, and then the states are stored. Whatever is cut
short is done again from what the spool says. Nothing is dropped: an unreachable store is waited for, a refused row is set aside.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, close_old_connections

from metrics import meters
from metrics.clickhouse.errors import RejectedData, StoreError
from metrics.drain import record
from metrics.drain.block import Block, dead_row, key_of, to_batch
from metrics.drain.series_states import SeriesStates
from metrics.points.valid import Points
from metrics.spool.batches import Batch
from metrics.spool.file import meta, set_meta
from metrics.spool.queue import Spool
from metrics.store import freshness
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place

logger = logging.getLogger(__name__)
BACKOFF_S = (0.1, 15.0)
SWEEP_S = 60.0
CLEAN_S = 5.0
CLEAN_BLOCKS = 8
# Each waiter holds a thread of the server: while the store is away, most threads stay free for requests that can be answered.
WAITERS_WHILE_AWAY = 4

NEXT_BATCHES = "SELECT id, points, length(payload), experiment FROM batches WHERE id > ? ORDER BY id LIMIT 20000"
OF_BLOCK = (
    "SELECT id, team, project, experiment, month, points, writer, ordinal, received_us, repeats, request_id, payload"
    " FROM batches WHERE id BETWEEN ? AND ? ORDER BY id"
)
# However many points come, blocks of a hundred follow each other no faster than this.
MIN_PAUSE_S = 0.2
# Drained blocks from before a time, and the oldest of those beyond a number of bytes.
OUTDATED = """
    SELECT id, first, last FROM (
        SELECT id, first, last, drained_us, sum(size_bytes) OVER (ORDER BY id DESC) AS kept FROM blocks WHERE drained_us IS NOT NULL
    ) WHERE drained_us < ? OR kept > ? ORDER BY id LIMIT ?
"""
RECEIPTS_KEPT_US = 24 * 3_600_000_000
REQUESTS_NAMED = 5
STATES = """
    SELECT experiment, name, team, project, version, state, once_at = version, last_logged FROM summaries
    WHERE (experiment, name) > (?, ?) ORDER BY experiment, name LIMIT 20000
"""


@dataclass(frozen=True)
class Timing:
    """When the drain stores: at `batch_points` waiting or after `interval_s`; at most `block_points` at once. What is drained is kept a while."""

    batch_points: int
    interval_s: float
    block_points: int
    keep_s: float
    keep_bytes: int


class Drain:
    """Moves one spool's batches into the metric store."""

    def __init__(self, spool: Spool, repository: MetricRepository, *, timing: Timing, failpoint: Callable[[str], None] = lambda name: None) -> None:
        self.spool, self.repository, self.timing, self.failpoint = spool, repository, timing, failpoint
        self.reading = spool.reader()
        # Up to which row points may be seen: 0 until the caches know of what was stored before, perhaps by a process that was killed before it told them.
        self.visible_to = 0
        self.stored: deque[tuple[set[uuid.UUID], Counter[uuid.UUID], int]] = deque([(set(), Counter(), meta(self.reading, "drained_to"))])
        self.refused: set[int] = set()
        self.states = SeriesStates(spool, self.reading, repository)
        self.discarded = 0
        self.failures = self.waiters = 0
        self.last_error = ""
        self.trace: dict[str, Any] = {}
        self.swept_at = self.cleaned_at = self.drained_at = 0.0
        self.is_stopping = False
        self.is_over: Callable[[], bool] = lambda: False
        self.thread = threading.Thread(target=self.drain_for_ever, name="drain", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self, *, within_s: float) -> None:
        """One last attempt at what waits, then end. Whatever is not stored stays in the spool."""
        with self.spool.arrived:
            self.is_stopping = self.spool.is_urgent = True
            self.spool.arrived.notify_all()
        self.thread.join(timeout=within_s)
        if not self.thread.is_alive():
            self.reading.close()

    def drain_out(self, *, is_over: Callable[[], bool]) -> None:
        """Store all that waits and tidy up, without a thread, block by block until `is_over`. Raises StoreError, DatabaseError, sqlite3.Error."""
        self.is_over, self.spool.is_urgent = is_over, True
        try:
            self.drain_waiting()
            self.states.write_notes()
            self.sweep()
        finally:
            self.reading.close()

    def wait_visible(self, batch: int, *, timeout_s: float) -> bool:
        """Whether the batch with this row id can be queried, waiting for it up to `timeout_s`; not at all where many wait for a store that is away."""
        self.spool.hurry()
        with self.spool.arrived:
            if self.failures and self.waiters >= WAITERS_WHILE_AWAY:
                return False
            self.waiters += 1
            self.spool.arrived.wait_for(lambda: self.visible_to >= batch or self.is_stopping, timeout=timeout_s)
            self.waiters -= 1
        return self.visible_to >= batch and batch not in self.refused

    # The loop ----------------------------------------------------------------------------------------------------------------------------------

    def drain_for_ever(self) -> None:
        """Wait until something is due, store it, tidy up; back off with jitter where the store does not take it."""
        while True:
            self.wait_until_due()
            was_stopping = self.is_stopping
            try:
                self.drain_waiting()
                self.states.write_notes()
                self.sweep()
                self.failures, self.last_error = 0, ""
            except (StoreError, DatabaseError, sqlite3.Error) as error:
                self.failures, self.last_error = self.failures + 1, str(error)
                meters.meters().failures.inc()
                logger.warning("The metric store did not take the block, attempt %d: %s", self.failures, str(error)[:300], extra=self.trace)
            finally:
                close_old_connections()
            if was_stopping:
                return
            if self.failures:
                self.back_off()

    def wait_until_due(self) -> None:
        """Sleep until a batch's worth waits, the oldest has waited long enough, someone hurries, or a sweep is due."""
        with self.spool.arrived:
            while not self.is_due():
                self.spool.arrived.wait(timeout=self.time_left_s())
            self.spool.is_urgent = False

    def is_due(self) -> bool:
        """Whether the drain should work now. The caller holds `spool.arrived`."""
        return not self.is_over() and (self.is_stopping or self.spool.is_urgent or self.time_left_s() <= 0)

    def time_left_s(self) -> float:
        """Until the next sweep, the oldest waiting point's time is up, or a batch's worth waits and the last block is a moment ago."""
        left = self.swept_at + SWEEP_S - time.monotonic()
        if self.spool.oldest_us:
            left = min(left, self.spool.oldest_us / 1e6 + self.timing.interval_s - time.time())
        waiting = self.spool.waiting.total()
        if waiting >= self.timing.block_points:
            return 0.0
        if waiting >= self.timing.batch_points:
            left = min(left, self.drained_at + MIN_PAUSE_S - time.monotonic())
        return max(left, 0.0)

    def back_off(self) -> None:
        """Wait longer after every failure, never in step with others; a stop ends the wait."""
        least, most = BACKOFF_S
        delay = min(most, least * 2 ** min(self.failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311  # jitter, not a secret
        deadline = time.monotonic() + delay
        with self.spool.arrived:
            self.spool.arrived.wait_for(lambda: self.is_stopping, timeout=max(0.0, deadline - time.monotonic()))

    def drain_waiting(self) -> None:
        """Store block after block until nothing that waits is due. Raises StoreError where the store does not take one."""
        self.show_stored()
        self.states.store()
        while self.drain_block():
            self.sweep()
            with self.spool.arrived:
                if not self.is_due():
                    return

    def drain_block(self) -> bool:
        """Store the next block; False where there is none."""
        bounds = self.block_bounds()
        if bounds is None:
            with self.spool.arrived:
                self.spool.oldest_us = 0 if not self.spool.waiting else self.spool.oldest_us
            return False
        batches = [to_batch(row) for row in self.reading.execute(OF_BLOCK, bounds)]
        self.trace = trace(batches)
        counts = Counter[uuid.UUID]()
        for batch in batches:
            counts[batch.target.experiment_id] += batch.points
        block = self.of_living(batches)
        self.failpoint("before-insert")
        stored, dead = self.insert(block) if block.batches else ([], [])
        self.states.forget_gone({batch.target.experiment_id: Place(batch.target.team_id, batch.target.project_id) for batch in block.batches})
        self.failpoint("after-insert")
        self.mark(bounds, stored, dead)
        self.drained_at = time.monotonic()
        self.failpoint("after-mark")
        self.states.store()
        self.after(block, bounds, counts)
        logger.info("Stored %d points of %d requests", counts.total(), self.trace["requests"], extra=self.trace)
        self.trace = {}
        return True

    def block_bounds(self) -> tuple[int, int] | None:
        """(first, last) row id of the block that is recorded and not drained, else of a new one, recorded before it is used."""
        found = self.reading.execute("SELECT first, last FROM blocks WHERE drained_us IS NULL ORDER BY id LIMIT 1").fetchone()
        if found is not None:
            return int(found[0]), int(found[1])
        taken: list[int] = []
        points = size = 0
        for row, count, length, _ in self.reading.execute(NEXT_BATCHES, (meta(self.reading, "drained_to"),)):
            if taken and points + count > self.timing.block_points:
                break
            taken.append(row)
            points, size = points + count, size + length
        if not taken:
            return None
        bounds = (taken[0], taken[-1])
        self.states.transact_with_notes(lambda c: c.execute("INSERT INTO blocks (first, last, size_bytes) VALUES (?,?,?)", (*bounds, size)))
        return bounds

    def of_living(self, batches: list[Batch]) -> Block:
        """The block without the batches of experiments that were deleted meanwhile; those are counted and discarded."""
        living = record.living({batch.target.experiment_id for batch in batches})
        kept = [batch for batch in batches if batch.target.experiment_id in living]
        gone = sum(batch.points for batch in batches if batch.target.experiment_id not in living)
        self.discarded += gone
        meters.meters().discarded.inc(gone)
        return Block(kept, [Points.decoded(batch.payload) for batch in kept])

    def insert(self, block: Block) -> tuple[list[Block], list[tuple[Block, str]]]:
        """Insert a block. Where rows are refused, cut it until the bad ones stand alone: (parts stored, (part, reason) set aside)."""
        try:
            with meters.insert():
                self.repository.insert_points(block.columns)
        except RejectedData as error:
            if len(block) == 1:
                logger.warning("The metric store refused a row, which is set aside: %s", str(error)[:300], extra=trace(block.batches))
                return [], [(block, str(error)[:1000])]
            stored, dead = [], []
            for half in block.halves():
                half_stored, half_dead = self.insert(half)
                stored += half_stored
                dead += half_dead
            return stored, dead
        return [block], []

    # The spool's account -----------------------------------------------------------------------------------------------------------------------

    def mark(self, bounds: tuple[int, int], stored: list[Block], dead: list[tuple[Block, str]]) -> None:
        """In one transaction: the block is drained, its series have their new state, refused rows lie in the dead-letter table."""
        changed = self.states.changed(stored)
        now = time.time_ns() // 1000
        rows = [
            (*key_of(series, name), series.team_id.bytes, series.project_id.bytes, version, state.packed(), version if state.once else 0, state.last_logged)
            for (series, name), (version, state) in changed.items()
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE blocks SET drained_us = ? WHERE first = ? AND last = ?", (now, *bounds))
            set_meta(connection, "drained_to", bounds[1])
            connection.executemany(
                "INSERT INTO summaries (experiment, name, team, project, version, state, once_at, last_logged) VALUES (?,?,?,?,?,?,?,?)"
                " ON CONFLICT (experiment, name) DO UPDATE SET version = excluded.version, state = excluded.state, once_at = excluded.once_at,"
                " last_logged = excluded.last_logged",
                rows,
            )
            connection.executemany(
                "INSERT INTO dead (team, project, experiment, month, points, writer, ordinal, received_us, payload, request_id, reason, at_us)"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [dead_row(part.batches[0], reason, now) for part, reason in dead],
            )

        self.spool.transact(write)
        self.refused |= {part.batches[0].id for part, _ in dead}
        self.states.remember(changed)

    def after(self, block: Block, bounds: tuple[int, int], counts: Counter[uuid.UUID]) -> None:
        """The record learns of new names, then the points may be seen: caches forget, waiters wake. Then it learns of the latest time."""
        try:
            self.define_names()
        finally:
            self.stored.append(({*counts, *(batch.target.project_id for batch in block.batches)}, counts, bounds[1]))
            self.show_stored()
        record.note_points({batch.target.experiment_id: batch.received_us for batch in block.batches})

    def show_stored(self) -> None:
        """What is stored may be seen, once every cache knows of it. Raises DatabaseError where that cannot be said now; then it is said the next time."""
        while self.stored:
            owners, counts, last = self.stored[0]
            if owners:
                freshness.touch(owners)
            else:
                freshness.touch_all()
            self.visible_to = last
            oldest = self.reading.execute("SELECT received_us FROM batches WHERE id > ? ORDER BY id LIMIT 1", (last,)).fetchone()
            self.spool.settle(counts, oldest_us=int(oldest[0]) if oldest else 0)
            self.stored.popleft()

    def define_names(self) -> None:
        """Make the project's metric for every name that came up without one."""
        found = self.reading.execute("SELECT DISTINCT project, name FROM names INDEXED BY names_undefined WHERE defined = 0 LIMIT 20000").fetchall()
        if not found:
            return
        record.define_metrics((uuid.UUID(bytes=project), name) for project, name in found)
        self.spool.transact(lambda c: c.executemany("UPDATE names SET defined = 1 WHERE project = ? AND name = ? AND defined = 0", found))

    # What is kept, and for how long ---------------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Once a minute: names left undefined, deletions left undone. Every few seconds: drained blocks and receipts past their time."""
        if time.monotonic() - self.cleaned_at >= CLEAN_S:
            self.cleaned_at = time.monotonic()
            while self.spool.transact(self.clean_up):
                pass
        if time.monotonic() - self.swept_at < SWEEP_S:
            return
        self.swept_at = time.monotonic()
        self.define_names()
        for place, experiment in record.unpurged():
            self.states.forget(place, experiment)
            record.purged(experiment)
        if record.restore_is_asked(self.spool.writer):
            self.restore(self.reading)
            record.restored(self.spool.writer)

    def clean_up(self, connection: sqlite3.Connection) -> bool:
        """Drop some drained blocks that are too old or too many, and old receipts; whether there may be more to drop."""
        now = time.time_ns() // 1000
        found = connection.execute(OUTDATED, (now - int(self.timing.keep_s * 1e6), self.timing.keep_bytes, CLEAN_BLOCKS)).fetchall()
        set_meta(connection, "ordinal_floor", self.spool.next_ordinal)
        for block, first, last in found:
            connection.execute("DELETE FROM batches WHERE id BETWEEN ? AND ?", (first, last))
            connection.execute("DELETE FROM blocks WHERE id = ?", (block,))
        connection.execute("DELETE FROM receipts WHERE at_us < ?", (now - RECEIPTS_KEPT_US,))
        return len(found) == CLEAN_BLOCKS

    def restore(self, reading: sqlite3.Connection) -> int:
        """Send every kept block and state of a spool file again, whoever holds it, after the store was damaged or replaced by an older copy; how many points.

        Points overwrite themselves, and states are absolute: what the store has already does not change.
        """
        points = 0
        for bounds in reading.execute("SELECT first, last FROM blocks WHERE drained_us IS NOT NULL ORDER BY id").fetchall():
            block = self.of_living([to_batch(row) for row in reading.execute(OF_BLOCK, bounds)])
            if block.batches:
                self.insert(block)
                points += len(block)
        place = (b"", "")
        while found := reading.execute(STATES, place).fetchall():
            self.states.insert(found, writer=meta(reading, "writer"))
            place = found[-1][:2]
        return points

    # Dead letters ------------------------------------------------------------------------------------------------------------------------------

    def replay_dead(self) -> int:
        """Put every refused row back into the queue under its own identity; how many."""

        def write(connection: sqlite3.Connection) -> list[tuple[bytes, int]]:
            found = connection.execute("SELECT experiment, points FROM dead").fetchall()
            connection.execute(
                "INSERT INTO batches (team, project, experiment, month, points, writer, ordinal, received_us, request_id, payload)"
                " SELECT team, project, experiment, month, points, writer, ordinal, received_us, request_id, payload FROM dead ORDER BY id"
            )
            connection.execute("DELETE FROM dead")
            return found

        found = self.spool.transact(write)
        with self.spool.arrived:
            for experiment, points in found:
                self.spool.waiting[uuid.UUID(bytes=experiment)] += points
        self.spool.hurry()
        return len(found)


def trace(batches: list[Batch]) -> dict[str, Any]:
    """What a log line says of the requests whose batches it is about: the ids of the first few, and how many there are."""
    ids = list(dict.fromkeys(batch.request_id for batch in batches if batch.request_id))
    return {"request_ids": ids[:REQUESTS_NAMED], "requests": len(ids)}
