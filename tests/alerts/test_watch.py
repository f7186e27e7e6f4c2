"""What a web process sees of the schedule, and what it tells of itself."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from alerts import watch
from alerts.models import Alert, Kind, WebProcess
from metrics.clock import pulse
from metrics.clock.pulse import Pulse, schedule_pulse
from metrics.models import Occurrence

pytestmark = pytest.mark.differs_on_servers("what processes tell of themselves is upserted, and compared by time")
NOW = timezone.now()
LONG_AGO = NOW - timedelta(hours=5)


def judged(*, beat: int | None, worker: int | None, up_s: int = 3600) -> set[str]:
    """The open alerts after one look: seconds since beat and a worker were seen, and since this process runs."""
    seen = [None if ago is None else NOW - timedelta(seconds=ago) for ago in (beat, worker)]
    watch.judge(Pulse(*seen), since=NOW - timedelta(seconds=up_s), at=NOW)
    return set(Alert.objects.open().values_list("kind", flat=True))


@pytest.mark.parametrize(
    ("beat", "worker", "found"),
    [(60, 60, set()), (179, 179, set()), (181, 60, {"beat_silent"}), (60, 181, {"worker_silent"}), (181, 181, {"beat_silent"}), (None, None, {"beat_silent"})],
)
def test_beat_or_a_worker_that_is_silent_for_three_minutes_is_told_of(db, beat, worker, found):
    assert judged(beat=beat, worker=worker) == found


def test_a_process_that_has_just_started_waits_before_it_says_anything(db):
    assert judged(beat=None, worker=None, up_s=179) == set()
    assert judged(beat=9000, worker=9000, up_s=10) == set()
    assert judged(beat=9000, worker=9000, up_s=181) == {"beat_silent"}


def test_a_process_that_has_just_started_takes_nothing_back_unless_it_has_seen_life(db):
    assert judged(beat=9000, worker=9000) == {"beat_silent"}
    assert judged(beat=9000, worker=9000, up_s=10) == {"beat_silent"}
    assert judged(beat=5, worker=5, up_s=10) == set()


def test_however_many_processes_watch_one_alert_is_open(db):
    for _ in range(4):
        judged(beat=500, worker=10)
    assert (Alert.objects.count(), Alert.objects.get().count) == (1, 4)


def entry(name: str, **more: object) -> PeriodicTask:
    every, _ = IntervalSchedule.objects.get_or_create(every=60, period="seconds")
    return PeriodicTask.objects.create(name=name, task=f"metrics.{name}", interval=every, **more)


def test_the_pulse_is_read_from_what_beat_and_the_workers_left(db):
    assert schedule_pulse() == Pulse(None, None)
    entry("a", last_run_at=NOW - timedelta(minutes=4))
    entry("b", last_run_at=NOW, enabled=False)
    assert schedule_pulse() == Pulse(NOW - timedelta(minutes=4), None)
    Occurrence.objects.create(task="a", slot=NOW - timedelta(minutes=1), started_at=NOW, finished_at=NOW)
    assert schedule_pulse() == Pulse(NOW - timedelta(minutes=1), NOW)


def test_the_schedule_shows_each_entry_with_its_last_occurrence(db):
    entry("a", last_run_at=NOW)
    entry("b", enabled=False)
    entry("celery.backend_cleanup")
    for minutes in (2, 1):
        at = NOW - timedelta(minutes=minutes)
        Occurrence.objects.create(task="a", slot=at, started_at=at, finished_at=at + timedelta(seconds=minutes))
    first, second = pulse.runs(at=NOW)
    assert (first.name, first.took_s, first.is_running, first.started_at) == ("a", 1.0, False, NOW - timedelta(minutes=1))
    assert first.next_in_s is not None
    assert 0 <= first.next_in_s <= 60
    assert (second.name, second.is_enabled, second.next_in_s, second.started_at) == ("b", False, None, None)


def test_a_task_whose_worker_died_is_not_shown_as_running(db):
    entry("a")
    Occurrence.objects.create(task="a", slot=NOW, started_at=NOW)
    assert pulse.runs(at=NOW + timedelta(minutes=29))[0].is_running
    run = pulse.runs(at=NOW + timedelta(minutes=31))[0]
    assert (run.is_running, run.finished_at, run.due_at) == (False, None, NOW)


def test_a_watch_reports_itself_until_it_stops(store):
    watch.start()
    try:
        row = WebProcess.objects.get()
        assert (row.trouble, row.well_since) == ("", row.started_at)
        assert row.disk_free_bytes > 0
        watch.start()
        assert WebProcess.objects.count() == 1
    finally:
        watch.stop()
    assert not WebProcess.objects.exists()


def test_a_process_that_died_is_forgotten_after_a_day(store):
    WebProcess.objects.create(host="gone", pid=9, started_at=LONG_AGO, seen_at=NOW - timedelta(days=2))
    watching = watch.Watch()
    watching.report(watch.readings(), at=timezone.now())
    assert [row.host for row in WebProcess.objects.filter(host="gone")] == []
    watching.stop()


def test_a_silent_schedule_is_seen_by_a_watch_that_runs(store):
    watching = watch.Watch()
    watching.started_at = LONG_AGO
    watching.start()
    try:
        deadline = time.monotonic() + 30
        while not Alert.objects.filter(kind=Kind.BEAT_SILENT).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        watching.stop()
