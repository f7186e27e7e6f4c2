"""Steps that hold several values: everywhere but in summaries and exports, the latest value of a step counts, and it alone."""

from __future__ import annotations

import csv
import io
import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.utils import timezone

from experiments.models import Experiment
from metrics.drain.block import summary_columns
from metrics.store import freshness, repeat_rows
from metrics.store.repeats import repeated_steps
from metrics.store.shapes import Place
from metrics.upkeep.aggregation import aggregate
from metrics.upkeep.reconcile import reconcile
from metrics.upkeep.retention import drop_old
from projects.models import Project
from tests.metrics.conftest import DAY, Points, state_of, store_state
from tests.metrics.test_aggregation import place_of

pytestmark = pytest.mark.differs_on_servers("what a step shows is worked out by statements of the metric store")
BEGAN = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def api(store, bob, api_for):
    return api_for(bob)


def chart(api, metric: str = "loss", **asked: Any) -> dict[str, Any]:
    answer = api.get("/api/v1/metrics/compare/digits", {"metric": metric, "experiments": "baseline", **asked})
    assert answer.status_code == 200, answer.content
    return answer.json()


def moments(*seconds: float) -> list[str]:
    return [(BEGAN + timedelta(seconds=second)).isoformat() for second in seconds]


# What charts show ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_points", [600, 599, 100, 7, 1])
def test_buckets_hold_the_latest_value_of_each_step(api, experiment, log, max_points):
    log(experiment, {"loss": [0, 0, 9] * 600}, steps=[step for step in range(600) for _ in range(3)])
    found = chart(api, max_points=max_points)
    for name in ("avg", "min", "max"):
        assert set(found["series"][0][name]) == {9.0}, name
    assert (found["count"], found["series"][0]["repeated_steps"]) == (1800, 600)


@pytest.mark.parametrize("x", ["step", "time", "relative"])
@pytest.mark.parametrize("max_points", [10_000, 150])
def test_a_stretch_that_was_logged_again_shows_what_came_last(api, experiment, log, x, max_points):
    log(experiment, {"loss": [1.0] * 1000 + [9.0] * 500}, steps=range(1500), timestamps=moments(*range(1500)))
    log(experiment, {"loss": [1.0] * 500}, steps=range(1000, 1500), timestamps=moments(*range(5000, 5500)))
    found = chart(api, x=x, max_points=max_points)
    series = found["series"][0]
    assert {value for name in ("avg", "min", "max") for value in series[name] if value is not None} == {1.0}
    assert (found["count"], series["repeated_steps"]) == (2000, 500)
    if x != "step":
        assert not [at for at in found["x"] if 1000 < at - found["x"][0] < 4900], "a place of a value that was overwritten"


def test_a_series_in_buckets_and_its_file_show_the_latest_value_of_each_step(api, experiment, log):
    log(experiment, {"loss": [0, 0, 9] * 600}, steps=[step for step in range(600) for _ in range(3)])
    address = "/api/v1/metrics/timeseries/digits/baseline/loss"
    for x, most in itertools.product(("step", "time", "relative"), (600, 50)):
        found = api.get(address, {"max_points": most, "x": x}).json()
        assert (found["thinned"], found["count"], found["repeated_steps"]) == (True, 1800, 600)
        assert {point[name] for point in found["points"] for name in ("value", "min", "max")} == {9.0}
    rows = list(csv.DictReader(io.StringIO(api.get(address, {"max_points": 50, "format": "csv"}).getvalue().decode())))
    assert {float(row[name]) for row in rows for name in ("value", "min", "max")} == {9.0}


def test_a_nan_that_was_overwritten_is_not_in_a_chart(api, experiment, log):
    log(experiment, {"loss": ["NaN", 2.0, 3.0, "Infinity"], "acc": [1.0, "NaN", 3.0, 4.0]}, steps=[0, 0, 1, 1])
    assert (chart(api)["series"][0]["avg"], chart(api)["series"][0]["nonfinite"]) == ([2.0, None], 1)
    assert chart(api)["series"][0]["nonfinite_words"] == ["Infinity"]
    assert (chart(api, "acc")["series"][0]["nonfinite"], chart(api, "acc", max_points=1)["series"][0]["avg"]) == (1, [4.0])


