"""The simulation that a reader may repeat: few repeats here, generous bounds, and proof that it judges as the product does."""

from __future__ import annotations

import numpy as np
import pytest

from bench import simulate
from bench.simulate import NULLS, Null, Rate, gaussian
from hypotheses.judging.comparison import compare


@pytest.mark.parametrize("null", NULLS, ids=lambda null: f"{null.name}, {null.looks} looks")
def test_watched_all_along_a_verdict_is_rarely_wrong(null: Null):
    rate = simulate.wrong_verdicts(null, np.random.default_rng(1), 500)
    assert max(rate.supported, rate.refuted) <= 0.08


def test_a_worthless_change_is_hardly_ever_supported_and_often_refuted():
    rate = simulate.worthless(np.random.default_rng(1), 500)
    assert rate.supported <= 0.02
    assert "(0% were)" not in rate.claim


def test_simpler_rules_are_wrong_as_often_as_is_said():
    at_once, watched, welch, welch_long = (rate.either for rate in simulate.other_methods(np.random.default_rng(1), 500))
    assert (at_once, watched, welch, welch_long) == tuple(pytest.approx(share, abs=0.08) for share in (0.49, 0.91, 0.157, 0.35))


def test_the_planned_power_is_the_simulated_one():
    for _, _, seen, planned, _, _ in simulate.seen_effects(np.random.default_rng(1), 1000):
        assert seen == pytest.approx(planned, abs=0.06) == pytest.approx(0.8, abs=0.06)


def test_every_look_of_the_simulation_is_judged_as_the_product_compares():
    null = Null("", gaussian(), gaussian(2.0), 5, margin=0.3, baseline_a_look=2)
    scores = simulate.judged(simulate.looked_at(null, np.random.default_rng(4), 20), sign=1, margin=0.3).score
    random = np.random.default_rng(4)
    x, b = random.normal(size=(20, 5)) + 0.3, random.normal(scale=2.0, size=(20, 10))
    expected = [[compare([(x[row, :k], b[row, : 2 * k])], direction="maximize", margin=0.3).score for k in range(1, 6)] for row in range(20)]
    assert scores == pytest.approx(np.array(expected))


def test_too_many_wrong_verdicts_are_noticed():
    assert simulate.worst_of([Rate("", "", 0.01, 0.02, 0.03, ""), Rate("", "", 0.06, float("nan"), 0.06, "")]) == 0.06


def test_it_prints_what_was_drawn_and_every_line(capsys: pytest.CaptureFixture[str]):
    simulate.main(["--repeats", "50", "--seed", "3"])
    printed = capsys.readouterr().out
    assert "50 repeats a line, seed 3" in printed
    assert all(null.name in printed for null in NULLS)
    assert "Welch p < .05" in printed


def test_nonsense_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        simulate.main(["--repeats", "0"])
    assert "--repeats is 1 or more" in capsys.readouterr().err
