"""What the drain does beside storing: discard, restore, clean up."""

from __future__ import annotations

import time
import uuid

import numpy as np
import pytest

from experiments.models import DeletedExperiment, Experiment
from metrics.points.valid import Points
from metrics.spool.batches import Series
from metrics.store.shapes import Place

pytestmark = pytest.mark.differs_on_servers("blocks go to a ClickHouse server over its own protocol")


def place_of(experiment: Experiment) -> Place:
    return Place(experiment.project.team_id, experiment.project_id)


def test_a_damaged_store_gets_back_what_the_spool_kept(store, experiment, log):
    log(experiment, {"loss": [1.0, 2.0, 3.0]})
    place = place_of(experiment)
    before = store.repository.summaries(place)
    store.repository.forget(place, [experiment.pk])
    assert store.repository.summaries(place) == {}
    assert store.spools.restore() >= 3
    assert store.drain.wait_visible(store.spool.last_row(), timeout_s=10)
    deadline = time.monotonic() + 10
    while store.repository.summaries(place) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert store.repository.series(place, experiment.pk, "loss").value.tolist() == [1.0, 2.0, 3.0]
    assert store.repository.summaries(place) == before == store.repository.recomputed(place)


def test_only_an_operator_restores(store, erin, api_for):
    assert api_for(erin).post("/api/v1/metrics/restore").status_code == 403


def test_the_sweep_takes_the_points_of_deleted_experiments(store, experiment, log):
    log(experiment, {"loss": [1.0]})
    place, identity = place_of(experiment), experiment.pk
    Experiment.objects.filter(pk=identity).delete()
    DeletedExperiment.objects.create(experiment_id=identity, project_id=place.project_id, team_id=place.team_id, name="gone")
    store.drain.swept_at = -1e9
    store.spool.hurry()
    deadline = time.monotonic() + 10
    while DeletedExperiment.objects.filter(purged_at=None).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert DeletedExperiment.objects.get(pk=identity).purged_at is not None
    assert store.repository.recomputed(place) == {}


def test_clean_up_drops_old_blocks_and_keeps_ordinals_apart(store, experiment, log):
    log(experiment, {"loss": [1.0, 2.0]})
    kept = store.drain.timing.keep_s
    object.__setattr__(store.drain.timing, "keep_s", -1.0)
    try:
        while store.spool.transact(store.drain.clean_up):  # what tests before this one left may be many blocks
            pass
    finally:
        object.__setattr__(store.drain.timing, "keep_s", kept)
    reading = store.spool.reader()
    assert reading.execute("SELECT count(*) FROM batches").fetchone() == (0,)
    reading.close()
    log(experiment, {"loss": [3.0]}, steps=[2])
    assert store.repository.series(place_of(experiment), experiment.pk, "loss").value.tolist() == [1.0, 2.0, 3.0]


def test_an_unreachable_store_is_waited_for_and_nothing_is_dropped(store, experiment, log):
    log(experiment, {"loss": [1.0]})
    store.engine.is_closed = True  # the engine's own word for being away
    try:
        row = store.spool.last_row()
        failures = store.drain.failures
        zeros = np.zeros(1, "u4")
        points = Points(["loss"], zeros, np.array([1]), np.array([1_763_900_000_000_000]), np.array([2.0]), [""], zeros)
        target = Series(experiment.project.team_id, experiment.project_id, experiment.pk, experiment.created_month)
        receipt = store.spool.append(target, points)
        assert receipt.id > row
        assert store.drain.wait_visible(receipt.id, timeout_s=1.0) is False
        assert store.drain.failures > failures
        assert "closed" in store.drain.last_error
        assert store.spool.pending([experiment.pk, uuid.uuid4()]) == 1
    finally:
        store.engine.is_closed = False
    assert store.drain.wait_visible(receipt.id, timeout_s=20)
    assert store.repository.series(place_of(experiment), experiment.pk, "loss").value.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("amount", [1, 250])
def test_a_block_in_the_queue_lands_whole(store, experiment, log, amount):
    log(experiment, {f"metric {number}": [1.0] for number in range(amount)})
    assert len(store.repository.names(place_of(experiment))) == amount


@pytest.mark.slow
def test_nothing_of_a_deleted_experiment_comes_back_not_even_by_a_restore(store, experiment, log, alice, api_for):
    log(experiment, {"loss": [1.0, 2.0]})
    place = place_of(experiment)
    assert api_for(alice).delete(f"/api/v1/experiments/{experiment.pk}").status_code == 204
    assert store.repository.summaries(place) == {}
    store.spools.restore()
    deadline = time.monotonic() + 10
    while (
        store.drain.reading.execute("SELECT count(*) FROM summaries WHERE experiment = ?", (experiment.pk.bytes,)).fetchone()[0] and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert store.repository.summaries(place) == store.repository.recomputed(place) == {}
    assert store.repository.names(place) == {}
