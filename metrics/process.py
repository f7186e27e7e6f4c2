"""What one web process owns: the engine, a spool, a drain. Opened once, after any fork; everything else asks here for it."""

from __future__ import annotations

import os
import signal
import socket
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from config.errors import Unavailable
from metrics.clickhouse.client import Engine
from metrics.clickhouse.embedded import EmbeddedEngine
from metrics.clickhouse.errors import StoreUnavailable
from metrics.clickhouse.migrate import migrate
from metrics.clickhouse.server import ServerEngine
from metrics.clickhouse.wire import Address, Login
from metrics.drain import Drain, Timing
from metrics.models import Spool as SpoolFile
from metrics.repository import MetricRepository
from metrics.spool import Caps, Spool

FIRST_SPOOL = "0.sqlite"


@dataclass(frozen=True)
class Process:
    """The parts, each in its only copy."""

    engine: Engine
    repository: MetricRepository
    spool: Spool
    drain: Drain


class Running:
    """The parts of this process, None while it does not run. The engine may be open alone, for a command."""

    engine: Engine | None = None
    parts: Process | None = None


def open_engine() -> Engine:
    """The metric store of the settings. Raises SetupError where another process has the directory; a server is connected to when first asked."""
    if Running.engine is None:
        Running.engine = server_engine() if settings.CLICKHOUSE_HOST else embedded_engine()
    return Running.engine


def embedded_engine() -> EmbeddedEngine:
    """The engine inside this process."""
    return EmbeddedEngine(
        settings.DATA_DIR / "clickhouse",
        database=settings.CLICKHOUSE_DATABASE,
        max_memory_bytes=settings.CHDB_MAX_MEMORY_BYTES,
        max_threads=settings.CHDB_MAX_THREADS,
        timeout_s=settings.QUERY_TIMEOUT_S,
    )


def server_engine() -> ServerEngine:
    """The server of CLICKHOUSE_HOST, and its replica."""
    return ServerEngine(
        [Address(*address) for address in settings.CLICKHOUSE_ADDRESSES],
        Login(settings.CLICKHOUSE_USER, settings.CLICKHOUSE_PASSWORD, settings.CLICKHOUSE_SECURE),
        database=settings.CLICKHOUSE_DATABASE,
        pool_size=settings.CLICKHOUSE_POOL_SIZE,
        max_overflow=settings.CLICKHOUSE_MAX_OVERFLOW,
        timeout_s=settings.QUERY_TIMEOUT_S,
        cluster=settings.CLICKHOUSE_CLUSTER,
    )


def start() -> Process:
    """Open the store, open the spool, begin to drain. Raises SetupError where another process has the directory.

    The embedded store is brought up to date here. A server may be away just now, and points are taken all the same: `migrate_clickhouse` is its own step.
    """
    if Running.parts is None:
        engine = open_engine()
        if not settings.CLICKHOUSE_HOST:
            migrate(engine, settings.CLICKHOUSE_DATABASE)
        repository = MetricRepository(engine, database=settings.CLICKHOUSE_DATABASE)
        spool = Spool(settings.DATA_DIR / "spool" / FIRST_SPOOL, caps=caps_of_settings(), register=register)
        drain = Drain(spool, repository, timing=timing_of_settings(), failpoint=failpoint)
        drain.start()
        Running.parts = Process(engine, repository, spool, drain)
    return Running.parts


def stop(*, within_s: float = 5.0) -> None:
    """Refuse new points, try once to store what waits, let everything go."""
    parts, Running.parts = Running.parts, None
    if parts is not None:
        parts.spool.is_stopping = True
        parts.drain.stop(within_s=within_s)
        parts.spool.close()
    engine, Running.engine = Running.engine, None
    if engine is not None:
        engine.close()


def caps_of_settings() -> Caps:
    """How much the spool may take."""
    return Caps(spool_bytes=settings.SPOOL_MAX_BYTES, disk_free_bytes=settings.DISK_FREE_MIN_BYTES, names=settings.METRICS_MAX_NAMES)


def timing_of_settings() -> Timing:
    """When the drain stores, and how long the spool keeps."""
    return Timing(
        batch_points=settings.METRICS_BATCH_SIZE,
        interval_s=settings.METRICS_FLUSH_INTERVAL,
        block_points=settings.METRICS_BLOCK_POINTS,
        keep_s=settings.SPOOL_KEEP_HOURS * 3600,
        keep_bytes=settings.SPOOL_KEEP_BYTES,
    )


def register(path: Path) -> int:
    """The writer number of a new spool file."""
    return SpoolFile.objects.create(path=str(path), host=socket.gethostname()).writer


def failpoint(name: str) -> None:
    """Die here as under kill -9, where the test environment asks for it. Everywhere else nothing happens."""
    if settings.ENVIRONMENT == "test" and os.environ.get("FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def is_running() -> bool:
    """Whether this process has its parts."""
    return Running.parts is not None


def repository() -> MetricRepository:
    """The metric store. Raises StoreUnavailable where this process does not own it."""
    if Running.parts is None:
        raise StoreUnavailable("The metric store is not open in this process: it belongs to the running server.")
    return Running.parts.repository


def spool() -> Spool:
    """The spool. Raises Unavailable while there is none."""
    if Running.parts is None:
        raise Unavailable("The server is starting or stopping: send again in a moment.", code="stopping", retry_after_s=2)
    return Running.parts.spool


def drain() -> Drain:
    """The drain. Raises Unavailable while there is none."""
    if Running.parts is None:
        raise Unavailable("The server is starting or stopping: send again in a moment.", code="stopping", retry_after_s=2)
    return Running.parts.drain


def pending(experiments: Iterable[uuid.UUID]) -> int:
    """Points of these experiments that are acknowledged and cannot be queried yet."""
    return Running.parts.spool.pending(experiments) if Running.parts else 0


def flush() -> None:
    """Ask the drain to store what waits now, without waiting for it."""
    if Running.parts:
        Running.parts.spool.hurry()
