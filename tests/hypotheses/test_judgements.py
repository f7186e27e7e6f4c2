"""Real runs on the real engine are judged, and what was judged is written down."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from importlib import import_module

import numpy as np
import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, User
from alerts.models import Alert
from experiments import deletion, lifecycle
from experiments.models import Experiment
from experiments.readings.numbers import Numbers
from hypotheses.judgements import histories
from hypotheses.judgements import judge as judgements
from hypotheses.judgements.gathering import gather, place_of
from hypotheses.judgements.values import read_values
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Target
from hypotheses.page.prospects import seen_in, spread_of
from hypotheses.tasks import judge_wanted
from hypotheses.weighing.readings import floor_of
from metrics import process
from projects.models import ProjectMetric

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.differs_on_servers("what is judged is read from the metric store and written in transactions, as JSON"),
]
RNG = np.random.default_rng(7)


def seeds(root: Experiment, count: int) -> list[Experiment]:
    return [Experiment.objects.create(project=root.project, name=f"base {n}", params=root.params | {"seed": n}, seed=n) for n in range(1, count + 1)]


def children(root: Experiment, count: int, width: int = 128) -> list[Experiment]:
    params = root.params | {"width": width}
    made = []
    for n in range(count):
        made.append(Experiment.objects.create(project=root.project, name=f"wide {n}", parent_experiment=root, params=params, seed=n, started_at=timezone.now()))
    return made


def link(hypothesis: Hypothesis, runs: list[Experiment], **more: object) -> None:
    for run in runs:
        Link.objects.create(hypothesis=hypothesis, experiment=run, is_post_hoc=run.is_ended, **more)


def noisy(centre: float) -> float:
    return float(centre + RNG.normal(0, 0.003))


def settled(claim: Hypothesis) -> Hypothesis:
    """Judged, and nothing that asks for more: the drain may note points a moment after they can be read."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        judgements.judge(claim.pk)
        time.sleep(0.2)
        claim.refresh_from_db()
        if claim.wanted_at is None:
            return claim
    raise AssertionError("It is wanted again and again.")


def test_a_clear_improvement_is_supported_and_written_down(claim, root, ran):
    wide = children(root, 5)
    link(claim, wide)
    for run in [root, *seeds(root, 4)]:
        ran(run, noisy(0.90))
    for run in wide:
        ran(run, noisy(0.95))
    settled(claim)
    assert claim.status == "supported"
    assert claim.score is not None
    assert claim.score > 0.5
    assert claim.sentence.startswith("Supported: 5 runs v 5, +5.")
    assert claim.wanted_at is None
    assert claim.claimed_at is None
    assert claim.frozen_at is not None
    past = histories.history(claim)
    assert [each.n_exp for each in past][-1] == 5
    assert past[-1].score == pytest.approx(claim.score)
    assert past[-1].status == "supported"
    assert [event.kind for event in claim.events.all()] == ["frozen", "status"]
    assert Alert.objects.get(kind="verdict").message.startswith("wider is better: testing → supported.")


def test_each_run_that_ended_since_has_a_point_in_the_history(claim, root, ran):
    wide = children(root, 3)
    link(claim, wide)
    for run in [root, *seeds(root, 1)]:
        ran(run, noisy(0.90))
    for run in wide:
        ran(run, noisy(0.95))
    settled(claim)
    assert [(each.n_exp, each.n_base) for each in histories.history(claim)][:3] == [(1, 2), (2, 2), (3, 2)]


def test_many_runs_that_end_at_once_leave_one_mark(claim, root, ran):
    wide = children(root, 3)
    link(claim, wide)
    for run in wide:
        ran(run, 0.95)
    claim.refresh_from_db()
    assert claim.wanted_at is not None
    assert "Looked at 1 hypotheses" in judge_wanted()
    settled(claim)
    assert "no baseline run has ended yet" in claim.missing


