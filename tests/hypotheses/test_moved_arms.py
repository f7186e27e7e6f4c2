"""Arms that are put together anew under a claim: joined ones are told of once, and a baseline that is fixed keeps its arms where the seeds changed."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from config.errors import Invalid
from experiments.models import Experiment
from experiments.tasks import rekey
from hypotheses.claims.epochs import begin_epoch
from hypotheses.claims.linking import link as link_by_hand
from hypotheses.judgements import judge as judgements
from hypotheses.judgements.gathering import gather
from hypotheses.models import Hypothesis, HypothesisEvent
from metrics import process
from projects import services
from projects.seeds import DEFAULT
from tests.hypotheses.test_judgements import children, link, noisy, settled

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.differs_on_servers("arms are keys in the database, judged by points of the metric store"),
]
MIGRATIONS = ("experiments.migrations.0006_keys_by_value", "hypotheses.migrations.0004_kept_seeds")


def methods(claim: Hypothesis) -> list[str]:
    return list(HypothesisEvent.objects.filter(hypothesis=claim, kind="method").order_by("pk").values_list("sentence", flat=True))


def baseline(claim: Hypothesis) -> list[str]:
    claim = Hypothesis.objects.select_related("project__team", "baseline_experiment").get(pk=claim.pk)
    return sorted(run.name for run in gather(claim, process.repository()).baseline)


@pytest.fixture
def split(claim, root, ran, project) -> Hypothesis:
    """A claim against one experiment, judged on half of its baseline: the other half was sent as 32.0 and has a key of its own, as before."""
    Hypothesis.objects.filter(pk=claim.pk).update(baseline="experiment", baseline_experiment=root)
    claim.refresh_from_db()
    rows = [Experiment.objects.create(project=project, name=f"base {n}", params={"width": 32.0}, seed=n) for n in range(1, 4)]
    Experiment.objects.filter(pk__in=[row.pk for row in rows[1:]]).update(replicate_key="of 32.0")
    wide = children(root, 3)
    link(claim, wide)
    for run in [root, *rows]:
        ran(run, noisy(0.90))
    for run in wide:
        ran(run, noisy(0.95))
    return settled(claim)


def migrate() -> None:
    import_module(MIGRATIONS[0]).put_in_arms(apps, None)
    import_module(MIGRATIONS[1]).judge_joined(apps, None)


def test_a_verdict_on_half_of_a_baseline_is_judged_on_the_whole_and_the_history_says_so_once(split, api_for, erin):
    assert baseline(split) == ["base", "base 1"]
    written = [*HypothesisEvent.objects.filter(hypothesis=split).order_by("pk").values_list("sentence", "at")]
    migrate()
    split.refresh_from_db()
    assert split.wanted_at is not None
    settled(split)
    assert baseline(split) == ["base", "base 1", "base 2", "base 3"]
    (said,) = methods(split)
    assert said.startswith("Arms were joined since the last judgement: runs whose params are equal, 64 and 64.0 among them, seeds aside, are replicates.")
    assert " Concerned is the arm of base. " in said
    settled(split)
    assert methods(split) == [said]
    assert api_for(erin).get(f"/api/v1/hypotheses/{split.pk}/evidence").json()["moved_arms"] == {}  # the arm of the linked runs did not move
    assert [*HypothesisEvent.objects.filter(hypothesis=split).order_by("pk").values_list("sentence", "at")][: len(written)] == written


def test_a_frozen_baseline_finds_its_arm_by_its_old_key(split, root):
    Experiment.objects.filter(replicate_key=root.replicate_key, project=root.project).update(replicate_key="as before")
    Hypothesis.objects.filter(pk=split.pk).update(frozen={"arms": ["as before"], "chosen_by": []})
    migrate()
    assert baseline(split) == ["base", "base 1", "base 2", "base 3"]
    assert Hypothesis.objects.get(pk=split.pk).frozen["arms"] == ["as before"]
    refused = Experiment.objects.create(project=root.project, name="base 9", params={"width": 32})
    with pytest.raises(Invalid, match="belongs to the baseline"):
        link_by_hand(split, [refused], by=None)


@pytest.fixture
def fixed(claim, root, ran, project) -> Hypothesis:
    """A claim against the root, whose baseline is fixed; runs of both sides have a fold, which is no seed."""
    bases = [Experiment.objects.create(project=project, name=f"base {n}", params={"width": 32}, seed=n) for n in range(1, 3)]
    wide = children(root, 3)
    link(claim, wide)
    for run in [root, *bases]:
        ran(run, noisy(0.90))
    for run in wide:
        ran(run, noisy(0.95))
    return settled(claim)


def test_a_fixed_baseline_keeps_its_arms_when_the_seeds_change_until_a_new_epoch(fixed, root, ran, erin, project, api_for):
    before = judgements.read(fixed)
    assert [len(before.baseline), len(before.arms), len(before.arms[0].runs)] == [3, 1, 3]
    services.edit(project, by=erin, seed_params=[*DEFAULT, "width"])
    rekey()
    assert Experiment.objects.get(pk=root.pk).replicate_key != root.replicate_key
    settled(fixed)
    after = judgements.read(Hypothesis.objects.get(pk=fixed.pk))
    (now,) = Experiment.objects.filter(name="wide 0").values_list("replicate_key", flat=True)
    assert api_for(erin).get(f"/api/v1/hypotheses/{fixed.pk}/evidence").json()["moved_arms"] == {before.arms[0].key: [now]}
    assert [after.baseline, after.arms[0].key, after.status] == [before.baseline, before.arms[0].key, before.status]
    assert methods(fixed) == [
        "Other params of the project count as seeds from now on: this hypothesis keeps the arms that its baseline was fixed with, until a new epoch."
    ]
    with pytest.raises(Invalid, match="belongs to the baseline"):
        link_by_hand(Hypothesis.objects.get(pk=fixed.pk), [Experiment.objects.create(project=project, name="base 8", params={"width": 32})], by=None)
    other = Experiment.objects.create(project=project, name="base 7", params={"width": 32}, seed=7, started_at=timezone.now())
    narrow = Experiment.objects.create(project=project, name="narrow", params={"width": 16}, seed=7, started_at=timezone.now())
    assert narrow.replicate_key == other.replicate_key
    for run in (other, narrow):
        ran(run, noisy(0.90))
    assert Hypothesis.objects.get(pk=fixed.pk).wanted_at is not None
    settled(fixed)
    assert baseline(fixed) == ["base", "base 1", "base 2", "base 7", "base 8"]
    fixed.refresh_from_db()
    begin_epoch(fixed)
    fixed.refresh_from_db()
    assert fixed.kept_seeds is None
    assert baseline(fixed) == ["base", "base 1", "base 2", "base 7", "base 8", "narrow"]


def test_setting_the_seeds_back_lets_a_fixed_baseline_see_the_arms_of_the_project_again(fixed, project, erin):
    services.edit(project, by=erin, seed_params=["width"])
    services.edit(project, by=erin, seed_params=None)
    rekey()
    assert baseline(fixed) == ["base", "base 1", "base 2"]
    assert len(methods(fixed)) == 1


def test_a_judgement_that_comes_before_the_runs_are_in_place_puts_them_there_first(claim, root, ran, project, erin):
    wide = children(root, 2)
    link(claim, wide)
    odd = Experiment.objects.create(project=project, name="odd", params={"width": 32, "fold": 3}, seed=3)
    services.edit(project, by=erin, seed_params=["fold"])
    for run in [root, odd, *wide]:
        ran(run, noisy(0.9))
    settled(claim)
    assert baseline(claim) == ["base", "odd"]
    project.refresh_from_db()
    assert project.keys_due_at is None


def test_the_history_says_nothing_of_spellings_where_seeds_alone_joined_arms(claim, root, ran, project):
    wide = [Experiment.objects.create(project=project, name=f"f{n}", parent_experiment=root, params={"width": 64, "rng_seed": n}, seed=n) for n in range(2)]
    Experiment.objects.filter(pk=wide[1].pk).update(replicate_key="as before")
    link(claim, wide)
    for run in [root, *wide]:
        ran(run, noisy(0.9))
    settled(claim)
    migrate()
    claim.refresh_from_db()
    settled(claim)
    assert methods(claim) == [
        "Arms were joined since the last judgement: runs whose params are equal, seeds aside, are replicates."
        " Concerned is the arm of f0. What was judged before stands as it was written."
    ]


def test_arms_are_counted_in_words_that_are_right_for_one_and_many():
    assert judgements.arms_of(["f0"]) == "is the arm of f0"
    assert judgements.arms_of(["b", "a"]) == "are 2 arms, those of a, b"
    assert judgements.arms_of([f"r{n}" for n in range(7)]) == "are 7 arms, those of r0, r1, r2, r3, r4 and 2 more"
