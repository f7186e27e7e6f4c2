"""What the watch looks at every 60 s. Its cost grows with the runs that are active, never with points or with runs that ended.

Every check looks alone: where one cannot (the store is away, say), its alerts stay as they are, and the others go on. What a run's silence says is
held back while our own ingest has trouble, and silence counts only from when it was well: a server that was off calls nobody stalled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError
from django.utils import timezone

from alerts import lifecycle as alerts
from alerts.checks.runs import diverged, keep_patience, no_data, not_finite, stalled
from alerts.checks.scene import Scene
from alerts.checks.server import dead_letters, disk, drain_lag, parts, spool_full, store_away, task_late, web_silent
from alerts.lifecycle import Finding
from alerts.models import Alert, Kind
from alerts.sending import outbox
from metrics.clickhouse.errors import StoreError
from metrics.store.repository import MetricRepository

logger = logging.getLogger(__name__)
SILENCE = (Kind.STALLED, Kind.NO_DATA)
CLEARED = {
    Kind.STALLED: "It was heard again.",
    Kind.NO_DATA: "Its first point came.",
    Kind.NOT_FINITE: "No point of it is NaN or infinite any more.",
    Kind.DIVERGED: "It came back.",
    Kind.DRAIN_LAG: "What waited is stored.",
    Kind.STORE_AWAY: "The metric store answers again.",
}


@dataclass(frozen=True)
class Check:
    """One thing to look at: `kinds` are the alerts that it opens and resolves."""

    look: Callable[[Scene], Iterable[Finding]]
    kinds: tuple[str, ...]


def check_health(store: Callable[[], MetricRepository], *, at: datetime | None = None) -> list[str]:
    """Look at everything once, bring the alerts in line, send what is due. The names of the checks that could not look."""
    at = at or timezone.now()
    scene = Scene(store, at=at)
    kinds, findings, failed = looked(scene)
    alerts.settle(kinds, findings, at=at, why=reason)
    alerts.end_silences(at=at)
    outbox.deliver_due(at=at)
    return failed


def looked(scene: Scene) -> tuple[list[str], list[Finding], list[str]]:
    """(kinds that were judged, what was found, checks that could not look)."""
    kinds: list[str] = []
    findings: list[Finding] = []
    failed: list[str] = []
    for check in CHECKS:
        if scene.trouble and set(check.kinds) & set(SILENCE):
            continue
        try:
            found = list(check.look(scene))
        except (StoreError, DatabaseError, OSError) as error:
            logger.warning("The check %s could not look: %s", check.look.__name__, str(error)[:300])
            failed.append(check.look.__name__)
        else:
            kinds += check.kinds
            findings += found
    return kinds, findings, failed


def reason(alert: Alert) -> str:
    """Why an alert's condition is gone."""
    experiment = alert.experiment
    if experiment is not None and not experiment.is_live:
        return f"The run ended: {experiment.state}."
    return CLEARED.get(Kind(alert.kind), alerts.GONE)


CHECKS = (
    Check(keep_patience, ()),
    Check(stalled, (Kind.STALLED,)),
    Check(no_data, (Kind.NO_DATA,)),
    Check(not_finite, (Kind.NOT_FINITE,)),
    Check(diverged, (Kind.DIVERGED,)),
    Check(store_away, (Kind.STORE_AWAY,)),
    Check(drain_lag, (Kind.DRAIN_LAG,)),
    Check(spool_full, (Kind.SPOOL_FULL,)),
    Check(dead_letters, (Kind.DEAD_LETTERS,)),
    Check(parts, (Kind.PARTS,)),
    Check(disk, (Kind.DISK,)),
    Check(task_late, (Kind.TASK_LATE,)),
    Check(web_silent, (Kind.WEB_SILENT,)),
)
