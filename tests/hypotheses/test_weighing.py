"""Cases are weighed as the method says: who is compared with whom, what closes a gate, what the sentence tells."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from hypotheses.judging.comparison import compare
from hypotheses.weighing.cases import Case, Gate, Judgement, Run, Term, Value
from hypotheses.weighing.readings import Thresholds
from hypotheses.weighing.sentences import least_to_decide
from hypotheses.weighing.verdicts import weigh

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
TERM = Term("accuracy", "maximize", "last", 0.0, False)
GOOD, BASE = [0.80, 0.81, 0.82], [0.70, 0.71, 0.72]


def run(value: float | None, *, arm: str = "wide", root: str = "root", metric: str = "accuracy", **more) -> Run:
    """A complete run, or one that `more` makes something else of."""
    status = more.pop("status", "ok" if value is not None else "missing")
    points, noise = more.pop("points", 10), more.pop("noise", 0.0)
    name = f"run {uuid.uuid4().hex[:6]}"
    given = {"id": uuid.uuid4(), "slug": name, "name": name, "seed": None, "state": "complete", "finished_at": NOW, "is_post_hoc": False, "change": arm}
    given |= {"arm": arm, "root_arm": root, "values": {} if status == "missing" else {metric: Value(value, status, points, noise)}}
    return Run(**(given | more))


def runs(values, **more) -> tuple[Run, ...]:
    return tuple(run(value, **more) for value in values)


def base(values, **more) -> tuple[Run, ...]:
    return runs(values, **({"arm": "root"} | more))


def case(linked, baseline=None, **more) -> Case:
    given = {"hypothesis_id": uuid.uuid4(), "mode": "all", "terms": (TERM,), "is_paired": False, "previous": "testing", "epoch": 1}
    given |= {"baseline_kind": "root", "frozen_at": NOW, "linked": tuple(linked), "baseline": tuple(base(BASE) if baseline is None else baseline)}
    return Case(**(given | more))


def weighed(linked, baseline=None, **more) -> Judgement:
    return weigh(case(linked, baseline, **more), at=NOW)


def closed(judgement: Judgement) -> list[str]:
    return [gate.name for gate in judgement.closed]


def gate(judgement: Judgement, name: str) -> Gate:
    return next(each for each in judgement.gates if each.name == name)


# Who is compared with whom


def test_three_runs_against_three_are_supported_by_the_score_of_the_vectors():
    judgement = weighed(runs(GOOD))
    assert (judgement.status, judgement.missing) == ("supported", "")
    assert judgement.score == pytest.approx(0.7702215633111803, abs=1e-9)
    assert judgement.sentence == "Supported: 3 runs v 3, +14.1% (anytime 95% CI +5.82 to +22.4), score 0.77; its one target."


def test_worse_runs_refute():
    judgement = weighed(runs(BASE), base(GOOD))
    assert judgement.status == "refuted"
    assert judgement.sentence.startswith("Refuted: 3 runs v 3, −12.3% (anytime 95% CI −19.6 to −5.1")


def test_the_order_of_runs_changes_nothing():
    one, other = weighed(runs(GOOD), base(BASE)), weighed(runs(GOOD[::-1]), base([0.71, 0.72, 0.70]))
    assert (one.score, one.sentence) == (other.score, other.sentence)


@pytest.mark.parametrize("state", ["planned", "running"])
def test_a_run_that_has_not_ended_is_no_evidence(state):
    judgement = weighed([*runs(GOOD), run(0.1, state=state, finished_at=None)])
    assert judgement.readings[0].comparison.n_exp == 3
    assert judgement.status == "supported"


def test_a_run_of_the_baseline_arm_is_no_comparison():
    judgement = weighed([*runs(GOOD), run(0.9, arm="root")])
    assert [arm.key for arm in judgement.arms] == ["wide"]
    assert judgement.readings[0].comparison.n_exp == 3


def test_runs_of_one_change_are_one_arm_with_a_score_of_its_own_and_all_are_pooled():
    judgement = weighed([*runs(GOOD, arm="wide"), *runs([0.75, 0.76], arm="deep")])
    assert [(arm.key, len(arm.runs)) for arm in judgement.arms] == [("wide", 3), ("deep", 2)]
    assert judgement.readings[0].comparison.n_exp == 5
    assert judgement.arms[0].score == pytest.approx(compare([(GOOD, BASE)], direction="maximize").score)


def test_linked_runs_of_several_roots_are_compared_each_with_its_own():
    levels = {"a": 0.0, "b": 10.0}
    linked = [each for root, level in levels.items() for each in runs([level + value for value in GOOD], arm=f"wide {root}", root=root)]
    bases = [each for root, level in levels.items() for each in base([level + value for value in BASE], arm=root, root=root)]
    judgement = weighed(linked, bases)
    blocks = [([level + value for value in GOOD], [level + value for value in BASE]) for level in levels.values()]
    assert judgement.readings[0].comparison == compare(blocks, direction="maximize")
    assert judgement.arms[0].readings[0].comparison == compare(blocks[:1], direction="maximize")


def test_the_root_of_runs_that_do_not_count_is_no_baseline_for_those_that_do():
    judgement = weighed([*runs(GOOD), *runs([5.0, 5.1], root="other", is_post_hoc=True)], [*base(BASE), *base([9.0, 9.1], arm="other", root="other")])
    assert judgement.readings[0].comparison.n_base == 3
    assert judgement.exploratory_readings[0].comparison.n_base == 2


def test_with_another_baseline_than_the_roots_there_is_one_block_whatever_the_roots():
    linked = [*runs(GOOD[:2], root="a"), *runs(GOOD[2:], root="b")]
    judgement = weighed(linked, base(BASE, arm="best"), baseline_kind="best")
    assert judgement.readings[0].comparison == compare([(GOOD, BASE)], direction="maximize")


def test_paired_runs_are_compared_by_seed_and_those_without_a_partner_are_left_out():
    levels = range(5)
    linked = [run(level + 0.05 + 0.001 * level, seed=level) for level in levels]
    bases = [run(float(level), arm="root", seed=level) for level in levels]
    alone = [run(99.0, seed=99), run(98.0, seed=None)]
    judgement = weighed([*linked, *alone], bases, is_paired=True)
    assert judgement.readings[0].comparison.n_exp == 5
    assert "unmatched_runs" in judgement.readings[0].comparison.flags
    assert "without a partner" in gate(judgement, "replicates").sentence
    assert judgement.status == "supported"
    assert weighed(linked, bases).status == "testing"


# What the sizes mean


def test_a_margin_in_percent_is_that_of_the_baselines_mean():
    judgement = weighed(runs(GOOD), terms=(Term("accuracy", "maximize", "last", 10.0, True),))
    assert judgement.readings[0].margin == pytest.approx(0.071)
    assert judgement.readings[0].comparison == compare([(GOOD, BASE)], direction="maximize", margin=judgement.readings[0].margin)


def test_a_percentage_of_a_baseline_of_zero_closes_a_gate_that_says_what_to_do():
    judgement = weighed(runs(GOOD), base([-0.01, 0.0, 0.01]), terms=(Term("accuracy", "maximize", "last", 10.0, True),))
    assert closed(judgement) == ["margin"]
    assert judgement.status == "testing"
    assert abs(judgement.score) <= 0.49
    assert judgement.missing == "Smallest effect is closed: Give the smallest effect that matters in the metric's unit."


def test_the_noise_of_the_runs_tails_is_a_floor_for_the_variance_between_them():
    quiet, loud = weighed(runs(GOOD)), weighed(runs(GOOD, noise=0.05), base(BASE, noise=0.05))
    assert "noise_floor" in loud.readings[0].comparison.flags
    assert loud.score < quiet.score


def test_less_is_better_where_the_metric_says_so():
    judgement = weighed(runs(BASE), base(GOOD), terms=(Term("accuracy", "minimize", "last", 0.0, False),))
    assert judgement.status == "supported"
    assert "+12.3%" in judgement.sentence


# Gates


def test_one_run_against_one_is_direction_only_whatever_the_delta():
    for value in (0.72, 700.0):
        judgement = weighed(runs([value]), base([0.71]))
        assert judgement.score == pytest.approx(0.0552885, abs=1e-7)
        assert closed(judgement) == ["replicates"]
        assert judgement.sentence.endswith("one run each, so direction only. 2 more seeds a side would tell more.")


def test_one_run_against_one_is_shown_against_the_usual_spread_where_that_is_known():
    judgement = weighed(runs([0.741]), base([0.71]), usual_sd={"accuracy": 0.01})
    assert judgement.sentence == "Testing: +0.031 in accuracy, 3.1 x your usual spread; one run each, so direction only. 2 more seeds a side would tell more."


def test_one_run_against_any_number_is_held_short_of_a_verdict():
    judgement = weighed(runs([0.9]), base([0.7 + 0.0001 * n for n in range(50)]))
    assert judgement.raw_score > 0.5 or judgement.score <= 0.49
    assert (judgement.status, closed(judgement)) == ("testing", ["replicates"])
    assert "1 more linked run" in judgement.missing


def test_two_against_two_are_told_what_the_least_is_that_can_decide():
    judgement = weighed(runs([0.80, 0.81]), base([0.70, 0.71]))
    assert judgement.status == "testing"
    assert judgement.missing == "1 more linked run, with every target's metric: fewer can decide nothing."


@pytest.mark.parametrize(("have", "least"), [((0, 0), (3, 2)), ((1, 1), (2, 1)), ((2, 2), (1, 0)), ((3, 2), (0, 0)), ((0, 5), (2, 0))])
def test_the_least_that_can_decide(have, least):
    assert least_to_decide(*have) == least


def test_copies_of_one_run_are_one_run():
    judgement = weighed(runs([0.8] * 10), base([0.7] * 10))
    assert judgement.score == pytest.approx(0.0552885, abs=1e-7)
    assert closed(judgement) == ["replicates"]


def test_a_verdict_that_failed_runs_would_undo_closes_attrition_as_in_the_vectors():
    good, bases = [0.80, 0.81, 0.82, 0.80], [0.70, 0.71, 0.72, 0.71]
    failed = runs([None, None], state="diverged")
    judgement = weighed([*runs(good), *failed], base(bases))
    assert judgement.raw_score == pytest.approx(0.9747936395694486, abs=1e-9)
    assert (judgement.status, judgement.score, closed(judgement)) == ("testing", pytest.approx(0.49), ["attrition"])
    assert judgement.readings[0].failed == 2


def test_a_verdict_that_survives_failed_runs_stands():
    judgement = weighed([*runs([0.80 + n / 1000 for n in range(20)]), run(None, state="crashed")], base([0.70 + n / 1000 for n in range(20)]))
    assert judgement.status == "supported"
    assert "survives" in gate(judgement, "attrition").sentence


def test_failed_baseline_runs_count_as_well():
    judgement = weighed(runs(BASE), [*base(GOOD), *base([None, None, None], state="crashed")])
    assert closed(judgement) == ["attrition"]
    assert judgement.readings[0].baseline_failed == 3


def test_interrupted_runs_are_exempt():
    judgement = weighed([*runs(GOOD), *runs([None] * 5, state="interrupted")])
    assert judgement.status == "supported"
    assert gate(judgement, "attrition").sentence == "no run failed"


def test_a_run_that_diverged_in_one_metric_failed_in_that_metric_alone():
    terms = (TERM, Term("loss", "minimize", "last", 0.0, False))
    odd = run(None, status="non_finite")
    judgement = weighed([*runs(GOOD), odd], terms=terms)
    assert [each.failed for each in judgement.readings] == [1, 0]


def test_a_failed_pair_gets_the_worst_value_of_all_and_not_that_of_its_partner():
    linked = [run(0.8 + 0.01 * n, seed=n) for n in range(6)] + [run(None, seed=6, state="diverged")]
    bases = [run(0.7 + 0.0101 * n, arm="root", seed=n) for n in range(7)]
    judgement = weighed(linked, bases, is_paired=True)
    assert judgement.raw_score > 0.5
    assert closed(judgement) == ["attrition"]


@pytest.mark.parametrize(("how", "is_closed"), [("max", True), ("min", True), ("last", False), ("avg", False)])
def test_runs_of_unlike_length_close_the_horizon_of_smallest_and_largest_values(how, is_closed):
    judgement = weighed(runs(GOOD, points=12), base(BASE, points=10), terms=(Term("accuracy", "maximize", how, 0.0, False),))
    assert closed(judgement) == (["horizon"] if is_closed else [])


def test_what_gathering_closed_holds_the_score():
    shut = Gate("baseline_not_confirmed", "Baseline confirmed", False, "0 ended since", "Run it again.")
    judgement = weighed(runs(GOOD), closed=(shut,), previous="supported")
    assert (judgement.status, judgement.score) == ("testing", pytest.approx(0.49))
    assert judgement.missing == "Baseline confirmed is closed: Run it again."


def test_every_closed_gate_says_what_opens_it():
    shut = [
        weighed(runs([0.9]), base([0.7])),
        weighed([*runs(GOOD), *runs([None] * 3, state="crashed")]),
        weighed(runs(GOOD, points=99), terms=(Term("accuracy", "maximize", "max", 0.0, False),)),
        weighed(runs(GOOD), base([-0.01, 0.0, 0.01]), terms=(Term("accuracy", "maximize", "last", 10.0, True),)),
    ]
    found = [each for judgement in shut for each in judgement.closed]
    assert {each.name for each in found} == {"replicates", "attrition", "horizon", "margin"}
    assert all(each.opens for each in found)


# After the fact, and anew


def test_runs_post_hoc_are_arms_of_their_own_with_a_score_that_confirms_nothing():
    judgement = weighed(runs(GOOD, is_post_hoc=True))
    assert (judgement.status, judgement.score) == ("testing", 0.0)
    assert judgement.exploratory == pytest.approx(0.7702215633111803, abs=1e-9)
    assert [arm.is_post_hoc for arm in judgement.arms] == [True]
    assert "suggested the claim" in gate(judgement, "post_hoc").sentence
    assert "fresh runs" in gate(judgement, "post_hoc").opens


def test_an_arm_with_both_kinds_of_runs_is_two_arms():
    judgement = weighed([*runs(GOOD), *runs([0.99], is_post_hoc=True)])
    assert [(arm.key, arm.is_post_hoc, len(arm.runs)) for arm in judgement.arms] == [("wide", False, 3), ("wide", True, 1)]
    assert judgement.readings[0].comparison.n_exp == 3


def test_a_later_epoch_is_told():
    assert gate(weighed(runs(GOOD), epoch=2), "epoch").title == "Epoch 2"


# Several targets


def two(mode: str, second: list[float], **more) -> Judgement:
    terms = (TERM, Term("loss", "minimize", "last", 0.0, False))
    linked = list(map(both, GOOD, second))
    return weighed(linked, [both(value, 1.0 + 0.01 * n, arm="root") for n, value in enumerate(BASE)], mode=mode, terms=terms, **more)


def both(accuracy: float, loss: float | None, *, arm: str = "wide") -> Run:
    one = run(accuracy, arm=arm)
    values = dict(one.values) | ({"loss": Value(loss, "ok", 10, 0.0)} if loss is not None else {})
    return Run(**{name: getattr(one, name) for name in one.__dataclass_fields__} | {"values": values})


def test_all_is_the_weakest_link_and_says_how_many_targets():
    assert two("all", [0.9, 0.91, 0.92]).sentence.endswith("; all 2 targets.")
    assert two("all", [1.0, 1.01, 1.02]).status == "testing"
    assert two("any", [1.0, 1.01, 1.02]).status == "supported"
    assert two("mean", [1.0, 1.01, 1.02]).status == "testing"


def test_a_metric_that_nobody_logs_supports_nothing_where_all_are_required():
    judgement = two("all", [None, None, None])
    assert judgement.status == "testing"
    assert judgement.readings[1].comparison is None
    assert closed(judgement) == ["replicates"]


def test_a_metric_that_nobody_logs_leaves_any_other_free_to_support():
    judgement = two("any", [None, None, None])
    assert judgement.status == "supported"
    assert "decide alone" in gate(judgement, "replicates").sentence


# The verdict, and what is missing


def test_a_verdict_is_left_at_half_its_threshold():
    few = runs([0.72, 0.725, 0.7301]), base([0.70, 0.712, 0.705])
    score = weighed(*few).score
    assert 0.25 < score < 0.5
    assert weighed(*few).status == "testing"
    assert weighed(*few, previous="supported").status == "supported"


def test_higher_thresholds_ask_for_more():
    assert weigh(case(runs(GOOD)), at=NOW, thresholds=Thresholds(0.8, -0.8)).status == "testing"
    assert weigh(case(runs(GOOD)), at=NOW, thresholds=Thresholds(0.77, -0.77)).status == "supported"


def test_a_proposed_claim_stays_one_whatever_the_score():
    assert weighed(runs(GOOD), previous="proposed").status == "proposed"


def test_a_margin_of_zero_cannot_be_refuted_by_a_true_zero_and_that_is_said():
    judgement = weighed(runs([0.70, 0.711, 0.719, 0.712]), base([0.701, 0.71, 0.72, 0.713]))
    assert "no effect at all stays testing for ever" in judgement.missing


def test_the_runs_still_needed_are_those_for_the_smallest_effect_that_matters():
    judgement = weighed(runs([0.71, 0.72, 0.70, 0.713]), base([0.70, 0.71, 0.72]), terms=(Term("accuracy", "maximize", "last", 0.02, False),))
    need = next(each for each in judgement.needs if not each.arm)
    assert (need.effect, need.n_exp, need.n_base) == (0.02, 4, 3)
    assert None not in (need.needed, need.add_exp, need.add_base)
    assert need.n_exp + need.add_exp == need.needed
    assert 0 <= need.needed - (need.n_base + need.add_base) <= 1
    assert f"{need.add_exp} more linked and {need.add_base} more baseline runs" in judgement.missing


@pytest.mark.parametrize(
    ("linked", "baseline", "said"),
    [
        ((), base(BASE), "no run tests it yet"),
        ((run(None, state="running", finished_at=None),), base(BASE), "1 linked run has not ended yet."),
        (runs(GOOD), (), "no baseline run has ended yet"),
        (runs(GOOD, is_post_hoc=True), base(BASE), "the 3 linked runs suggested the claim and cannot confirm it"),
    ],
)
def test_what_is_missing_before_anything_can_be_compared(linked, baseline, said):
    judgement = weighed(linked, baseline)
    assert said in judgement.missing
    assert judgement.sentence.startswith("Testing: ")
    assert abs(judgement.score) < 0.5


def test_sixty_arms_are_weighed_at_once():
    linked = [each for n in range(60) for each in runs([0.8 + n / 1000, 0.81 + n / 1000], arm=f"arm {n}", finished_at=NOW + timedelta(minutes=n))]
    judgement = weighed(linked, terms=(Term("accuracy", "maximize", "last", 0.01, False),))
    assert len(judgement.arms) == 60
    assert len(judgement.needs) == 61
