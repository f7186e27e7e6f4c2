"""Where things lie: better is right, intervals stay inside, ticks are round, and numbers keep their digits."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hypotheses.drawings import forest_plot, scales, score_timeline, value_strips
from hypotheses.judging.comparison import compare
from hypotheses.weighing.cases import Arm, Reading, Run, Term, Value

BASE = [0.90, 0.902, 0.899, 0.901]
BETTER = [0.93, 0.931, 0.928]


def run(value: float | None, *, state: str = "complete", arm: str = "a", post_hoc: bool = False) -> Run:
    values = {"m": Value(value, "ok" if value is not None else "missing", 10, 0.0)}
    return Run(uuid.uuid4(), "slug", "name", arm, "root", 1, state, None, post_hoc, "", values)


def reading(values: Sequence[float], base: Sequence[float], direction: Literal["minimize", "maximize"] = "maximize", margin: float = 0.003) -> Reading:
    found = compare([(values, base)], direction=direction, margin=margin) if values and base else None
    return Reading(Term("m", direction, "last", margin, False), margin, found, 0, 0)


def arm(values: Sequence[float], base: Sequence[float], direction: Literal["minimize", "maximize"] = "maximize", *, post_hoc: bool = False) -> Arm:
    runs = tuple(run(value, post_hoc=post_hoc) for value in values) or (run(None, state="running"),)
    return Arm("a", "dropout", runs, post_hoc, (reading(values, base, direction),), None)


def place(text: str) -> float:
    return float(text.removesuffix("%"))


def forest_of(*arms: Arm, direction: Literal["minimize", "maximize"] = "maximize") -> forest_plot.Forest:
    return forest_plot.forest(arms, reading(BETTER, BASE, direction), index=0, score=0.5, decimals=4)


def test_better_is_right_whichever_way_the_metric_goes():
    up = forest_of(arm(BETTER, BASE))
    down = forest_of(arm([0.87, 0.869], BASE, "minimize"), direction="minimize")
    for found in (up, down):
        assert place(found.rows[0].estimate) > place(found.zero)
        assert all(place(dot.x) > place(found.zero) for dot in found.rows[0].runs)


def test_a_worse_arm_lies_left_of_zero_and_its_interval_around_it():
    row = forest_of(arm([0.85, 0.851, 0.849], BASE)).rows[0]
    assert place(row.estimate) < place(forest_of(arm([0.85, 0.851, 0.849], BASE)).zero)
    assert row.ci
    assert place(row.ci[0]) < place(row.estimate) < place(row.ci[1])


def test_an_arm_that_runs_still_has_a_row_that_says_so():
    row = forest_of(arm([], BASE)).rows[0]
    assert row.comparison is None
    assert row.note == "1 running"
    assert row.n == 0


def test_an_arm_post_hoc_has_no_score_of_its_own_and_the_pooled_row_counts_the_others():
    found = forest_of(arm(BETTER, BASE), arm(BETTER, BASE, post_hoc=True))
    assert found.rows[0].score is not None
    assert found.rows[1].score is None
    assert found.rows[2].name == "pooled, 1 arm"


def test_a_wide_interval_does_not_dwarf_the_estimates():
    scale = scales.scale_over([0.0, 0.01], intervals=[(-500.0, 500.0)])
    assert scale.share(0.01) - scale.share(0.0) > 0.25
    assert scale.span((-500.0, 500.0)) == ("0.00%", "100.00%")


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20), st.booleans())
@example([5e-324], False)
@example([1.0, 1.0000000000000002], False)
def test_every_value_lies_inside_and_ticks_are_few_and_in_order(values: list[float], is_flipped: bool):
    scale = scales.scale_over(values, is_flipped=is_flipped)
    assert all(0 <= scale.share(value) <= 1 for value in values)
    ticks = scale.ticks(has_signs=True)
    assert 1 <= len(ticks) <= scales.TICKS_MOST + 1
    places = [place(tick.at) for tick in ticks]
    assert places == sorted(places, reverse=is_flipped)


def test_equal_values_have_a_scale_too():
    scale = scales.scale_over([0.5, 0.5])
    assert 0 < scale.share(0.5) < 1


def test_strips_hold_every_run_and_count_those_that_failed():
    failed = Arm("a", "dropout", (run(0.93), run(None, state="diverged"), run(None, state="interrupted")), False, (reading([0.93], BASE),), None)
    found = value_strips.strips([failed], [run(value) for value in BASE], Term("m", "maximize", "last", 0.0, False))
    assert [row.n for row in found.rows] == [4, 1]
    assert [row.failed for row in found.rows] == [0, 1]
    assert found.rows[0].is_baseline
    assert found.base_mean == found.rows[0].mean_at


def test_strips_of_a_metric_to_minimise_run_from_right_to_left():
    found = value_strips.strips([], [run(1.0), run(2.0)], Term("m", "minimize", "last", 0.0, False))
    first, second = found.rows[0].dots
    assert place(first.x) > place(second.x)


def moment(n: int, score: float, status: str = "testing", note: str = "") -> score_timeline.Moment:
    return score_timeline.Moment(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n), n, score, status, 0.01, (0.0, 0.02), note)


def test_the_timeline_has_a_dot_a_judgement_and_a_note_where_the_status_changed():
    found = score_timeline.timeline([moment(1, 0.0), moment(2, 0.3), moment(3, 0.6, "supported", "3 v 5: supported")], margin=0.003, support=0.5, refute=-0.5)
    assert [dot.is_decided for dot in found.dots] == [False, False, True]
    assert [note.text for note in found.notes] == ["3 v 5: supported"]
    assert found.score == "M333 500L667 350L1000 200"
    assert found.band.endswith("Z")
    assert place(found.margin) < place(found.zero)
    assert [tick.text for tick in found.run_ticks] == ["1", "2", "3"]
    assert len(found.effect_ticks) > 2


def test_hundreds_of_judgements_are_a_line_without_dots():
    found = score_timeline.timeline([moment(n, 0.1) for n in range(300)], margin=0.0, support=0.5, refute=-0.5)
    assert found.dots == []
    assert found.margin == ""
    assert len(found.run_ticks) == 5


def test_the_gauge_points_where_the_score_is():
    found = score_timeline.gauge(0.5, support=0.5, refute=-0.5)
    assert found.needle == found.supported == "75.00%"
    assert found.refuted == "25.00%"


def test_a_spark_needs_two_judgements():
    assert score_timeline.spark([0.3]) == ""
    assert score_timeline.spark([-1.0, 1.0]) == "M0.0 20.0L96.0 0.0"


@pytest.mark.parametrize(("value", "text"), [(0.003, "0.003"), (0.5, "0.5"), (1.25e-7, "1.25e-7"), (-2.0, "−2"), (0, "0"), (None, "–")])
def test_brief_numbers_have_no_zeros_at_their_end(value: float | None, text: str):
    assert scales.brief(value) == text


@pytest.mark.parametrize(("score", "text"), [(0.7612, "+0.76"), (-0.004, "0.00"), (-0.5, "−0.50"), (None, "–")])
def test_scores_have_a_sign_and_two_decimals(score: float | None, text: str):
    assert scales.score_text(score) == text
