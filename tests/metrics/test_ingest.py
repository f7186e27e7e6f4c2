"""A request with points, over HTTP: what is taken, what is refused, and what an answer promises."""

from __future__ import annotations

import gzip
import json
import math
import uuid
from typing import Any
from urllib.parse import quote

import pytest
import zstandard
from django.test import Client

from accounts.models import ApiToken
from experiments import lifecycle
from experiments.models import Experiment
from metrics import process
from metrics.ingest import accepting as ingest
from metrics.ingest import grants, quota
from metrics.points import decoding
from metrics.spool.batches import Series
from metrics.store.shapes import Place
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("grants and quotas are in the shared cache, receipts and definitions in the record")


@pytest.fixture
def api(store, erin, api_for) -> Client:
    return api_for(erin)


def address(experiment: Experiment, *, single: bool = False, wait: bool = True) -> str:
    return f"/api/v1/metrics/{'log' if single else 'log-batch'}/{experiment.project.slug}/{experiment.slug}{'?wait=visible' if wait else ''}"


def send(api: Client, experiment: Experiment, body: Any, *, single: bool = False, wait: bool = True, **headers: str):
    data = body if isinstance(body, bytes) else json.dumps(body)
    return api.post(address(experiment, single=single, wait=wait), data=data, content_type="application/json", headers=headers)


def values(store, experiment: Experiment, metric: str = "loss") -> list[float]:
    place = Place(experiment.project.team_id, experiment.project_id)
    return store.repository.series(place, experiment.pk, metric).value.tolist()


ROWS = {"metrics": [{"metric_name": "loss", "metric_value": 0.5, "step": 0}, {"metric_name": "loss", "metric_value": 0.25, "step": 1}]}


def test_a_batch_is_acknowledged_and_can_be_read(api, experiment, store):
    answer = send(api, experiment, ROWS)
    assert answer.status_code == 200
    assert answer.json().items() >= {"status": "success", "accepted": 2, "visible": True}.items()
    assert values(store, experiment) == [0.5, 0.25]


def test_one_point_is_acknowledged_and_can_be_read(api, experiment, store):
    answer = send(api, experiment, {"metric_name": "loss", "metric_value": 0.42, "step": 0}, single=True)
    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert values(store, experiment) == [0.42]


def test_without_waiting_the_answer_says_that_points_are_not_visible_yet(api, experiment):
    assert send(api, experiment, ROWS, wait=False).json()["visible"] is False


@pytest.mark.parametrize(("encoding", "squeeze"), [("gzip", gzip.compress), ("zstd", zstandard.compress), ("identity", bytes)])
def test_a_body_may_be_compressed(api, experiment, store, encoding, squeeze):
    answer = send(api, experiment, squeeze(json.dumps(ROWS).encode()), content_encoding=encoding)
    assert answer.status_code == 200
    assert values(store, experiment) == [0.5, 0.25]


def test_project_and_experiment_may_be_named_by_uuid(api, experiment, store):
    answer = api.post(f"/api/v1/metrics/log-batch/{experiment.project_id}/{experiment.pk}?wait=visible", data=json.dumps(ROWS), content_type="application/json")
    assert answer.status_code == 200
    assert len(values(store, experiment)) == 2


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"no gzip", {"content_encoding": "gzip"}, 400),
        (gzip.compress(b"{}" * 50, mtime=0)[:-9], {"content_encoding": "gzip"}, 400),
        (b"no zstd", {"content_encoding": "zstd"}, 400),
        (zstandard.compress(b"x" * 1000)[:-3], {"content_encoding": "zstd"}, 400),
        (json.dumps(ROWS).encode(), {"content_encoding": "br"}, 415),
        ({"metrics": [{"metric_name": "loss", "metric_value": True}]}, {}, 422),
        ({"metrics": [{"metric_name": "loss", "metric_value": 1, "step": 2**70}]}, {}, 422),
        (ROWS, {"idempotency_key": "k" * 201}, 422),
    ],
)
def test_a_bad_request_is_refused_in_json_and_writes_nothing(api, experiment, store, body, headers, status):
    answer = send(api, experiment, body, **headers)
    assert answer.status_code == status
    error = answer.json()
    assert set(error) == {"error", "request_id"}
    assert len(error["error"]["message"]) > 15
    assert values(store, experiment) == []


