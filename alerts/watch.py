"""The watch that each web process keeps: what it says of itself in the record and in its gauges, and whether the schedule is alive.

Beat and the workers cannot say that they are silent, so the web processes do. However many they are, one alert is open.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sqlite3
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.db.models import QuerySet
from django.utils import timezone

from alerts import lifecycle as alerts
from alerts.lifecycle import Finding
from alerts.models import Kind, Severity, Subject, WebProcess
from alerts.spans import spoken
from config.errors import Unavailable
from metrics import process
from metrics.clock.pulse import Pulse, schedule_pulse
from metrics.meters import meters

logger = logging.getLogger(__name__)
TICK_S = 5.0
REPORT_S = 20.0
JUDGE_S = 60.0
LIVE = timedelta(seconds=75)
SILENT = timedelta(seconds=180)
KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Readings:
    """What a process knows of its own spools and drains. Bytes, points, rows; `oldest_at` None where nothing waits."""

    waiting_points: int
    oldest_at: datetime | None
    spool_bytes: int
    dead_letters: int
    discarded_points: int
    disk_free_bytes: int
    full_reason: str
    store_error: str

    def trouble(self, *, at: datetime) -> str:
        """Why points are not taken or not stored as they should be, or nothing."""
        if self.full_reason or self.store_error:
            return self.full_reason or self.store_error
        if self.oldest_at is not None and at - self.oldest_at > most_lag():
            return f"The oldest point waits since {self.oldest_at:%Y-%m-%d %H:%M:%S} UTC."
        return ""


def most_lag() -> timedelta:
    """How long a point may wait for the store: a minute, or ten flushes where these are further apart."""
    return timedelta(seconds=max(60.0, 10 * settings.METRICS_FLUSH_INTERVAL))


def readings() -> Readings:
    """This process's own. Raises Unavailable while it has no spool."""
    spool, drain = process.spool(), process.drain()
    with spool.arrived:
        waiting = spool.waiting.total()
    return Readings(
        waiting_points=waiting,
        oldest_at=datetime.fromtimestamp(spool.oldest_us / 1e6, tz=UTC) if spool.oldest_us else None,
        spool_bytes=spool.size_bytes,
        dead_letters=spool.dead_count(),
        discarded_points=drain.discarded,
        disk_free_bytes=shutil.disk_usage(settings.DATA_DIR).free,
        full_reason=spool.reason_to_refuse(),
        store_error=drain.last_error[:500] if drain.failures else "",
    )


class Watch:
    """One thread of a web process, from its start to its stop."""

    def __init__(self) -> None:
        self.started_at = timezone.now()
        self.well_since: datetime | None = self.started_at
        self.reported_at = self.judged_at = -REPORT_S
        self.is_stopping = threading.Event()
        self.thread = threading.Thread(target=self.watch_for_ever, name="watch", daemon=True)

    def start(self) -> None:
        """Say at once that this process is there, then go on."""
        self.tick()
        self.thread.start()

    def stop(self) -> None:
        """End, and leave no row behind that looks like a process that died."""
        self.is_stopping.set()
        if self.thread.is_alive():
            self.thread.join(timeout=5)
        try:
            self.own().delete()
        except DatabaseError as error:
            logger.warning("The record did not take that this process ends: %s", error)

    def watch_for_ever(self) -> None:
        """Tick until stopped."""
        while not self.is_stopping.wait(TICK_S):
            self.tick()

    def tick(self) -> None:
        """Gauges always; the record and the schedule when it is their time. A record that is away is asked again at the next tick."""
        try:
            if not process.is_running():
                return
            found = readings()
            show(found)
            now = time.monotonic()
            if now - self.reported_at >= REPORT_S:
                self.report(found, at=timezone.now())
                self.reported_at = now
            if now - self.judged_at >= JUDGE_S:
                judge(schedule_pulse(), since=self.started_at, at=timezone.now())
                self.judged_at = now
        except (DatabaseError, sqlite3.Error, OSError, Unavailable) as error:
            logger.warning("The watch could not look: %s", error)
        finally:
            close_old_connections()

    def own(self) -> QuerySet[WebProcess]:
        """This process's row."""
        return WebProcess.objects.filter(host=socket.gethostname(), pid=os.getpid(), started_at=self.started_at)

    def report(self, found: Readings, *, at: datetime) -> None:
        """Write what this process knows of itself, and forget processes that were not seen for a day."""
        trouble = found.trouble(at=at)
        self.well_since = None if trouble else self.well_since or at
        said = {"seen_at": at, "well_since": self.well_since, "trouble": trouble[:500], **vars(found)}
        if not self.own().update(**said):
            WebProcess.objects.create(host=socket.gethostname(), pid=os.getpid(), started_at=self.started_at, **said)
            WebProcess.objects.filter(seen_at__lt=at - KEPT).delete()


def show(found: Readings) -> None:
    """The gauges of this process."""
    shown = meters()
    shown.processes.set(1)
    shown.waiting.set(found.waiting_points)
    shown.spool_bytes.set(found.spool_bytes)
    shown.dead_letters.set(found.dead_letters)
    shown.lag.set((timezone.now() - found.oldest_at).total_seconds() if found.oldest_at else 0)


def judge(pulse: Pulse, *, since: datetime, at: datetime) -> None:
    """Open or resolve the alerts about a silent schedule. `since` is when this process started: before that nobody looked, and it is too early to say."""
    seen = [moment for moment in (pulse.beat_seen, pulse.worker_seen) if moment is not None and at - moment <= SILENT]
    if at - since <= SILENT and len(seen) < 2:
        return
    alerts.settle((Kind.BEAT_SILENT, Kind.WORKER_SILENT), silent_parts(pulse, since=since, at=at), at=at, why=lambda alert: "It was seen again.")


def silent_parts(pulse: Pulse, *, since: datetime, at: datetime) -> list[Finding]:
    """What is silent for 180 s: beat, else the workers; without beat there is nothing that a worker could do."""
    beat, worker = (at - (seen or since) for seen in (pulse.beat_seen, pulse.worker_seen))
    if beat > SILENT:
        message = f"Beat has sent no task for {spoken(beat.total_seconds())}, nothing runs by the clock: start it (celery -A config beat) and look at its log."
        return [Finding(Kind.BEAT_SILENT, Severity.HIGH, message, Subject(part="schedule"))]
    if worker > SILENT:
        message = f"No worker has finished a task for {spoken(worker.total_seconds())}: start one (celery -A config worker) and look at its log."
        return [Finding(Kind.WORKER_SILENT, Severity.HIGH, message, Subject(part="schedule"))]
    return []


class Running:
    """The watch of this process, None while there is none."""

    watch: Watch | None = None


def start() -> None:
    """Begin to watch. After `process.start`, in every process that takes points."""
    if Running.watch is None:
        Running.watch = Watch()
        Running.watch.start()


def stop() -> None:
    """End it. Before `process.stop`."""
    watch, Running.watch = Running.watch, None
    if watch is not None:
        watch.stop()