def test_over_another_metric_the_latest_values_of_both_are_joined(api, experiment, log):
    log(experiment, {"loss": [5.0, 1.0, 2.0], "tokens": [10.0, 20.0, 30.0]}, steps=[0, 0, 1])
    found = chart(api, x="metric", x_metric="tokens")
    assert (found["x"], found["series"][0]["avg"], found["series"][0]["repeated_steps"]) == ([20.0, 30.0], [1.0, 2.0], 1)


def test_the_best_step_is_the_best_of_the_values_that_last(store, experiment, log):
    log(experiment, {"loss": [0.1, 5.0, 1.0, 2.0], "acc": [1.0, 2.0, 3.0, 4.0]}, steps=[0, 0, 1, 2])
    place, ids = place_of(experiment), [experiment.pk]
    repeated = repeated_steps(store.repository, place, ids, "loss")
    assert store.repository.at_best(place, ids, "acc", best="loss", sign=-1, repeated=repeated) == {experiment.pk: 3.0}


def test_summaries_and_exported_points_hold_every_value(store, api, experiment, log):
    log(experiment, {"loss": [0.0, 0.0, 9.0]}, steps=[5, 5, 5])
    summary = store.repository.summaries(place_of(experiment))[experiment.pk]["loss"]
    assert (summary.count, summary.low, summary.high, summary.last, summary.average) == (3, 0.0, 9.0, 9.0, 3.0)
    assert [point["value"] for point in api.get("/api/v1/metrics/timeseries/digits/baseline/loss").json()["points"]] == [0.0, 0.0, 9.0]


@pytest.mark.parametrize("writers", [(7, 1, 9), (1, None, 7), (7, None, 1), (None, 5, None)])
def test_the_latest_value_is_what_came_last_whoever_wrote_it(store, api, api_for, erin, experiment, writers):
    ordinals: dict[int, int] = {}
    for value, writer in enumerate(writers):
        body: dict[str, Any] = {"steps": [0, 1, 1], "timestamps": moments(0, 1, 2), "metrics": {"loss": [value, 5, value], "acc": [1, 2, value]}}
        if writer is not None:
            body |= {"writer": writer, "ordinal": ordinals.setdefault(writer, 0)}
            ordinals[writer] += 6
        address = f"/api/v1/metrics/log-batch/{experiment.project_id}/{experiment.pk}?wait=visible"
        assert api_for(erin).post(address, body, content_type="application/json").status_code == 200
    place, ids = place_of(experiment), [experiment.pk]
    for x in ("step", "time", "relative"):
        for max_points in (1, 100):
            assert {value for value in chart(api, x=x, max_points=max_points)["series"][0]["max"] if value is not None} == {2.0}
    assert chart(api, x="metric", x_metric="acc")["series"][0]["avg"] == [2.0, 2.0]
    assert store.repository.tails(place, ids, ["loss"], since=0)[experiment.pk, "loss"].tolist() == [2.0, 2.0]
    assert store.repository.at_best(place, ids, "acc", best="loss", sign=1, repeated=ids) == {experiment.pk: 1.0}
    for read in (store.repository.summaries, store.repository.recomputed):
        assert read(place)[experiment.pk]["loss"].last == 2.0
    assert store.repository.values(place, "loss", "last") == {experiment.pk: 2.0}
    assert store.repository.readings(place, "loss").numbers["last"].tolist() == [2.0]


def test_of_two_processes_the_one_that_wrote_last_says_the_last_value(store, experiment):
    states: dict[int, Any] = {}
    for value, spool in enumerate((2, 1, 3, 1)):
        points = Points(place_of(experiment), experiment.pk, values=[value], steps=[5], ids=[(spool << 40) + value], logged_at=10**15 + value)
        store.repository.insert_points(points.columns())
        states[spool] = states[spool].joined(state_of(points)) if spool in states else state_of(points)
        store_state(store.repository, points, states[spool], spool=spool)
    for read in (store.repository.summaries, store.repository.recomputed):
        assert read(place_of(experiment))[experiment.pk]["loss"].last == 3.0


# How it is known -------------------------------------------------------------------------------------------------------------------------------


def noted(store, experiment: Experiment, metric: str = "loss") -> repeat_rows.Unsure | None:
    """What the summaries say of a series: None where each of its steps has one value for certain."""
    return repeat_rows.unsure(store.repository, place_of(experiment), [experiment.pk]).get(metric, {}).get(experiment.pk)


