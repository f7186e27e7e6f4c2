"""One metric against another: joined by step, cut into buckets of x, on both engines, held against numpy."""

from __future__ import annotations

import math
import uuid
from typing import Any

import numpy as np
import pytest

from experiments.models import Experiment
from metrics.store import crossed_rows
from metrics.store.crossed_rows import Asked, Crossed, crossed
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place
from tests.metrics.conftest import Points

pytestmark = pytest.mark.django_db(transaction=True)


def stored(repository: MetricRepository, place: Place, x: dict[str, Any], y: dict[str, Any]) -> uuid.UUID:
    """A run with two series: the fields of Points of each."""
    experiment = uuid.uuid4()
    repository.insert_points(Points(place, experiment, metric="tokens", **x).columns())
    repository.insert_points(Points(place, experiment, metric="loss", **y).columns())
    return experiment


def compare(found: Crossed, run: uuid.UUID, x: Any, y: Any, buckets: int) -> None:
    """The run is what numpy makes of the same points."""
    bucket = np.minimum(buckets - 1, np.floor((x / 2 - x.min() / 2) / (x.max() / 2 - x.min() / 2) * buckets)).astype(int)
    fell = [y[bucket == b] for b in np.unique(bucket)]
    np.testing.assert_array_equal(found.x, [x[bucket == b].min() for b in np.unique(bucket)])
    np.testing.assert_allclose(found.rows[run].centre, [values.mean() for values in fell], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.rows[run].low, [values.min() for values in fell])
    np.testing.assert_array_equal(found.rows[run].high, [values.max() for values in fell])


def test_y_stands_over_the_x_of_its_own_step(repository, place):
    run = stored(repository, place, {"values": [10, 20, 40], "steps": [0, 1, 2]}, {"values": [3, 2, 1], "steps": [0, 1, 2]})
    found = crossed(repository, place, [run], "loss", Asked("tokens"))
    assert found.x.tolist() == [10, 20, 40]
    assert found.rows[run].centre.tolist() == [3, 2, 1]
    assert (found.points, found.width) == (3, 0.03)


def test_a_curve_that_turns_back_is_the_mean_and_the_extremes_of_each_bucket(repository, place):
    rng = np.random.default_rng(5)
    x, y = np.cumsum(rng.normal(size=5000)), rng.normal(size=5000)
    run = stored(repository, place, {"values": x}, {"values": y})
    found = crossed(repository, place, [run], "loss", Asked("tokens", buckets=50))
    compare(found, run, x, y, 50)
    assert np.all(np.diff(found.x) > 0)
    assert found.width == pytest.approx((x.max() - x.min()) / 50)


def test_a_curve_that_turns_back_has_buckets_wide_enough_for_both_ways(repository, place):
    x = np.sin(np.arange(120) / 9)
    y = np.arange(120.0)
    y[7] = np.nan
    run = stored(repository, place, {"values": x}, {"values": y})
    found = crossed(repository, place, [run], "loss", Asked("tokens", buckets=1000))
    bucket = np.minimum(999, np.floor((x / 2 - x.min() / 2) / (x.max() / 2 - x.min() / 2) * 1000)).astype(int) // 50
    used = np.unique(bucket)
    np.testing.assert_array_equal(found.x, [x[bucket == b].min() for b in used])
    np.testing.assert_allclose(found.rows[run].centre, [np.nanmean(y[bucket == b]) for b in used], rtol=1e-12)
    np.testing.assert_array_equal(found.rows[run].low, [np.nanmin(y[bucket == b]) for b in used])
    np.testing.assert_array_equal(found.rows[run].high, [np.nanmax(y[bucket == b]) for b in used])
    assert len(found.x) == 20
    assert found.width == pytest.approx((x.max() - x.min()) / 20)
    assert found.rows[run].nonfinite == 1


def test_a_curve_that_goes_back_once_keeps_its_fine_buckets(repository, place):
    x = np.concatenate([np.arange(60), np.arange(40, 100)])
    run = stored(repository, place, {"values": x}, {"values": np.arange(120)})
    found = crossed(repository, place, [run], "loss", Asked("tokens"))
    assert found.x.tolist() == list(range(100))


