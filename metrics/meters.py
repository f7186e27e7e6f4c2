"""What the product counts of itself. The counts of all web processes of a host lie in files under METERS_DIR, so that any of them can tell of all.

Files of processes that have died are kept while others run, so that no count ever goes back; a start of the whole server forgets them.
A gauge of a process ends with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

PREFIX = "research_platform"
FILE = re.compile(r"(?P<kind>[a-z_]+?)_(?P<pid>\d+)\.db")
LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
INSERT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Meters:
    """Every count and gauge of this process. A request with points costs 3 µs: one observation and one addition."""

    def __init__(self) -> None:
        settings.METERS_DIR.mkdir(parents=True, exist_ok=True)
        own = CollectorRegistry()
        self.points = Counter(f"{PREFIX}_points_accepted", "Points acknowledged, repeats left out", registry=own)
        requests = Histogram(f"{PREFIX}_log_request_seconds", "Requests with points, by class of status", ["code"], buckets=LATENCY_S, registry=own)
        self.requests = {name: requests.labels(name) for name in CLASSES}
        self.inserts = Histogram(f"{PREFIX}_insert_seconds", "Blocks of points sent to the metric store", buckets=INSERT_S, registry=own)
        self.failures = Counter(f"{PREFIX}_drain_failures", "Attempts that the metric store did not take", registry=own)
        self.discarded = Counter(f"{PREFIX}_points_discarded", "Points of experiments that were deleted meanwhile", registry=own)
        self.waiting = Gauge(f"{PREFIX}_spool_waiting_points", "Points that are not stored yet", multiprocess_mode="livesum", registry=own)
        self.spool_bytes = Gauge(f"{PREFIX}_spool_bytes", "What the spools hold", multiprocess_mode="livesum", registry=own)
        self.lag = Gauge(f"{PREFIX}_drain_lag_seconds", "How long the oldest point waits", multiprocess_mode="livemax", registry=own)
        self.dead_letters = Gauge(f"{PREFIX}_dead_letters", "Rows that the metric store refused", multiprocess_mode="livesum", registry=own)
        self.processes = Gauge(f"{PREFIX}_web_processes", "Web processes that run", multiprocess_mode="livesum", registry=own)


@cache
def meters() -> Meters:
    """This process's counts, made when they are first needed: a command that counts nothing leaves no file."""
    return Meters()


def note_request(status: int, seconds: float) -> None:
    """A request with points was answered."""
    meters().requests[CLASSES[status // 100 - 1]].observe(seconds)


def note_points(amount: int) -> None:
    """Points were acknowledged."""
    meters().points.inc(amount)


def insert() -> AbstractContextManager[object]:
    """Times one block on its way into the metric store."""
    return meters().inserts.time()


def all_processes() -> CollectorRegistry:
    """What all web processes of this host have counted, gauges of those that live."""
    settings.METERS_DIR.mkdir(parents=True, exist_ok=True)
    forget(path for path, kind, pid in files() if kind.startswith("gauge_live") and not is_alive(pid))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(settings.METERS_DIR))  # type: ignore[no-untyped-call]
    return registry


def forget_dead() -> None:
    """Drop what processes that have ended left behind. Only where none of this server runs yet: counts would go back otherwise."""
    forget(path for path, _, pid in files() if not is_alive(pid))


def files() -> list[tuple[Path, str, int]]:
    """(path, kind of metric, process id) of every file of counts on this host."""
    found = [(path, FILE.fullmatch(path.name)) for path in settings.METERS_DIR.glob("*.db")]
    return [(path, match["kind"], int(match["pid"])) for path, match in found if match]


def forget(paths: Iterable[Path]) -> None:
    """Remove files; another process may have been first."""
    for path in paths:
        path.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether there is such a process on this host."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
