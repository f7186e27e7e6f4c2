"""Points past their project's time are replaced by their hours, and nobody notices."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from metrics.clock.occurrences import OutOfTime, Turn
from metrics.models import Difference, Drop
from metrics.upkeep import retention
from metrics.upkeep.aggregation import aggregate
from metrics.upkeep.reconcile import reconcile
from metrics.upkeep.retention import drop_old
from projects.models import Project
from tests.metrics.conftest import DAY
from tests.metrics.test_aggregation import answer, noise, place_of

pytestmark = pytest.mark.differs_on_servers("points are dropped by mutations of the metric store")


@pytest.fixture
def kept(experiment, put, turn):
    """Eight days of points of a project that keeps three, aggregated."""
    Project.objects.update(retention_days=3)
    values = noise(8 * 144)
    values[5], values[40], values[1000] = math.nan, 12.0, -12.0
    points = put(experiment, values, since=8 * DAY)
    aggregate(turn)
    return points


def same(one, other) -> None:
    for name in vars(one):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-12), name


def test_old_points_go_and_summaries_stay(store, experiment, kept, turn):
    place = place_of(experiment)
    before = store.repository.summaries(place)[experiment.pk]["loss"]
    assert drop_old(turn) == f"Dropped {5 * 144} points."
    assert len(store.repository.series(place, experiment.pk, "loss").step) == 3 * 144
    same(store.repository.summaries(place)[experiment.pk]["loss"], before)
    same(store.repository.recomputed(place)[experiment.pk]["loss"], before)
    assert drop_old(turn) == "Dropped 0 points."
    assert store.repository.behind(place, until=turn.midnight_us) == []


def test_without_a_retention_nothing_goes(store, experiment, put, turn):
    put(experiment, noise(144), since=400 * DAY)
    aggregate(turn)
    assert drop_old(turn) == "Dropped 0 points."
    assert not Drop.objects.exists()


def test_points_that_are_not_aggregated_stay(store, experiment, put, turn):
    Project.objects.update(retention_days=3)
    put(experiment, noise(144), since=8 * DAY)
    assert drop_old(turn) == "Dropped 0 points."
    aggregate(turn)
    put(experiment, [1.0], since=8 * DAY, first=900)
    assert drop_old(turn) == "Dropped 0 points."
    assert len(store.repository.series(place_of(experiment), experiment.pk, "loss").step) == 145
    Drop.objects.all().delete()
    aggregate(turn)
    assert drop_old(turn) == "Dropped 145 points."


def test_a_late_point_joins_the_hours_of_those_that_are_gone(store, experiment, put, kept, turn):
    drop_old(turn)
    put(experiment, [500.0], since=7 * DAY, first=5000, logged_at=store_now())
    aggregate(turn)
    assert drop_old(turn) == "Dropped 1 points."
    place = place_of(experiment)
    assert store.repository.recomputed(place)[experiment.pk]["loss"].count == 8 * 144 + 1
    assert store.repository.mixed_extent(place, experiment.pk, "loss", retention_window()).points == 8 * 144 + 1
    assert store.repository.recomputed(place)[experiment.pk]["loss"].high == 500.0


def store_now() -> int:
    from tests.metrics.conftest import NOW_US

    return NOW_US + 5_000_000


def retention_window():
    from metrics.store.shapes import Window

    return Window()


@pytest.mark.parametrize("x", ["step", "time", "relative"])
def test_charts_show_the_same_range_and_extremes(store, experiment, kept, turn, bob, browser_for, x):
    client = browser_for(bob)
    before = answer(client, experiment, x=x, max_points=100)
    drop_old(turn)
    after = answer(client, experiment, x=x, max_points=101)
    assert (before["count"], before["x"][0]) == (after["count"], after["x"][0])
    one, other = before["series"][0], after["series"][0]
    assert one.keys() == other.keys()
    for name, least in (("min", min), ("max", max)):
        assert least(v for v in one[name] if v is not None) == least(v for v in other[name] if v is not None)
    assert (one["nonfinite"], other["nonfinite"]) == (1, 1)
    assert after["x"][-1] == pytest.approx(before["x"][-1], abs=12 * 3600)


def test_a_series_by_itself_counts_what_was_dropped(store, experiment, kept, turn, bob, browser_for):
    drop_old(turn)
    address = f"/api/v1/metrics/timeseries/{experiment.project_id}/{experiment.pk}/loss"
    whole = browser_for(bob).get(address, {"max_points": 10_000}).json()
    assert (whole["count"], whole["thinned"]) == (8 * 144, True)
    assert len(whole["points"]) == 5 * 24 + 3 * 144
    assert [whole["points"][number]["step"] for number in (0, -1)] == [5, 8 * 144 - 1]
    recent = browser_for(bob).get(address, {"max_points": 10_000, "from": 5 * 144}).json()
    assert (recent["count"], recent["thinned"]) == (3 * 144, False)
    thin = browser_for(bob).get(address, {"max_points": 50}).json()
    assert (thin["count"], len(thin["points"]) <= 50) == (8 * 144, True)
    assert browser_for(bob).get(address, {"format": "csv", "max_points": 10_000}).getvalue().count(b"\n") == 1 + 5 * 24 + 3 * 144


def test_a_batch_that_is_sent_again_later_leaves_the_summary_right(store, experiment, kept, turn):
    place = place_of(experiment)
    before = store.repository.summaries(place)[experiment.pk]["loss"]
    drop_old(turn)
    state = store.repository.state(place, experiment.pk, "loss")
    assert (state.count, state.low, state.high) == (before.count, before.low, before.high)


def test_a_drop_that_was_cut_short_is_finished_by_the_next_turn(store, experiment, kept, turn):
    place = place_of(experiment)
    drop = retention.begin(store.repository, experiment.project.__class__.objects.get(), turn)
    assert drop is not None
    for _ in range(2):
        retention.freeze(store.repository, drop, turn)
    with pytest.raises(OutOfTime):
        retention.finished(store.repository, drop, Turn(turn.slot, deadline=turn.slot))
    Project.objects.update(retention_days=None)
    assert drop_old(turn) == f"Dropped {5 * 144} points."
    assert store.repository.recomputed(place)[experiment.pk]["loss"].count == 8 * 144
    assert len(store.repository.series(place, experiment.pk, "loss").step) == 3 * 144
    assert Drop.objects.get().finished_at is not None


def test_nothing_differs_afterwards(store, experiment, kept, turn):
    drop_old(turn)
    assert "0 series differed" in reconcile(turn)
    assert not Difference.objects.exists()


@pytest.mark.slow
def test_deletion_in_pieces(store, experiment, kept, turn, monkeypatch):
    with monkeypatch.context() as smaller:
        smaller.setattr("metrics.upkeep.aggregation.STATEMENT_POINTS", 50)
        assert drop_old(turn) == f"Dropped {5 * 144} points."
    assert len(store.repository.series(place_of(experiment), experiment.pk, "loss").step) == 3 * 144
    np.testing.assert_array_equal(store.repository.series(place_of(experiment), experiment.pk, "loss").value, kept.values[5 * 144 :])


def test_a_longer_time_of_a_project_is_kept_by_days(store, experiment, kept, turn):
    Project.objects.update(retention_days=7)
    assert drop_old(turn) == "Dropped 144 points."
    assert timedelta(days=7) == turn.slot - Drop.objects.get().cut
