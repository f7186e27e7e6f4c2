"""A hostile network: attacks of all kinds at once beside people and scripts. Nobody waits, nothing is lost, and memory stays bounded."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable

import pytest

from tests.faults.attacks import ATTACKS, Target, dripping, keep_asking, keep_attacking
from tests.faults.ledger import account
from tests.faults.served import Served
from tests.faults.stored import stored
from tests.faults.writing import PROJECT, Clients, drained

pytestmark = [pytest.mark.faults, pytest.mark.slow]
MEMORY_BYTES = 900_000_000
ATTACKED_S = 15.0
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def server(served: Callable[..., Served]) -> Served:
    """A server that fears nobody."""
    made = served(METRICS_FLUSH_INTERVAL="0.2", ENVIRONMENT="development")  # in tests passwords are hashed as quickly as can be
    made.start()
    return made


def target_of(server: Served) -> Target:
    """Where to send what, with a token that may log."""
    return Target(server.port, server.token, f"/api/v1/metrics/log-batch/{PROJECT}/e0")


def health_s(server: Served) -> float:
    """How long one GET /health took."""
    began = time.monotonic()
    assert server.ask("GET", "/health")[0] == 200
    return time.monotonic() - began


def test_each_attack_is_turned_away_and_all_together_stop_nobody(server: Served) -> None:
    clients, target = Clients(server, seed=14), target_of(server)
    quiet = [health_s(server) for _ in range(50)]
    print(f"{server.highest_memory / 1e6:.0f} MB at rest")
    for attack, expected in ATTACKS:
        before, began = server.highest_memory, time.monotonic()
        answers = set(attack(target))
        print(f"{attack.__name__}: {sorted(answers)}, {time.monotonic() - began:.1f} s, {(server.highest_memory - before) / 1e6:.0f} MB more")
        assert answers, attack.__name__
        assert answers <= expected, attack.__name__
    with SPAWN.Pool(2) as pool, clients.writing(), dripping(target) as drip:
        attacked = pool.apply_async(keep_attacking, (target, ATTACKED_S))
        asked = pool.apply_async(keep_asking, (server.port, ATTACKED_S))
        while not attacked.ready():
            drip()
            attacked.wait(0.5)
        answers_of, waits = attacked.get(), sorted(asked.get())
    for attack, expected in ATTACKS:
        assert answers_of[attack.__name__], attack.__name__
        assert set(answers_of[attack.__name__]) <= expected | {503}, attack.__name__  # together they may find no room
    drained(server)
    memory = server.highest_memory
    print(f"/health: median {statistics.median(quiet):.3f} s before, {statistics.median(waits):.3f} s under attack")
    print(f"/health under attack, {len(waits)} times: 19 of 20 within {waits[len(waits) * 19 // 20]:.3f} s, {waits[-1]:.3f} s at the most")
    print(f"memory: {memory / 1e6:.0f} MB at the most; {clients.total('broken')} requests of scripts broke off")
    assert server.stop() == 0
    found = stored(server.data_dir)
    del found.series["sentinel", "sentinel"]
    result = account(clients.batches, found)
    assert not clients.problems, clients.problems[:10]
    assert result.is_clean, result
    assert result.acknowledged > 100
    assert memory < MEMORY_BYTES
    assert "Traceback" not in server.printed()


def test_slow_and_silent_connections_hold_no_thread(server: Served) -> None:
    server.make_experiments(PROJECT, ["e0"])
    with dripping(target_of(server)) as drip:
        waits = []
        for _ in range(10):
            drip()
            waits += [health_s(server) for _ in range(5)]
    print(f"/health beside 300 slow and 300 silent connections: median {statistics.median(waits):.3f} s, {max(waits):.3f} s at the most")
    assert statistics.median(waits) < 0.2
