"""Each check against the real record and the real engine."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from alerts import watch
from alerts.checks import server as server_checks
from alerts.checks.every_minute import check_health
from alerts.models import Alert, Kind, WebProcess
from experiments import lifecycle
from experiments.models import Experiment
from metrics.clickhouse.client import Columns
from metrics.models import Occurrence
from metrics.points.valid import Points
from metrics.spool.batches import Series
from metrics.store.repository import MetricRepository
from projects.models import ProjectMetric
from tests.metrics.conftest import Points as Data

pytestmark = pytest.mark.differs_on_servers("checks are queries over times and JSON, and over the metric store")
RUNNING = Experiment.Status.RUNNING


@pytest.fixture
def well(store: Any) -> WebProcess:
    """A web process that has been well for a day."""
    now = timezone.now()
    return WebProcess.objects.create(
        host="web1", pid=1, started_at=now - timedelta(days=1), well_since=now - timedelta(days=1), seen_at=now, disk_free_bytes=10**12
    )


@pytest.fixture
def log(log: Callable[..., None]) -> Callable[..., None]:
    """As everywhere, and until the record knows of the points: it learns of them a moment after they can be queried."""

    def write(experiment: Experiment, *args: Any, **options: Any) -> None:
        began = timezone.now()
        log(experiment, *args, **options)
        deadline = time.monotonic() + 20
        while not Experiment.objects.filter(pk=experiment.pk, last_point_at__gte=began).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return write


def look(at: datetime | None = None) -> list[str]:
    return check_health(lambda: watch.process.repository(), at=at)


def age(experiment: Experiment, **times: timedelta | None) -> Experiment:
    """Move a run's times into the past."""
    now = timezone.now()
    Experiment.objects.filter(pk=experiment.pk).update(**{name: None if ago is None else now - ago for name, ago in times.items()})
    experiment.refresh_from_db()
    return experiment


def kinds() -> set[str]:
    return set(Alert.objects.open().values_list("kind", flat=True))


@contextmanager
def store_away(store: Any) -> Iterator[None]:
    store.engine.is_closed = True  # the engine's own word for being away
    try:
        yield
    finally:
        store.engine.is_closed = False


HOUR = timedelta(hours=1)
SILENT = {"created_at": 2 * HOUR, "started_at": 2 * HOUR, "last_point_at": timedelta(minutes=11)}


def test_a_run_that_fell_silent_is_stalled_until_it_is_heard_again(well, experiment):
    age(experiment, **SILENT)
    look()
    alert = Alert.objects.get()
    assert (alert.kind, alert.experiment, alert.team, alert.severity) == (Kind.STALLED, experiment, experiment.project.team, "mid")
    assert "11 min" in alert.message
    lifecycle.heartbeat(experiment)
    look()
    alert.refresh_from_db()
    assert alert.resolved_at is not None
    assert alert.resolution == "It was heard again."


def test_a_run_that_ended_is_stalled_no_more_and_the_alert_says_so(well, experiment, erin):
    age(experiment, **SILENT)
    look()
    lifecycle.fail(experiment, "interrupted", by=erin)
    look()
    assert Alert.objects.get().resolution == "The run ended: interrupted."


def test_a_run_that_logs_every_ten_minutes_may_be_silent_for_a_hundred(well, experiment, log):
    now = time.time()
    log(experiment, {"loss": [1.0, 0.9, 0.8]}, timestamps=[now - 1200, now - 600, now])
    age(experiment, created_at=3 * HOUR, started_at=3 * HOUR, last_point_at=timedelta(minutes=90))
    look()
    experiment.refresh_from_db()
    assert experiment.patience == timedelta(minutes=100)
    assert kinds() == set()
    age(experiment, last_point_at=timedelta(minutes=101))
    look()
    assert kinds() == {Kind.STALLED}


def test_rare_heartbeats_make_a_run_patient_too(well, experiment):
    age(experiment, created_at=5 * HOUR, started_at=5 * HOUR, heartbeat_at=HOUR)
    lifecycle.heartbeat(experiment)
    look()
    experiment.refresh_from_db()
    assert timedelta(minutes=599) < experiment.patience < timedelta(minutes=601)