def test_an_invalid_point_names_its_index_and_field(api, experiment, store):
    answer = send(api, experiment, {"metrics": [*ROWS["metrics"], {"metric_name": "loss", "metric_value": "high"}]})
    assert answer.status_code == 422
    assert [(e["index"], e["field"]) for e in answer.json()["error"]["errors"]] == [(2, "metric_value")]
    assert values(store, experiment) == []


def test_a_decompressed_body_is_capped(api, experiment, settings):
    settings.METRICS_MAX_BODY_BYTES = 10_000
    for encoding, squeeze in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        assert send(api, experiment, squeeze(b" " * 20_000), content_encoding=encoding).status_code == 413
    assert send(api, experiment, b" " * 20_000).status_code == 413


def test_too_many_points_are_refused(api, experiment, settings):
    settings.METRICS_MAX_POINTS = 1
    assert send(api, experiment, ROWS).status_code == 413


def test_too_many_metric_names_are_refused_and_nothing_is_written(api, experiment, store):
    caps = store.spool.caps
    try:
        object.__setattr__(caps, "names", 3)
        assert send(api, experiment, {"steps": [0], "metrics": {"a": [1], "b": [1]}}).status_code == 200
        answer = send(api, experiment, {"steps": [1], "metrics": {"a": [2], "c": [1], "d": [1]}})
        assert answer.status_code == 422
        assert [(e["index"], e["metric"], e["code"]) for e in answer.json()["error"]["errors"]] == [(None, "d", "too_many_names")]
        rows = {"metrics": [{"metric_name": name, "metric_value": 1, "step": 2} for name in ("a", "c", "d", "e", "d")]}
        assert [(e["index"], e["metric"]) for e in send(api, experiment, rows).json()["error"]["errors"]] == [(2, "d"), (3, "e")]
        assert values(store, experiment, "a") == [1.0]
        assert send(api, experiment, {"steps": [1], "metrics": {"a": [2], "c": [1]}}).status_code == 200
    finally:
        object.__setattr__(caps, "names", 10_000)


def test_a_repeat_with_its_key_gets_the_first_answer_and_writes_nothing_more(api, experiment, store):
    first = send(api, experiment, ROWS, idempotency_key="batch-1")
    again = send(api, experiment, ROWS, idempotency_key="batch-1")
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    assert again.json()["batch_id"] == first.json()["batch_id"]
    assert "Idempotent-Replayed" not in first
    assert values(store, experiment) == [0.5, 0.25]


def test_a_key_used_for_another_body_is_refused(api, experiment, store):
    send(api, experiment, ROWS, idempotency_key="batch-2")
    other = send(api, experiment, {"metrics": [{"metric_name": "loss", "metric_value": 9}]}, idempotency_key="batch-2")
    assert (other.status_code, other.json()["error"]["errors"][0]["code"]) == (422, "key_reused")
    assert values(store, experiment) == [0.5, 0.25]


def test_two_teams_may_use_the_same_key(api, api_for, carol, experiment, store):
    theirs = Experiment.objects.create(project=Project.objects.create(team=carol.teams.get(), name="own"), name="run")
    assert send(api, experiment, ROWS, idempotency_key="shared").status_code == 200
    assert send(api_for(carol), theirs, {"metrics": [{"metric_name": "loss", "metric_value": 7}]}, idempotency_key="shared").status_code == 200
    assert values(store, theirs) == [7.0]


def test_repeats_of_one_point_by_the_clients_own_identity_land_once(api, experiment, store):
    body = {"steps": [0, 1], "metrics": {"loss": [0.5, 0.25]}, "writer": 1, "ordinal": 0}
    for key in ("a", "b"):
        assert send(api, experiment, body, idempotency_key=f"identity-{key}").status_code == 200
    assert values(store, experiment) == [0.5, 0.25]


