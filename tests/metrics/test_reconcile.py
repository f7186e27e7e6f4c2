"""Summaries and points are brought together again, and stay so."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from experiments.models import Experiment
from metrics.models import FIRST_SPOOL_WRITER, Difference, Spool
from metrics.upkeep import doubts
from metrics.upkeep.reconcile import RESTORE_WAIT, reconcile, review
from tests.metrics.conftest import state_of, store_state
from tests.metrics.test_aggregation import noise, place_of

pytestmark = pytest.mark.differs_on_servers("summaries are compared and restored by statements of the metric store")


def agree(store, experiment: Experiment) -> None:
    """The summaries are what the points make them."""
    place = place_of(experiment)
    kept, found = store.repository.summaries(place), store.repository.recomputed(place)
    assert kept.keys() == found.keys()
    for one, metrics in kept.items():
        assert metrics.keys() == found[one].keys()
        for metric, summary in metrics.items():
            wanted = found[one][metric]
            assert replace(summary, total=0) == replace(wanted, total=0)
            assert summary.total == pytest.approx(wanted.total, rel=1e-9)


def test_what_agrees_is_left_alone(store, experiment, put, turn):
    put(experiment, noise(100))
    assert reconcile(turn) == "Looked at 1 experiments, 0 series differed."
    assert not Difference.objects.exists()


def test_a_batch_that_two_hosts_took_is_counted_once(store, experiment, put, turn, caplog):
    points = put(experiment, noise(100))
    store_state(store.repository, points, state_of(points), spool=2_000_000)
    assert store.repository.summaries(place_of(experiment))[experiment.pk]["loss"].count == 200
    assert "1 series differed" in reconcile(turn)
    agree(store, experiment)
    found = Difference.objects.get()
    assert (found.accepted, found.stored, found.outcome) == (200, 100, "repaired")
    assert "200 accepted, 100 stored" in caplog.text
    assert "0 series differed" in reconcile(turn)
    assert Difference.objects.count() == 1


def test_after_a_repair_more_points_are_counted_right_by_either_host(store, experiment, put, turn):
    points = put(experiment, noise(100))
    store_state(store.repository, points, state_of(points), spool=2_000_000)
    reconcile(turn)
    more = put(experiment, noise(50, seed=2), first=100, spool=3_000_000)
    store_state(store.repository, points, state_of(points).joined(state_of(more)), spool=2_000_000)
    store_state(store.repository, more, replace(state_of(more), count=0, nonfinite=0, total=0.0), spool=3_000_000)
    agree(store, experiment)
    assert "0 series differed" in reconcile(turn)


def test_points_that_no_summary_tells_of_are_counted(store, experiment, put, turn):
    points = put(experiment, noise(100))
    store.repository.engine.execute(
        store.repository.sql("DELETE FROM {database}.metric_summaries WHERE experiment_id = %(experiment)s"), {"experiment": experiment.pk}
    )
    lost = replace(points, metric="lost with its spool")
    store.repository.insert_points(lost.columns())
    assert "2 series differed" in reconcile(turn)
    agree(store, experiment)
    assert "0 series differed" in reconcile(turn)


def test_an_extreme_that_a_summary_lacks_is_added_though_the_count_is_right(store, experiment, put, turn):
    points = put(experiment, [1.0, 2.0, 3.0])
    store_state(store.repository, points, replace(state_of(points), high=2.5, total=5.0), spool=1 << 20)
    assert "1 series differed" in reconcile(turn)
    agree(store, experiment)


def test_points_that_are_lost_come_back_from_the_spool_that_kept_them(store, experiment, log, turn, settings):
    settings.RECONCILE_QUIET_S = 0
    Spool.objects.get_or_create(pk=store.spool.writer - FIRST_SPOOL_WRITER, path=str(store.spool.path))
    log(experiment, {"loss": [1.0, 5.0, 3.0]})
    place = place_of(experiment)
    store.repository.drop_points(place, [experiment.pk], first=0, until=2**52, logged=2**52)
    assert store.repository.recomputed(place) == {}
    reconcile(turn)
    assert Difference.objects.get().outcome == "awaited"
    assert review() == 0
    store.drain.swept_at = -1e9
    store.spool.hurry()
    deadline = time.monotonic() + 30
    while not Spool.objects.exclude(restored_at=None).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert review() == 1
    assert Difference.objects.get().outcome == "restored"
    agree(store, experiment)
    assert "0 series differed" in reconcile(turn)


def counted(store, experiment: Experiment) -> int:
    found = store.repository.summaries(place_of(experiment)).get(experiment.pk, {})
    return found["loss"].count if found else 0


@pytest.mark.parametrize("first_kept", [40, 99])
def test_points_that_nobody_kept_are_told_once_and_the_count_is_what_is_stored(store, experiment, put, turn, caplog, first_kept):
    points = put(experiment, noise(100))
    place = place_of(experiment)
    store.repository.drop_points(place, [experiment.pk], first=0, until=points.times[first_kept], logged=2**52)
    reconcile(turn)
    found = Difference.objects.get()
    assert (found.accepted, found.stored, found.outcome) == (100, 100 - first_kept, "lost")
    assert "Points are lost" in caplog.text
    assert counted(store, experiment) == 100 - first_kept
    assert "0 series differed" in reconcile(turn)
    more = replace(points, values=[1.0], steps=[5000], ids=[5000], times=[points.times[-1] + 1])
    store.repository.insert_points(more.columns())
    store_state(store.repository, points, state_of(points).joined(state_of(more)), spool=1 << 20)
    assert counted(store, experiment) == 101 - first_kept
    assert "0 series differed" in reconcile(turn)
    assert Difference.objects.count() == 1


def test_a_spool_that_never_answers_is_not_waited_for_longer_than_an_hour(store, experiment, put, turn):
    spool = Spool.objects.create(path="/gone/0.sqlite", host="gone")
    points = put(experiment, noise(10), spool=spool.writer)
    store.repository.drop_points(place_of(experiment), [experiment.pk], first=0, until=points.times[5], logged=2**52)
    reconcile(turn)
    assert Difference.objects.get().outcome == "awaited"
    assert review() == 0
    reconcile(turn)
    assert Difference.objects.count() == 1
    Difference.objects.update(found_at=timezone.now() - RESTORE_WAIT - timedelta(seconds=1))
    assert review() == 1
    found = Difference.objects.get()
    assert (found.outcome, found.accepted, found.stored) == ("lost", 10, 5)
    assert store.repository.summaries(place_of(experiment))[experiment.pk]["loss"].count == 5
    assert "0 series differed" in reconcile(turn)


def test_a_block_that_is_half_drained_is_no_difference(store, experiment, put, turn):
    points = put(experiment, noise(10))
    store.repository.insert_points(replace(points, logged_at=points.logged_at + 60_000_000, ids=range(100, 110), steps=range(100, 110)).columns())
    assert "0 series differed" in reconcile(turn)
    assert not Difference.objects.exists()


def test_a_run_that_still_logs_is_looked_at_another_night(store, experiment, put, turn):
    points = put(experiment, noise(10))
    store_state(store.repository, points, state_of(points), spool=2_000_000)
    Experiment.objects.update(last_point_at=timezone.now())
    assert reconcile(turn) == "Looked at 0 experiments, 0 series differed."


def test_every_experiment_is_looked_at_within_a_month(store, project):
    for number in range(50):
        Experiment.objects.create(project=project, name=f"run {number}")
    found = [Experiment.objects.filter(doubts.of_slice(number)).count() for number in range(doubts.SLICES)]
    assert sum(found) == 50
    assert max(found) < 20


def test_large_and_many_experiments_are_looked_at_in_parts(store, project, put, turn, monkeypatch):
    runs = [Experiment.objects.create(project=project, name=f"run {number}") for number in range(7)]
    for run in runs:
        points = put(run, noise(10))
    store_state(store.repository, points, state_of(points), spool=2_000_000)
    with monkeypatch.context() as smaller:
        smaller.setattr(doubts, "CHUNK_EXPERIMENTS", 3)
        smaller.setattr(doubts, "CHUNK_POINTS", 115)
        assert reconcile(turn) == "Looked at 7 experiments, 1 series differed."
    agree(store, runs[-1])
