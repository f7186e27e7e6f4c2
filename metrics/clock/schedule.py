"""The clock's entries: made where they are missing, never changed again, so that what an operator edits in the admin stays."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from config.celery import refuse_without_broker

logger = logging.getLogger(__name__)
RETRY_S = 5.0


@dataclass(frozen=True)
class Entry:
    """One thing that runs by the clock: at `hour`:00 UTC, or every minute where there is none."""

    name: str
    task: str
    description: str
    hour: int | None = None


AGGREGATE = Entry("aggregate-daily-metrics", "metrics.tasks.aggregate_daily_metrics", "Rebuilds the hours of every series that gained points.", 0)
RETENTION = Entry("retention", "metrics.tasks.retention", "Replaces points that are older than their project keeps them by their hours.", 1)
RECONCILE = Entry("reconcile", "metrics.tasks.reconcile", "Compares summaries with the points themselves, and repairs what differs.", 2)
EXPIRE = Entry("expire", "metrics.tasks.expire", "Deletes what is past its time: tokens, sessions, finished occurrences.", 3)
JUDGE = Entry("judge-open-hypotheses", "hypotheses.tasks.judge_open", "Judges every hypothesis that is not decided.", 4)
HEALTH = Entry("check-metrics-health", "metrics.tasks.check_metrics_health", "Looks for what should be told to somebody.")
SWEEP = Entry("sweep", "metrics.tasks.sweep", "Finds required work that was left undone.")
ENTRIES = (AGGREGATE, RETENTION, RECONCILE, EXPIRE, JUDGE, HEALTH, SWEEP)


def seed() -> list[str]:
    """Make the entries that are missing; their names. An entry that is there is left as it is."""
    known = set(PeriodicTask.objects.values_list("name", flat=True))
    return [entry.name for entry in ENTRIES if entry.name not in known and made(entry)]


@transaction.atomic
def made(entry: Entry) -> bool:
    """Make one entry; whether it was not there."""
    when: dict[str, Any] = {"crontab": at_hour(entry.hour)} if entry.hour is not None else {"interval": every_minute(), "expire_seconds": 60}
    _, is_new = PeriodicTask.objects.get_or_create(name=entry.name, defaults={"task": entry.task, "description": entry.description, **when})
    return bool(is_new)


def at_hour(hour: int) -> CrontabSchedule:
    """Daily at `hour` UTC."""
    fields = {"minute": "0", "hour": str(hour), "day_of_week": "*", "day_of_month": "*", "month_of_year": "*", "timezone": "UTC"}
    return CrontabSchedule.objects.filter(**fields).first() or CrontabSchedule.objects.create(**fields)


def every_minute() -> IntervalSchedule:
    """Every 60 seconds."""
    fields = {"every": 60, "period": IntervalSchedule.SECONDS}
    return IntervalSchedule.objects.filter(**fields).first() or IntervalSchedule.objects.create(**fields)


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # comes without types
    """Beat's scheduler over the record: makes the entries at its start, and lives through a record that is away for a while."""

    def install_default_entries(self, data: Any) -> None:  # Any: as Celery calls it
        """None: both result stores forget by themselves."""

    def setup_schedule(self) -> None:
        """Make what is missing. Ends the program with a sentence where there is no broker, or the record has no tables for it."""
        refuse_without_broker(self)
        try:
            seed()
        except DatabaseError as error:
            raise SystemExit(f"The record has no schedule ({error}): run manage.py migrate, then start again.") from error

    def schedule_changed(self) -> bool:
        """Whether the entries changed since the last look. django-celery-beat's own answer misses what changes between the first read of
        the entries and the first look, and a change that was stamped earlier but committed later than one that it saw.
        """
        before = self._last_timestamp
        return bool(super().schedule_changed() or self._last_timestamp != before)

    def tick(self, *args: Any, **kwargs: Any) -> float:  # Any: as Celery calls it
        """Send what is due; the seconds until the next look."""
        try:
            return float(super().tick(*args, **kwargs))
        except DatabaseError as error:
            logger.warning("The record is away, the schedule waits for it: %s", error)
            return RETRY_S
