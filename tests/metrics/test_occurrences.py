"""An occurrence takes effect once, however many ask for it; what is left undone is found."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from celery.schedules import crontab, schedule
from django.db import connections
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from metrics.clock import occurrences
from metrics.clock.occurrences import OutOfTime, due_slot, latest_due, left_undone, once, release
from metrics.clock.schedule import AGGREGATE, ENTRIES, SWEEP, seed
from metrics.models import Occurrence

pytestmark = pytest.mark.differs_on_servers("an occurrence takes effect once by a constraint, however many race for it")
NOON = datetime(2026, 3, 4, 12, 0, 7, tzinfo=UTC)
SLOT = datetime(2026, 3, 4, tzinfo=UTC)


def test_the_second_delivery_changes_nothing(db):
    done = []
    for _ in range(3):
        once("t", lambda turn: done.append(turn.slot) or "did it", slot=SLOT)
    assert done == [SLOT]
    found = Occurrence.objects.get()
    assert (found.note, found.finished_at is not None) == ("did it", True)


def test_of_many_at_the_same_moment_one_does_it(transactional_db):
    done, start = [], threading.Barrier(8)

    def ask() -> None:
        start.wait()
        once("t", lambda turn: done.append(1) or "", slot=SLOT)
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [1]


def test_a_worker_that_died_is_taken_over_after_the_hard_limit_and_not_before(db):
    row = Occurrence.objects.create(task="t", slot=SLOT, started_at=timezone.now() - occurrences.HARD_LIMIT + timedelta(minutes=1))
    assert once("t", lambda turn: "again", slot=SLOT) != "again"
    Occurrence.objects.update(started_at=timezone.now() - occurrences.HARD_LIMIT - timedelta(seconds=1))
    assert once("t", lambda turn: "again", slot=SLOT) == "again"
    row.refresh_from_db()
    assert row.note == "again"


def test_whoever_was_taken_over_cannot_finish_what_is_not_his_any_more(db):
    def overtaken(turn) -> str:
        Occurrence.objects.update(started_at=timezone.now() + timedelta(seconds=1))
        return "late"

    once("t", overtaken, slot=SLOT)
    assert Occurrence.objects.get().finished_at is None


def test_work_that_fails_says_so_and_is_tried_again_later(db):
    def fail(turn) -> str:
        raise ValueError("no store")

    with pytest.raises(ValueError, match="no store"):
        once("t", fail, slot=SLOT)
    found = Occurrence.objects.get()
    assert (found.finished_at, found.note) == (None, "Failed: no store")
    assert once("t", lambda turn: "again", slot=SLOT) != "again"
    Occurrence.objects.update(started_at=found.started_at - occurrences.RETRY_AFTER)
    assert once("t", lambda turn: "again", slot=SLOT) == "again"


def test_work_that_runs_out_of_time_goes_on_at_once(db):
    def endless(turn) -> str:
        raise OutOfTime

    assert once("t", endless, slot=SLOT) == "To be continued."
    assert once("t", lambda turn: "the rest", slot=SLOT) == "the rest"


def test_a_server_that_starts_frees_what_its_killed_forerunner_held(db):
    Occurrence.objects.create(task="t", slot=SLOT, started_at=timezone.now())
    release()
    assert once("t", lambda turn: "again", slot=SLOT) == "again"


@pytest.mark.parametrize(
    ("due", "slot"),
    [
        (crontab(minute="0", hour="0"), SLOT),
        (crontab(minute="0", hour="13"), SLOT - timedelta(hours=11)),
        (crontab(minute="*/5"), NOON.replace(second=0)),
        (crontab(minute="30", hour="4", day_of_month="1"), datetime(2026, 3, 1, 4, 30, tzinfo=UTC)),
        (crontab(minute="0", hour="6", day_of_week="mon"), datetime(2026, 3, 2, 6, tzinfo=UTC)),
        (schedule(60), NOON.replace(second=0)),
        (schedule(7200), NOON.replace(second=0)),
    ],
)
def test_the_slot_is_when_the_entry_was_due_last(due, slot):
    assert latest_due(due, NOON) == slot


def test_an_edited_entry_has_other_slots(db):
    seed()
    assert due_slot(AGGREGATE.name, NOON) == SLOT
    PeriodicTask.objects.filter(name=AGGREGATE.name).update(crontab=CrontabSchedule.objects.create(minute="0", hour="9", timezone="Europe/Berlin"))
    assert due_slot(AGGREGATE.name, NOON) == SLOT.replace(hour=8)


def test_seeding_makes_what_is_missing_and_touches_nothing_else(db):
    assert len(seed()) == len(ENTRIES)
    PeriodicTask.objects.filter(name=AGGREGATE.name).update(enabled=False, description="mine")
    PeriodicTask.objects.filter(name=SWEEP.name).delete()
    assert seed() == [SWEEP.name]
    assert seed() == []
    kept = PeriodicTask.objects.get(name=AGGREGATE.name)
    assert (kept.enabled, kept.description) == (False, "mine")


def test_nightly_work_that_nobody_did_is_found(db):
    seed()
    nightly = {entry.task for entry in ENTRIES if entry.hour is not None}
    assert set(left_undone(NOON)) == nightly
    PeriodicTask.objects.filter(name="expire").update(enabled=False)
    once(AGGREGATE.name, lambda turn: "", slot=SLOT)
    Occurrence.objects.create(task="reconcile", slot=SLOT.replace(hour=2), started_at=NOON - timedelta(minutes=5))
    assert set(left_undone(NOON)) == {"metrics.tasks.retention", "hypotheses.tasks.judge_open"}
    assert set(left_undone(NOON + timedelta(minutes=40))) == {"metrics.tasks.retention", "metrics.tasks.reconcile", "hypotheses.tasks.judge_open"}
