"""Numbers out: a series, a comparison, the table; never stale after an acknowledged visible write."""

from __future__ import annotations

import csv
import io
from urllib.parse import quote

import numpy as np
import pytest

from experiments.models import Experiment
from metrics.charts import series as charts
from metrics.points.valid import Points
from metrics.spool.batches import Series
from metrics.store import caching
from projects.models import ProjectMetric

pytestmark = pytest.mark.differs_on_servers("answers are kept in the shared cache, and go stale there")


@pytest.fixture
def api(store, bob, api_for):
    return api_for(bob)


def read(api, address: str):
    answer = api.get(f"/api/v1/metrics/{address}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_short_series_is_told_point_by_point(api, experiment, log):
    log(experiment, {"loss": [0.1, "NaN", "Infinity", 1 / 3]}, timestamps=[1763900000.25, 1763900001, 1763900002, 1763900003])
    found = read(api, "timeseries/digits/baseline/loss")
    assert (found["count"], found["thinned"], found["project"], found["experiment"], found["metric"]) == (4, False, "digits", "baseline", "loss")
    assert [p["value"] for p in found["points"]] == [0.1, "NaN", "Infinity", 1 / 3]
    assert found["points"][0] == {"step": 0, "timestamp": "2025-11-23T12:13:20.250000Z", "value": 0.1}


def test_a_long_series_is_thinned_and_keeps_its_extremes(api, experiment, log):
    values = np.sin(np.arange(5000)).tolist()
    values[1234] = 50.0
    log(experiment, {"loss": values})
    found = read(api, "timeseries/digits/baseline/loss?max_points=100")
    assert (found["count"], found["thinned"]) == (5000, True)
    assert len(found["points"]) <= 100
    assert max(p["max"] for p in found["points"]) == 50.0
    assert found["points"][-1]["step"] == 4999


def test_a_window_asks_for_less(api, experiment, log):
    log(experiment, {"loss": list(range(100))})
    found = read(api, "timeseries/digits/baseline/loss?from=10&to=12")
    assert [p["step"] for p in found["points"]] == [10, 11, 12]
    assert found["count"] == 3


def test_relative_time_is_in_seconds(api, experiment, log):
    log(experiment, {"loss": [1, 2, 3]}, timestamps=[1763900000, 1763900002.5, 1763900005])
    found = read(api, "timeseries/digits/baseline/loss?x=relative&from=2&to=5")
    assert [p["relative"] for p in found["points"]] == [2.5, 5.0]


def test_a_metric_name_may_hold_slashes(api, experiment, log):
    log(experiment, {"val/top/5": [0.9]})
    assert read(api, "timeseries/digits/baseline/val/top/5")["points"][0]["value"] == 0.9


def test_a_series_comes_as_csv(api, experiment, log):
    log(experiment, {"loss": [0.5, "NaN"]})
    answer = api.get("/api/v1/metrics/timeseries/digits/baseline/loss?format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert answer["Content-Type"].startswith("text/csv")
    assert [(row["step"], row["value"]) for row in rows] == [("0", "0.5"), ("1", "NaN")]


@pytest.mark.parametrize("query", ["max_points=0", "max_points=x", "max_points=1.5", "from=abc", "to=nan", "x=color", "format=xml", "from=1e99"])
def test_a_wrong_parameter_is_named(api, experiment, query):
    answer = api.get(f"/api/v1/metrics/timeseries/digits/baseline/loss?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["errors"][0]["field"] == query.partition("=")[0]


def test_experiments_are_compared_on_one_grid(api, project, experiment, log):
    other = Experiment.objects.create(project=project, name="wider")
    log(experiment, {"loss": [3.0, 2.0, 1.0]})
    log(other, {"loss": [6.0, "NaN"]}, steps=[1, 3])
    found = read(api, "compare/digits?metric=loss&experiments=baseline,wider")
    assert found["x"] == [0, 1, 2, 3]
    assert [series["name"] for series in found["series"]] == ["baseline", "wider"]
    assert found["series"][0]["avg"] == [3.0, 2.0, 1.0, None]
    assert found["series"][1]["avg"] == [None, 6.0, None, None]
    assert (found["series"][1]["nonfinite"], found["series"][1]["nonfinite_at"], found["series"][1]["nonfinite_words"]) == (1, 3, ["NaN"])


def test_a_comparison_says_which_values_are_no_finite_numbers(api, project, experiment, log):
    log(experiment, {"loss": [3.0, "-Infinity", 2.0, "NaN"], "one": ["Infinity", 1.0, 1.0, 1.0], "none": [1.0, 1.0, 1.0, 1.0]})
    words = {metric: read(api, f"compare/digits?metric={metric}&experiments=baseline")["series"][0]["nonfinite_words"] for metric in ("loss", "one", "none")}
    assert words == {"loss": ["NaN", "-Infinity"], "one": ["Infinity"], "none": []}


def test_a_comparison_of_many_points_is_small_and_hides_no_spike(api, project, log):
    names = []
    for number in range(5):
        run = Experiment.objects.create(project=project, name=f"run {number}")
        values = (np.random.default_rng(number).normal(size=3000) / 3).tolist()
        values[1500] = 1000.0 + number
        log(run, {"loss": values})
        names.append(run.slug)
    answer = api.get(f"/api/v1/metrics/compare/digits?metric=loss&experiments={','.join(names)}&max_points=500")
    found = answer.json()
    assert len(found["x"]) == 500
    assert [max(series["max"]) for series in found["series"]] == [1000.0 + number for number in range(5)]
    assert len(answer.content) < 5 * 500 * 3 * 12


def test_a_comparison_names_what_it_does_not_find(api, experiment):
    assert api.get("/api/v1/metrics/compare/digits?metric=loss&experiments=baseline,nothing").status_code == 404
    assert api.get("/api/v1/metrics/compare/digits?metric=loss&experiments=").status_code == 422
    assert api.get("/api/v1/metrics/compare/digits?experiments=baseline").status_code == 422


READS = {
    "compare": "compare/digits?metric=loss&experiments=baseline",
    "timeseries": "timeseries/digits/baseline/loss",
    "csv": "timeseries/digits/baseline/loss?format=csv",
    "summary": "summary/digits",
    "summary of some": "summary/digits?experiments=baseline&metrics=loss",
    "names": "names/digits",
    "names of some": "names/digits?experiments=baseline",
}


@pytest.mark.parametrize("name", list(READS))
def test_a_visible_write_is_never_hidden_by_the_cache(name, api, experiment, log):
    seen = []
    for number in range(4):
        log(experiment, {"loss": [float(number)], f"metric {number}": [1.0]}, steps=[number])
        seen.append(api.get(f"/api/v1/metrics/{READS[name]}").getvalue())
    assert len(set(seen)) == 4


@pytest.mark.parametrize("name", list(READS))
def test_what_did_not_change_is_answered_without_asking_the_store(name, api, experiment, log, counting):
    log(experiment, {"loss": [1.0]})
    first = api.get(f"/api/v1/metrics/{READS[name]}")
    asked = len(counting.asked)
    assert asked > 0
    assert api.get(f"/api/v1/metrics/{READS[name]}").getvalue() == first.getvalue()
    assert len(counting.asked) == asked


@pytest.mark.parametrize("name", ["summary", "summary of some", "names"])
def test_a_changed_definition_is_seen_at_once(name, api, project, experiment, log):
    log(experiment, {"loss": [1.0, 5.0, 3.0]})
    first = api.get(f"/api/v1/metrics/{READS[name]}").getvalue()
    ProjectMetric.objects.filter(project=project, name="loss").update(aggregation="max", direction="minimize")
    assert api.get(f"/api/v1/metrics/{READS[name]}").getvalue() != first


@pytest.mark.usefixtures("store")
def test_a_deleted_experiment_is_gone_from_the_names_at_once(api_for, alice, project, experiment, log):
    log(experiment, {"loss": [1.0]})
    assert read(api_for(alice), "names/digits")["names"]
    assert api_for(alice).delete(f"/api/v1/experiments/{experiment.pk}").status_code == 204
    assert read(api_for(alice), "names/digits")["names"] == []


@pytest.mark.parametrize(
    ("largest", "is_kept"),
    [({"readings": 1_000_000, "charts": 0}, True), ({"readings": 0, "charts": 1_000_000}, True), ({"readings": 999, "charts": 9999}, False)],
)
def test_an_answer_is_kept_on_the_shelf_of_its_size_and_one_too_large_for_each_is_not(largest, is_kept, api, experiment, log, counting, monkeypatch):
    monkeypatch.setattr(caching, "SHELVES", largest)
    log(experiment, {"loss": [n / 7 for n in range(3000)]})
    answers = [read(api, "timeseries/digits/baseline/loss?max_points=5000")["points"] for _ in range(2)]
    asked = len(counting.asked)
    assert answers[0] == answers[1] == read(api, "timeseries/digits/baseline/loss?max_points=5000")["points"]
    assert (len(answers[0]), len(counting.asked) == asked) == (3000, is_kept)


def test_the_table_uses_each_metrics_aggregation(api, project, experiment, log):
    ProjectMetric.objects.create(project=project, name="acc", direction="maximize", aggregation="max")
    log(experiment, {"acc": [0.1, 0.9, 0.5], "loss": [3.0, 1.0, "NaN"]})
    row = read(api, "summary/digits")["experiments"][0]
    assert (row["slug"], row["metrics"]["acc"]["value"]) == ("baseline", 0.9)
    loss = row["metrics"]["loss"]
    assert (loss["value"], loss["last"], loss["min"], loss["max"], loss["avg"], loss["nonfinite"]) == ("NaN", "NaN", 1.0, 3.0, 2.0, 1)


def test_the_table_is_narrowed_by_experiments_and_metrics(api, project, experiment, log):
    other = Experiment.objects.create(project=project, name="wider")
    for run in (experiment, other):
        log(run, {"acc": [0.1], "loss": [3.0]})
    found = read(api, "summary/digits?experiments=wider&metrics=acc")["experiments"]
    assert [(row["slug"], list(row["metrics"])) for row in found] == [("wider", ["acc"])]


def test_names_come_with_direction_and_count(api, project, experiment, log):
    ProjectMetric.objects.create(project=project, name="acc", direction="maximize", aggregation="max")
    log(experiment, {"acc": [0.1], "loss": [3.0]})
    assert read(api, "names/digits")["names"] == [
        {"name": "acc", "experiments": 1, "direction": "maximize", "aggregation": "max"},
        {"name": "loss", "experiments": 1, "direction": "", "aggregation": "last"},
    ]


def test_a_stranger_reads_nothing(store, api_for, carol, experiment):
    for address in ("timeseries/digits/baseline/loss", "compare/digits?metric=loss&experiments=baseline", "summary/digits", "names/digits"):
        assert api_for(carol).get(f"/api/v1/metrics/{address}").status_code == 404


@pytest.mark.parametrize("value", [0.1, 1 / 3, 123456.789, -9.87654321e-200, 2 / 3 * 1e10, 1e22 / 3, 0.0, -0.0, 999999.5, -1.5])
def test_six_significant_digits_are_kept(value):
    assert float(charts.significant(np.array([value]))[0]) == pytest.approx(float(f"{value:.6g}"), rel=1e-15)


@pytest.mark.parametrize("value", [1.23456789e-300, 5e-324])
def test_the_smallest_numbers_stay_as_they_are(value):
    assert float(charts.significant(np.array([value]))[0]) == value


def test_rounding_leaves_non_finite_values_alone():
    odd = np.array([np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(charts.significant(odd), odd)


def from_before(store, experiment: Experiment, name: str, values: list[float]) -> None:
    """Points under a name that is no longer taken, as an earlier version stored them."""
    count = len(values)
    zeros, steps = np.zeros(count, "u4"), np.arange(count, dtype="i8")
    batch = Points([name], zeros, steps, steps + 1_763_900_000_000_000, np.array(values), [""], zeros)
    series = Series(experiment.project.team_id, experiment.project_id, experiment.pk, experiment.created_month)
    store.spools.append(series, batch, key=None, body_hash=b"", request_id="")
    assert store.drain.wait_visible(store.spool.last_row(), timeout_s=60)


@pytest.mark.parametrize("name", ["      loss", "loss\u200b", "Gro\u0308ße", "loss\u00a0"])
def test_a_metric_from_before_names_were_tidied_is_read_by_the_name_it_has(api, store, experiment, log, name):
    log(experiment, {"loss": [1.0], "Größe": [1.0]})
    from_before(store, experiment, name, [0.5, 0.25])
    quoted = quote(name, safe="")
    assert [p["value"] for p in read(api, f"timeseries/digits/baseline/{quoted}")["points"]] == [0.5, 0.25]
    assert read(api, f"compare/digits?metric={quoted}&experiments=baseline")["series"][0]["avg"] == [0.5, 0.25]
    assert b"0.25" in b"".join(api.get(f"/api/v1/metrics/points/digits?metric={quoted}&experiments=baseline").streaming_content)
    assert read(api, f"summary/digits?metrics={quote(f'`{name}`')}")["experiments"][0]["metrics"][name]["count"] == 2
    assert {row["name"] for row in read(api, "names/digits")["names"]} == {"loss", "Größe", name}


def test_who_asks_for_a_metric_spells_it_as_it_likes(api, experiment, log):
    log(experiment, {"Größe": [1.0]})
    for spelled in ("Gro\u0308ße", " Größe", "Größe\u00a0"):
        assert read(api, f"timeseries/digits/baseline/{quote(spelled)}")["metric"] == "Größe"
        assert read(api, f"compare/digits?metric={quote(spelled)}&experiments=baseline")["series"][0]["avg"] == [1.0]


def test_experiments_are_compared_by_name_too_and_a_shared_name_is_a_conflict(api, project, log):
    first, second = (Experiment.objects.create(project=project, name=name) for name in ("v1.1", "v11"))
    log(first, {"loss": [1.0]})
    log(second, {"loss": [2.0]})
    found = read(api, "compare/digits?metric=loss&experiments=v1.1,v11")
    assert [series["avg"] for series in found["series"]] == [[1.0], [2.0]]
    third = Experiment.objects.create(project=project, name="v1.1")
    answer = api.get("/api/v1/metrics/compare/digits?metric=loss&experiments=v1.1")
    assert answer.status_code == 409
    assert str(first.pk) in answer.json()["error"]["message"]
    assert str(third.pk) in answer.json()["error"]["message"]
