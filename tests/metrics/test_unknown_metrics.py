"""A metric that is not there is told apart from one that has no point yet, and from one whose points wait."""

from __future__ import annotations

import json

import pytest

from experiments.models import Experiment
from metrics import process
from metrics.clickhouse.errors import StoreUnavailable
from projects.models import ProjectMetric

pytestmark = pytest.mark.differs_on_servers("what is stored is asked of the metric store, what waits of the spool")
ADDRESSES = [
    "timeseries/digits/baseline/{}", "timeseries/digits/baseline/{}?format=csv", "compare/digits?metric={}&experiments=baseline",
    "compare/digits?metric=loss&x=metric&x_metric={}&experiments=baseline", "compare/digits?metric={}&live=1&experiments=baseline",
    "points/digits?metric={}&experiments=baseline", "points/digits?metric={}&experiments=baseline&format=parquet", "summary/digits?metrics={}",
]  # fmt: skip


@pytest.fixture
def api(store, erin, api_for):
    return api_for(erin)


def get(api, address: str):
    return api.get(f"/api/v1/metrics/{address}")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_metric_that_the_project_does_not_have_is_404_with_the_nearest(api, experiment, log, address):
    log(experiment, {"loss": [0.5], "accuracy": [0.5]})
    answer = get(api, address.format("accuraci"))
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert "has no metric 'accuraci'. Did you mean 'accuracy'?" in error["message"]
    assert error["errors"][0]["suggestion"] == "accuracy"


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_metric_of_the_project_that_the_experiment_does_not_have_yet_is_empty(api, project, experiment, log, address):
    log(Experiment.objects.create(project=project, name="other"), {"accuracy": [0.5], "loss": [1]})
    answer = get(api, address.format("accuracy"))
    assert answer.status_code == 200
    if answer["Content-Type"] == "application/json":
        found = answer.json()
        assert found["pending"] == 0
        assert not found.get("points")
        assert not found.get("series")


def test_points_that_wait_are_told_as_pending_and_the_answer_is_empty(api, experiment, monkeypatch):
    def away(columns: object) -> None:
        raise StoreUnavailable("gone for a while")

    with monkeypatch.context() as patch:
        patch.setattr(process.repository(), "insert_points", away)
        patch.setattr(process.drain().repository, "insert_points", away)
        sent = api.post(
            "/api/v1/metrics/log-batch/digits/baseline", json.dumps({"steps": [0, 1, 2], "metrics": {"new": [1, 2, 3]}}), content_type="application/json"
        )
        assert sent.status_code == 200
        for address in (ADDRESSES[0], ADDRESSES[2], ADDRESSES[-1]):
            answer = get(api, address.format("new"))
            assert (answer.status_code, answer.json()["pending"]) == (200, 3)
        files = ("timeseries/digits/baseline/new?format=csv", "summary/digits?format=csv", "points/digits?metric=new&experiments=baseline")
        assert [get(api, file)["X-Pending-Points"] for file in files] == ["3"] * 3
        assert get(api, "timeseries/digits/baseline/new").json()["points"] == []
        assert get(api, "timeseries/digits/baseline/other").status_code == 404


def test_a_metric_whose_definition_was_forgotten_is_there_as_long_as_its_points(api, experiment, log):
    log(experiment, {"loss": [0.5]})
    ProjectMetric.objects.all().delete()
    assert get(api, "timeseries/digits/baseline/loss").json()["count"] == 1
    assert get(api, "timeseries/digits/baseline/los").status_code == 404


def test_a_log_request_with_a_word_that_is_not_known_is_refused_and_nothing_is_written(api, experiment):
    point = {"metric_name": "loss", "metric_value": 1}
    for query in ("?wiat=visible", "?wait=", "?wait=visible&wait=visible", "?wait=1"):
        answer = api.post(f"/api/v1/metrics/log/digits/baseline{query}", json.dumps(point), content_type="application/json")
        assert answer.status_code == 422, query
    assert process.pending([experiment.pk]) == 0