def test_a_run_without_a_point_is_told_of_after_fifteen_minutes(well, experiment):
    age(experiment, created_at=timedelta(minutes=14), started_at=timedelta(minutes=14))
    look()
    assert kinds() == set()
    age(experiment, created_at=timedelta(minutes=16), started_at=timedelta(minutes=16))
    look()
    assert kinds() == {Kind.NO_DATA}
    age(experiment, last_point_at=timedelta(0))
    look()
    assert Alert.objects.get().resolution == "Its first point came."


def test_the_first_nan_of_a_series_is_an_alert_that_says_where(well, experiment, log):
    log(experiment, {"loss": [1.0, 0.5, "NaN", 0.4], "accuracy": [0.1, 0.2, 0.3, 0.4]})
    look()
    alert = Alert.objects.get()
    assert (alert.kind, alert.metric, alert.severity) == (Kind.NOT_FINITE, "loss", "mid")
    assert "from step 2, 1 of 4 points" in alert.message
    log(experiment, {"loss": ["Infinity"]}, steps=[4])
    look()
    alert.refresh_from_db()
    assert (alert.severity, alert.count) == ("high", 2)
    assert "from step 2" in alert.message


def test_a_run_in_which_everything_is_nan_is_one_alert(well, experiment, log):
    log(experiment, {f"layer/{n}": ["NaN"] for n in range(40)})
    look()
    alert = Alert.objects.get()
    assert (alert.metric, alert.severity) == ("", "high")
    assert alert.message.startswith("40 metrics hold NaN")


FALLING = [2.3 - 0.02 * n for n in range(100)]
RISING = [0.3 + 0.1 * n for n in range(40)]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_watched_series_that_loses_what_it_gained_has_diverged(well, experiment, log, direction, sign):
    ProjectMetric.objects.create(project=experiment.project, name="loss", direction=direction, watch_divergence=True)
    log(experiment, {"loss": [sign * value for value in FALLING]})
    look()
    assert kinds() == set()
    log(experiment, {"loss": [sign * value for value in RISING]}, steps=range(100, 140))
    look()
    alert = Alert.objects.get()
    assert (alert.kind, alert.metric, alert.severity) == (Kind.DIVERGED, "loss", "high")
    assert "of what it had gained" in alert.message
    log(experiment, {"loss": [sign * 0.31] * 40}, steps=range(140, 180))
    look()
    assert Alert.objects.get().resolution == "It came back."


@pytest.mark.parametrize("watched", [{"watch_divergence": False}, {"direction": ""}])
def test_divergence_is_looked_for_only_where_somebody_asked_and_said_what_is_better(well, experiment, log, watched):
    ProjectMetric.objects.create(project=experiment.project, name="loss", **({"direction": "minimize", "watch_divergence": True} | watched))
    log(experiment, {"loss": FALLING + RISING})
    look()
    assert kinds() == set()


def test_a_noisy_flat_series_has_not_diverged(well, experiment, log):
    ProjectMetric.objects.create(project=experiment.project, name="loss", direction="minimize", watch_divergence=True)
    log(experiment, {"loss": (1 + 0.1 * np.random.default_rng(7).standard_normal(5000)).tolist()})
    look()
    assert kinds() == set()


def test_a_watched_series_of_one_step_or_with_the_widest_steps_breaks_nothing(well, experiment, log):
    ProjectMetric.objects.create(project=experiment.project, name="loss", direction="minimize", watch_divergence=True)
    log(experiment, {"loss": [1.0] * 60}, steps=[0] * 60)
    other = Experiment.objects.create(project=experiment.project, name="wide")
    log(other, {"loss": [1.0] * 60}, steps=[-(2**63), *range(58), 2**63 - 1])
    assert look() == []


def test_what_waits_too_long_for_the_store_is_told_of(well, experiment):
    now = timezone.now()
    WebProcess.objects.filter(pk=well.pk).update(oldest_at=now - timedelta(minutes=3), waiting_points=812, store_error="Connection refused", trouble="…")
    look()
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity, alert.team) == (Kind.DRAIN_LAG, "mid", None)
    assert "812 points" in alert.message
    assert "Connection refused" in alert.message
    WebProcess.objects.filter(pk=well.pk).update(oldest_at=None, waiting_points=0, store_error="", trouble="")
    look()
    assert Alert.objects.get().resolution == "What waited is stored."


def test_a_store_that_is_away_is_told_of_and_stops_no_other_check(store, well, experiment):
    age(experiment, **SILENT)
    with store_away(store):
        assert set(look()) == {"keep_patience", "not_finite", "parts"}
        assert kinds() == {Kind.STALLED, Kind.STORE_AWAY}
    look()
    assert kinds() == {Kind.STALLED}


