"""Killed at the worst moments of the drain: every point once, and every summary right."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.faults.ledger import Batch, Fate, account
from tests.faults.served import Served
from tests.faults.stored import points_of, stored
from tests.faults.writing import BEGAN_US, BROKEN, PROJECT, drained

pytestmark = pytest.mark.faults
ROWS = 50
DEATHS = 2
CALM = {"METRICS_FLUSH_INTERVAL": "1.5", "METRICS_BATCH_SIZE": "1000000"}


def batch_of(number: int) -> tuple[Batch, dict[str, Any]]:
    """Batch `number`, half of it on the series that every batch shares, and its body."""
    steps = np.arange(number * ROWS, (number + 1) * ROWS)
    times, values = BEGAN_US + steps * 1000, np.random.default_rng(number).normal(size=ROWS)
    points = points_of(steps, times, values)
    body = {"steps": steps.tolist(), "timestamps": (times / 1e6).tolist(), "metrics": {"loss": values.tolist(), f"only {number}": values.tolist()}}
    return Batch("e", {"loss": points, f"only {number}": points}), body


def write(server: Served, numbers: range) -> list[Batch]:
    """Send batches under keys, each once."""
    sent = []
    for number in numbers:
        batch, body = batch_of(number)
        try:
            status, _, answer = server.call("POST", f"/metrics/log-batch/{PROJECT}/e", body, {"Idempotency-Key": f"batch {number}"})
        except BROKEN:
            status, answer = 0, None
        batch.fate = Fate.ACKNOWLEDGED if status == 200 else Fate.MAYBE
        assert status in (0, 200), answer
        sent.append(batch)
    return sent


@pytest.mark.parametrize(
    "failpoint", [pytest.param("before-insert", marks=pytest.mark.slow), "after-insert", pytest.param("after-mark", marks=pytest.mark.slow)]
)
def test_a_kill_in_the_middle_of_a_block_leaves_each_point_once(served: Callable[..., Served], failpoint: str) -> None:
    server = served(**CALM)
    server.start()
    server.make_experiments(PROJECT, ["e", "sentinel"])
    sent = write(server, range(5))
    drained(server)
    server.kill()
    for death in range(DEATHS):
        server.spawn(FAILPOINT=failpoint)
        if server.comes_up():
            sent += write(server, range(5 + 3 * death, 8 + 3 * death))
        assert server.wait_for_death() == -signal.SIGKILL
    server.start()
    sent += write(server, range(11, 13))
    drained(server)
    assert server.stop() == 0
    found = stored(server.data_dir)
    del found.series["sentinel", "sentinel"]
    result = account(sent, found)
    assert result.is_clean, result
    assert result.acknowledged >= 10 * ROWS * 2


def test_points_that_are_acknowledged_and_not_drained_yet_survive_a_kill(served: Callable[..., Served]) -> None:
    server = served(METRICS_FLUSH_INTERVAL="3600", METRICS_BATCH_SIZE="1000000")
    server.start()
    server.make_experiments(PROJECT, ["e", "sentinel"])
    sent = write(server, range(5))
    server.kill()
    assert all(batch.fate is Fate.ACKNOWLEDGED for batch in sent)
    server.start()
    drained(server)
    assert server.stop() == 0
    found = stored(server.data_dir)
    del found.series["sentinel", "sentinel"]
    assert account(sent, found).is_clean
