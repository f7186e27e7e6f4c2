"""What a comparison promises for any runs, and that its numbers are those of textbooks."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from hypotheses.judging.comparison import Comparison, compare
from hypotheses.judging.evidence import CAP, e_values

EIGHTHS = st.integers(-8000, 8000).map(lambda count: count / 8)  # sums and differences of these are exact
ANY = st.floats(-1e300, 1e300)
SMALL_FLOATS = st.sampled_from([0.0, 1e-300, -1e-300, 5e-324, 1e300, -1e300, 1.0, 1 + 2**-52])
DIRECTIONS = st.sampled_from(["maximize", "minimize"])
OTHER = {"maximize": "minimize", "minimize": "maximize"}


def blocks_of(values: st.SearchStrategy[float], *, most_blocks: int = 3, most_runs: int = 6) -> st.SearchStrategy[Any]:
    side = st.lists(values, min_size=1, max_size=most_runs)
    return st.lists(st.tuples(side, side), min_size=1, max_size=most_blocks)


def numbers(found: Any) -> list[float]:
    if isinstance(found, tuple | list):
        return [number for each in found for number in numbers(each)]
    return [found] if isinstance(found, int | float) else []


@given(blocks_of(EIGHTHS), DIRECTIONS)
def test_mirroring_the_direction_mirrors_the_score(blocks, direction):
    one, other = compare(blocks, direction=direction), compare(blocks, direction=OTHER[direction])
    assert (one.score, one.e_pos, one.e_neg) == (-other.score, other.e_neg, other.e_pos)
    assert one.prob_improvement == pytest.approx(1 - other.prob_improvement)
    assert (one.delta, one.improvement) == (other.delta, -other.improvement)


@given(blocks_of(EIGHTHS), DIRECTIONS, st.floats(0, 100))
def test_negated_values_and_the_other_direction_are_the_same_question(blocks, direction, margin):
    negated = [([-value for value in x], [-value for value in b]) for x, b in blocks]
    one, other = compare(blocks, direction=direction, margin=margin), compare(negated, direction=OTHER[direction], margin=margin)
    assert other.score == pytest.approx(one.score, abs=1e-12)


@given(blocks_of(EIGHTHS), DIRECTIONS, st.randoms(use_true_random=False), st.floats(0, 10), st.floats(0, 10))
def test_the_order_of_runs_changes_no_digit(blocks, direction, random, margin, within_var):
    shuffled = [tuple(random.sample(side, len(side)) for side in pair) for pair in random.sample(blocks, len(blocks))]
    terms = {"direction": direction, "margin": margin, "within_var": within_var}
    assert compare(shuffled, **terms) == compare(blocks, **terms)


@given(blocks_of(EIGHTHS), DIRECTIONS, EIGHTHS, st.floats(1e-3, 1e3))
def test_shifting_and_scaling_all_values_leaves_the_score(blocks, direction, shift, scale):
    moved = [tuple([scale * (value + shift) for value in side] for side in pair) for pair in blocks]
    assume(all(len(set(after)) == len(set(before)) for pair, old in zip(moved, blocks, strict=True) for after, before in zip(pair, old, strict=True)))
    one, other = compare(blocks, direction=direction), compare(moved, direction=direction)
    assume(one.method != "sign_only")
    assert other.score == pytest.approx(one.score, rel=1e-7, abs=1e-7)


@given(blocks_of(EIGHTHS), DIRECTIONS)
def test_exchanging_the_arms_mirrors_the_score(blocks, direction):
    exchanged = [(b, x) for x, b in blocks]
    assert compare(exchanged, direction=direction).score == pytest.approx(-compare(blocks, direction=direction).score, abs=1e-9)


@given(blocks_of(EIGHTHS), DIRECTIONS, st.floats(0, 100), st.floats(0, 100))
def test_asking_for_more_never_raises_the_score(blocks, direction, margin, more):
    less = compare(blocks, direction=direction, margin=margin)
    assert compare(blocks, direction=direction, margin=margin + more).score <= less.score + 1e-9


@given(blocks_of(EIGHTHS), DIRECTIONS, st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_higher_noise_floor_never_claims_more(blocks, direction, within_var, more):
    lower = compare(blocks, direction=direction, within_var=within_var)
    assert abs(compare(blocks, direction=direction, within_var=within_var + more).score) <= abs(lower.score) + 1e-9


@given(blocks_of(ANY | SMALL_FLOATS), DIRECTIONS, st.floats(0, 1e300) | st.just(0.0), st.floats(0, 1e300) | st.just(0.0))
def test_no_runs_of_any_size_bring_out_a_number_that_is_not_finite(blocks, direction, margin, within_var):
    found = compare(blocks, direction=direction, margin=margin, within_var=within_var)
    assert all(math.isfinite(number) for number in numbers(list(asdict(found).values())))
    assert -1 < found.score < 1
    assert 0 <= found.prob_improvement <= 1
    assert min(found.e_pos, found.e_neg) >= 0


@given(blocks_of(EIGHTHS, most_blocks=1), DIRECTIONS)
def test_a_side_of_one_run_never_decides(blocks, direction):
    [(x, b)] = blocks
    found = compare([(x[:1], b)], direction=direction)
    assert abs(found.score) <= CAP
    assert "insufficient_replicates" in found.flags


@given(blocks_of(EIGHTHS), DIRECTIONS, st.floats(0, 10))
def test_a_score_at_the_threshold_means_an_e_value_of_twenty(blocks, direction, margin):
    found = compare(blocks, direction=direction, margin=margin)
    assert found.score < 0.5 or found.e_pos >= 20
    assert found.score > -0.5 or found.e_neg >= 20


@given(blocks_of(EIGHTHS), DIRECTIONS)
def test_the_values_shown_differ_by_the_delta_shown_at_the_middle_of_both_intervals(blocks, direction):
    found = compare(blocks, direction=direction)
    assert found.experiment_value - found.baseline_value == pytest.approx(found.delta, abs=1e-9)
    for low, high in filter(None, (found.ci95, found.anytime_ci95)):
        assert (low + high) / 2 == pytest.approx(found.improvement, abs=1e-6 * (high - low) + 1e-9)


@given(blocks_of(EIGHTHS), DIRECTIONS)
def test_the_interval_for_all_looks_holds_that_for_one_and_leaves_zero_out_where_an_e_value_pair_does(blocks, direction):
    found = compare(blocks, direction=direction)
    assume(found.anytime_ci95 is not None and found.ci95 is not None)
    (low, high), (inner_low, inner_high) = found.anytime_ci95, found.ci95
    assert low <= inner_low <= inner_high <= high
    two_sided = (found.e_pos + found.e_neg) / 2
    assume(abs(two_sided - 20) > 1e-6)
    assert (two_sided > 20) == (not low <= 0 <= high)


@given(blocks_of(EIGHTHS))
def test_the_statistic_is_that_of_least_squares_with_an_intercept_for_each_block(blocks):
    found = compare(blocks, direction="maximize")
    assume(found.method == "pooled_t" and "identical_replicates" not in found.flags)
    rows = [(value, index, is_linked) for index, (x, b) in enumerate(blocks) for is_linked, side in ((1, x), (0, b)) for value in side]
    values = np.array([row[0] for row in rows])
    design = np.array([[*np.eye(len(blocks))[row[1]], row[2]] for row in rows])
    coefficients, *_ = np.linalg.lstsq(design, values, rcond=None)
    residuals, df = values - design @ coefficients, len(values) - len(blocks) - 1
    se = math.sqrt(residuals @ residuals / df * np.linalg.inv(design.T @ design)[-1, -1])
    assert found.df == df
    assert found.t == pytest.approx(coefficients[-1] / se, rel=1e-6, abs=1e-6)
    assert 1 / found.n_eff == pytest.approx(np.linalg.inv(design.T @ design)[-1, -1])


X, B = [0.61, 0.64, 0.58, 0.66, 0.7, 0.59], [0.5, 0.61, 0.38]


def test_one_block_is_students_test_and_the_guard_is_welchs():
    equal = compare([(X[:3], B)], direction="maximize")
    student, welch = stats.ttest_ind(X[:3], B), stats.ttest_ind(X, B, equal_var=False)
    guarded = compare([(X, B)], direction="maximize")
    assert (equal.t, equal.p_two_sided, equal.method) == (pytest.approx(student.statistic), pytest.approx(student.pvalue), "pooled_t")
    assert (guarded.t, guarded.p_two_sided, guarded.method) == (pytest.approx(welch.statistic), pytest.approx(welch.pvalue), "welch_guard")
    assert guarded.ci95 == pytest.approx(tuple(welch.confidence_interval(0.95)))


def test_pairs_are_students_paired_test():
    found, paired = compare([([x], [b]) for x, b in zip(X[:3], B, strict=True)], direction="maximize"), stats.ttest_rel(X[:3], B)
    assert (found.t, found.df, found.p_two_sided) == (pytest.approx(paired.statistic), paired.df, pytest.approx(paired.pvalue))


def test_the_probability_of_improvement_is_that_of_mann_and_whitney():
    u = stats.mannwhitneyu([1, 2, 2, 5], [0, 2, 3]).statistic
    assert compare([([1, 2, 2, 5], [0, 2, 3])], direction="maximize").prob_improvement == pytest.approx(u / 12)
    assert compare([([1], [0]), ([3], [3]), ([4], [9])], direction="maximize").prob_improvement == pytest.approx(0.5)


def test_the_standardised_effect_is_hedges_g():
    x, b = X[:3], B
    correction = math.gamma(2) / (math.sqrt(2) * math.gamma(1.5))
    expected = correction * (np.mean(x) - np.mean(b)) / math.sqrt((np.var(x, ddof=1) + np.var(b, ddof=1)) / 2)
    assert compare([(x, b)], direction="maximize").standardised == pytest.approx(expected)
    assert compare([(x, b)], direction="minimize").standardised == pytest.approx(-expected)
    assert compare([([1.0], [2.0])], direction="maximize").standardised is None


@pytest.mark.parametrize(("t", "df", "n_eff"), [(0.0, 4, 1.5), (2.5, 8, 2.5), (-1.5, 3, 1.0), (4.0, 18, 5.0), (3.0, 5.5, 2.0)])
def test_an_e_value_is_the_mean_likelihood_ratio_under_a_half_normal_prior_of_variance_four(t, df, n_eff):
    def ratio(effect: float) -> float:
        return 2 * stats.norm.pdf(effect, scale=2) * stats.nct.pdf(t, df, effect * math.sqrt(n_eff)) / stats.t.pdf(t, df)

    e_pos, e_neg = e_values(np.asarray(t), np.asarray(df), np.asarray(n_eff))
    assert float(e_pos) == pytest.approx(integrate.quad(ratio, 0, 20)[0], rel=1e-6)
    assert float(e_neg) == pytest.approx(integrate.quad(ratio, -20, 0)[0], rel=1e-6)


def test_e_values_grow_with_the_statistic_and_stay_finite_at_any():
    t = np.linspace(-60, 60, 241)
    for df, n_eff in ((0, 0.5), (1, 0.5), (4, 1.5), (18, 5.0), (998, 250.0), (1e6, 2.5e5)):
        e_pos, e_neg = e_values(t, np.asarray(df), np.asarray(n_eff))
        assert np.isfinite(e_pos).all()
        assert all(earlier <= later for earlier, later in pairwise(e_pos))
        assert (e_pos == e_neg[::-1]).all()


def test_one_run_against_one_says_its_direction_and_no_more():
    scores = {compare([([value], [0.0])], direction="maximize").score for value in (1e-300, 1.0, 1e300)}
    assert list(scores) == [pytest.approx(0.0552885, abs=1e-7)]


def test_equal_values_everywhere_are_one_run_against_one():
    assert compare([([2.0] * 4, [2.0] * 3)], direction="maximize") == replace(
        compare([([2.0], [2.0])], direction="maximize"), flags=("identical_replicates", "insufficient_replicates")
    )


@pytest.mark.parametrize("blocks", [[([0.9], [0.5])] * 5, [([1.0 + n], [float(n)]) for n in range(5)], [([0.1 * n + 0.3], [0.1 * n]) for n in range(5)]])
def test_pairs_that_all_differ_by_the_same_are_copies_and_only_their_sign_counts(blocks):
    found = compare(blocks, direction="maximize")
    assert found.score == pytest.approx(0.0552885, abs=1e-7)
    assert (found.method, found.flags[:2]) == ("sign_only", ("identical_replicates", "insufficient_replicates"))


def test_a_block_with_one_side_is_left_out_and_said_to_be():
    whole = compare([(X, B)], direction="maximize")
    assert compare([(X, B), ([5.0], [])], direction="maximize") == replace(whole, flags=("unmatched_runs",))
    assert compare([(X, B), ([], [])], direction="maximize") == whole


def test_a_baseline_that_is_zero_but_for_rounding_has_no_relative_change():
    found = compare([([0.5, 0.4], [0.1 + 0.2, -0.3])], direction="maximize")
    assert (found.relative, "zero_baseline" in found.flags) == (None, True)


@pytest.mark.parametrize(
    ("blocks", "terms", "said"),
    [
        ([], {}, "nothing to compare"),
        ([([], [])], {}, "nothing to compare"),
        ([([1.0], [])], {}, "nothing to compare"),
        ([([1.0, math.nan], [1.0])], {}, "finite values"),
        ([([1.0], [math.inf])], {}, "finite values"),
        ([([1e301], [1.0])], {}, "finite values"),
        ([([1.0], [2.0])], {"direction": "up"}, "maximize or minimize, not 'up'"),
        ([([1.0], [2.0])], {"margin": -0.1}, "0 or more"),
        ([([1.0], [2.0])], {"margin": math.nan}, "0 or more"),
        ([([1.0], [2.0])], {"within_var": math.inf}, "0 or more"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(blocks, terms, said):
    with pytest.raises(ValueError, match=said):
        compare(blocks, **{"direction": "maximize", **terms})


def test_many_runs_are_compared_at_once():
    values = np.random.default_rng(5).normal(size=1000)
    found = compare([(values[:500] + 1, values[500:])], direction="maximize")
    assert isinstance(found, Comparison)
    assert found.score > 0.999


def test_judging_needs_no_django():
    code = "import sys, hypotheses.judging.rules; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