def test_what_only_the_store_could_take_back_stays_while_it_is_away(store, well, experiment, log):
    log(experiment, {"loss": ["NaN"]})
    look()
    with store_away(store):
        look()
        assert Kind.NOT_FINITE in kinds()


def test_the_servers_own_parts_are_told_of(well, experiment, settings):
    WebProcess.objects.filter(pk=well.pk).update(dead_letters=3, disk_free_bytes=settings.DISK_FREE_MIN_BYTES + 1, full_reason="The spool holds too much.")
    look()
    assert kinds() == {Kind.DEAD_LETTERS, Kind.DISK, Kind.SPOOL_FULL}
    assert Alert.objects.get(kind=Kind.DISK).severity == "mid"
    WebProcess.objects.filter(pk=well.pk).update(disk_free_bytes=settings.DISK_FREE_MIN_BYTES - 1)
    look()
    assert Alert.objects.get(kind=Kind.DISK).severity == "high"


def test_dead_letters_of_this_process_reach_the_check(store, experiment, log):
    log(experiment, {"loss": [1.0]})
    row = store.spool.transact(
        lambda c: (
            c.execute(
                "INSERT INTO dead (team, project, experiment, month, points, writer, ordinal, received_us, payload, reason, at_us)"
                " SELECT team, project, experiment, month, points, writer, ordinal, received_us, payload, 'refused', received_us FROM batches LIMIT 1"
            ).lastrowid
        )
    )
    watching = watch.Watch()
    try:
        watching.report(watch.readings(), at=timezone.now())
        look()
        assert Kind.DEAD_LETTERS in kinds()
    finally:
        store.spool.transact(lambda c: c.execute("DELETE FROM dead WHERE id = ?", (row,)))
        watching.stop()


@pytest.mark.slow
def test_parts_that_pile_up_are_told_of(store, well, place):
    store.engine.execute("SYSTEM STOP MERGES metrics.metrics")
    experiment = uuid.uuid4()
    try:
        for _ in range(server_checks.PARTS_MOST + 1):
            store.repository.insert_points(Data(place, experiment).columns())
        look()
        alert = Alert.objects.get()
        assert alert.kind == Kind.PARTS
        assert "metrics 202611" in alert.message
    finally:
        store.engine.execute("SYSTEM START MERGES metrics.metrics")
        store.engine.execute("OPTIMIZE TABLE metrics.metrics FINAL")
        store.repository.forget(place, [experiment])
    look()
    assert kinds() == set()


def nightly(ended_ago: timedelta | None) -> None:
    now = timezone.now()
    every = IntervalSchedule.objects.create(every=1, period="days")
    PeriodicTask.objects.create(name="reconcile", task="metrics.tasks.reconcile", interval=every)
    PeriodicTask.objects.filter(name="reconcile").update(date_changed=now - timedelta(hours=30))
    if ended_ago is not None:
        Occurrence.objects.create(task="reconcile", slot=now - ended_ago, started_at=now - ended_ago, finished_at=now - ended_ago)


@pytest.mark.parametrize(("ended_ago", "found"), [(timedelta(hours=25), set()), (timedelta(hours=27), {"task_late"}), (None, {"task_late"})])
def test_a_nightly_task_is_late_after_twenty_six_hours(well, ended_ago, found):
    nightly(ended_ago)
    look()
    assert kinds() == found


def test_a_nightly_task_is_not_late_while_a_server_that_was_off_catches_up(well):
    nightly(timedelta(days=3))
    WebProcess.objects.filter(pk=well.pk).update(started_at=timezone.now() - timedelta(minutes=5))
    look()
    assert kinds() == set()


# Held back ---------------------------------------------------------------------------------------------------------------------------------


def test_nobody_is_called_stalled_while_our_own_ingest_has_trouble(well, experiment):
    age(experiment, **SILENT)
    WebProcess.objects.filter(pk=well.pk).update(trouble="The spool is full.", well_since=None)
    look()
    assert kinds() == set()


def test_nobody_is_called_stalled_while_no_web_process_takes_points(well, experiment):
    age(experiment, **SILENT)
    WebProcess.objects.filter(pk=well.pk).update(seen_at=timezone.now() - timedelta(minutes=10))
    look()
    assert kinds() == {Kind.WEB_SILENT}


