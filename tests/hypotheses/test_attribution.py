"""Which change did it, and where the runs cannot tell."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hypotheses.judging.attribution import attribute, lack_of_fit
from hypotheses.judging.comparison import compare
from hypotheses.judging.evidence import CAP

RUNS = st.lists(
    st.tuples(st.floats(-1e300, 1e300) | st.integers(-50, 50).map(float), st.lists(st.integers(0, 1), min_size=3, max_size=3), st.integers(0, 2)),
    min_size=1,
    max_size=15,
)
NAMES = ["A", "B", "C"]


def columns(runs):
    return [list(column) for column in zip(*runs, strict=True)]


@given(RUNS)
def test_whatever_the_runs_every_number_is_finite_and_every_feature_is_named_once(runs):
    effects = attribute(*columns(runs), NAMES, "maximize")
    assert sorted(name for effect in effects for name in effect.features) == NAMES
    for effect in effects:
        numbers = [number for number in asdict(effect).values() if isinstance(number, float)]
        assert all(map(math.isfinite, numbers))
        assert effect.identifiable == (effect.effect is not None) == (effect.score is not None)
        assert effect.score is None or -1 < effect.score < 1


@given(RUNS)
def test_mirroring_the_direction_mirrors_effects_and_scores(runs):
    for one, other in zip(attribute(*columns(runs), NAMES, "maximize"), attribute(*columns(runs), NAMES, "minimize"), strict=True):
        assert one.identifiable == other.identifiable
        assert not one.identifiable or (one.effect, one.score) == (pytest.approx(-other.effect), pytest.approx(-other.score))


def test_one_feature_of_one_root_is_the_comparison_of_those_with_it_to_those_without():
    x, b = [0.8, 0.83, 0.81], [0.7, 0.72, 0.69]
    [effect] = attribute([*b, *x], [[0]] * 3 + [[1]] * 3, ["r"] * 6, ["lr"], "maximize")
    found = compare([(x, b)], direction="maximize")
    assert (effect.effect, effect.se, effect.t, effect.score) == tuple(map(pytest.approx, (found.improvement, found.se, found.t, found.score)))


def test_roots_are_blocks():
    blocks = [([1.0, 1.2], [0.5, 0.6]), ([3.0, 3.3], [2.4, 2.5])]
    y = [value for x, b in blocks for value in (*x, *b)]
    [effect] = attribute(y, [[1], [1], [0], [0]] * 2, ["r"] * 4 + ["s"] * 4, ["lr"], "minimize")
    found = compare(blocks, direction="minimize")
    assert (effect.t, effect.df, effect.score) == (pytest.approx(found.t), found.df, pytest.approx(found.score))


def test_features_that_change_together_within_every_root_are_one_bundle():
    X = [[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]]  # noqa: N806
    bundle, constant = attribute([1.0, 2.0, 1.5, 2.6], X, ["r", "r", "s", "s"], NAMES, "maximize")
    assert (bundle.features, bundle.identifiable) == (["A", "B"], True)
    assert (constant.features, constant.identifiable, constant.effect) == (["C"], False, None)


def test_features_that_add_up_to_another_are_not_told_apart_and_the_rest_is():
    X = [[0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 1], [1, 0, 1, 1], [0, 1, 1, 0]]  # noqa: N806
    effects = attribute([1.0, 2.0, 4.1, 2.1, 3.0, 2.9], X, ["r"] * 6, [*NAMES, "D"], "maximize")
    assert [effect.identifiable for effect in effects] == [False, False, False, True]


def test_a_feature_that_rests_on_one_run_is_held_short_of_a_verdict():
    y = [*np.random.default_rng(2).normal(size=12) * 0.01, 1.0]
    [effect] = attribute(y, [[0]] * 12 + [[1]], ["r"] * 13, ["lr"], "maximize")
    assert effect.score == CAP


def test_replicates_that_contradict_a_sum_of_effects_are_noticed():
    X = [[a, b] for a in (0, 1) for b in (0, 1) for _ in range(3)]  # noqa: N806
    noise = np.tile([-0.1, 0.0, 0.1], 4)
    added = np.array([a + b for a, b in X]) + noise
    crossed = np.array([a * b for a, b in X]) + noise
    assert lack_of_fit(added, X, ["r"] * 12).is_rejected is False
    found = lack_of_fit(crossed, X, ["r"] * 12)
    assert (found.df_model, found.df_replicates, found.is_rejected) == (1, 8, True)
    assert found.p == pytest.approx(stats.f.sf(found.f, 1, 8))
    assert found.f == pytest.approx(0.25 * 0.25 * 12 / 0.01)


def test_without_replicates_or_spare_states_the_fit_is_not_tested():
    assert lack_of_fit([1.0, 2.0, 3.0], [[0, 0], [1, 0], [1, 1]], ["r"] * 3) is None
    assert lack_of_fit([1.0, 2.0, 3.0, 4.0], [[0], [0], [1], [1]], ["r"] * 4) is None


@pytest.mark.parametrize(
    ("y", "X", "root", "said"),
    [
        ([], [], [], "Every run needs a value"),
        ([1.0], [[0], [1]], ["r"], "Every run needs a value"),
        ([1.0], [[0, 1]], ["r"], "Every run needs a value"),
        ([1.0], [[0]], [], "Every run needs a value"),
        ([math.nan], [[0]], ["r"], "finite"),
        ([1.0], [[2]], ["r"], "0, as in the root, or 1"),
    ],
)
def test_what_cannot_be_attributed_is_refused_in_a_sentence(y, X, root, said):  # noqa: N803
    with pytest.raises(ValueError, match=said):
        attribute(y, X, root, ["A"], "maximize")
