"""What every repository method promises, whatever engine is below it."""

from __future__ import annotations

import math
import struct
import threading
import uuid

import numpy as np
import pytest

from metrics.clickhouse.client import Coded
from metrics.points.states import State, states
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, Window
from tests.metrics.conftest import NOW_US, Points

# The session's process registers its spool in the record.
pytestmark = pytest.mark.django_db(transaction=True)
ODD = [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, -5e-324, 1.7976931348623157e308, 0.1, 1 / 3]


def bits(values) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


def store_state(repository: MetricRepository, place: Place, experiment: uuid.UUID, metric: str, state: State, *, spool: int = 1, version: int = 1) -> None:
    one = np.zeros(1, dtype=np.uint32)
    repository.insert_summaries({
        "team_id": Coded([place.team_id], one), "project_id": Coded([place.project_id], one), "metric_name": Coded([metric], one),
        "experiment_id": Coded([experiment], one), "spool_id": np.array([spool], "u8"), "version": np.array([version], "u8"),
        "count": np.array([state.count], "u8"), "nonfinite": np.array([state.nonfinite], "u8"), "sum": np.array([state.total]),
        "min": np.array([state.low]), "max": np.array([state.high]), "last": np.array([state.last]), "last_step": np.array([state.last_step]),
        "last_time": np.array([state.last_us]), "last_point_id": np.array([state.last_point], "u8"),
        "first_step": np.array([state.first_step]), "first_time": np.array([state.first_us]),
    })  # fmt: skip


def state_of(points: Points) -> State:
    columns = points.columns()
    series = np.zeros(len(points.values), dtype=np.int64)
    return states(series, columns["step"], columns["timestamp"], columns["point_id"], columns["metric_value"], columns["logged_at"])[0]


def logged(repository: MetricRepository, points: Points) -> None:
    repository.insert_points(points.columns())
    store_state(repository, points.place, points.experiment, points.metric, state_of(points))


def test_every_bit_of_a_value_comes_back(repository, place):
    experiment = uuid.uuid4()
    repository.insert_points(Points(place, experiment, values=ODD).columns())
    assert bits(repository.series(place, experiment, "loss").value) == bits(ODD)


@pytest.mark.parametrize("name", ["loss", "train/потеря", "损失", "خسارة", "a'b\\c%d{x}", "é" * 125, "🎯 hit rate", "x" * 250])
def test_a_metric_may_have_any_name(repository, place, name):
    experiment = uuid.uuid4()
    logged(repository, Points(place, experiment, metric=name, values=[1.5]))
    assert list(repository.series(place, experiment, name).value) == [1.5]
    assert repository.names(place) == {name: 1}


