"""A server that is killed at any moment loses nothing that it acknowledged, and doubles nothing."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.ledger import Fate, account
from tests.faults.served import Served
from tests.faults.stored import stored
from tests.faults.writing import ANSWERS_EXPECTED, PROJECT, Clients, drained

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("KILL_SEED", str(random.SystemRandom().randrange(10**6))))
STARTS_KILLED_EVERY = 5


def kill_again_and_again(served: Served, chance: random.Random) -> int:
    """Kill it KILLS times and start it again, every fifth time while it starts. Returns how often it was killed on its way up."""
    early = 0
    for number in range(KILLS):
        is_early = number % STARTS_KILLED_EVERY == STARTS_KILLED_EVERY - 1
        if is_early:
            served.stop()
            served.spawn()
        time.sleep(chance.uniform(0.0, 2.5) if is_early else chance.uniform(0.2, 1.5))
        served.kill()
        early += is_early
        served.start()
    return early


def read_through_the_api(served: Served, experiments: set[str]) -> dict[tuple[str, str], int]:
    """Points of each series as GET /metrics/timeseries counts them."""
    _, _, table = served.call("GET", f"/metrics/summary/{PROJECT}")
    return {(row["slug"], metric): found["count"] for row in table["experiments"] if row["slug"] in experiments for metric, found in row["metrics"].items()}


def test_a_killed_server_loses_no_acknowledged_point_and_doubles_none(served: Callable[..., Served], capsys: pytest.CaptureFixture[str]) -> None:
    server = served(METRICS_FLUSH_INTERVAL="0.2", METRICS_ACCESS_CACHE_S="30")
    server.start()
    clients = Clients(server, seed=SEED)
    began = time.monotonic()
    with clients.writing():
        early = kill_again_and_again(server, random.Random(SEED))
        time.sleep(0.5)
    drained(server)
    batches = list(clients.batches)
    counts = read_through_the_api(server, {batch.experiment for batch in batches})
    assert server.stop() == 0, server.printed()
    found = stored(server.data_dir)
    sentinels = {series for series in found.series if series[0] == "sentinel"}
    for series in sentinels:
        del found.series[series]
    result = account(batches, found)
    with capsys.disabled():
        print(f"\n{KILLS} kills ({early} of them during a start), seed {SEED}, {time.monotonic() - began:.0f} s: {result};")
        print(f"{clients.total('broken')} requests broken off, {clients.total('replayed')} repeats, {clients.total('looked_up')} looked up.")
    assert not clients.problems, f"seed {SEED}: {clients.problems[:10]}"
    answers = sum((client.answers for client in clients.all), Counter[int]())
    assert set(answers) <= ANSWERS_EXPECTED, answers
    assert result.is_clean, f"seed {SEED}: {result}"
    assert result.acknowledged > 1000 * KILLS, "hardly anything was written: the test shows nothing"
    assert counts == {series: len(points) for series, points in found.series.items()}
    keyed = [batch for batch in batches if batch.key]
    assert keyed
    assert all(batch.fate is Fate.ACKNOWLEDGED for batch in keyed)