@pytest.mark.parametrize("points", [1, 9, 13, 40, 100])
def test_a_verdict_does_not_depend_on_how_often_a_run_logs(claim, root, log, alice, points):
    """8 v 8 runs with the same final values, +0.03 with sd 0.004: logged once, or as a learning curve."""
    Target.objects.filter(hypothesis=claim).update(smallest_effect=0.005)
    apart = np.random.default_rng(42).normal(size=(2, 8))
    apart = 0.004 * (apart - apart.mean(axis=1, keepdims=True)) / apart.std(axis=1, ddof=1, keepdims=True)
    wide = children(root, 8)
    link(claim, wide)
    falls = 0.6 * (np.exp(-5 * np.linspace(0, 1, points)) - np.exp(-5.0)) if points > 1 else np.zeros(1)
    for run, end in zip([root, *seeds(root, 7), *wide], [*(0.90 + apart[0]), *(0.93 + apart[1])], strict=True):
        log(run, {"accuracy": (end - falls).tolist()})
        lifecycle.complete(run, by=alice)
    settled(claim)
    assert claim.status == "supported", claim.sentence


def test_a_step_that_was_logged_again_counts_once_in_the_tail(claim, root, log, alice):
    """A job that resumed logs its last steps again: the floor is that of the values that count."""
    wide = children(root, 3)
    link(claim, wide)
    for n, run in enumerate([root, *seeds(root, 2), *wide]):
        value = (0.95 if run in wide else 0.90) + 0.001 * n
        log(run, {"accuracy": [0.0] * 20}, steps=range(40, 60))
        log(run, {"accuracy": [value] * 60}, steps=range(60))
        lifecycle.complete(run, by=alice)
    settled(claim)
    assert claim.status == "supported", claim.sentence
    assert "noise_floor" not in judgements.read(claim).readings[0].comparison.flags


def test_the_noise_of_a_run_is_that_of_its_steps_however_often_its_beginning_was_logged(claim, root, log, alice):
    values = [float(RNG.normal(0.9, 0.01)) for _ in range(400)]
    plain, resumed = seeds(root, 2)
    for run in (plain, resumed):
        log(run, {"accuracy": values})
    log(resumed, {"accuracy": values[:60]}, steps=range(60))
    read = read_values(process.repository(), place_of(claim), [plain.pk, resumed.pk], {"accuracy": "last"})
    assert read[plain.pk]["accuracy"].noise_var == pytest.approx(read[resumed.pk]["accuracy"].noise_var)
    assert read[plain.pk]["accuracy"].noise_var > 0


def test_the_preview_and_the_judgement_read_one_noise(claim, root, log, alice):
    wide = children(root, 2)
    link(claim, wide)
    for run in [root, *seeds(root, 1), *wide]:
        log(run, {"accuracy": [noisy(0.9) for _ in range(100)]})
        lifecycle.complete(run, by=alice)
    settled(claim)
    case, metric = gather(claim, process.repository()), claim.targets.get().metric
    assert seen_in(claim.project, metric, Numbers()).noise == pytest.approx(floor_of(case.terms[0], [*case.linked, *case.baseline]))
    assert seen_in(claim.project, metric, Numbers()).noise > 0
    assert spread_of([[0.9, 0.9]], noise=0.003**2).sd == pytest.approx(0.003)


def test_what_was_judged_before_the_floor_was_mended_is_judged_anew_and_says_so_once(claim, project, root, ran):
    link(claim, children(root, 1))
    ran(root, 0.9)
    settled(claim)
    untouched = Hypothesis.objects.create(project=project, title="never judged")
    import_module("hypotheses.migrations.0003_judged_anew").judge_anew(apps, None)
    claim.refresh_from_db()
    untouched.refresh_from_db()
    assert claim.wanted_at is not None
    assert untouched.wanted_at is None
    settled(claim)
    assert [(event.hypothesis, event.kind) for event in HypothesisEvent.objects.filter(kind="method")] == [(claim, "method")]


def test_runs_linked_after_they_ended_do_not_count_but_are_shown(claim, root, ran):
    wide = children(root, 5)
    for run in [root, *seeds(root, 4)]:
        ran(run, noisy(0.90))
    for run in wide:
        ran(run, noisy(0.95))
    link(claim, wide)
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert (judgement.status, judgement.score) == ("testing", 0.0)
    assert judgement.exploratory is not None
    assert judgement.exploratory > 0.5
    assert [arm.is_post_hoc for arm in judgement.arms] == [True]
    assert "suggested the claim and cannot confirm it" in judgement.sentence