def test_steps_span_all_of_int64(repository, place):
    experiment, steps = uuid.uuid4(), [-(2**63), -7, 0, 7, 2**63 - 1]
    logged(repository, Points(place, experiment, steps=steps, values=[1, 2, 3, 4, 5]))
    assert repository.series(place, experiment, "loss").step.tolist() == steps
    width = -(-(2**64) // 4)
    grid = repository.grid(place, [experiment], "loss", Window("step", steps[0], steps[-1]), width=width)
    assert len(grid.x) <= 4
    assert grid.rows[experiment].low.min() == 1
    assert grid.rows[experiment].high.max() == 5


def test_a_repeat_lands_once(repository, place):
    experiment = uuid.uuid4()
    points = Points(place, experiment, values=[1.0, 2.0, 3.0])
    for _ in range(3):
        repository.insert_points(points.columns())
    assert list(repository.series(place, experiment, "loss").value) == [1.0, 2.0, 3.0]
    assert repository.recomputed(place)[experiment]["loss"].count == 3


def test_two_honest_values_of_one_step_are_both_kept(repository, place):
    experiment = uuid.uuid4()
    repository.insert_points(Points(place, experiment, steps=[5, 5], ids=[1, 2], values=[0.25, 0.75]).columns())
    assert list(repository.series(place, experiment, "loss").value) == [0.25, 0.75]


def test_a_chart_shows_the_latest_of_two_values_at_one_step(repository, place):
    experiment = uuid.uuid4()
    repository.insert_points(Points(place, experiment, steps=[5, 5], ids=[2, 1], values=[0.75, 0.25]).columns())
    for width in (1, 10):
        row = repository.grid(place, [experiment], "loss", Window("step", 0, 10), width=width, repeated=[experiment]).rows[experiment]
        assert (row.centre.tolist(), row.low.tolist(), row.high.tolist()) == ([0.75], [0.75], [0.75])


def test_the_end_of_a_series_has_the_latest_value_of_each_step(repository, place):
    experiment = uuid.uuid4()
    columns = Points(place, experiment, steps=[5, 5, 6, 7, 7, 7], ids=[2, 1, 3, 4, 6, 5], values=[0.75, 0.25, 0.5, 1.0, 3.0, 2.0]).columns()
    repository.insert_points(columns)
    assert {key: values.tolist() for key, values in repository.tails(place, [experiment], ["loss"], since=0).items()} == {
        (experiment, "loss"): [0.75, 0.5, 3.0]
    }
    assert next(iter(repository.tails(place, [experiment], ["loss"], since=6).values())).tolist() == [0.5, 3.0]


def test_a_series_without_a_finite_value_has_none_to_show_but_its_last(repository, place):
    experiment = uuid.uuid4()
    logged(repository, Points(place, experiment, values=[math.nan, -math.inf, math.inf]))
    summary = repository.summaries(place)[experiment]["loss"]
    assert [summary.shown(how) for how in ("last", "min", "max", "avg")] == [math.inf, None, None, None]


def test_points_two_milliseconds_apart_are_all_kept(repository, place):
    experiment, times = uuid.uuid4(), [NOW_US + 2_000 * i for i in range(1000)]
    repository.insert_points(Points(place, experiment, values=[0.1] * 1000, steps=[0] * 1000, times=times).columns())
    assert repository.series(place, experiment, "loss").time.tolist() == times


def test_another_team_reads_nothing(repository, place):
    experiment = uuid.uuid4()
    logged(repository, Points(place, experiment))
    stranger = Place(uuid.uuid4(), place.project_id)
    assert len(repository.series(stranger, experiment, "loss").value) == 0
    assert repository.summaries(stranger) == {}
    assert repository.names(stranger) == {}
    assert repository.grid(stranger, [experiment], "loss", Window("step", 0, 10), width=1).rows == {}


def test_an_unknown_series_is_empty(repository, place):
    unknown = uuid.uuid4()
    assert len(repository.series(place, unknown, "loss").step) == 0
    assert repository.extent(place, [unknown], "loss").points == 0
    assert repository.reach(place, [unknown], "loss", "step").points == 0
    assert repository.values(place, "loss", "last") == {}


def test_a_thinned_series_hides_no_spike(repository, place):
    experiment, values = uuid.uuid4(), np.zeros(10_000)
    values[4_321] = 99.0
    values[7_777] = -99.0
    repository.insert_points(Points(place, experiment, values=values).columns())
    thinned = repository.thinned(place, experiment, "loss", Window(), start=0, width=100)
    assert len(thinned.value) == 100
    assert (thinned.high.max(), thinned.low.min()) == (99.0, -99.0)
    assert thinned.value[43] == pytest.approx(0.99)


def test_series_share_one_grid_and_keep_their_gaps(repository, place):
    a, b = uuid.uuid4(), uuid.uuid4()
    repository.insert_points(Points(place, a, steps=[0, 1, 2], values=[1, 2, 3]).columns())
    repository.insert_points(Points(place, b, steps=[1, 3], values=[10, 30]).columns())
    grid = repository.grid(place, [a, b], "loss", Window("step", 0, 3), width=1)
    assert grid.x.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(grid.rows[a].centre, [1, 2, 3, np.nan])
    np.testing.assert_array_equal(grid.rows[b].centre, [np.nan, 10, np.nan, 30])


def test_a_bucket_of_one_place_stands_at_that_place(repository, place):
    experiment = uuid.uuid4()
    repository.insert_points(Points(place, experiment, steps=[0, 100, 200], values=[1, 2, 3]).columns())
    grid = repository.grid(place, [experiment], "loss", Window("step", 0, 200), width=7)
    assert grid.x.tolist() == [0, 100, 200]


def test_non_finite_values_are_counted_apart_and_left_out(repository, place):
    experiment = uuid.uuid4()
    logged(repository, Points(place, experiment, values=[1.0, math.nan, 3.0, math.inf]))
    summary = repository.summaries(place)[experiment]["loss"]
    assert (summary.count, summary.nonfinite, summary.low, summary.high, summary.average) == (4, 2, 1.0, 3.0, 2.0)
    assert summary.last == math.inf
    row = repository.grid(place, [experiment], "loss", Window("step", 0, 3), width=4).rows[experiment]
    assert (row.centre.tolist(), row.low.tolist(), row.high.tolist(), row.nonfinite, row.nonfinite_at) == ([2.0], [1.0], [3.0], 2, 1)


def test_a_series_without_a_finite_value_has_no_least_and_no_greatest(repository, place):
    experiment = uuid.uuid4()
    logged(repository, Points(place, experiment, values=[math.nan, math.nan]))
    summary = repository.summaries(place)[experiment]["loss"]
    assert math.isnan(summary.low)
    assert math.isnan(summary.high)
    assert math.isnan(summary.average)
    assert math.isnan(summary.last)


def test_summaries_equal_recomputation(repository, place):
    for _ in range(3):
        experiment, values = uuid.uuid4(), np.random.default_rng(7).normal(size=500)
        values[::50] = np.nan
        logged(repository, Points(place, experiment, values=values, steps=np.random.default_rng(8).permutation(500)))
    kept, recomputed = repository.summaries(place), repository.recomputed(place)
    assert kept.keys() == recomputed.keys()
    for experiment, series in kept.items():
        one, other = series["loss"], recomputed[experiment]["loss"]
        assert one.total == pytest.approx(other.total, rel=1e-12)
        same = ("count", "nonfinite", "low", "high", "first_step", "last_step", "first_time", "last_time")
        assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
        assert bits([one.last]) == bits([other.last])


def test_the_highest_version_of_a_summary_counts_and_spools_add_up(repository, place):
    experiment = uuid.uuid4()
    first = state_of(Points(place, experiment, values=[1.0, 2.0]))
    second = state_of(Points(place, experiment, values=[5.0], steps=[9], ids=[9]))
    store_state(repository, place, experiment, "loss", first, version=1)
    store_state(repository, place, experiment, "loss", first.joined(second), version=2)
    store_state(repository, place, experiment, "loss", second, spool=2)
    summary = repository.summaries(place)[experiment]["loss"]
    assert (summary.count, summary.low, summary.high, summary.last) == (4, 1.0, 5.0, 5.0)


@pytest.mark.parametrize(("aggregation", "value"), [("last", 2.0), ("min", 1.0), ("max", 3.0), ("avg", 2.0)])
def test_one_number_stands_for_a_series(repository, place, aggregation, value):
    experiment = uuid.uuid4()
    logged(repository, Points(place, experiment, values=[1.0, 3.0, 2.0]))
    assert repository.values(place, "loss", aggregation) == {experiment: value}


def test_relative_time_counts_from_the_experiments_first_point(repository, place):
    experiment = uuid.uuid4()
    logged(repository, Points(place, experiment, metric="early", values=[1.0], times=[NOW_US]))
    logged(repository, Points(place, experiment, values=[1.0, 2.0], times=[NOW_US + 5_000_000, NOW_US + 9_000_000]))
    reach = repository.reach(place, [experiment], "loss", "relative")
    assert (reach.first, reach.last) == (0, 9_000_000)
    grid = repository.grid(place, [experiment], "loss", Window("relative", 0, 10_000_000), width=1_000)
    assert grid.x.tolist() == [5_000_000, 9_000_000]


def test_a_window_narrows_by_time(repository, place):
    experiment = uuid.uuid4()
    repository.insert_points(Points(place, experiment, values=[1, 2, 3, 4]).columns())
    window = Window("time", NOW_US + 1_000_000, NOW_US + 2_000_000)
    assert repository.series(place, experiment, "loss", window).value.tolist() == [2, 3]
    assert repository.extent(place, [experiment], "loss", window).points == 2


def test_what_is_forgotten_leaves_no_trace_and_the_rest_stays(repository, place):
    gone, kept = uuid.uuid4(), uuid.uuid4()
    for experiment in (gone, kept):
        logged(repository, Points(place, experiment))
    for _ in range(2):
        repository.forget(place, [gone])
    assert len(repository.series(place, gone, "loss").value) == 0
    assert set(repository.summaries(place)) == {kept}
    assert list(repository.series(place, kept, "loss").value) == [0.5]


@pytest.mark.large
def test_a_million_points_come_back_in_order(repository, place):
    experiment, rows = uuid.uuid4(), 1_000_000
    values = np.random.default_rng(1).normal(size=rows)
    for first in range(0, rows, 250_000):
        part = slice(first, first + 250_000)
        repository.insert_points(Points(place, experiment, values=values[part], steps=range(rows)[part], ids=range(rows)[part]).columns())
    series = repository.series(place, experiment, "loss")
    np.testing.assert_array_equal(series.step, np.arange(rows))
    np.testing.assert_array_equal(series.value, values)
    assert repository.recomputed(place)[experiment]["loss"].count == rows


def test_writers_and_readers_do_not_disturb_each_other(repository, place):
    experiments = [uuid.uuid4() for _ in range(4)]
    wrong: list[str] = []

    def write(experiment: uuid.UUID) -> None:
        for batch in range(10):
            ids = range(batch * 100, batch * 100 + 100)
            repository.insert_points(Points(place, experiment, values=[float(i) for i in ids], steps=ids, ids=ids).columns())

    def read(experiment: uuid.UUID) -> None:
        for _ in range(20):
            series = repository.series(place, experiment, "loss")
            if series.step.tolist() != [int(value) for value in series.value] or len(series.step) % 100:
                wrong.append(f"{experiment}: {len(series.step)} points")

    threads = [threading.Thread(target=work, args=(experiment,)) for experiment in experiments for work in (write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert [len(repository.series(place, experiment, "loss").step) for experiment in experiments] == [1000] * 4


def test_the_store_says_that_it_is_alive(repository):
    assert repository.is_alive()