def test_a_series_that_is_logged_step_by_step_costs_no_look_at_its_points(store, experiment, log, counting):
    for first in (0, 100, 200):
        log(experiment, {"loss": [0.5] * 100}, steps=range(first, first + 100))
    assert noted(store, experiment) is None
    counting.asked.clear()
    assert repeated_steps(store.repository, place_of(experiment), [experiment.pk], "loss") == {}
    assert [sql for sql in counting.asked if ".metrics FINAL" in sql] == []


@pytest.mark.parametrize("second", [range(99, 150), range(10, 20), range(-5, 1)])
def test_a_step_that_comes_again_in_another_block_is_noticed(store, experiment, log, second):
    log(experiment, {"loss": [0.5] * 100})
    log(experiment, {"loss": [0.5] * len(second)}, steps=second)
    again = len(set(second) & set(range(100)))
    assert noted(store, experiment) == repeat_rows.Unsure(100 + len(second), None)
    assert repeated_steps(store.repository, place_of(experiment), [experiment.pk], "loss") == {experiment.pk: again}


def test_steps_that_come_out_of_order_once_each_are_no_repeats(store, experiment, log):
    log(experiment, {"loss": [0.5] * 50}, steps=range(0, 100, 2))
    log(experiment, {"loss": [0.5] * 50}, steps=range(1, 101, 2))
    assert repeated_steps(store.repository, place_of(experiment), [experiment.pk], "loss") == {}


def by_turns(store, experiment: Experiment, *, blocks: int, size: int = 10) -> dict[int, Any]:
    """A series that two spools write by turns, so that their ranges of steps lie across each other; the states of the spools."""
    states: dict[int, Any] = {}
    for number in range(blocks):
        more(store, experiment, states, spool=number % 2 + 1, steps=range(number * size, (number + 1) * size))
    return states


def more(store, experiment: Experiment, states: dict[int, Any], *, spool: int, steps: range) -> None:
    ids = [(spool << 40) + uuid.uuid4().int % (1 << 39) for _ in steps]
    points = Points(place_of(experiment), experiment.pk, values=[float(spool)] * len(steps), steps=steps, ids=ids)
    store.repository.insert_points(points.columns())
    states[spool] = states[spool].joined(state_of(points)) if spool in states else state_of(points)
    store_state(store.repository, points, states[spool], spool=spool)
    freshness.touch([experiment.pk])


def test_what_two_processes_wrote_by_turns_is_counted_once_and_then_only_what_is_new(store, experiment, monkeypatch):
    place, ids, asked, count = place_of(experiment), [experiment.pk], [], repeat_rows.counted

    def counted(repository, place, metric, lows):
        asked.extend(lows.values())
        return count(repository, place, metric, lows)

    monkeypatch.setattr(repeat_rows, "counted", counted)
    states = by_turns(store, experiment, blocks=6)
    whole = -(2**63)
    for spool, steps, repeats, begins in (
        (1, range(60, 70), 0, [whole]),
        (2, range(65, 75), 5, [70, whole]),  # not all that came lies behind the last step that was counted
        (1, range(75, 80), 5, [75]),
        (2, range(3), 8, [80, whole]),
    ):
        more(store, experiment, states, spool=spool, steps=steps)
        asked.clear()
        found = repeated_steps(store.repository, place, ids, "loss")
        assert found == ({experiment.pk: repeats} if repeats else {}), steps
        assert asked == begins, steps


def test_spools_whose_steps_lie_apart_need_no_count(store, experiment):
    states: dict[int, Any] = {}
    more(store, experiment, states, spool=1, steps=range(100))
    more(store, experiment, states, spool=2, steps=range(100, 200))
    assert noted(store, experiment) is None


def as_before(store, points: Points) -> None:
    """The summary as an earlier version wrote it, which said nothing of steps; long at rest."""
    place = points.place
    row = (points.experiment.bytes, points.metric, place.team_id.bytes, place.project_id.bytes, 1, state_of(points).packed(), False, 0)
    columns = dict(summary_columns([row], spool=1))
    del columns["once"], columns["last_logged_at"]
    store.repository.insert_points(points.columns())
    store.repository.insert_summaries(columns)
    Experiment.objects.filter(pk=points.experiment).update(last_point_at=timezone.now() - DAY)


