"""How `gunicorn config.wsgi` serves; it loads this file by itself. Several processes of threads, each with a spool of its own, on a ClickHouse server."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.http import message

from config.environment import folders
from config.errors import SetupError
from metrics.spool.folder import check

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
try:
    from config import settings
except SetupError as error:
    sys.exit(str(error))

HEAD_BYTES = 65_536
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # nosec B108  # gunicorn makes its file there safely

bind = f"127.0.0.1:{settings.PORT}"
worker_class = "operations.web_server.gunicorn_worker.WebServerWorker"
workers = settings.WEB_CONCURRENCY
threads = settings.SERVER_THREADS
# Requests in flight (one that waits for visible points takes up to 10 s), then one attempt at what waits in the spool.
graceful_timeout = 25
timeout = 60
errorlog = "-"
loglevel = settings.LOG_LEVEL.lower()
logconfig_dict = settings.LOGGING
control_socket_disable = True
# The workers' heartbeat must not wait for a disk.
worker_tmp_dir = str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
# A comparison of 500 experiments names each of them in its address. gunicorn allows 8190 bytes or any number; `serve` allows this many.
message.MAX_REQUEST_LINE = limit_request_line = limit_request_field_size = HEAD_BYTES


def on_starting(server: Any) -> None:
    """Refuse what cannot work, before any worker is there."""
    folders.keep_to_ourselves()  # a daemon had its umask set anew
    flaw = folders.close(settings.DATA_DIR)
    if flaw:
        sys.stderr.write(f"{flaw}\n")
    from metrics import meters  # it reads where its files lie from the settings

    meters.forget_dead()
    if not settings.CLICKHOUSE_HOST and server.cfg.workers > 1:
        sys.exit(
            f"{server.cfg.workers} workers cannot share the embedded metric store: give CLICKHOUSE_HOST for a ClickHouse server,"
            " or WEB_CONCURRENCY=1 for one process."
        )
    try:
        check(settings.DATA_DIR / "spool")
    except SetupError as error:
        sys.exit(str(error))


def post_worker_init(worker: Any) -> None:
    """Open the worker's parts, after the fork. Where they cannot be had the whole server ends with the reason, instead of trying for ever."""
    from alerts import watch
    from metrics import process
    from operations.health import tell_what_is_missing  # Django is set up only by now
    from operations.memory import keep_what_is_loaded
    from operations.web_server.server import SWITCH_S

    sys.setswitchinterval(SWITCH_S)
    try:
        process.start()
        watch.start()
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(Arbiter.WORKER_BOOT_ERROR)
    worker.close_parts = [watch.stop, process.stop]
    keep_what_is_loaded()
    if worker.age == 1:  # of many that would say the same
        threading.Thread(target=tell_what_is_missing, daemon=True).start()


def worker_exit(server: Any, worker: Any) -> None:
    """One attempt at what waits, then everything is let go. The master calls this too, for workers that are gone."""
    for close in getattr(worker, "close_parts", []):
        close()
