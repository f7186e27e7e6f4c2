"""Several metrics, failed runs, many hypotheses: the rules that turn scores into a verdict."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypotheses.judging.comparison import compare
from hypotheses.judging.evidence import ALPHA, confidence
from hypotheses.judging.rules import adjust, attrition_gates, combine, decide, e_bh, worst_rank

E_VALUE = st.floats(0, 1e300) | st.floats(0, 200)
METRICS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.none() | st.tuples(E_VALUE, E_VALUE), min_size=1, max_size=6)
SCORES = st.floats(-1, 1, exclude_min=True, exclude_max=True)
STATUSES = st.sampled_from(["testing", "supported", "refuted"])


def share(pair: tuple[float, float] | None, count: int) -> float:
    """The score of one of `count` metrics that are all required."""
    e_pos, e_neg = pair or (1.0, 1.0)
    return float(confidence(e_pos, e_neg, a_neg=ALPHA / count))


@given(METRICS, st.none() | st.tuples(E_VALUE, E_VALUE))
def test_all_is_the_weakest_link_so_a_further_metric_can_only_pull_it_down_to_itself(metrics, added):
    """Against the same family of targets: the share of the error that each may use up for a refutation is that of the whole family."""
    more = {**metrics, "added": added}
    without = min(share(pair, len(more)) for pair in metrics.values())
    assert combine(more, mode="all") == pytest.approx(min(without, share(added, len(more))), abs=1e-15)
    assert combine(more, mode="all") <= without


@given(METRICS, st.none() | st.tuples(E_VALUE, E_VALUE))
def test_a_further_metric_never_makes_a_case_for_the_others(metrics, added):
    """Every metric must hold alone: no addition turns a family into a supported one in which some e-value is below 1/a."""
    if combine({**metrics, "added": added}, mode="all") >= 0.5:
        assert all(pair is not None and pair[0] >= 1 / ALPHA for pair in metrics.values())


@given(METRICS, st.none() | st.tuples(E_VALUE, E_VALUE))
def test_a_further_metric_raises_an_all_score_by_no_more_than_its_share_of_the_refuting_error(metrics, added):
    before, after = combine(metrics, mode="all"), combine({**metrics, "added": added}, mode="all")
    relief = max(share(pair, len(metrics) + 1) - share(pair, len(metrics)) for pair in metrics.values())
    assert after <= before + max(relief, 0.0) + 1e-12


@given(METRICS)
def test_any_is_all_in_the_mirror(metrics):
    mirrored = {name: pair and (pair[1], pair[0]) for name, pair in metrics.items()}
    assert combine(metrics, mode="any") == pytest.approx(-combine(mirrored, mode="all"), abs=1e-15)


@given(METRICS, st.sampled_from(["all", "any", "mean"]))
def test_a_combined_score_lies_strictly_between_minus_one_and_one(metrics, mode):
    assert -1 < combine(metrics, mode=mode) < 1


@given(st.tuples(E_VALUE, E_VALUE))
def test_of_one_metric_every_way_of_combining_says_the_same(pair):
    assert len({combine({"loss": pair}, mode=mode) for mode in ("all", "any", "mean")}) == 1


def test_supported_needs_every_metric_and_a_refutation_pays_for_the_choice_among_them():
    assert combine({"a": (1000.0, 0.1), "b": (21.0, 0.1)}, mode="all") >= 0.5
    assert combine({"a": (1000.0, 0.1), "b": (15.0, 0.1)}, mode="all") < 0.5
    assert combine({"a": (0.1, 41.0), "b": (1.0, 1.0)}, mode="all") <= -0.45
    assert combine({"a": (0.1, 39.0), "b": (1.0, 1.0)}, mode="all") > -0.5


@given(STATUSES, SCORES, st.sampled_from([[], ["attrition"], ["post_hoc", "baseline_not_confirmed"]]))
def test_a_verdict_needs_open_gates_and_a_score_on_its_side(previous, score, gates):
    status, shown = decide(previous, score, gates)
    assert abs(shown) < 0.5 or not gates
    assert status == "testing" or not gates
    assert status != "supported" or shown > 0.25
    assert status != "refuted" or shown < -0.25


@given(STATUSES, SCORES)
def test_deciding_twice_decides_the_same(previous, score):
    status, shown = decide(previous, score, [])
    assert decide(status, shown, []) == (status, shown)


@given(STATUSES, SCORES)
def test_verdicts_mirror(previous, score):
    mirror = {"supported": "refuted", "refuted": "supported", "testing": "testing"}
    status, shown = decide(previous, score, [])
    assert decide(mirror[previous], -score, []) == (mirror[status], -shown)


def test_a_verdict_is_left_at_half_its_threshold_and_turned_at_the_other():
    assert decide("supported", 0.25, []) == ("testing", 0.25)
    assert decide("refuted", -0.25, []) == ("testing", -0.25)
    assert decide("supported", -0.6, []) == ("refuted", -0.6)
    assert decide("supported", 0.6, [], support_threshold=0.7) == ("supported", 0.6)
    assert decide("testing", 0.9, ["attrition"], support_threshold=0.7) == ("testing", pytest.approx(0.686))


def test_a_proposed_hypothesis_stays_proposed_until_a_run_starts():
    assert decide("proposed", 0.9, []) == ("proposed", 0.49)
    assert decide("proposed", 0.0, []) == ("proposed", 0.0)


def test_the_worst_value_goes_to_failed_runs_of_both_arms():
    assert worst_rank([0.8], [0.7, 0.6], 1, 2, "maximize") == ([0.8, 0.6], [0.7, 0.6, 0.6, 0.6])
    assert worst_rank([0.8], [0.7, 0.6], 1, 0, "minimize") == ([0.8, 0.8], [0.7, 0.6])
    assert worst_rank([], [0.7, 0.6], 2, 0, "maximize") == ([0.6, 0.6], [0.7, 0.6])
    assert worst_rank([], [], 0, 0, "maximize") == ([], [])


SIDE = st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=6)


@given(SIDE, SIDE, st.integers(0, 3))
def test_failed_runs_of_the_linked_arm_never_help_it(x, b, failed):
    worst_x, worst_b = worst_rank(x, b, failed, 0, "maximize")
    assert sum(worst_x) / len(worst_x) <= sum(x) / len(x) + 1e-9
    assert worst_b == b


def test_attrition_closes_only_on_a_verdict_that_does_not_survive():
    assert attrition_gates("testing", 0.9, 0.3) == ("attrition",)
    assert attrition_gates("testing", -0.9, -0.3) == ("attrition",)
    assert attrition_gates("testing", 0.9, 0.6) == ()
    assert attrition_gates("testing", 0.4, -0.4) == ()
    assert attrition_gates("supported", 0.4, 0.3) == ()
    assert attrition_gates("supported", 0.4, 0.2) == ("attrition",)


def test_a_failed_run_can_take_a_verdict_back():
    x, b = [0.8, 0.81, 0.82, 0.8], [0.7, 0.71, 0.72, 0.71]
    before = compare([(x, b)], direction="maximize").score
    after = compare([worst_rank(x, b, 2, 0, "maximize")], direction="maximize").score
    assert decide("testing", before, attrition_gates("testing", before, after)) == ("testing", 0.49)


def test_among_many_hypotheses_those_stand_whose_e_values_carry_the_rate():
    assert e_bh([], 0.05) == []
    assert e_bh([19.0], 0.05) == []
    assert e_bh([20.0], 0.05) == [0]
    assert e_bh([20.0, 40.0], 0.05) == [0, 1]
    assert e_bh([19.0, 40.0], 0.05) == [1]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_adjusted_p_values_are_never_smaller_and_holms_are_the_largest(p):
    holm, bh = adjust(p)
    assert all(raw <= low + 1e-12 and low <= high + 1e-12 and high <= 1 for raw, low, high in zip(p, bh, holm, strict=True))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: combine({}, mode="all"), "at least one target"),
        (lambda: combine({"a": (1.0, 1.0)}, mode="most"), "all, any, mean"),
        (lambda: combine({"a": (math.inf, 1.0)}, mode="all"), "finite"),
        (lambda: combine({"a": (1.0, -1.0)}, mode="all"), "0 or more"),
        (lambda: decide("open", 0.1, []), "'open'"),
        (lambda: decide("testing", math.nan, []), "between -1 and 1"),
        (lambda: decide("testing", 0.1, [], support_threshold=0.4), "bound no error"),
        (lambda: decide("testing", 0.1, [], refute_threshold=0.0), "bound no error"),
        (lambda: worst_rank([], [], 1, 0, "maximize"), "no worst one"),
        (lambda: worst_rank([1.0], [], -1, 0, "maximize"), "0 or more"),
        (lambda: e_bh([1.0], 1.0), "between 0 and 1"),
        (lambda: adjust([0.5, math.nan]), "between 0 and 1"),
    ],
)
def test_what_cannot_be_decided_is_refused_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()