def test_a_step_that_lacks_either_has_no_place_and_is_counted_where_y_is_there(repository, place):
    run = stored(repository, place, {"values": [1, 2, 3], "steps": [0, 2, 4]}, {"values": [10, 11, 12, 14], "steps": [0, 1, 2, 3]})
    found = crossed(repository, place, [run], "loss", Asked("tokens"))
    assert (found.x.tolist(), found.rows[run].centre.tolist()) == ([1, 2], [10, 12])
    assert (found.rows[run].unplaced, found.points) == (2, 4)


def test_the_last_value_of_a_step_counts_on_both_sides(repository, place):
    twice = {"steps": [7, 7], "ids": [2, 1]}
    run = stored(repository, place, {"values": [5, 99], **twice}, {"values": [0.5, 88], **twice})
    found = crossed(repository, place, [run], "loss", Asked("tokens"))
    assert (found.x.tolist(), found.rows[run].centre.tolist(), found.width) == ([5], [0.5], 0)


def test_a_point_stored_again_counts_once_and_the_later_value_stands(repository, place):
    run = stored(repository, place, {"values": [1, 2]}, {"values": [10, 20]})
    repository.insert_points(Points(place, run, metric="loss", values=[11, 21], logged_at=1_763_900_000_000_001).columns())
    found = crossed(repository, place, [run], "loss", Asked("tokens"))
    assert (found.rows[run].centre.tolist(), found.points) == ([11, 21], 2)


def test_runs_share_one_x_and_keep_their_gaps(repository, place):
    a = stored(repository, place, {"values": [0, 50, 100]}, {"values": [1, 2, 3]})
    b = stored(repository, place, {"values": [50, 75]}, {"values": [20, 30]})
    found = crossed(repository, place, [a, b], "loss", Asked("tokens", buckets=100))
    assert found.x.tolist() == [0, 50, 75, 100]
    np.testing.assert_array_equal(found.rows[a].centre, [1, 2, np.nan, 3])
    np.testing.assert_array_equal(found.rows[b].centre, [np.nan, 20, 30, np.nan])


def test_values_that_are_none_are_counted_and_left_out(repository, place):
    run = stored(repository, place, {"values": [1, 2, math.nan, math.inf, 5]}, {"values": [10, math.nan, 12, 13, math.inf]})
    found = crossed(repository, place, [run], "loss", Asked("tokens"))
    row = found.rows[run]
    np.testing.assert_array_equal(row.centre, [10, np.nan, np.nan])
    assert (row.nonfinite, row.nonfinite_at, row.unplaced) == (2, 2.0, 2)


def test_a_narrower_range_has_finer_buckets(repository, place):
    x, y = np.linspace(0, 1, 2001), np.sin(np.arange(2001))
    run = stored(repository, place, {"values": x}, {"values": y})
    whole = crossed(repository, place, [run], "loss", Asked("tokens", buckets=20))
    close = crossed(repository, place, [run], "loss", Asked("tokens", 0.25, 0.26, buckets=20))
    assert close.width < whole.width / 50
    inside = (x >= 0.25) & (x <= 0.26)
    assert close.points == inside.sum()
    compare(close, run, x[inside], y[inside], 20)


@pytest.mark.parametrize("values", [[-1.7e308, 0.0, 1.7e308], [0.0, 5e-324, 1e-323], [3.0, 3.0, 3.0]])
def test_x_of_any_size_has_a_place(repository, place, values):
    run = stored(repository, place, {"values": values}, {"values": [1, 2, 3]})
    found = crossed(repository, place, [run], "loss", Asked("tokens", buckets=10))
    assert set(found.x.tolist()) <= set(values)
    assert (np.nanmin(found.rows[run].low), np.nanmax(found.rows[run].high), found.rows[run].unplaced) == (1, 3, 0)


def test_a_metric_against_itself_is_the_diagonal(repository, place):
    run = stored(repository, place, {"values": [1, 2]}, {"values": [4, 8]})
    found = crossed(repository, place, [run], "loss", Asked("loss"))
    assert (found.x.tolist(), found.rows[run].centre.tolist()) == ([4, 8], [4, 8])