def test_failed_runs_that_would_change_the_verdict_close_a_gate(claim, root, ran):
    wide = children(root, 7)
    link(claim, wide)
    for run in [root, *seeds(root, 4)]:
        ran(run, noisy(0.90))
    for run in wide[:5]:
        ran(run, noisy(0.95))
    for run in wide[5:]:
        ran(run, 0.1, failed="diverged")
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert [gate.name for gate in judgement.closed] == ["attrition"]
    assert judgement.status == "testing"
    assert judgement.score == pytest.approx(0.49)
    assert judgement.raw_score > 0.5
    for run in wide[5:]:
        Experiment.objects.filter(pk=run.pk).update(failure_kind="interrupted")
    again = judgements.judge(claim.pk)
    assert again is not None
    assert again.status == "supported"


def test_a_run_that_ends_in_nan_has_no_value_and_counts_as_failed(claim, root, log, ran, alice):
    (wide, *_) = runs = children(root, 2)
    link(claim, runs)
    ran(root, 0.9)
    log(wide, {"accuracy": [0.9, "NaN"]})
    lifecycle.complete(wide, by=alice)
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert judgement.readings[0].failed == 1
    assert judgement.readings[0].comparison is None


def test_one_run_against_one_says_the_direction_only(claim, root, ran):
    (wide,) = children(root, 1)
    link(claim, [wide])
    ran(root, 0.9)
    ran(wide, 0.95)
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert judgement.score == pytest.approx(0.0552885, abs=1e-6)
    assert "one run each, so direction only" in judgement.sentence


def test_the_best_arm_is_chosen_by_old_runs_which_then_only_choose(project, metric, root, ran):
    good = children(root, 3, width=64)
    for run in [root, *seeds(root, 2)]:
        ran(run, noisy(0.90))
    for run in good:
        ran(run, noisy(0.93))
    claim = Hypothesis.objects.create(project=project, title="widest", baseline="best")
    Target.objects.create(hypothesis=claim, metric=metric)
    wide = children(root, 3, width=256)
    link(claim, wide)
    for run in wide:
        ran(run, noisy(0.95))
    judgement = judgements.judge(claim.pk)
    claim.refresh_from_db()
    assert judgement is not None
    assert claim.frozen == {"arms": [good[0].replicate_key], "chosen_by": sorted(str(run.pk) for run in good)}
    assert "baseline_not_confirmed" in [gate.name for gate in judgement.closed]
    for run in children(root, 2, width=64):
        ran(run, noisy(0.93))
    again = judgements.judge(claim.pk)
    assert again is not None
    assert not again.closed
    assert again.readings[0].comparison.n_base == 2


def test_a_new_epoch_counts_only_what_came_after(claim, root, ran):
    wide = children(root, 2)
    link(claim, wide)
    for run in [root, *wide]:
        ran(run, noisy(0.9))
    Hypothesis.objects.filter(pk=claim.pk).update(epoch=2, epoch_began_at=timezone.now() + timedelta(seconds=1), frozen_at=None)
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert [arm.is_post_hoc for arm in judgement.arms] == [True]
    assert judgement.score == 0


@pytest.mark.parametrize("is_given", [True, False])
def test_paired_runs_are_compared_seed_by_seed_also_where_only_their_params_tell_it(claim, root, ran, is_given):
    Hypothesis.objects.filter(pk=claim.pk).update(paired=True)
    base = [root, *seeds(root, 4)]
    wide = children(root, 5)
    if not is_given:
        for n, (one, other) in enumerate(zip(base, wide, strict=True)):
            for run in (one, other):
                Experiment.objects.filter(pk=run.pk).update(seed=None, params=run.params | {"trainer": {"seed": n}})
                run.refresh_from_db()
    link(claim, wide)
    for n, (one, other) in enumerate(zip(base, wide, strict=True)):
        ran(one, 0.5 + 0.1 * n + float(RNG.normal(0, 0.002)))
        ran(other, 0.55 + 0.1 * n + float(RNG.normal(0, 0.002)))
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert judgement.status == "supported", judgement


