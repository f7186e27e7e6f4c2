"""A hostile network: attacks of all kinds at once beside people and scripts. Nobody waits, nothing is lost, and memory stays bounded."""

from __future__ import annotations

import multiprocessing
import statistics
import time

import pytest

from tests.faults.attacks import ATTACKS, Target, dripping, keep_asking, keep_attacking
from tests.faults.served import Served
from tests.faults.unharmed import assert_unharmed
from tests.faults.writing import PROJECT, Clients

pytestmark = [pytest.mark.faults, pytest.mark.slow]
ATTACKED_S = 15.0
SPAWN = multiprocessing.get_context("spawn")


def target_of(server: Served) -> Target:
    """Where to send what, with a token that may log."""
    return Target(server.port, server.token, f"/api/v1/metrics/log-batch/{PROJECT}/e0")


def health_s(server: Served) -> float:
    """How long one GET /health took."""
    began = time.monotonic()
    assert server.ask("GET", "/health")[0] == 200
    return time.monotonic() - began


def test_each_attack_is_turned_away_and_all_together_stop_nobody(in_earnest: Served) -> None:
    clients, target = Clients(in_earnest, seed=14), target_of(in_earnest)
    quiet = [health_s(in_earnest) for _ in range(50)]
    print(f"{in_earnest.highest_memory / 1e6:.0f} MB at rest")
    for attack, expected in ATTACKS:
        before, began = in_earnest.highest_memory, time.monotonic()
        answers = set(attack(target))
        print(f"{attack.__name__}: {sorted(answers)}, {time.monotonic() - began:.1f} s, {(in_earnest.highest_memory - before) / 1e6:.0f} MB more")
        assert answers, attack.__name__
        assert answers <= expected, attack.__name__
    with SPAWN.Pool(2) as pool, clients.writing(), dripping(target) as drip:
        attacked = pool.apply_async(keep_attacking, (target, ATTACKED_S))
        asked = pool.apply_async(keep_asking, (in_earnest.port, ATTACKED_S))
        while not attacked.ready():
            drip()
            attacked.wait(0.5)
        answers_of, waits = attacked.get(), sorted(asked.get())
    for attack, expected in ATTACKS:
        assert answers_of[attack.__name__], attack.__name__
        assert set(answers_of[attack.__name__]) <= expected | {503}, attack.__name__  # together they may find no room
    print(f"/health: median {statistics.median(quiet):.3f} s before, {statistics.median(waits):.3f} s under attack")
    print(f"/health under attack, {len(waits)} times: 19 of 20 within {waits[len(waits) * 19 // 20]:.3f} s, {waits[-1]:.3f} s at the most")
    assert_unharmed(in_earnest, clients, besides=[("sentinel", "sentinel")])


def test_slow_and_silent_connections_hold_no_thread(in_earnest: Served) -> None:
    in_earnest.make_experiments(PROJECT, ["e0"])
    with dripping(target_of(in_earnest)) as drip:
        waits = []
        for _ in range(10):
            drip()
            waits += [health_s(in_earnest) for _ in range(5)]
    print(f"/health beside 300 slow and 300 silent connections: median {statistics.median(waits):.3f} s, {max(waits):.3f} s at the most")
    assert statistics.median(waits) < 0.2