def test_another_team_and_an_unknown_metric_read_nothing(repository, place):
    run = stored(repository, place, {"values": [1, 2]}, {"values": [4, 8]})
    stranger = Place(uuid.uuid4(), place.project_id)
    assert crossed(repository, stranger, [run], "loss", Asked("tokens")).rows == {}
    assert crossed(repository, place, [run], "nothing", Asked("tokens")).rows == {}
    unplaced = crossed(repository, place, [run], "loss", Asked("nothing"))
    assert (unplaced.x.tolist(), unplaced.rows[run].unplaced) == ([], 2)


# The API -----------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(store, bob, api_for):
    return api_for(bob)


def test_the_api_compares_over_another_metric(api, project, experiment, log):
    other = Experiment.objects.create(project=project, name="wider")
    log(experiment, {"loss": [3.0, 2.0, 1.0], "tokens": [100, 200, 300]})
    log(other, {"loss": [6.0, "NaN"], "tokens": [100, 150]})
    found = api.get("/api/v1/metrics/compare/digits?metric=loss&experiments=baseline,wider&x=metric&x_metric=tokens").json()
    assert (found["metric"], found["x_metric"], found["x"], found["count"]) == ("loss", "tokens", [100, 150, 200, 300], 5)
    assert [series["avg"] for series in found["series"]] == [[3.0, None, 2.0, 1.0], [6.0, None, None, None]]
    assert (found["series"][1]["nonfinite"], found["series"][1]["nonfinite_at"], found["series"][1]["unplaced"]) == (1, 150, 0)
    assert found["series"][1]["nonfinite_words"] == ["NaN"]


def test_the_api_narrows_by_values_of_x_and_bounds_the_buckets(api, experiment, log):
    log(experiment, {"loss": list(range(100)), "tokens": [n / 10 for n in range(100)]})
    address = "/api/v1/metrics/compare/digits?metric=loss&experiments=baseline&x=metric&x_metric=tokens"
    assert api.get(f"{address}&from=0.95&to=1.15").json()["x"] == [1.0, 1.1]
    assert len(api.get(f"{address}&max_points=7").json()["x"]) == 7


@pytest.mark.parametrize(
    ("query", "field"),
    [("x=metric", "x_metric"), ("x=metric&x_metric=tokens&from=x", "from"), ("x=metric&x_metric=tokens&to=inf", "to"), ("x=color", "x"),
     ("x=metric&x_metric=tokens&max_points=0", "max_points")],
)  # fmt: skip
def test_a_wrong_parameter_is_named(api, experiment, query, field):
    answer = api.get(f"/api/v1/metrics/compare/digits?metric=loss&experiments=baseline&{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["errors"][0]["field"] == field


def test_a_series_has_no_other_metric_for_its_x(api, experiment):
    assert api.get("/api/v1/metrics/timeseries/digits/baseline/loss?x=metric&x_metric=tokens").status_code == 422


def test_a_chart_costs_the_store_two_questions_and_a_visible_write_is_seen(api, experiment, log, counting):
    log(experiment, {"loss": [1.0], "tokens": [5.0]})
    counting.asked.clear()
    address = "/api/v1/metrics/compare/digits?metric=loss&experiments=baseline&x=metric&x_metric=tokens"
    assert api.get(address).json()["x"] == [5.0]
    assert len(counting.asked) == 2  # the points, and whose steps may hold several values
    assert api.get(address).json()["x"] == [5.0]
    assert len(counting.asked) == 2
    log(experiment, {"loss": [2.0], "tokens": [9.0]}, steps=[1])
    assert api.get(address).json()["x"] == [5.0, 9.0]


@pytest.mark.parametrize("spelling", ["e\u0301", " \u00e9 "])
def test_the_metric_of_x_is_found_however_its_name_is_composed(api, experiment, log, spelling):
    log(experiment, {"loss": [1.0], "\u00e9": [5.0]})
    found = api.get("/api/v1/metrics/compare/digits", {"metric": "loss", "experiments": "baseline", "x": "metric", "x_metric": spelling}).json()
    assert (found["x"], found["x_metric"]) == ([5.0], "\u00e9")


def test_a_stranger_crosses_nothing(store, api_for, carol, experiment):
    assert api_for(carol).get("/api/v1/metrics/compare/digits?metric=loss&experiments=baseline&x=metric&x_metric=tokens").status_code == 404


def test_open_ends_reach_as_far_as_floats_do():
    assert float(np.finfo(np.float64).max) == crossed_rows.LARGEST