@pytest.mark.parametrize(("steps", "repeats"), [(range(100), 0), ([*range(60), *range(40)], 40)])
def test_what_an_earlier_version_stored_is_counted_and_at_night_noted_for_good(store, experiment, turn, counting, steps, repeats):
    place, ids = place_of(experiment), [experiment.pk]
    as_before(store, Points(place, experiment.pk, values=[0.5] * 100, steps=steps))
    assert noted(store, experiment) == repeat_rows.Unsure(100, None)
    wanted = {experiment.pk: repeats} if repeats else {}
    assert repeated_steps(store.repository, place, ids, "loss") == wanted
    before = store.repository.summaries(place)
    assert "0 series differed" in reconcile(turn)
    assert noted(store, experiment) == (repeat_rows.Unsure(100, repeats) if repeats else None)
    assert store.repository.summaries(place) == before
    for each in caches.settings:
        caches[each].clear()
    counting.asked.clear()
    assert repeated_steps(store.repository, place, ids, "loss") == wanted
    assert [sql for sql in counting.asked if ".metrics FINAL" in sql] == []


def test_a_count_that_was_noted_does_not_speak_for_points_that_came_later(store, experiment, turn, log):
    place = place_of(experiment)
    as_before(store, Points(place, experiment.pk, values=[0.5] * 100))
    reconcile(turn)
    log(experiment, {"loss": [0.7] * 10}, steps=range(95, 105))
    assert repeated_steps(store.repository, place, [experiment.pk], "loss") == {experiment.pk: 5}


def test_a_run_that_goes_on_is_not_counted_at_night(store, experiment, turn):
    as_before(store, Points(place_of(experiment), experiment.pk, values=[0.5] * 100))
    Experiment.objects.filter(pk=experiment.pk).update(last_point_at=timezone.now())
    reconcile(turn)
    assert noted(store, experiment) == repeat_rows.Unsure(100, None)


# Hours -----------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def again(store, experiment, put, turn):
    """Eight days of a point every ten minutes, of which the third was wrong (9) and was logged again a day later (1), aggregated; three days are kept."""
    Project.objects.update(retention_days=3)
    put(experiment, [1.0] * 288 + [9.0] * 144 + [1.0] * (5 * 144), since=8 * DAY)
    corrected = Points(place_of(experiment), experiment.pk, values=[1.0] * 144, steps=range(288, 432), ids=range(10_000, 10_144), times=day(4, turn))
    store.repository.insert_points(corrected.columns())
    store_state(store.repository, corrected, store.repository.state(corrected.place, experiment.pk, "loss"), spool=1 << 20)
    aggregate(turn)


def day(ago: int, turn) -> list[int]:
    """144 moments of a day so many days before the turn."""
    return [turn.midnight_us - ago * 86_400_000_000 + number * 600_000_000 + 1 for number in range(144)]


@pytest.mark.parametrize("is_dropped", [False, True])
@pytest.mark.parametrize(("x", "max_points"), [("time", 8), ("time", 100), ("step", 8), ("step", 2000), ("relative", 50)])
def test_hours_hold_the_latest_value_of_a_step_too(store, api, experiment, again, turn, is_dropped, x, max_points):
    if is_dropped:
        assert "Dropped 864 points" in drop_old(turn)
    found = chart(api, x=x, max_points=max_points)
    for name in ("avg", "min", "max"):
        assert {value for value in found["series"][0][name] if value is not None} == {1.0}, name
    assert found["count"] == 9 * 144
    thinned = api.get("/api/v1/metrics/timeseries/digits/baseline/loss", {"x": x, "max_points": 50}).json()
    assert {point[name] for point in thinned["points"] for name in ("value", "min", "max")} == {1.0}


def test_a_drop_leaves_summaries_and_counts_as_they_were(store, experiment, again, turn):
    place = place_of(experiment)
    before = store.repository.summaries(place)[experiment.pk]["loss"]
    drop_old(turn)
    assert "0 series differed" in reconcile(turn)
    recomputed = store.repository.recomputed(place)[experiment.pk]["loss"]
    assert (recomputed.count, recomputed.high, recomputed.total) == (before.count, 9.0, pytest.approx(before.total))


def test_a_place_that_no_series_has_asks_nothing(store):
    assert repeated_steps(store.repository, Place(uuid.uuid4(), uuid.uuid4()), [uuid.uuid4()], "loss") == {}
