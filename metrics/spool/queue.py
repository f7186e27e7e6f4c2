"""The durable queue between an acknowledged point and the metric store: one SQLite file, one process that holds it, one writer thread.

A request hands a batch to `Spool.append` and waits. The writer thread takes all that wait, writes them in one transaction with
`synchronous=FULL`, and only then lets them answer: acknowledged means on disk. Everything else that changes the file (blocks, marks,
summaries, clean-up) goes through the same thread as a job, so that the file has one writer and no lock is ever waited for. Reading uses
connections of its own, which WAL lets run beside the writer.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from config.errors import Fault, Invalid, Unavailable
from metrics.points.valid import Points
from metrics.spool.batches import Entry, Receipt, Series, replay
from metrics.spool.file import connected, live_bytes, meta, own, reader, set_meta

logger = logging.getLogger(__name__)
T = TypeVar("T")
COMMIT_BYTES = 64_000_000
NAMES_REMEMBERED = 2_000
DISK_LOOK_S = 1.0
FAULTS_KEPT = 1_000


@dataclass(frozen=True)
class Caps:
    """How much may lie in the folder, all its files together, and how much of the disk stays free; bytes. Metric names an experiment may have."""

    spool_bytes: int
    disk_free_bytes: int
    names: int


@dataclass(frozen=True)
class Beside:
    """What the other files of the folder hold."""

    size_bytes: int = 0
    is_waiting: bool = False


class Spool:
    """One spool file, held by flock. `register` gives a new file its writer number from the record; `beside` looks at the folder's other files.

    Raises InUse where another process holds the file, Damaged or another SetupError where it cannot be used, and what `register` raises.
    """

    connection: sqlite3.Connection
    writer: int
    next_ordinal: int
    waiting: Counter[uuid.UUID]
    oldest_us: int

    def __init__(self, path: Path, *, caps: Caps, register: Callable[[Path], int], beside: Callable[[], Beside] = Beside) -> None:
        self.path, self.caps, self.beside = path, caps, beside
        self.lock = own(path)
        try:
            self.open(register)
        except BaseException:
            os.close(self.lock)
            raise
        self.queue: queue.SimpleQueue[Entry | tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None] = queue.SimpleQueue()
        self.names: dict[bytes, set[str]] = {}
        self.arrived = threading.Condition()
        self.is_urgent = False
        self.is_stopping = False
        self.size_bytes, self.measured_at = live_bytes(self.connection), 0.0
        self.looked_at = 0.0
        self.full_reason = ""
        self.thread = threading.Thread(target=self.write_for_ever, name="spool-writer", daemon=True)
        self.thread.start()

    # What requests do ------------------------------------------------------------------------------------------------------------------

    def append(self, target: Series, points: Points, *, key: str | None = None, body_hash: bytes = b"", request_id: str = "") -> Receipt:
        """Put a batch on disk and return its receipt; a known key and body gives the first receipt again.

        The caller sees to it that a key is written by one request at a time. Raises Unavailable (spool full, low disk, stopping), Invalid (same
        key, another body; too many names).
        """
        self.refuse_when_full()
        entry = Entry(target, points, points.encoded(), time.time_ns() // 1000, key, body_hash, request_id)
        self.queue.put(entry)
        return entry.done.result()

    def refuse_when_full(self) -> None:
        """Raise Unavailable where the spool may not grow. Looks at the disk at most once a second."""
        if self.is_stopping:
            raise Unavailable("The server is stopping: send again in a moment.", code="stopping", retry_after_s=2)
        now = time.monotonic()
        if now - self.looked_at > DISK_LOOK_S:
            self.looked_at = now
            self.full_reason = self.reason_to_refuse()
        if self.full_reason:
            raise Unavailable(self.full_reason, code="spool_full", retry_after_s=10)

    def reason_to_refuse(self) -> str:
        """Why no batch may be taken now, or nothing."""
        beside = self.beside()
        held_bytes = self.size_bytes + beside.size_bytes
        if (self.waiting or beside.is_waiting) and held_bytes > self.caps.spool_bytes:
            return f"The spool holds {held_bytes} bytes, its limit is {self.caps.spool_bytes}: the metric store is behind. Send again later."
        free = shutil.disk_usage(self.path.parent).free
        if free < self.caps.disk_free_bytes:
            return f"The disk has {free} bytes free, {self.caps.disk_free_bytes} must stay: make room, then send again."
        return ""

    # The writer thread ------------------------------------------------------------------------------------------------------------------

    def write_for_ever(self) -> None:
        """Take what waits, write it in one transaction, answer; until None comes."""
        is_running = True
        while is_running:
            work: list[Any] = [self.queue.get()]
            taken = 0
            while not self.queue.empty() and taken < COMMIT_BYTES:
                work.append(self.queue.get())
                taken += len(work[-1].payload) if isinstance(work[-1], Entry) else 0
            is_running = None not in work
            self.write_entries([entry for entry in work if isinstance(entry, Entry)])
            for job in work:
                if isinstance(job, tuple):
                    self.write_job(*job)
        self.refuse_rest()
        self.connection.close()

    def refuse_rest(self) -> None:
        """Answer those that came while the spool closed."""
        while not self.queue.empty():
            late = self.queue.get()
            done = late.done if isinstance(late, Entry) else late[1] if late else None
            if done is not None:
                done.set_exception(Unavailable("The server is stopping: send again in a moment.", code="stopping", retry_after_s=2))

    def write_entries(self, entries: list[Entry]) -> None:
        """One transaction for all of them; each gets its receipt or its error once the commit is on disk."""
        if not entries:
            return
        answers: list[tuple[Entry, Receipt | Exception]] = []
        ordinal = self.next_ordinal
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            answers = [(entry, self.write_entry(entry)) for entry in entries]
            self.connection.execute("COMMIT")
        except Exception as error:  # the thread must live: whatever it is, these requests are refused and the next ones tried
            self.next_ordinal = ordinal
            self.names.clear()
            self.roll_back()
            logger.exception("The spool could not be written")
            refusal = Unavailable(
                f"The spool could not be written ({error}): nothing of this request was kept. Send again.", code="spool_failed", retry_after_s=10
            )
            answers = [(entry, refusal) for entry in entries]
        self.measure()
        self.announce(answers)

    def measure(self) -> None:
        """See how much the file holds, once a second; pages that clean-up freed are used again and do not count."""
        now = time.monotonic()
        if now - self.measured_at > DISK_LOOK_S:
            self.measured_at, self.size_bytes = now, live_bytes(self.connection)

    def write_entry(self, entry: Entry) -> Receipt | Exception:
        """The rows of one batch, within the open transaction."""
        known = self.known_receipt(entry)
        if known is not None:
            return known
        new_names = self.new_names(entry)
        if isinstance(new_names, Exception):
            return new_names
        own_identity = entry.points.writer is None or entry.points.ordinal is None
        writer, ordinal = (self.writer, self.next_ordinal) if own_identity else (entry.points.writer, entry.points.ordinal)
        t = entry.target
        repeats = False if own_identity else self.repeats(t.experiment_id, int(writer or 0), int(ordinal or 0), len(entry.points))
        ids = (t.team_id.bytes, t.project_id.bytes, t.experiment_id.bytes, t.month)
        cursor = self.connection.execute(
            "INSERT INTO batches (team, project, experiment, month, points, writer, ordinal, received_us, repeats, request_id, payload)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (*ids, len(entry.points), writer, ordinal, entry.received_us, repeats, entry.request_id, entry.payload),
        )
        if own_identity:
            self.next_ordinal += len(entry.points)
        receipt = Receipt(uuid.uuid4().hex, len(entry.points), int(cursor.lastrowid or 0))
        if entry.key is not None:
            kept = (entry.key, entry.body_hash, receipt.batch_id, receipt.accepted, entry.received_us)
            self.connection.execute("INSERT INTO receipts (key, body_hash, batch_id, accepted, at_us) VALUES (?,?,?,?,?)", kept)
        self.connection.executemany(
            "INSERT OR IGNORE INTO names (experiment, name, project) VALUES (?,?,?)", [(t.experiment_id.bytes, name, t.project_id.bytes) for name in new_names]
        )
        return receipt

    def repeats(self, experiment: uuid.UUID, writer: int, ordinal: int, points: int) -> bool:
        """Whether a client's writer had come past this ordinal before; where it stands now is noted."""
        key = (experiment.bytes, writer)
        found = self.connection.execute("SELECT next FROM writers WHERE experiment = ? AND writer = ?", key).fetchone()
        reached = int(found[0]) if found else 0
        self.connection.execute("INSERT OR REPLACE INTO writers (experiment, writer, next) VALUES (?,?,?)", (*key, max(reached, ordinal + points)))
        return ordinal < reached

    def known_receipt(self, entry: Entry) -> Receipt | Exception | None:
        """The first answer to this key, the refusal where the body differs, or None where the key is new."""
        if entry.key is None:
            return None
        found = self.connection.execute("SELECT body_hash, batch_id, accepted FROM receipts WHERE key = ?", (entry.key,)).fetchone()
        return None if found is None else replay(found, entry.body_hash)

    def new_names(self, entry: Entry) -> set[str] | Invalid:
        """Which of the batch's metric names the experiment did not have, or the refusal where that makes too many."""
        experiment = entry.target.experiment_id.bytes
        if experiment not in self.names:
            if len(self.names) >= NAMES_REMEMBERED:
                self.names.clear()
            self.names[experiment] = {name for (name,) in self.connection.execute("SELECT name FROM names WHERE experiment = ?", (experiment,))}
        known = self.names[experiment]
        new = [name for name in entry.points.names if name not in known]
        if len(known) + len(new) > self.caps.names:
            return too_many(entry.points, new, known=len(known), limit=self.caps.names)
        known.update(new)
        return set(new)

    def announce(self, answers: list[tuple[Entry, Receipt | Exception]]) -> None:
        """Answer the requests, and wake the drain."""
        stored = [(entry, answer) for entry, answer in answers if isinstance(answer, Receipt) and not answer.replayed]
        with self.arrived:
            for entry, _ in stored:
                self.waiting[entry.target.experiment_id] += len(entry.points)
            if stored and not self.oldest_us:
                self.oldest_us = stored[0][0].received_us
            self.arrived.notify_all()
        for entry, answer in answers:
            if isinstance(answer, Receipt):
                entry.done.set_result(answer)
            else:
                entry.done.set_exception(answer)

    def write_job(self, job: Callable[[sqlite3.Connection], Any], done: Future[Any]) -> None:
        """One job in a transaction of its own."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            result = job(self.connection)
            self.connection.execute("COMMIT")
        except Exception as error:  # the job's own thread gets it, whatever it is
            self.roll_back()
            done.set_exception(error)
        else:
            done.set_result(result)

    def roll_back(self) -> None:
        """End a failed transaction, where one is open."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def transact(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in one transaction on the writer thread and return what it returns. Raises what it raises."""
        done: Future[T] = Future()
        self.queue.put((job, done))
        return done.result()

    def close(self) -> None:
        """Refuse new batches, write what waits, let the file go. Where the disk does not answer, it is held until the process ends."""
        self.is_stopping = True
        self.queue.put(None)
        self.thread.join(timeout=5)
        if not self.thread.is_alive():
            os.close(self.lock)

    # Opening -----------------------------------------------------------------------------------------------------------------------------

    def open(self, register: Callable[[Path], int]) -> None:
        """Connect, and see where the file stands."""
        self.connection = connected(self.path)
        try:
            self.writer = self.numbered(register)
            self.next_ordinal = self.first_free_ordinal()
            self.waiting, self.oldest_us = self.backlog()
        except BaseException:
            self.connection.close()
            raise

    def numbered(self, register: Callable[[Path], int]) -> int:
        """This file's writer number; a new file gets one from the record."""
        known = meta(self.connection, "writer")
        if not known:
            known = register(self.path)
            set_meta(self.connection, "writer", known)
        return known

    def first_free_ordinal(self) -> int:
        """Past every ordinal that this file ever gave: kept batches, and the floor that clean-up leaves behind."""
        highest = self.connection.execute("SELECT max(ordinal + points) FROM batches WHERE writer = ?", (self.writer,)).fetchone()
        return max(meta(self.connection, "ordinal_floor"), int(highest[0] or 0))

    def backlog(self) -> tuple[Counter[uuid.UUID], int]:
        """(points not drained yet by experiment, when the oldest of them came in microseconds, 0 where there is none)."""
        found = self.connection.execute(
            "SELECT experiment, sum(points), min(received_us) FROM batches WHERE id > ? GROUP BY experiment", (meta(self.connection, "drained_to"),)
        ).fetchall()
        return Counter({uuid.UUID(bytes=experiment): points for experiment, points, _ in found}), min((came for _, _, came in found), default=0)

    # What the drain does -------------------------------------------------------------------------------------------------------------------

    def hurry(self) -> None:
        """Ask the drain to store what waits now."""
        with self.arrived:
            self.is_urgent = True
            self.arrived.notify_all()

    def settle(self, stored: Counter[uuid.UUID], *, oldest_us: int) -> None:
        """Points are out of the spool: count them off. `oldest_us` is when the oldest that still waits came."""
        with self.arrived:
            self.waiting -= stored
            self.oldest_us = oldest_us if self.waiting else 0
            self.arrived.notify_all()

    def pending(self, experiments: Iterable[uuid.UUID]) -> int:
        """Points of these experiments that are acknowledged and cannot be queried yet."""
        with self.arrived:
            return sum(self.waiting[experiment] for experiment in experiments)

    def dead_count(self) -> int:
        """How many rows of this file the store refused."""
        with closing(self.reader()) as reading:
            return int(reading.execute("SELECT count(*) FROM dead").fetchone()[0])

    def last_row(self) -> int:
        """The row id of the newest batch, 0 in an empty file."""
        return self.transact(lambda c: int(c.execute("SELECT coalesce(max(id), 0) FROM batches").fetchone()[0]))

    def reader(self) -> sqlite3.Connection:
        """A new connection for reading beside the writer. The caller closes it."""
        return reader(self.path)


def too_many(points: Points, new: list[str], *, known: int, limit: int) -> Invalid:
    """The refusal of a batch whose `new` metrics are more than there is room for beside the `known` ones: the first find room, the others are named."""
    message = f"The experiment would have {known + len(new)} metric names, the limit is {limit}: put what varies into the step, not the name."
    beyond = new[max(0, limit - known) :][:FAULTS_KEPT]
    return Invalid(
        message, [Fault(first, "metric_name", "too_many_names", message, metric=name) for name, first in zip(beyond, firsts(points, beyond), strict=True)]
    )


def firsts(points: Points, names: list[str]) -> list[int | None]:
    """The index of the first point of each metric, where the points were sent one by one."""
    if not points.is_rows:
        return [None] * len(names)
    codes = {name: code for code, name in enumerate(points.names)}
    return [int((points.name_codes == codes[name]).argmax()) for name in names]
