"""The spool files of this host: each process holds one of its own, reads the others beside their holders, and takes care of those that nobody holds.

A process that starts takes a free file, or makes a new one, so that there are no more files than there were processes at once. A free file in
which something was left undone is adopted: opened, drained to its end and let go. flock decides who, and the kernel lets go for the dead.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db import DatabaseError, close_old_connections, connections

from config.errors import Invalid, SetupError, Unavailable
from metrics.clickhouse.errors import StoreError
from metrics.drain.storing import RECEIPTS_KEPT_US, Drain, Timing
from metrics.points.valid import Points
from metrics.spool.batches import Receipt, Series, replay
from metrics.spool.file import Damaged, InUse, is_damage, is_free, reader
from metrics.spool.folder import make, replay_mark
from metrics.spool.keys import Keys
from metrics.spool.queue import Beside, Caps, Spool
from metrics.spool.reading import SpoolView
from metrics.spool.reading_all import SpoolViews
from metrics.store import freshness
from metrics.store.repository import MetricRepository

logger = logging.getLogger(__name__)
# A file is adopted once it was seen free for GRACE_S: a worker that was started for a dead one takes it as its own before that.
LOOK_S = 0.5
GRACE_S = 2.0
AGAIN_S = 2.0
POLL_S = 0.05
HURRY = "hurry"


@dataclass(frozen=True)
class Own:
    """The file that this process writes to, and what empties it."""

    spool: Spool
    drain: Drain


class Unregistered(Exception):
    """The file has no writer number yet."""


class Spools:
    """The folder. `register` gives a new file its writer number from the record; without the record only files that have one can be held."""

    def __init__(
        self,
        folder: Path,
        repository: MetricRepository,
        *,
        caps: Caps,
        timing: Timing,
        register: Callable[[Path], int],
        failpoint: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.folder, self.repository, self.caps, self.timing, self.register, self.failpoint = folder, repository, caps, timing, register, failpoint
        make(folder)
        self.keys = Keys(folder / "keys.lock")
        self.hurry_mark = folder / HURRY
        self.hurry_mark.touch()
        self.hurried_ns = self.hurry_mark.stat().st_mtime_ns
        self.own: Own | None = None
        self.views = SpoolViews(folder)
        self.free_since: dict[Path, float] = {}
        self.stopping = threading.Event()
        self.watcher = threading.Thread(target=self.watch, name="spools", daemon=True)

    def start(self) -> None:
        """Hold a file, now or as soon as one is to be had, and begin to watch the folder."""
        try:
            self.take()
        except (DatabaseError, SetupError, sqlite3.Error) as error:
            logger.warning("This process has no spool yet, and tries again: %s", str(error)[:300])
        self.watcher.start()

    def stop(self, *, within_s: float) -> None:
        """Refuse new points, try once to store what waits, let every file go."""
        self.stopping.set()
        if self.own is not None:
            self.own.spool.is_stopping = True
            self.own.drain.stop(within_s=within_s)
        self.watcher.join(timeout=within_s)
        self.views.close()
        if self.own is not None:
            self.own.spool.close()

    def let_go(self) -> None:
        """In a forked child: give up the parent's lock, which would outlive the parent here."""
        if self.own is not None:
            os.close(self.own.spool.lock)

    # A file of this process's own ---------------------------------------------------------------------------------------------------------

    def take(self) -> None:
        """Hold a file and begin to drain it. Raises DatabaseError where only a new one would do and the record is away, SetupError."""
        spool = self.free_one() or self.new_one()
        drain = Drain(spool, self.repository, timing=self.timing, failpoint=self.failpoint)
        drain.start()
        self.own = Own(spool, drain)

    def free_one(self) -> Spool | None:
        """The first file that nobody holds and that has its writer number; None where there is none."""
        for path in self.views.files():
            try:
                return Spool(path, caps=self.caps, register=refuse, beside=self.beside)
            except (InUse, Unregistered):
                continue
            except Damaged as error:
                self.views.note_damaged(path, str(error))
        return None

    def new_one(self) -> Spool:
        """A file with the first number that is to be had. Raises DatabaseError where the record does not register it, SetupError."""
        for number in itertools.count():
            path = self.folder / f"{number}.sqlite"
            try:
                return Spool(path, caps=self.caps, register=self.register, beside=self.beside)
            except (InUse, Damaged):
                continue
        raise AssertionError("Numbers do not end.")

    def here(self) -> Own:
        """This process's own file. Raises Unavailable while it has none."""
        if self.own is None:
            raise Unavailable("This process cannot take points yet, the record does not answer: send again in a moment.", code="starting", retry_after_s=5)
        return self.own

    # What requests do ------------------------------------------------------------------------------------------------------------------------

    def append(self, target: Series, points: Points, *, key: str | None = None, body_hash: bytes = b"", request_id: str = "") -> Receipt:
        """Put a batch on disk and return its receipt; a key and body known to any process of this host gives the first receipt again.

        Raises Unavailable, InFlight (the key is being written, by whichever process), Invalid (same key, another body; too many names).
        """
        spool = self.here().spool
        if key is None:
            return spool.append(target, points, request_id=request_id)
        spool.refuse_when_full()
        with self.keys.alone(key):
            known = self.receipt_elsewhere(key, body_hash)
            return known or spool.append(target, points, key=key, body_hash=body_hash, request_id=request_id)

    def receipt_elsewhere(self, key: str, body_hash: bytes) -> Receipt | None:
        """The first answer to this key where another file has it. Raises Invalid where the body differs, Unavailable where a file cannot be asked."""
        for path in self.views.files():
            if path != self.here().spool.path and path not in self.views.damaged and (found := self.receipt_in(path, key)) is not None:
                answer = replay(found[:3], body_hash)
                if isinstance(answer, Invalid):
                    raise answer
                return replace(answer, file=path, received_us=found[3])
        return None

    def receipt_in(self, path: Path, key: str) -> tuple[bytes, str, int, int] | None:
        """What a file says of a key. Raises Unavailable where it cannot be read now: to go on might store the batch twice."""
        try:
            view = self.views.view(path)
            return view.receipt(key) if view else None
        except sqlite3.Error as error:
            self.views.note(path, error)
            if is_damage(error):
                return None
            message = f"The receipts in {path.name} cannot be read ({error}): nothing of this request was kept. Send again."
            raise Unavailable(message, code="spool_failed", retry_after_s=10) from error

    def wait_visible(self, receipt: Receipt, target: Series, *, timeout_s: float) -> bool:
        """Whether the batch can be queried, waiting for it. A repeat waits for all that its first copy's file holds now."""
        own = self.here()
        if receipt.file is None:
            return own.drain.wait_visible(receipt.id or own.spool.last_row(), timeout_s=timeout_s)
        view, is_visible = self.views.known[receipt.file], False
        with self.views.reading(view):
            is_visible = self.is_drained(view, timeout_s=timeout_s) and not view.is_refused(receipt.received_us)
        return is_visible and is_known_to_caches(target)

    def is_drained(self, view: SpoolView, *, timeout_s: float) -> bool:
        """Whether all that another process's file holds now is stored, waiting for it; not at all while the store is away."""
        self.hurry()
        row, until = view.last_row(), time.monotonic() + timeout_s
        while view.drained_to() < row:
            if time.monotonic() > until or self.stopping.is_set() or self.here().drain.failures:
                return False
            time.sleep(POLL_S)
        return True

    def hurry(self) -> None:
        """Ask every drain of this host to store what waits: this process's at once, the others at their next look."""
        if self.own is not None:
            self.own.spool.hurry()
        self.hurry_mark.touch()

    # What the whole host holds -----------------------------------------------------------------------------------------------------------------

    def pending(self, experiments: Iterable[uuid.UUID]) -> int:
        """Points of these experiments that are acknowledged on this host and cannot be queried yet."""
        asked = list(experiments)
        found = self.own.spool.pending(asked) if self.own else 0
        for view in self.others():
            with self.views.reading(view):
                backlog = view.backlog()
                found += sum(backlog[experiment] for experiment in asked)
        return found

    def is_coming(self, project: uuid.UUID, name: str) -> bool:
        """Whether points that are acknowledged on this host will define this metric of the project."""
        for view in self.views.all():
            with self.views.reading(view):
                if view.is_coming(project, name):
                    return True
        return False

    def waiting_points(self) -> int:
        """Points that are acknowledged on this host and cannot be queried yet."""
        found = self.own.spool.waiting.total() if self.own else 0
        for view in self.others():
            with self.views.reading(view):
                found += view.backlog().total()
        return found

    def size_bytes(self) -> int:
        """What the folder holds, free pages left out."""
        return (self.own.spool.size_bytes if self.own else 0) + self.beside().size_bytes

    def beside(self) -> Beside:
        """What the files of others hold, together."""
        size, is_waiting = 0, False
        for view in self.others():
            with self.views.reading(view):
                found = view.beside()
                size, is_waiting = size + found.size_bytes, is_waiting or found.is_waiting
        return Beside(size, is_waiting)

    def dead_count(self) -> int:
        """Rows that the store refused, in all files of this host."""
        count = 0
        for view in self.views.all():
            with self.views.reading(view):
                count += view.dead_count()
        return count

    def dead_letters(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """What was refused on this host, oldest first: spool, id, experiment, metrics, reason, when (microseconds), request_id."""
        found: list[dict[str, Any]] = []
        for view in self.views.all():
            with self.views.reading(view):
                found += view.dead_letters(limit=limit)
        return sorted(found, key=lambda row: int(row["at_us"]))[:limit]

    def replay_dead(self) -> int:
        """Put every refused row of this host back into its queue, under its own identity; how many. The files of others follow at their holder's next look."""
        count = 0
        for view in self.views.all():
            with self.views.reading(view):
                dead = view.dead_count()
                if dead and self.own is not None and view.path == self.own.spool.path:
                    self.own.drain.replay_dead()
                elif dead:
                    replay_mark(view.path).touch()
                count += dead
        return count

    def restore(self) -> int:
        """Send what every file of this host keeps to the store again, after the store was damaged; how many points. Raises StoreError, Unavailable."""
        drain, points = self.here().drain, 0
        for view in self.views.all():
            with closing(reader(view.path)) as reading:
                points += drain.restore(reading)
        return points

    # The files ---------------------------------------------------------------------------------------------------------------------------------

    def others(self) -> list[SpoolView]:
        """The files that are not this process's own, but for those that cannot be read now."""
        own = self.own.spool.path if self.own else None
        return [view for view in self.views.all() if view.path != own]

    # The watch -----------------------------------------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Look after the folder until the process stops."""
        pause_s = LOOK_S
        while not self.stopping.wait(pause_s):
            pause_s = AGAIN_S
            try:
                self.look()
                pause_s = LOOK_S
            except (DatabaseError, StoreError, sqlite3.Error, SetupError, OSError) as error:
                logger.warning("The spool folder could not be looked after, again in a moment: %s", str(error)[:300])
            except Exception:  # the thread must live: the files of the dead are its alone
                logger.exception("The spool folder could not be looked after")
            finally:
                connections.close_all()

    def look(self) -> None:
        """Hold a file where this process has none yet; heed what other processes ask; adopt what nobody holds."""
        if self.own is None:
            self.take()
        self.heed()
        for path in self.left():
            if not self.stopping.is_set():
                self.adopt(path)

    def heed(self) -> None:
        """Do what other processes ask of this one by marks in the folder."""
        own, hurried_ns = self.here(), self.hurry_mark.stat().st_mtime_ns
        if hurried_ns != self.hurried_ns:
            self.hurried_ns = hurried_ns
            own.spool.hurry()
        heed_replay(own.drain)

    def left(self) -> list[Path]:
        """Files that nobody has held for a while, with something left undone; in no order, so that processes share them. None while the store is away."""
        now = time.monotonic()
        if self.here().drain.failures:
            self.free_since.clear()
            return []
        free = [view.path for view in self.others() if self.is_left(view)]
        self.free_since = {path: self.free_since.get(path, now) for path in free}
        waited = [path for path, since in self.free_since.items() if now - since >= GRACE_S]
        random.shuffle(waited)
        return waited

    def is_left(self, view: SpoolView) -> bool:
        """Whether something was left undone in a file that nobody holds."""
        now_us = time.time_ns() // 1000
        is_undone = False
        with self.views.reading(view):
            is_undone = replay_mark(view.path).exists() or view.is_left_undone(
                receipts_before_us=now_us - RECEIPTS_KEPT_US, blocks_before_us=now_us - int(self.timing.keep_s * 1e6)
            )
        return is_undone and is_free(view.path)

    def adopt(self, path: Path) -> None:
        """Finish what was left undone in a file, then let it go. Cut short anywhere, the next one does it again from what the file says."""
        try:
            spool = Spool(path, caps=self.caps, register=self.register)
        except InUse:
            return
        try:
            self.failpoint("adopted")
            drain = Drain(spool, self.repository, timing=self.timing, failpoint=lambda name: self.failpoint(f"adopted-{name}"))
            logger.info("Adopted the spool %s: %d points wait there", path, spool.waiting.total())
            heed_replay(drain)
            drain.drain_out(is_over=self.stopping.is_set)
        finally:
            spool.close()


def refuse(path: Path) -> int:
    """Register nothing."""
    raise Unregistered(path)


def is_known_to_caches(target: Series) -> bool:
    """Whether whatever was cached of a series is old from now on. Who stored its points says so too, perhaps a moment later."""
    try:
        freshness.touch([target.experiment_id, target.project_id])
    except DatabaseError:
        return False
    finally:
        close_old_connections()
    return True


def heed_replay(drain: Drain) -> None:
    """Put refused rows back into the queue where that is asked for. The mark goes last: a kill in between asks again."""
    mark = replay_mark(drain.spool.path)
    if mark.exists():
        drain.replay_dead()
        mark.unlink(missing_ok=True)