def test_who_may_write_is_decided_by_team_and_role(store, experiment, api_for, alice, erin, bob, carol):
    assert [send(api_for(user), experiment, ROWS).status_code for user in (alice, erin, bob, carol)] == [200, 200, 403, 404]
    assert send(Client(), experiment, ROWS).status_code == 401
    assert send(Client(headers={"Authorization": "Bearer rp_wrong"}), experiment, ROWS).status_code == 401
    assert "WWW-Authenticate" in send(Client(), experiment, ROWS)


def test_a_stranger_and_a_missing_experiment_get_the_same_kind_of_answer(store, experiment, api_for, carol):
    strange = send(api_for(carol), experiment, ROWS).json()["error"]
    missing = api_for(carol).post("/api/v1/metrics/log-batch/nothing/here", data=json.dumps(ROWS), content_type="application/json").json()["error"]
    assert strange["code"] == missing["code"] == "not_found"


def test_a_missing_experiment_names_the_call_that_makes_one(api, project):
    answer = api.post(f"/api/v1/metrics/log/{project.slug}/nothing", data=b"{}", content_type="application/json")
    assert answer.status_code == 404
    assert "POST /api/v1/experiments" in answer.json()["error"]["message"]


def test_an_archived_experiment_takes_no_points(api, experiment):
    Experiment.objects.filter(pk=experiment.pk).update(archived=True)
    answer = send(api, experiment, ROWS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "archived")


def test_a_finished_experiment_takes_late_points(api, experiment, store):
    Experiment.objects.filter(pk=experiment.pk).update(status="complete")
    assert send(api, experiment, ROWS).status_code == 200
    assert len(values(store, experiment)) == 2


def test_a_revoked_token_is_refused_once_its_grant_is_over(api, experiment, erin, settings):
    settings.METRICS_ACCESS_CACHE_S = 30
    assert send(api, experiment, ROWS).status_code == 200
    for token in ApiToken.objects.filter(user=erin):
        token.revoke()
    assert send(api, experiment, ROWS).status_code == 200, "known for up to 30 s"
    grants.GRANTS.forget()
    assert send(api, experiment, ROWS).status_code == 401


def test_a_team_past_its_quota_waits(api, experiment, settings):
    settings.METRICS_QUOTA_POINTS_PER_MINUTE = 3
    quota.QUOTA.minute = 0
    assert send(api, experiment, ROWS).status_code == 200
    answer = send(api, experiment, ROWS)
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60


def test_low_disk_is_said_with_retry_after_and_nothing_is_lost(api, experiment, store):
    caps = store.spool.caps
    kept = caps.disk_free_bytes
    try:
        object.__setattr__(caps, "disk_free_bytes", 1 << 62)
        store.spool.looked_at = 0.0
        answer = send(api, experiment, ROWS)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "spool_full")
        assert int(answer["Retry-After"]) > 0
    finally:
        object.__setattr__(caps, "disk_free_bytes", kept)
        store.spool.looked_at = 0.0
    assert send(api, experiment, ROWS).status_code == 200
    assert len(values(store, experiment)) == 2


def test_a_metric_without_a_definition_gets_one_with_its_direction_unset(api, experiment):
    send(api, experiment, {"steps": [0], "metrics": {"new/metric": [1.0]}})
    metric = ProjectMetric.objects.get(project=experiment.project, name="new/metric")
    assert (metric.direction, metric.aggregation) == ("", "last")


def test_a_definition_that_exists_stays_as_it_is(api, experiment):
    ProjectMetric.objects.create(project=experiment.project, name="loss", direction="minimize", aggregation="min")
    send(api, experiment, ROWS)
    assert ProjectMetric.objects.get(project=experiment.project, name="loss").direction == "minimize"


def test_the_experiment_knows_when_its_last_point_came(api, experiment):
    send(api, experiment, ROWS)
    send(api, experiment, ROWS)
    experiment.refresh_from_db()
    assert experiment.last_point_at is not None


