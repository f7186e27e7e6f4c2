"""What runs by the clock. Each is one line, takes ids, and may run twice or late."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from metrics import outbox, process
from metrics.checks import check_health
from metrics.repository import MetricRepository


def metric_store() -> MetricRepository:
    """The metric store, in a web process or in a worker. Raises StoreUnavailable, or SetupError where another process has the directory."""
    if process.is_running():
        return process.repository()
    return MetricRepository(process.open_engine(), database=settings.CLICKHOUSE_DATABASE)


@shared_task(name="metrics.check_metrics_health")  # type: ignore[untyped-decorator]  # Celery comes without types
def check_metrics_health() -> list[str]:
    """Look at everything once; the names of the checks that could not look."""
    return check_health(metric_store)


@shared_task(name="metrics.deliver_alerts")  # type: ignore[untyped-decorator]
def deliver_alerts() -> int:
    """Send what is due; how many arrived."""
    return outbox.deliver_due()
