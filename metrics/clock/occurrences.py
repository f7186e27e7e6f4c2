"""What is due when, and who does it: an occurrence takes effect once, however many beats tick and however often a message is delivered.

An occurrence is a row (task, slot), where the slot is the time at which the task was due by its entry. Whoever inserts the row does the work. A
row that was begun and not finished within the hard limit belongs to a worker that died: the next one takes it over. So all work may be done again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from celery.schedules import BaseSchedule, crontab, schedule
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from metrics.models import Occurrence

HARD_LIMIT = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)
# Thread pools know no time limits: long work looks at its turn between two statements, and ends well before it would be ended.
TURN = timedelta(seconds=settings.CELERY_TASK_SOFT_TIME_LIMIT * 3 // 4)
RETRY_AFTER = timedelta(minutes=5)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOOK_BACK = (timedelta(minutes=5), timedelta(hours=5), timedelta(days=2), timedelta(days=62), timedelta(days=400))
STOPPING = threading.Event()


class OutOfTime(Exception):
    """The turn is over: what was done stays, the rest is for the next one."""


@dataclass(frozen=True)
class Turn:
    """One go at an occurrence: which `slot`, and how long it may take."""

    slot: datetime
    deadline: datetime = field(default_factory=lambda: timezone.now() + TURN)

    @property
    def midnight_us(self) -> int:
        """The midnight at or before the slot (UTC), in microseconds: days before it are over."""
        return int(self.slot.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * 1_000_000

    def require_time(self) -> None:
        """Raise OutOfTime where the turn is over or the process stops."""
        if STOPPING.is_set() or timezone.now() > self.deadline:
            raise OutOfTime


Work = Callable[[Turn], str]


def once(task: str, work: Work, *, slot: datetime | None = None) -> str:
    """Do the work of the occurrence that is due, unless it was done or is being done; what there is to say. Raises what the work raises."""
    now = timezone.now()
    occurrence = claimed(task, slot or due_slot(task, now), now=now)
    if occurrence is None:
        return "Done already, or being done."
    try:
        note = work(Turn(occurrence.slot))
    except OutOfTime:
        set_back(occurrence, to=EPOCH, note="The turn was over; goes on with the next sweep.")
        return "To be continued."
    except Exception as error:
        set_back(occurrence, to=now - HARD_LIMIT + RETRY_AFTER, note=f"Failed: {error}")
        raise
    held(occurrence).update(finished_at=timezone.now(), note=note[:500])
    return note


def claimed(task: str, slot: datetime, *, now: datetime) -> Occurrence | None:
    """The occurrence, if it is ours: nobody had it, or whoever had it died."""
    occurrence, is_new = Occurrence.objects.get_or_create(task=task, slot=slot, defaults={"started_at": now})
    if is_new:
        return occurrence
    left = Occurrence.objects.filter(pk=occurrence.pk, finished_at=None, started_at__lt=now - HARD_LIMIT)
    if not left.update(started_at=now, note=""):
        return None
    occurrence.started_at = now
    return occurrence


def held(occurrence: Occurrence) -> QuerySet[Occurrence]:
    """The row, unless another took it over meanwhile."""
    return Occurrence.objects.filter(pk=occurrence.pk, started_at=occurrence.started_at, finished_at=None)


def set_back(occurrence: Occurrence, *, to: datetime, note: str) -> None:
    """Let the next one take it over, once HARD_LIMIT has passed since `to`."""
    held(occurrence).update(started_at=to, note=note[:500])


def release() -> None:
    """Let every claim go that is not finished: for the one process that can have made them, at its start."""
    Occurrence.objects.filter(finished_at=None).update(started_at=EPOCH)


def left_undone(now: datetime) -> Iterator[str]:
    """The Celery names of the enabled entries by the calendar whose latest occurrence nobody has done or is doing."""
    for entry in PeriodicTask.objects.filter(enabled=True, one_off=False).exclude(crontab=None).select_related("crontab"):
        slot = latest_due(entry.schedule, now)
        occurrence = Occurrence.objects.filter(task=entry.name, slot=slot).first()
        if occurrence is None or (occurrence.finished_at is None and occurrence.started_at < now - HARD_LIMIT):
            yield entry.task


def due_slot(task: str, now: datetime) -> datetime:
    """When the entry of this name was due last. Without an entry: the last minute."""
    entry = PeriodicTask.objects.filter(name=task).first()
    return latest_due(entry.schedule if entry else schedule(60), now)


def latest_due(due: BaseSchedule, now: datetime) -> datetime:
    """The latest time, not after `now`, at which a schedule is due. Intervals count from 1970, so that every beat means the same times."""
    if isinstance(due, crontab):
        return next((found for back in LOOK_BACK if (found := last_within(due, now - back, now))), EPOCH)
    period = max(1, int(due.run_every.total_seconds())) if isinstance(due, schedule) else 60
    return datetime.fromtimestamp(int(now.timestamp()) // period * period, tz=UTC)


def last_within(due: crontab, start: datetime, now: datetime) -> datetime | None:
    """The last time in (start, now] at which a calendar's entry is due; None where there is none."""
    found, at = None, next_due(due, start)
    while at <= now:
        found, at = at, next_due(due, at)
    return found


def next_due(due: crontab, after: datetime) -> datetime:
    """The first time after `after` at which a calendar's entry is due."""
    last, ahead, _ = due.remaining_delta(after.astimezone(getattr(due, "tz", UTC)))
    at: datetime = last + ahead
    return at.astimezone(UTC)
