"""What runs by the clock. Each task does one occurrence of its entry, once, and may be delivered twice or late without harm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from alerts.checks.every_minute import check_health
from config.celery import app, nudge
from experiments import deletion, rekeying
from hypotheses.claims.wanting import JUDGE
from hypotheses.models import Hypothesis
from metrics import process
from metrics.clock import schedule
from metrics.clock.occurrences import Turn, left_undone, once
from metrics.upkeep import aggregation, expiry
from metrics.upkeep import reconcile as reconciling
from metrics.upkeep import retention as retaining

Task = Any  # Celery's task comes without types


def slot_of(task: Task) -> datetime | None:
    """The slot that whoever asked for this run gave it, None where the entry says it."""
    given = (task.request.headers or {}).get("slot")
    return datetime.fromisoformat(given).astimezone(UTC) if given else None


@app.task(name="metrics.tasks.aggregate_daily_metrics", bind=True)
def aggregate_daily_metrics(task: Task) -> str:
    """Rebuild the hours of every series that gained points."""
    return once(schedule.AGGREGATE.name, aggregation.aggregate, slot=slot_of(task))


@app.task(name="metrics.tasks.retention", bind=True)
def retention(task: Task) -> str:
    """Replace points that are older than their project keeps them by their hours."""
    return once(schedule.RETENTION.name, retaining.drop_old, slot=slot_of(task))


@app.task(name="metrics.tasks.reconcile", bind=True)
def reconcile(task: Task) -> str:
    """Compare summaries with the points themselves, and repair what differs."""
    return once(schedule.RECONCILE.name, reconciling.reconcile, slot=slot_of(task))


@app.task(name="metrics.tasks.expire", bind=True)
def expire(task: Task) -> str:
    """Delete what is past its time."""
    return once(schedule.EXPIRE.name, expiry.expire, slot=slot_of(task))


@app.task(name="metrics.tasks.check_metrics_health", bind=True)
def check_metrics_health(task: Task) -> str:
    """Look for what should be told to somebody."""
    return once(schedule.HEALTH.name, checked, slot=slot_of(task))


def checked(turn: Turn) -> str:
    """Look at everything once; the names of the checks that could not look."""
    blind = check_health(process.open_repository)
    return f"Could not look: {', '.join(blind)}." if blind else "Looked at everything."


@app.task(name="metrics.tasks.sweep", bind=True)
def sweep(task: Task) -> str:
    """Find required work that was left undone."""
    return once(schedule.SWEEP.name, swept, slot=slot_of(task))


def swept(turn: Turn) -> str:
    """Deletions left undone, judgements and arms that are due, series that wait for their points, and occurrences that nobody began or whose worker died."""
    process.open_repository()
    purged, settled = deletion.purge(), reconciling.review()
    due = [*left_undone(timezone.now()), *([JUDGE] if Hypothesis.objects.due(at=timezone.now()).exists() else [])]
    due += [rekeying.REKEY] if rekeying.due().exists() else []
    asked = [name for name in due if nudge(name)]
    return f"Purged {purged} experiments, settled {settled} differences, asked for {len(asked)} tasks."
