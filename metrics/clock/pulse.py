"""Whether the schedule lives: beat by when it last sent a task, the workers by what they last finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Min
from django_celery_beat.models import PeriodicTask

from metrics.models import Occurrence

CHECK = "check-metrics-health"
NIGHTLY = ("aggregate-daily-metrics", "retention", "reconcile", "expire")
# No task may take longer: one that began before and has not ended belongs to a worker that died.
LONGEST = timedelta(minutes=30)


@dataclass(frozen=True)
class Pulse:
    """The last sign of beat and of a worker; None where there never was one."""

    beat_seen: datetime | None
    worker_seen: datetime | None


@dataclass(frozen=True)
class Run:
    """One entry of the schedule and its last occurrence: `due_at` is when that was due."""

    name: str
    due_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    next_in_s: float | None
    is_enabled: bool
    is_running: bool

    @property
    def took_s(self) -> float | None:
        """Seconds from start to end, None where it has not ended."""
        return (self.finished_at - self.started_at).total_seconds() if self.started_at and self.finished_at else None


def schedule_pulse() -> Pulse:
    """When beat and a worker were last seen. Two queries. What a worker did, beat had sent: beat writes its own times down now and then only."""
    sent = PeriodicTask.objects.filter(enabled=True).aggregate(at=Max("last_run_at"))["at"]
    done = Occurrence.objects.aggregate(slot=Max("slot"), finished=Max("finished_at"))
    return Pulse(max(filter(None, (sent, done["slot"])), default=None), done["finished"])


def last_finished(tasks: Sequence[str]) -> dict[str, datetime]:
    """When each of these entries, where it is switched on, last ended; where it never did, since when it should have. Two queries."""
    made = dict(PeriodicTask.objects.filter(name__in=tasks, enabled=True).values_list("name", "date_changed"))
    known = Occurrence.objects.filter(task__in=list(made)).values("task").annotate(ended=Max("finished_at"), first=Min("slot")).order_by()
    return made | {row["task"]: row["ended"] or row["first"] for row in known}


def runs(*, at: datetime) -> list[Run]:
    """Every entry of the schedule, by name. Three queries."""
    entries = list(PeriodicTask.objects.exclude(name__startswith="celery.").select_related("interval", "crontab", "solar", "clocked").order_by("name"))
    newest = Occurrence.objects.filter(task__in=[entry.name for entry in entries]).values("task").annotate(slot=Max("slot")).order_by()
    slots = {row["task"]: row["slot"] for row in newest}
    latest = {one.task: one for one in Occurrence.objects.filter(slot__in=slots.values()) if slots.get(one.task) == one.slot}
    return [run_of(entry, latest.get(entry.name), at=at) for entry in entries]


def run_of(entry: PeriodicTask, last: Occurrence | None, *, at: datetime) -> Run:
    """One entry with its last occurrence, and when it is due next."""
    due = entry.schedule.remaining_estimate(entry.last_run_at or at) if entry.enabled else None
    return Run(
        name=entry.name,
        due_at=last.slot if last else None,
        started_at=last.started_at if last else None,
        finished_at=last.finished_at if last else None,
        next_in_s=max(0.0, due.total_seconds()) if due is not None else None,
        is_enabled=entry.enabled,
        is_running=last is not None and last.finished_at is None and last.started_at is not None and at - last.started_at < LONGEST,
    )