def test_a_judgement_in_hand_is_not_begun_again(claim):
    Hypothesis.objects.filter(pk=claim.pk).update(claimed_at=timezone.now())
    assert judgements.judge(claim.pk) is None
    Hypothesis.objects.filter(pk=claim.pk).update(claimed_at=timezone.now() - timedelta(days=1))
    assert judgements.judge(claim.pk) is not None


def test_late_points_of_an_ended_run_ask_for_a_judgement(claim, root, ran, log):
    wide = children(root, 2)
    link(claim, wide)
    for run in [root, *wide]:
        ran(run, noisy(0.9))
    settled(claim)
    log(root, {"accuracy": [0.1]}, steps=[99])
    deadline = time.monotonic() + 20
    while not Hypothesis.objects.wanted().exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert Hypothesis.objects.wanted().get() == claim


def test_a_proposed_hypothesis_is_tested_once_its_first_run_starts(claim, root, alice):
    Hypothesis.objects.filter(pk=claim.pk).update(status="proposed")
    planned = Experiment.objects.create(project=root.project, name="plan", parent_experiment=root, status="planned", params={"width": 64})
    link(claim, [planned])
    lifecycle.start(planned, by=alice)
    claim.refresh_from_db()
    assert claim.status == "testing"
    assert HypothesisEvent.objects.get(hypothesis=claim).sentence == "Testing: its first linked run, plan, started."


def test_a_percent_of_a_baseline_of_zero_closes_a_gate(claim, root, ran):
    claim.targets.update(smallest_effect=5, unit="percent")
    wide = children(root, 2)
    link(claim, wide)
    for run in [root, *seeds(root, 1)]:
        ran(run, 0.0)
    for run in wide:
        ran(run, noisy(0.9))
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert "margin" in [gate.name for gate in judgement.closed]


def test_a_deleted_baseline_closes_a_gate(project, metric, root, ran, alice):
    other = Experiment.objects.create(project=project, name="other", params={"depth": 3})
    claim = Hypothesis.objects.create(project=project, title="better than other", baseline="experiment", baseline_experiment=other)
    Target.objects.create(hypothesis=claim, metric=metric)
    deletion.delete([other], by=alice)
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert [gate.name for gate in judgement.closed if gate.name == "baseline_deleted"]


@pytest.mark.slow
def test_five_hundred_runs_and_five_metrics_are_judged_at_once(project, root, store, alice):
    names = [f"m{n}" for n in range(5)]
    claim = Hypothesis.objects.create(project=project, title="many")
    for name in names:
        metric = ProjectMetric.objects.create(project=project, name=name, direction="maximize")
        Target.objects.create(hypothesis=claim, metric=metric, smallest_effect=0.001)
    runs = [root, *seeds(root, 9), *children(root, 500)]
    put_all(store, runs, names)
    now = timezone.now()
    for n, run in enumerate(runs):
        Experiment.objects.filter(pk=run.pk).update(status="complete", finished_at=now - timedelta(seconds=600 - n))
    Link.objects.bulk_create([Link(hypothesis=claim, experiment=run, linked_at=now - timedelta(seconds=900)) for run in runs[10:]])
    judgements.judge(claim.pk)
    before = time.perf_counter()
    judgement = judgements.judge(claim.pk)
    print(f"500 runs x 5 metrics: {time.perf_counter() - before:.2f} s")
    assert judgement is not None
    assert [each.comparison.n_exp for each in judgement.readings if each.comparison] == [500] * 5


def put_all(store, runs: list[Experiment], names: list[str]) -> None:
    """A hundred points of each metric of each run, straight through the spool's door."""
    writer, _ = User.objects.get_or_create(username="logger", defaults={"is_superuser": True})
    _, secret = ApiToken.issue(user=writer, team=runs[0].project.team, name="logger")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    for run in runs:
        body = {"steps": list(range(100)), "metrics": {name: RNG.normal(0.9, 0.01, 100).tolist() for name in names}}
        address = f"/api/v1/metrics/log-batch/{run.project_id}/{run.pk}"
        assert client.post(address, data=json.dumps(body), content_type="application/json").status_code == 200
    assert store.drain.wait_visible(store.spool.last_row(), timeout_s=60)
