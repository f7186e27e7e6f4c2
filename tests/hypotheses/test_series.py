"""From a series to one value, and the noise of its tail."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypotheses.judging.series import aggregate, is_unequal_horizon, tail_noise

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
    assert all(math.isfinite(number) for number in noise)
    assert noise.var >= 0
    assert 0 <= noise.rho < 1
    assert noise.n == 0 or 1 <= noise.ess <= noise.n
    assert how not in ("min", "max") or noise.var == 0


def test_the_tail_is_ten_points_or_a_fifth():
    assert [tail_noise([0.0] * count, "last").n for count in (0, 4, 10, 50, 51, 1000)] == [0, 4, 10, 10, 11, 200]


def test_a_straight_descent_has_no_noise_and_white_noise_has_its_variance():
    assert tail_noise([10 - 0.5 * step for step in range(60)], "last").var == pytest.approx(0, abs=1e-20)
    values = 3 - 0.01 * np.arange(5000) + 0.2 * np.random.default_rng(3).normal(size=5000)
    noise = tail_noise(values, "last")
    assert noise.var == pytest.approx(0.04, rel=0.2)
    assert tail_noise(values, "avg").var == pytest.approx(noise.var / noise.ess)


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