def test_a_server_that_was_off_calls_nobody_stalled_at_its_start(well, experiment):
    silent = age(experiment, **SILENT)
    unheard = age(Experiment.objects.create(project=experiment.project, name="new"), created_at=HOUR, started_at=HOUR)
    now = timezone.now()
    WebProcess.objects.filter(pk=well.pk).update(started_at=now - timedelta(minutes=5), well_since=now - timedelta(minutes=5))
    look()
    assert kinds() == set()
    WebProcess.objects.filter(pk=well.pk).update(well_since=now - timedelta(minutes=16))
    look()
    assert {(alert.kind, alert.experiment) for alert in Alert.objects.open()} == {(Kind.STALLED, silent), (Kind.NO_DATA, unheard)}


def test_a_restart_takes_no_open_alert_back(well, experiment):
    age(experiment, **SILENT)
    look()
    WebProcess.objects.filter(pk=well.pk).update(started_at=timezone.now(), well_since=timezone.now())
    look()
    assert Alert.objects.open().get().count == 2


def test_a_process_with_trouble_says_so_and_is_well_again_only_from_its_end_on(store, experiment):
    at = timezone.now()
    watching = watch.Watch()
    calm = watch.readings()
    hurt = watch.Readings(**(vars(calm) | {"full_reason": "The disk has 3 bytes free."}))
    try:
        watching.report(hurt, at=at)
        assert WebProcess.objects.get().trouble == "The disk has 3 bytes free."
        watching.report(calm, at=at + timedelta(minutes=1))
        row = WebProcess.objects.get()
        assert (row.trouble, row.well_since) == ("", at + timedelta(minutes=1))
    finally:
        watching.stop()
    assert not WebProcess.objects.exists()


def test_a_store_that_is_away_is_this_processs_trouble(store, experiment):
    with store_away(store):
        zeros = np.zeros(1, "u4")
        points = Points(["loss"], zeros, np.array([1]), np.array([1_763_900_000_000_000]), np.array([2.0]), [""], zeros)
        target = Series(experiment.project.team_id, experiment.project_id, experiment.pk, experiment.created_month)
        store.spool.append(target, points)
        deadline = time.monotonic() + 20
        while not store.drain.failures and time.monotonic() < deadline:
            time.sleep(0.02)
        found = watch.readings()
    assert found.waiting_points == 1
    assert "closed" in found.trouble(at=timezone.now())


# What it costs -----------------------------------------------------------------------------------------------------------------------------


class Counting:
    """The engine, counting what it is asked."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.asked = engine, 0

    def query(self, *args: Any, **options: Any) -> dict[str, Any]:
        self.asked += 1
        return self.engine.query(*args, **options)

    def insert(self, table: str, columns: Columns) -> None:
        self.engine.insert(table, columns)

    def execute(self, *args: Any) -> None:
        self.engine.execute(*args)

    def close(self) -> None:
        self.engine.close()


def cost(store: Any) -> tuple[int, int]:
    """(queries of the record, queries of the store) of one look."""
    engine = Counting(store.engine)
    repository = MetricRepository(engine, database=store.repository.database)
    with CaptureQueriesContext(
        connection,
    ) as record:
        check_health(lambda: repository)
    return len(record), engine.asked


@pytest.mark.slow
def test_its_cost_grows_neither_with_points_nor_with_runs_that_ended(store, well, project, log: Callable[..., None]):
    for name in ("loss", "accuracy"):
        ProjectMetric.objects.create(project=project, name=name, direction="minimize", watch_divergence=True)
    one = Experiment.objects.create(project=project, name="one")
    log(one, {"loss": [1.0] * 100})
    age(one, created_at=2 * HOUR, started_at=2 * HOUR, last_point_at=HOUR)
    look()
    before = cost(store)
    log(one, {"loss": [1.0] * 20_000, "accuracy": [0.5] * 20_000}, steps=range(100, 20_100))
    for number in range(30):
        ended = Experiment.objects.create(project=project, name=f"ended {number}", status="complete")
        log(ended, {"loss": ["NaN", 1.0]})
    age(one, last_point_at=HOUR)
    assert cost(store) == before
    for number in range(30):
        running = Experiment.objects.create(project=project, name=f"running {number}")
        log(running, {"loss": [1.0] * 50})
        age(running, created_at=2 * HOUR, started_at=2 * HOUR, last_point_at=HOUR)
    look()
    assert cost(store) == before
