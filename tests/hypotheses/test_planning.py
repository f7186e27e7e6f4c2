"""How many runs an effect needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypotheses.judging.comparison import compare
from hypotheses.judging.evidence import score_at
from hypotheses.judging.planning import mde, power, replicates_needed, runs_to_add, t_threshold

COUNTS = st.integers(0, 40)


@given(COUNTS, COUNTS)
def test_the_threshold_is_where_the_score_is_a_half(n_exp, n_base):
    threshold = t_threshold(n_exp, n_base)
    if threshold is not None:
        assert score_at(threshold, df=n_exp + n_base - 2, n_eff=n_exp * n_base / (n_exp + n_base)) == pytest.approx(0.5, abs=1e-9)
    assert (threshold is None) == (mde(n_exp, n_base) is None) == (power(3, n_exp, n_base) == 0)


def test_two_against_two_and_one_against_any_can_decide_nothing():
    assert [t_threshold(2, 2), t_threshold(1, 50), t_threshold(50, 1), t_threshold(0, 3)] == [None] * 4
    assert t_threshold(3, 3) is not None


@settings(max_examples=30)
@given(st.floats(0.05, 20), st.floats(0.1, 0.95))
def test_the_runs_needed_are_enough_and_one_fewer_is_not(effect, target):
    needed = replicates_needed(effect, target)
    assert needed is not None
    assert power(effect, needed, needed) >= target > power(effect, needed - 1, needed - 1)


@settings(max_examples=30)
@given(COUNTS, COUNTS, st.floats(0.5, 8), st.floats(0.1, 0.95))
def test_the_runs_to_add_are_enough_and_go_to_the_starved_arm_first(n_exp, n_base, effect, target):
    added = runs_to_add(n_exp, n_base, effect_sd=effect, power=target)
    assert added is not None
    more_exp, more_base = added
    assert power(effect, n_exp + more_exp, n_base + more_base) >= target
    if more_exp and more_base:
        assert abs(n_exp + more_exp - n_base - more_base) <= 1
    elif more_exp or more_base:
        assert (n_exp < n_base) == bool(more_exp) or n_exp == n_base


@given(st.integers(3, 60), st.integers(3, 60))
def test_the_smallest_detectable_effect_has_the_power_asked_for(n_exp, n_base):
    assert power(mde(n_exp, n_base), n_exp, n_base) == pytest.approx(0.8, abs=1e-9)


def test_the_power_is_that_of_drawn_runs():
    random = np.random.default_rng(11)
    runs = random.normal(size=(1500, 2, 5)) + np.array([2.0, 0.0])[:, None]
    supported = np.mean([compare([(x, b)], direction="maximize").score >= 0.5 for x, b in runs])
    assert supported == pytest.approx(power(2, 5, 5), abs=0.06)


def test_an_effect_too_small_for_a_million_runs_is_said_to_be():
    assert replicates_needed(0.001) is None
    assert runs_to_add(5, 5, effect_sd=0.001) is None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: replicates_needed(0), "above 0"),
        (lambda: replicates_needed(float("nan")), "above 0"),
        (lambda: replicates_needed(1, power=1), "between 0 and 1"),
        (lambda: mde(3, 3, power=0), "between 0 and 1"),
        (lambda: power(-1, 3, 3), "from 0"),
        (lambda: t_threshold(-1, 3), "0 or more"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()
