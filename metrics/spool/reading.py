"""A spool file as any process of this host may read it, beside the one that holds it."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from metrics.points.valid import Points
from metrics.spool.file import live_bytes, meta, reader
from metrics.spool.queue import Beside

# Counting a backlog reads all of it: a count is kept this long, and so much longer than it took that counting stays a small part of the work.
COUNT_KEPT_S = 0.2
COUNT_KEPT_TIMES = 20

RECEIPT = "SELECT body_hash, batch_id, accepted, at_us FROM receipts WHERE key = ?"
BACKLOG = """
    SELECT experiment, sum(points) FROM batches WHERE id > coalesce((SELECT value FROM meta WHERE name = 'drained_to'), 0) GROUP BY experiment
"""
IS_WAITING = "SELECT EXISTS (SELECT 1 FROM batches WHERE id > coalesce((SELECT value FROM meta WHERE name = 'drained_to'), 0))"
# What a drain would do for the file: store points or states, define names, drop what is past its time.
IS_LEFT_UNDONE = f"""
    SELECT ({IS_WAITING})
        OR EXISTS (SELECT 1 FROM summaries INDEXED BY summaries_unstored WHERE stored < version)
        OR EXISTS (SELECT 1 FROM names INDEXED BY names_undefined WHERE defined = 0)
        OR EXISTS (SELECT 1 FROM receipts INDEXED BY receipts_age WHERE at_us < :receipts_before)
        OR coalesce((SELECT drained_us FROM blocks ORDER BY id LIMIT 1) < :blocks_before, 0)
"""  # nosec B608  # made of our own words
# A file that has this table has all of them.
LAST_TABLE = "SELECT 1 FROM dead LIMIT 1"
IS_COMING = "SELECT EXISTS (SELECT 1 FROM names INDEXED BY names_undefined WHERE project = ? AND name = ? AND defined = 0)"
DEAD = "SELECT id, experiment, payload, reason, at_us, request_id FROM dead ORDER BY id LIMIT ?"


class SpoolView:
    """Reads one file. Small questions share a connection that is kept; long ones have their own, so that no receipt waits for them.

    Raises sqlite3.Error where the file cannot be read, also where it has no tables yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock, self.counting = threading.Lock(), threading.Lock()
        self.connection = reader(path)
        self.counted, self.counted_until = Counter[uuid.UUID](), 0.0
        try:
            self.rows(LAST_TABLE)
        except sqlite3.Error:
            self.close()
            raise

    def rows(self, sql: str, bound: Any = ()) -> list[Any]:  # Any: SQLite's own rows and parameters
        """The rows of a small question."""
        with self.lock:
            return self.connection.execute(sql, bound).fetchall()

    def receipt(self, key: str) -> tuple[bytes, str, int, int] | None:
        """(body hash, batch id, points accepted, when in microseconds) under an idempotency key."""
        found = self.rows(RECEIPT, (key,))
        return found[0] if found else None

    def drained_to(self) -> int:
        """The last row that can be queried in the metric store."""
        with self.lock:
            return meta(self.connection, "drained_to")

    def last_row(self) -> int:
        """The row id of the newest batch, 0 in an empty file."""
        return int(self.rows("SELECT coalesce(max(id), 0) FROM batches")[0][0])

    def is_refused(self, received_us: int) -> bool:
        """Whether some of the batch that came at this time was refused by the store."""
        return bool(self.rows("SELECT EXISTS (SELECT 1 FROM dead WHERE received_us = ?)", (received_us,))[0][0])

    def is_coming(self, project: uuid.UUID, name: str) -> bool:
        """Whether points wait that will define this metric of the project."""
        return bool(self.rows(IS_COMING, (project.bytes, name))[0][0])

    def beside(self) -> Beside:
        """What the file holds."""
        with self.lock:
            return Beside(live_bytes(self.connection), bool(self.connection.execute(IS_WAITING).fetchone()[0]))

    def is_left_undone(self, *, receipts_before_us: int, blocks_before_us: int) -> bool:
        """Whether a drain would find something to do."""
        return bool(self.rows(IS_LEFT_UNDONE, {"receipts_before": receipts_before_us, "blocks_before": blocks_before_us})[0][0])

    def backlog(self) -> Counter[uuid.UUID]:
        """Points by experiment that cannot be queried yet, as counted a moment ago."""
        with self.counting:
            began = time.monotonic()
            if began >= self.counted_until:
                with closing(reader(self.path)) as reading:
                    self.counted = Counter({uuid.UUID(bytes=experiment): points for experiment, points in reading.execute(BACKLOG).fetchall()})
                now = time.monotonic()
                self.counted_until = now + max(COUNT_KEPT_S, COUNT_KEPT_TIMES * (now - began))
            return self.counted

    def dead_count(self) -> int:
        """How many rows lie in the dead-letter table."""
        return int(self.rows("SELECT count(*) FROM dead")[0][0])

    def dead_letters(self, *, limit: int) -> list[dict[str, Any]]:
        """What was refused, oldest first: spool, id, experiment, metrics, reason, when (microseconds), request_id."""
        with closing(reader(self.path)) as reading:
            found = reading.execute(DEAD, (limit,)).fetchall()
        return [
            {
                "spool": self.path.stem, "id": row, "experiment": str(uuid.UUID(bytes=experiment)), "metrics": Points.decoded(payload).names,
                "reason": reason, "at_us": at, "request_id": request_id,
            }
            for row, experiment, payload, reason, at, request_id in found
        ]  # fmt: skip

    def close(self) -> None:
        """Let the file go."""
        with self.lock:
            self.connection.close()
