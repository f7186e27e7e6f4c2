"""The nightly rebuild of hours, and the charts that read them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from experiments import deletion
from experiments.models import Experiment
from metrics.clock.occurrences import OutOfTime, Turn
from metrics.store.shapes import Place
from metrics.upkeep import aggregation
from metrics.upkeep.aggregation import aggregate
from tests.metrics.conftest import DAY, turn_midnight
from tests.metrics.test_hourly import rows

pytestmark = pytest.mark.differs_on_servers("hours are rebuilt by statements of the metric store")
HOUR = timedelta(hours=1)
LONG = 60 * DAY


def place_of(experiment: Experiment) -> Place:
    return Place(experiment.project.team_id, experiment.project_id)


def noise(n: int, seed: int = 1) -> list[float]:
    return np.random.default_rng(seed).normal(size=n).tolist()


def test_every_hour_before_midnight_is_there_and_again_the_same(store, experiment, put, turn):
    put(experiment, noise(3 * 144 + 12))
    assert "1 experiments" in aggregate(turn)
    found = rows(store.repository, place_of(experiment))
    assert (len(found), {row[7] for row in found}) == (72, {"6"})
    assert "0 experiments" in aggregate(turn)
    assert rows(store.repository, place_of(experiment)) == found


def test_late_points_are_caught_however_old_they_are(store, experiment, put, turn):
    put(experiment, noise(3 * 144))
    aggregate(turn)
    put(experiment, [99.0], since=3 * DAY - HOUR, first=5000)
    put(experiment, [77.0], since=200 * DAY, first=6000)
    aggregate(turn)
    found = rows(store.repository, place_of(experiment))
    assert (len(found), found[0][4], found[2][4], found[2][7]) == (73, "77.0", "99.0", "7")


def test_many_experiments_and_many_points_go_in_bounded_statements(store, project, put, turn, monkeypatch):
    runs = [Experiment.objects.create(project=project, name=f"run {number}") for number in range(5)]
    for run in runs:
        put(run, noise(288))
    with monkeypatch.context() as smaller:
        smaller.setattr(aggregation, "STATEMENT_POINTS", 100)
        aggregate(turn)
    found = rows(store.repository, place_of(runs[0]))
    assert (len(found), sum(int(row[7]) for row in found)) == (5 * 48, 5 * 288)
    assert list(aggregation.spans(store.repository, place_of(runs[0]), [run.pk for run in runs], first=0, until=turn.midnight_us)) == [(0, turn.midnight_us)]


def test_a_turn_that_ends_leaves_the_rest_for_the_next(store, experiment, put, turn):
    put(experiment, noise(288))
    with pytest.raises(OutOfTime):
        aggregate(Turn(turn.slot, deadline=turn.slot))
    assert rows(store.repository, place_of(experiment)) == []
    aggregate(turn)
    assert len(rows(store.repository, place_of(experiment))) == 48


def test_an_experiment_that_is_deleted_leaves_no_hour(store, experiment, put, turn, alice):
    put(experiment, noise(288))
    place, identity = place_of(experiment), experiment.pk
    aggregate(turn)
    deletion.delete([experiment], by=alice)
    assert rows(store.repository, place) == []
    store.repository.rebuild_hours(place, [identity], first=0, until=turn.midnight_us)
    aggregation.forget_gone(store.repository, place, [identity])
    assert rows(store.repository, place) == []


def answer(client, experiment: Experiment, **query):
    found = client.get(f"/api/v1/metrics/compare/{experiment.project_id}", {"metric": "loss", "experiments": str(experiment.pk), **query})
    assert found.status_code == 200, found.content
    return found.json()


def long_series(experiment: Experiment, put) -> tuple[np.ndarray, np.ndarray]:
    values = np.array(noise(60 * 48))
    values[100], values[2000] = 40.0, -40.0
    points = put(experiment, values.tolist(), since=LONG, apart=timedelta(minutes=30))
    return np.array(points.times) / 1e6, values


def only_hours(store, experiment: Experiment, turn: Turn) -> None:
    """Take the points away, so that only hours can answer. The last hour may go on, and is read from its points."""
    store.repository.drop_points(place_of(experiment), [experiment.pk], first=0, until=turn.midnight_us - 3_600_000_000, logged=2**62)


def expected(times: np.ndarray, values: np.ndarray, found: dict, *, first: float | None = None) -> list[tuple[float, float, float]]:
    """avg, min, max of each bucket of the answer."""
    start = (first or times[0]) // 3600 * 3600
    buckets = ((times - start) // found["width"]).astype(int)
    return [(values[buckets == b].mean(), values[buckets == b].min(), values[buckets == b].max()) for b in np.unique(buckets)]


def test_a_long_wall_clock_chart_is_the_same_from_hours(store, experiment, put, turn, bob, browser_for):
    times, values = long_series(experiment, put)
    client = browser_for(bob)
    before = answer(client, experiment, x="time", max_points=500)
    aggregate(turn)
    only_hours(store, experiment, turn)
    after = answer(client, experiment, x="time", max_points=400)
    assert before["count"] == after["count"] == 2880
    assert after["width"] % 3600 == 0
    assert len(after["x"]) <= 400
    series = after["series"][0]
    np.testing.assert_allclose(list(zip(series["avg"], series["min"], series["max"], strict=True)), expected(times, values, after), rtol=1e-5)
    assert after["series"][0].keys() == before["series"][0].keys()


def test_a_late_point_shows_at_once_though_its_hour_is_not_rebuilt(store, experiment, put, turn, bob, browser_for):
    long_series(experiment, put)
    aggregate(turn)
    put(experiment, [1234.0], since=30 * DAY, first=90_000)
    found = answer(browser_for(bob), experiment, x="time", max_points=400)
    assert max(found["series"][0]["max"]) == 1234.0
    assert found["count"] == 2881


def test_points_of_today_show_beside_the_hours_of_the_days_before(store, experiment, put, turn, bob, browser_for):
    long_series(experiment, put)
    aggregate(turn)
    put(experiment, [55.0, 66.0], since=timedelta(0), apart=timedelta(seconds=1), first=90_000)
    found = answer(browser_for(bob), experiment, x="time", max_points=400)
    assert found["series"][0]["max"][-1] == 66.0
    assert found["x"][-1] == turn_midnight().timestamp()


def test_a_series_by_itself_reads_hours_too(store, experiment, put, turn, bob, browser_for):
    long_series(experiment, put)
    aggregate(turn)
    only_hours(store, experiment, turn)
    address = f"/api/v1/metrics/timeseries/{experiment.project_id}/{experiment.pk}/loss"
    found = browser_for(bob).get(address, {"x": "time", "max_points": 300}).json()
    assert (found["count"], found["thinned"]) == (2880, True)
    assert len(found["points"]) <= 300
    assert (min(point["min"] for point in found["points"]), max(point["max"] for point in found["points"])) == (-40.0, 40.0)
    assert found["points"][-1]["step"] == 2879


def test_a_window_that_cuts_hours_is_read_exactly(store, experiment, put, turn, bob, browser_for):
    times, values = long_series(experiment, put)
    aggregate(turn)
    first, last = times[1] + 1, times[-2] - 1
    found = answer(browser_for(bob), experiment, x="time", max_points=400, **{"from": first, "to": last})
    inside = (times >= first) & (times <= last)
    wanted = expected(times[inside], values[inside], found, first=first)
    np.testing.assert_allclose(found["series"][0]["avg"], [row[0] for row in wanted], rtol=1e-5)
    assert found["x"][0] == times[inside][0]


def test_a_short_chart_and_a_chart_by_step_are_read_from_points(store, experiment, put, turn, bob, browser_for):
    long_series(experiment, put)
    aggregate(turn)
    for query in ({"x": "step"}, {"x": "relative"}, {"x": "time", "from": (turn_midnight() - 2 * DAY).timestamp()}):
        found = answer(browser_for(bob), experiment, max_points=400, **query)
        assert found["series"][0]["avg"]
    assert found["width"] < 3600
