"""What machines ask: is the process alive, and can it do its work."""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from redis import RedisError

from accounts.access import Caller
from accounts.signing_in.authentication import bearer, bearer_of
from alerts.watch import SILENT
from config.errors import Unavailable
from metrics import process
from metrics.clickhouse.errors import StoreError
from metrics.clickhouse.migrate import pending
from metrics.clock.pulse import schedule_pulse

logger = logging.getLogger(__name__)
# What this process could not have seen yet is not missed.
STARTED_AT = timezone.now()


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """The process is alive. Nothing else is asked."""
    return JsonResponse({"status": "healthy"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 where points can be taken, 503 where not; the metric store away is `degraded`, as points still are. Detail for operators."""
    found = {name: checked(check) for name, check in CHECKS.items()}
    takes_points = all(found[name]["ok"] for name in ("database", "migrations", "spool", "disk"))
    status = "unavailable" if not takes_points else "ready" if all(part["ok"] for part in found.values()) else "degraded"
    body: dict[str, Any] = {"status": status} | ({"checks": found} if is_operator(request) else {})
    return JsonResponse(body, status=200 if takes_points else 503)


def is_operator(request: HttpRequest) -> bool:
    """Whether a superuser asks, by session or by a token that administers."""
    secret = bearer(request.headers.get("Authorization", ""))
    known = bearer_of(secret) if secret else None
    if known is not None:
        return Caller(known.user, known.token).is_operator
    return bool(request.user.is_authenticated and request.user.is_superuser)


def checked(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A check's findings; what it raises is a finding too."""
    try:
        return {"ok": True, **check()}
    except (DatabaseError, StoreError, OSError, RedisError, NotReady, Unavailable) as error:
        return {"ok": False, "reason": str(error)[:300]}


class NotReady(Exception):
    """A part cannot do its work."""


def tell_what_is_missing() -> None:
    """Say in the log why a store cannot be used just now, for processes that do not migrate: which command to run, or who does not answer."""
    try:
        for name in ("migrations", "metric_store"):
            found = checked(CHECKS[name])
            if not found["ok"]:
                logger.warning("Points are taken, but not everything is ready: %s", found["reason"])
    finally:
        connections.close_all()


def database() -> dict[str, Any]:
    """The record answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {}


def migrations() -> dict[str, Any]:
    """No migration of the record is left to run."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("The record lacks migrations: run manage.py migrate.")
    return {}


def spool() -> dict[str, Any]:
    """The spool takes batches."""
    if not process.is_running():
        raise NotReady("The spool is not open.")
    found = process.spool()
    if found.full_reason:
        raise NotReady(found.full_reason)
    return {"waiting_points": process.spools().waiting_points(), "size_bytes": process.spools().size_bytes()}


def disk() -> dict[str, Any]:
    """There is room."""
    free = shutil.disk_usage(settings.DATA_DIR).free
    if free < settings.DISK_FREE_MIN_BYTES:
        raise NotReady(f"{free} bytes free, {settings.DISK_FREE_MIN_BYTES} must stay.")
    return {"free_bytes": free}


def store() -> dict[str, Any]:
    """The metric store answers, and has its tables."""
    began = time.monotonic()
    process.repository().is_alive()
    answered_ms = round((time.monotonic() - began) * 1000, 1)
    waiting = pending(process.open_engine(), settings.CLICKHOUSE_DATABASE)
    if waiting:
        raise NotReady(f"The metric store lacks {', '.join(one.name for one in waiting)}: run manage.py migrate_clickhouse.")
    return {"answered_ms": answered_ms}


def drain() -> dict[str, Any]:
    """The drain keeps up."""
    if not process.is_running():
        raise NotReady("The drain does not run.")
    found = process.drain()
    if found.last_error:
        raise NotReady(found.last_error)
    damaged = process.spools().views.damaged
    if damaged:
        raise NotReady("; ".join(f"{path} is damaged ({reason}) and left alone" for path, reason in damaged.items()))
    return {"dead_letters": process.spools().dead_count(), "discarded_points": found.discarded, "lag_s": round(lag_s(), 1)}


def lag_s() -> float:
    """How long the oldest point that is not stored has waited, in seconds."""
    oldest_us = process.spool().oldest_us
    return max(0.0, time.time() - oldest_us / 1e6) if oldest_us else 0.0


def shared_cache() -> dict[str, Any]:
    """The cache keeps what it is given."""
    began, word = time.monotonic(), secrets.token_hex(4)
    cache.set("ready", word, timeout=60)
    if cache.get("ready") != word:
        raise NotReady("The cache forgot what it was given: see that Redis runs.")
    return {"answered_ms": round((time.monotonic() - began) * 1000, 1)}


def schedule() -> dict[str, Any]:
    """Beat and a worker were seen lately."""
    now, pulse = timezone.now(), schedule_pulse()
    seen = {"beat_seen": pulse.beat_seen, "worker_seen": pulse.worker_seen}
    silent = [name.removesuffix("_seen") for name, moment in seen.items() if now - max(moment or STARTED_AT, STARTED_AT) > SILENT]
    if silent:
        raise NotReady(f"{' and '.join(silent)} not seen for {int(SILENT.total_seconds())} s: see that celery beat and worker run.")
    return {name: moment.isoformat() for name, moment in seen.items() if moment}


CHECKS = {
    "database": database, "migrations": migrations, "spool": spool, "disk": disk,
    "metric_store": store, "drain": drain, "cache": shared_cache, "schedule": schedule,
}  # fmt: skip
