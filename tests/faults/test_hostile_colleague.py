"""A hostile colleague: all that somebody with a token can send at once, beside scripts that write. Each is answered as it should be, and nobody else waits."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections import Counter

import pytest

from tests.faults.attacks import keep_asking
from tests.faults.colleagues import ATTACKS, GUESSES_MOST, colleague, guessed_passwords, keep_attacking
from tests.faults.served import Served
from tests.faults.unharmed import assert_unharmed
from tests.faults.writing import Clients

pytestmark = [pytest.mark.faults, pytest.mark.slow]
ATTACKED_S = 10.0
SPAWN = multiprocessing.get_context("spawn")


def test_each_attack_of_a_colleague_is_answered_as_it_should_be_and_all_together_starve_nobody(in_earnest: Served) -> None:
    clients, her = Clients(in_earnest, seed=41), colleague(in_earnest)
    guesses, surprises = 0, {}
    for attack, expected in ATTACKS:
        before, began = in_earnest.highest_memory, time.monotonic()
        answers = Counter(attack(her))
        print(f"{attack.__name__}: {dict(answers)}, {time.monotonic() - began:.1f} s, {(in_earnest.highest_memory - before) / 1e6:.0f} MB more")
        surprises[attack.__name__] = set(answers) - expected
        guesses += answers[401] if attack is guessed_passwords else 0
    assert not any(surprises.values()), surprises
    with SPAWN.Pool(2) as pool, clients.writing():
        attacked = pool.apply_async(keep_attacking, (her, ATTACKED_S))
        waits = pool.apply_async(keep_asking, (in_earnest.port, ATTACKED_S)).get()
        answers_of = attacked.get()
    print({name: dict(Counter(answers)) for name, answers in answers_of.items()})
    surprises = {attack.__name__: set(answers_of[attack.__name__]) - expected for attack, expected in ATTACKS}
    assert not any(surprises.values()), surprises
    assert guesses + answers_of["guessed_passwords"].count(401) <= GUESSES_MOST
    print(f"/health: median {statistics.median(waits):.3f} s, {statistics.quantiles(waits, n=20)[-1]:.3f} s for 95 of 100, {max(waits):.3f} s at the most")
    assert_unharmed(in_earnest, clients, besides=[("sentinel", "sentinel"), ("theirs", "loss")])