def test_points_of_a_deleted_experiment_are_counted_and_discarded(api, experiment, store):
    before = store.drain.discarded
    interval = store.drain.timing
    object.__setattr__(interval, "interval_s", 60.0)
    try:
        send(api, experiment, ROWS, wait=False)
        place = Place(experiment.project.team_id, experiment.project_id)
        identity = experiment.pk
        experiment.delete()
        store.drain.wait_visible(store.spool.last_row(), timeout_s=10)
        assert store.drain.discarded == before + 2
        assert store.repository.recomputed(place, experiments=[identity]) == {}
    finally:
        object.__setattr__(interval, "interval_s", 0.2)


def test_nan_and_infinity_are_stored_exactly(api, experiment, store):
    send(api, experiment, b'{"steps": [0, 1, 2], "metrics": {"loss": [NaN, Infinity, "-Infinity"]}}')
    found = values(store, experiment)
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


def test_pending_points_are_counted_until_they_are_stored(api, experiment, store):
    object.__setattr__(store.drain.timing, "interval_s", 60.0)
    object.__setattr__(store.drain.timing, "batch_points", 1000)
    try:
        store.drain.wait_visible(store.spool.last_row(), timeout_s=10)
        send(api, experiment, ROWS, wait=False)
        assert store.spool.pending([experiment.pk, uuid.uuid4()]) == 2
        assert store.drain.wait_visible(store.spool.last_row(), timeout_s=10)
        assert store.spool.pending([experiment.pk]) == 0
    finally:
        object.__setattr__(store.drain.timing, "interval_s", 0.2)
        object.__setattr__(store.drain.timing, "batch_points", 100)


def test_other_verbs_are_refused_in_json(api, experiment):
    answer = api.get(address(experiment))
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_a_process_that_stops_after_the_commit_does_not_take_the_acknowledgement_back(experiment, store, log, monkeypatch):
    series = Series(experiment.project.team_id, experiment.project_id, experiment.pk, experiment.created_month)
    receipt = process.spools().append(series, decoding.one(b'{"metric_name": "loss", "metric_value": 0.5}', now_us=1))
    monkeypatch.setattr(process.Running, "parts", None)
    assert ingest.is_visible(receipt, series) is False


def test_names_that_look_alike_are_one_series(api, experiment, store):
    names = ["loss", "   loss", "loss\u00a0", "Gro\u0308ße", "Größe"]
    assert send(api, experiment, {"metrics": [{"metric_name": name, "metric_value": at, "step": at} for at, name in enumerate(names)]}).status_code == 200
    assert (values(store, experiment), values(store, experiment, "Größe")) == ([0, 1, 2], [3, 4])
    assert sorted(experiment.project.metrics.values_list("name", flat=True)) == ["Größe", "loss"]


def test_an_invisible_character_in_a_name_is_refused_with_its_position_and_nothing_is_written(api, experiment, store):
    answer = send(api, experiment, {"metrics": [*ROWS["metrics"], {"metric_name": "lo\u200bss", "metric_value": 1}]})
    fault = answer.json()["error"]["errors"][0]
    assert (answer.status_code, fault["index"], fault["field"], fault["position"]) == (422, 2, "metric_name", 2)
    assert "leave out zero width space (U+200B) at position 2" in fault["message"]
    assert values(store, experiment) == []


@pytest.mark.parametrize("name", ["v1.1", "größe & tiefe", "C++"])
def test_points_are_sent_to_a_project_and_an_experiment_by_name(api, team, store, name):
    project = Project.objects.create(team=team, name=name)
    experiment = Experiment.objects.create(project=project, name=name)
    answer = api.post(f"/api/v1/metrics/log-batch/{quote(name)}/{quote(name)}?wait=visible", data=json.dumps(ROWS), content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert values(store, experiment) == [0.5, 0.25]


def test_points_go_to_whom_a_name_means_after_it_was_given_to_another(api, erin, project, store):
    first, second = (Experiment.objects.create(project=project, name=name) for name in ("v1.1", "v2"))

    def to_name():
        return api.post("/api/v1/metrics/log-batch/digits/v1.1?wait=visible", data=json.dumps(ROWS), content_type="application/json")

    assert to_name().status_code == 200
    lifecycle.edit(first, by=erin, name="v1.0")
    lifecycle.edit(second, by=erin, name="v1.1")
    assert to_name().status_code == 200
    assert values(store, first) == values(store, second) == [0.5, 0.25]
