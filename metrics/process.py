"""What one web process owns: the engine, a spool, a drain. Opened once, after any fork; everything else asks here for it."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from django.conf import settings

from config.errors import SetupError, Unavailable
from metrics.clickhouse.client import Engine
from metrics.clickhouse.embedded import EmbeddedEngine
from metrics.clickhouse.errors import StoreUnavailable
from metrics.clickhouse.migrate import migrate
from metrics.clickhouse.server import ServerEngine
from metrics.clickhouse.wire import Address, Login
from metrics.drain.host import Spools
from metrics.drain.storing import Drain, Timing
from metrics.models import Spool as SpoolFile
from metrics.spool.folder import check
from metrics.spool.queue import Caps, Spool
from metrics.store.repository import MetricRepository

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Process:
    """The parts, each in its only copy."""

    engine: Engine
    repository: MetricRepository
    spools: Spools

    @property
    def spool(self) -> Spool:
        """The file that this process writes to. Raises Unavailable while it has none."""
        return self.spools.here().spool

    @property
    def drain(self) -> Drain:
        """What empties that file. Raises Unavailable while there is none."""
        return self.spools.here().drain


class Running:
    """The parts of this process, None while it does not run. The engine may be open alone, for a command."""

    engine: Engine | None = None
    parts: Process | None = None
    is_over = False
    opening = threading.RLock()
    inherited: ClassVar[list[object]] = []


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


def open_repository() -> MetricRepository:
    """The metric store for a process that may not have a spool, such as a Celery worker. Raises SetupError where another process has the directory."""
    return Running.parts.repository if Running.parts else MetricRepository(open_engine(), database=settings.CLICKHOUSE_DATABASE)


def start() -> Process:
    """Open the store, hold a spool, begin to drain. Raises SetupError where another process has the directory.

    The embedded store is brought up to date here. A server may be away just now, and points are taken all the same: `migrate_clickhouse` is its own step.
    Without the record a process that finds no free spool file starts all the same, and takes points once it has one.
    """
    with Running.opening:
        if Running.parts is None:
            engine = open_engine()
            if not settings.CLICKHOUSE_HOST:
                migrate(engine, settings.CLICKHOUSE_DATABASE)
            repository = MetricRepository(engine, database=settings.CLICKHOUSE_DATABASE)
            spools = Spools(spool_folder(), repository, caps=caps_of_settings(), timing=timing_of_settings(), register=register, failpoint=failpoint)
            spools.start()
            Running.parts, Running.is_over = Process(engine, repository, spools), False
        return Running.parts


def ensure_started() -> None:
    """Open the parts at the first request, for a WSGI server whose own hooks have not; close them when the process ends."""
    if Running.parts is not None or Running.is_over:
        return
    try:
        start()
        atexit.register(stop)
    except SetupError as error:
        logger.error("This process serves without a metric store and takes no points: %s", error)


def stop(*, within_s: float = 5.0, is_engine_busy: bool = False) -> None:
    """Refuse new points, try once to store what waits, let everything go. A busy engine is not waited for: the process ends, as it may at any time."""
    Running.is_over = True
    parts, Running.parts = Running.parts, None
    if parts is not None:
        parts.spools.stop(within_s=within_s)
    engine, Running.engine = Running.engine, None
    if is_engine_busy:
        sys.stdout.flush()
        os._exit(0)
    if engine is not None:
        engine.close()


def forget_parent() -> None:
    """In a forked child: the parent's parts stay the parent's. They are kept from being collected, which would close them."""
    Running.inherited += [part for part in (Running.parts, Running.engine) if part is not None]
    if Running.parts is not None:
        Running.parts.spools.let_go()
    Running.parts = Running.engine = None
    Running.opening = threading.RLock()


os.register_at_fork(after_in_child=forget_parent)


def spool_folder() -> Path:
    """Where the spool files of this host lie."""
    return Path(settings.DATA_DIR) / "spool"


def check_spools() -> None:
    """Raise SetupError where a spool file is damaged."""
    check(spool_folder())


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
    """The metric store. Raises StoreUnavailable where this process has not opened it."""
    if Running.engine is None:
        raise StoreUnavailable("The metric store is not open in this process: it belongs to the running server.")
    return open_repository()


def spools() -> Spools:
    """The spool files of this host. Raises Unavailable while this process does not run."""
    if Running.parts is None:
        raise Unavailable("The server is starting or stopping: send again in a moment.", code="stopping", retry_after_s=2)
    return Running.parts.spools


def spool() -> Spool:
    """The spool that this process writes to. Raises Unavailable while there is none."""
    return spools().here().spool


def drain() -> Drain:
    """The drain of that spool. Raises Unavailable while there is none."""
    return spools().here().drain


def pending(experiments: Iterable[uuid.UUID]) -> int:
    """Points of these experiments that are acknowledged on this host and cannot be queried yet."""
    return Running.parts.spools.pending(experiments) if Running.parts else 0


def is_coming(project: uuid.UUID, metric: str) -> bool:
    """Whether the project does not have this metric yet, and points of it are acknowledged on this host."""
    return Running.parts is not None and Running.parts.spools.is_coming(project, metric)


def flush() -> None:
    """Ask the drains of this host to store what waits now, without waiting for it."""
    if Running.parts:
        Running.parts.spools.hurry()
