"""/metrics, /ready and /health: what machines ask."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import ApiToken, User
from alerts import lifecycle as alerts
from alerts import watch
from alerts.models import Kind, Severity
from metrics import meters
from metrics.models import Occurrence
from operations import health
from tests.metrics.test_shortcut import short

pytestmark = pytest.mark.differs_on_servers("readiness asks database, cache and metric store themselves")
P = meters.PREFIX


def scraped(client: Client | None = None, **options) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = (client or Client()).get("/metrics", **options)
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


def value(name: str, **labels: str) -> float:
    return scraped().get((f"{P}_{name}", tuple(sorted(labels.items()))), 0.0)


def test_points_requests_and_inserts_are_counted(store, experiment, log, api_for, erin):
    points, inserts = value("points_accepted_total"), value("insert_seconds_count")
    taken, refused = (value("log_request_seconds_count", code=code) for code in ("2xx", "4xx"))
    log(experiment, {"loss": [1.0, 2.0, 3.0]})
    assert api_for(erin).post("/api/v1/metrics/log/digits/baseline", b"{", content_type="application/json").status_code == 400
    assert value("points_accepted_total") == points + 3
    assert value("log_request_seconds_count", code="2xx") == taken + 1
    assert value("log_request_seconds_count", code="4xx") == refused + 1
    assert value("insert_seconds_count") > inserts


def test_the_short_way_is_counted_too(store, experiment, token_for, erin):
    before = [value("log_request_seconds_count", code=code) for code in ("2xx", "4xx")]
    secret = token_for(erin)
    for body in (b'{"metric_name": "loss", "metric_value": 1}', b"{"):
        short("/api/v1/metrics/log/digits/baseline", body, HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert [value("log_request_seconds_count", code=code) for code in ("2xx", "4xx")] == [count + 1 for count in before]


def test_a_repeat_is_no_new_point(store, experiment, api_for, erin):
    browser, before = api_for(erin), value("points_accepted_total")
    once = {"headers": {"Idempotency-Key": "k1"}, "content_type": "application/json"}
    for _ in range(2):
        assert browser.post("/api/v1/metrics/log/digits/baseline", {"metric_name": "loss", "metric_value": 1}, **once).status_code == 200
    assert value("points_accepted_total") == before + 1


def test_gauges_alerts_and_tasks_are_told(store, experiment):
    watch.show(watch.readings())
    alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=experiment, message="silent")
    ended = timezone.now() - timedelta(hours=1)
    Occurrence.objects.create(task="reconcile", slot=ended, started_at=ended, finished_at=ended)
    assert value("web_processes") == 1
    assert value("spool_bytes") > 0
    assert value("open_alerts", kind="stalled", severity="mid") == 1
    assert value("task_last_end_seconds", task="reconcile") == pytest.approx(ended.timestamp(), abs=0.01)
    assert value("record_up") == 1


def in_another_process(code: str) -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "DATA_DIR": str(settings.DATA_DIR)}
    subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); from metrics import meters; {code}"], env=environment, cwd=settings.BASE_DIR, check=True
    )


def test_one_scrape_tells_of_all_processes_and_gauges_end_with_theirs(db):
    points, processes = value("points_accepted_total"), value("web_processes")
    in_another_process("meters.note_points(1000); meters.meters().processes.set(1)")
    assert value("points_accepted_total") == points + 1000
    assert value("web_processes") == processes


def test_a_start_of_the_server_forgets_those_that_ended_and_keeps_those_that_run(db):
    meters.note_points(5)
    in_another_process("meters.note_points(1000)")
    mine = {path for path, _, pid in meters.files() if pid == os.getpid()}
    meters.forget_dead()
    assert {path for path, _, _ in meters.files()} == mine
    assert value("points_accepted_total") >= 5


# Who may ----------------------------------------------------------------------------------------------------------------------------------

ELSEWHERE = ["10.0.0.9", "203.0.113.7", "2001:db8::1", "", "unix:", "127.0.0.1, 10.0.0.9"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_ask(client, db, address):
    assert scraped(client, REMOTE_ADDR=address)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_to_others_it_is_not_there(client, db, address):
    assert client.get("/metrics", REMOTE_ADDR=address).status_code == 404


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_what_came_through_a_proxy_on_this_machine_is_not_this_machine(client, db, name):
    assert client.get("/metrics", headers={name: "127.0.0.1"}).status_code == 404


def test_an_operators_token_may_ask_from_anywhere_and_no_other(db, team, alice):
    root = User.objects.create_superuser("root")
    for user, code in ((root, 200), (alice, 403)):
        _, secret = ApiToken.issue(user=user, team=team, name="prometheus")
        assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == code
    assert Client(headers={"Authorization": "Bearer rp_nobody"}).get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == 404
    signed_in = Client()
    signed_in.force_login(root)
    assert signed_in.get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == 404


# Ready -------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def operator(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_ready_tells_operators_of_every_part_and_others_only_the_word(store, operator, client):
    answer = operator.get("/ready")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert set(checks) == {"database", "migrations", "spool", "disk", "metric_store", "drain", "cache", "schedule"}
    assert {name for name, part in checks.items() if part["ok"]} >= set(checks) - {"schedule"}
    assert set(client.get("/ready").json()) == {"status"}


@pytest.mark.parametrize(("scope", "tells"), [("admin", True), ("write", False), ("read", False), ("ingest", False)])
def test_ready_tells_a_superusers_token_of_every_part_where_it_administers_alone(store, team, scope, tells):
    root = User.objects.create_superuser("root")
    secret = ApiToken.issue(user=root, team=team, name="probe", scope=scope)[1]
    assert ("checks" in Client(headers={"Authorization": f"Bearer {secret}"}).get("/ready").json()) is tells


def test_a_schedule_that_a_new_process_has_not_seen_yet_is_not_missed(store, operator, monkeypatch):
    monkeypatch.setattr(health, "STARTED_AT", timezone.now())  # however long the other tests took
    assert operator.get("/ready").json()["status"] == "ready"


def test_a_silent_schedule_or_a_store_that_is_away_is_degraded_and_still_takes_points(store, operator, monkeypatch):
    monkeypatch.setattr(health, "STARTED_AT", timezone.now() - timedelta(hours=1))
    answer = operator.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "beat and worker not seen" in answer.json()["checks"]["schedule"]["reason"]
    now = timezone.now()
    Occurrence.objects.create(task="sweep", slot=now, started_at=now, finished_at=now)
    assert operator.get("/ready").json()["status"] == "ready"
    store.engine.is_closed = True  # the engine's own word for being away
    try:
        answer = operator.get("/ready")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    finally:
        store.engine.is_closed = False


def test_a_cache_that_keeps_nothing_is_degraded(store, operator, settings):
    settings.CACHES = settings.CACHES | {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    answer = operator.get("/ready")
    assert answer.status_code == 200
    assert "see that Redis runs" in answer.json()["checks"]["cache"]["reason"]


def test_a_full_spool_takes_no_points_and_health_says_only_that_the_process_lives(store, operator, client):
    was = store.spool.full_reason
    store.spool.full_reason = "The disk has 3 bytes free."
    try:
        answer = operator.get("/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
        assert client.get("/health").json() == {"status": "healthy"}
    finally:
        store.spool.full_reason = was
