"""From a series to one value, and the noise of its tail."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypotheses.judging.series import aggregate, is_unequal_horizon, tail_length, tail_noise

HOW = st.sampled_from(["last", "min", "max", "avg"])
SERIES = st.lists(st.floats(), max_size=60) | st.lists(st.floats(-1e300, 1e300), max_size=60)


@given(SERIES, HOW)
def test_a_series_is_one_finite_value_or_says_why_not(series, how):
    value, status = aggregate(series, how)
    assert (value is None) == (status != "ok")
    assert (status == "missing") == (not series)
    if value is not None:
        finite = [each for each in series if math.isfinite(each)]
        assert min(finite) <= value <= max(finite) or value == pytest.approx(np.mean(finite))


@pytest.mark.parametrize(("place", "status"), [(-5, "non_finite"), (-6, "ok"), (0, "ok")])
def test_a_non_finite_point_among_the_last_five_is_a_run_that_diverged(place, status):
    series = [1.0] * 40
    series[place] = math.nan
    assert aggregate(series, "avg")[1] == status


def test_a_twentieth_of_non_finite_points_is_borne_and_more_is_not():
    assert aggregate([math.inf, *[1.0] * 19], "max") == (1.0, "ok")
    assert aggregate([math.inf, math.inf, *[1.0] * 37], "max") == (None, "non_finite")


def test_the_largest_floats_have_an_average():
    assert aggregate([1.7e308] * 3, "avg") == (pytest.approx(1.7e308), "ok")


@given(SERIES, HOW)
def test_tail_noise_is_finite_and_never_negative(series, how):
    noise = tail_noise(series, how)
    assert math.isfinite(noise)
    assert noise >= 0
    assert how == "last" or noise == 0
    assert sum(map(math.isfinite, series)) >= 46 or noise == 0


def test_the_tail_is_a_fifth_and_says_nothing_below_ten_points():
    assert [tail_length(count) for count in (0, 4, 45, 46, 51, 1000)] == [0, 1, 9, 10, 11, 200]
    loud = [(-1.0) ** step for step in range(46)]
    assert tail_noise(loud[:45], "last") == 0
    assert tail_noise(loud, "last") > 0


def test_the_end_of_a_series_says_the_same_as_the_whole():
    values = np.random.default_rng(5).normal(size=300).tolist()
    assert tail_noise(values[-80:], "last", of=300) == tail_noise(values, "last")
    assert tail_noise(values[-9:], "last", of=9) == 0


def test_a_straight_descent_has_no_noise_and_white_noise_has_its_variance():
    assert tail_noise([10 - 0.5 * step for step in range(60)], "last") == pytest.approx(0, abs=1e-20)
    values = 3 - 0.01 * np.arange(5000) + 0.2 * np.random.default_rng(3).normal(size=5000)
    assert tail_noise(values, "last") == pytest.approx(0.04, rel=0.2)


@pytest.mark.parametrize("points", [46, 60, 100, 1000])
def test_a_smooth_learning_curve_has_a_floor_below_a_hundredth_of_the_variance_between_runs(points):
    random = np.random.default_rng(11)
    ends = [0.9 + 0.004 * random.normal() for _ in range(8)]
    curves = [end - 0.5 * np.exp(-5 * np.linspace(0, 1, points)) for end in ends]
    floors = [tail_noise(curve, "last") for curve in curves]
    assert sum(floors) / len(floors) < 0.01 * np.var([curve[-1] for curve in curves], ddof=1)


@given(st.integers(0, 2**32 - 1), st.integers(2, 45), st.integers(2, 12))
def test_thinning_the_log_of_a_short_run_never_takes_a_verdict_away(seed, points, every):
    """Every k-th point and the last one: the values are the same, and so is the floor, which is none."""
    random = np.random.default_rng(seed)
    curve = 0.9 - 0.5 * np.exp(-np.linspace(0, 5, points)) + 0.01 * random.normal(size=points)
    thinned = curve[::-1][::every][::-1]
    assert aggregate(thinned, "last") == aggregate(curve, "last")
    assert tail_noise(thinned, "last") == tail_noise(curve, "last") == 0


def test_horizons_differ_where_a_run_is_a_tenth_longer_and_the_best_point_counts():
    assert is_unequal_horizon("min", [100, 100], [100, 89])
    assert is_unequal_horizon("max", [100], [112])
    assert not is_unequal_horizon("min", [100, 95], [95, 90])
    assert not is_unequal_horizon("last", [100], [10])
    assert not is_unequal_horizon("min", [], [10])


def test_an_unknown_aggregation_is_refused():
    for function in (aggregate, tail_noise):
        with pytest.raises(ValueError, match="last, min, max, avg, not 'median'"):
            function([1.0], "median")
