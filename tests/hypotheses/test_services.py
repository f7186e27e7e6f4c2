"""The record of hypotheses: what may be stated and linked, what changes it, and what its history tells."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from django.utils import timezone

from config.errors import Conflict, Invalid, NotFound
from experiments import deletion, lifecycle
from experiments.models import Experiment
from hypotheses.claims import stating
from hypotheses.claims.linking import link, link_by_rules
from hypotheses.claims.stating import TargetTerm
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Target
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("linking and stating are transactions over constraints")
ACCURACY = TargetTerm("accuracy", 0.01)


@pytest.fixture(autouse=True)
def metrics(project: Project) -> None:
    ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize")
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    ProjectMetric.objects.create(project=project, name="speed")


@pytest.fixture
def root(project: Project) -> Experiment:
    return lifecycle.create(project, by=None, name="root", params={"width": 32})


@pytest.fixture
def claim(project: Project, erin) -> Hypothesis:
    return stating.propose(project, by=erin, title="wider is better", targets=[ACCURACY])


def wide(root: Experiment, name: str = "wide", width: int = 64, *, status: str = "running") -> Experiment:
    return lifecycle.create(root.project, by=None, name=name, parent=root, params={"width": width}, status=status)


def ended(run: Experiment) -> Experiment:
    lifecycle.complete(run, by=None)
    return run


def refused(verb, *arguments, **said) -> list[tuple[int | None, str, str]]:
    """(index, field, code) of each fault."""
    with pytest.raises(Invalid) as caught:
        verb(*arguments, **said)
    assert caught.value.faults[0].message in str(caught.value)
    assert all(fault.message.endswith((".", "metrics")) for fault in caught.value.faults)
    return [(fault.index, fault.field, fault.code) for fault in caught.value.faults]


def settled(claim: Hypothesis) -> None:
    """As after a judgement that looked at everything."""
    Hypothesis.objects.filter(pk=claim.pk).update(wanted_at=None)


def is_waiting(claim: Hypothesis) -> bool:
    return Hypothesis.objects.get(pk=claim.pk).wanted_at is not None


def last(claim: Hypothesis) -> HypothesisEvent:
    event = claim.events.order_by("pk").last()
    assert event is not None
    return event


# Stating


def test_a_claim_is_stated_with_its_terms_in_history_and_waits_to_be_judged(claim, erin):
    assert (claim.status, claim.slug, claim.created_by, claim.epoch) == ("testing", "wider-is-better", erin, 1)
    assert is_waiting(claim)
    event = last(claim)
    assert (event.kind, event.by, event.sentence) == ("created", erin, "Stated: accuracy better by more than 0.01, against each experiment's own root.")
    assert event.detail["terms"]["targets"] == [{"metric": "accuracy", "smallest_effect": 0.01, "unit": "metric"}]


def test_claims_with_one_title_get_slugs_of_their_own(project, claim):
    assert stating.propose(project, by=None, title=claim.title, targets=[ACCURACY]).slug == "wider-is-better-2"


@pytest.mark.parametrize(
    ("targets", "code"),
    [
        ([], "empty"),
        ([TargetTerm("f1")], "unknown"),
        ([TargetTerm("a\0b")], "unknown"),
        ([TargetTerm("speed")], "no_direction"),
        ([TargetTerm("accuracy", direction="minimize")], "other_direction"),
        ([TargetTerm("accuracy", direction="up")], "invalid_choice"),
        ([TargetTerm("accuracy", unit="points")], "invalid_choice"),
        ([TargetTerm("accuracy", -0.1)], "invalid"),
        ([TargetTerm("accuracy", math.nan)], "invalid"),
        ([TargetTerm("accuracy", math.inf)], "invalid"),
        ([TargetTerm("accuracy", 1e301)], "invalid"),
        ([TargetTerm("accuracy", 0, "percent")], "invalid"),
        ([TargetTerm("accuracy")] * 21, "too_many"),
    ],
)
def test_targets_that_could_not_be_judged_are_refused(project, targets, code):
    assert refused(stating.propose, project, by=None, title="t", targets=targets)[0][1:] == ("targets", code)
    assert not Hypothesis.objects.exists()


def test_every_fault_is_named_at_once_with_its_place(project):
    targets = [ACCURACY, TargetTerm("accuracy"), TargetTerm("f1", -1)]
    found = refused(stating.propose, project, by=None, title=" ", claim="a\0b", rationale="x" * 20_001, require="some", status="refuted", targets=targets)
    assert found == [
        (None, "claim", "invalid"),
        (None, "rationale", "invalid"),
        (None, "title", "blank"),
        (None, "require", "invalid_choice"),
        (None, "status", "by_evidence"),
        (1, "targets", "duplicate"),
        (2, "targets", "unknown"),
        (2, "targets", "invalid"),
    ]


def test_an_unknown_metric_is_answered_with_those_there_are(project):
    with pytest.raises(Invalid, match=r"There is no metric 'f1'; digits has accuracy, loss, speed\."):
        stating.propose(project, by=None, title="t", targets=[TargetTerm("f1")])


def test_a_direction_said_with_a_target_becomes_the_projects_and_only_where_it_has_none(project):
    with pytest.raises(Invalid):
        stating.propose(project, by=None, title="t", targets=[TargetTerm("speed", direction="maximize"), TargetTerm("f1")])
    assert ProjectMetric.objects.get(name="speed").direction == ""
    stating.propose(project, by=None, title="t", targets=[TargetTerm("speed", direction="maximize"), TargetTerm("loss", direction="minimize")])
    assert ProjectMetric.objects.get(name="speed").direction == "maximize"


def test_a_baseline_is_of_the_project_and_named_where_it_is_one(project, team, root):
    other = lifecycle.create(Project.objects.create(team=team, name="other"), by=None, name="elsewhere")
    for said, code in (
        ({"baseline_experiment": other}, "other_project"),
        ({"baseline": "experiment"}, "missing"),
        ({"baseline": "best", "baseline_experiment": root}, "not_one"),
    ):
        assert refused(stating.propose, project, by=None, title="t", targets=[ACCURACY], **said) == [(None, "baseline_experiment", code)]
    made = stating.propose(project, by=None, title="t", targets=[ACCURACY], baseline_experiment=root)
    assert (made.baseline, made.baseline_experiment) == ("experiment", root)


def test_a_claim_is_stated_with_its_runs_and_rules_or_not_at_all(project, root):
    run = wide(root)
    made = stating.propose(project, by=None, title="t", targets=[ACCURACY], experiments=[run], source="comparison", rules=["width"])
    assert [one.source for one in made.links.all()] == ["comparison"]
    assert [rule.feature for rule in made.rules.all()] == ["width"]
    refused(stating.propose, project, by=None, title="u", targets=[ACCURACY], experiments=[root])
    assert Hypothesis.objects.count() == 1


# Changing


def test_words_are_edited_without_a_judgement_and_what_is_equal_leaves_no_line(claim, erin):
    settled(claim)
    stating.edit(claim, by=erin, title="wider is much better", claim="")
    assert (last(claim).kind, last(claim).sentence) == ("edited", "Edited: title.")
    assert not is_waiting(claim)
    stating.edit(claim, by=erin, title="wider is much better", targets=[ACCURACY], baseline="root", paired=False)
    assert claim.events.count() == 2


def test_terms_before_data_are_terms_and_after_a_linked_run_ended_an_epoch(claim, root, erin):
    run = wide(root)
    link(claim, [run], by=erin)
    settled(claim)
    stating.edit(claim, by=erin, targets=[TargetTerm("accuracy", 0.02)])
    assert (last(claim).kind, claim.epoch) == ("terms", 1)
    assert last(claim).sentence == "Changed: the targets from accuracy better by more than 0.01 to accuracy better by more than 0.02."
    assert is_waiting(claim)
    ended(run)
    Hypothesis.objects.filter(pk=claim.pk).update(status="supported", score=0.7, frozen={"arms": []}, frozen_at=timezone.now(), decided_at=timezone.now())
    stating.edit(claim, by=erin, paired=True, require="any")
    assert (claim.epoch, claim.status, claim.score, claim.frozen, claim.frozen_at, claim.decided_at) == (2, "testing", None, {}, None, None)
    assert claim.epoch_began_at > run.finished_at
    assert (last(claim).kind, last(claim).epoch, last(claim).by) == ("respecified", 2, erin)
    assert "epoch 2 begins" in last(claim).sentence
    assert (last(claim).detail["before"]["paired"], last(claim).detail["after"]["paired"]) == (False, True)


def test_a_run_that_was_taken_back_before_its_end_is_no_data(claim, root, erin):
    run = wide(root)
    link(claim, [run], by=erin)
    stating.unlink(claim, run, by=erin)
    ended(run)
    stating.edit(claim, by=erin, paired=True)
    assert claim.epoch == 1


def test_data_that_were_invalidated_were_seen_all_the_same(claim, root, erin):
    run = wide(root)
    link(claim, [run], by=erin)
    stating.invalidate(claim, ended(run), reason="wrong split", by=erin)
    stating.edit(claim, by=erin, paired=True)
    assert claim.epoch == 2


def test_targets_change_in_place_and_in_order(claim, erin):
    first = claim.targets.get()
    stating.edit(claim, by=erin, targets=[TargetTerm("loss", 5, "percent"), ACCURACY])
    assert [(t.metric.name, t.smallest_effect, t.unit) for t in claim.targets.all()] == [("loss", 5, "percent"), ("accuracy", 0.01, "metric")]
    assert Target.objects.get(metric__name="accuracy").pk == first.pk
    stating.edit(claim, by=erin, targets=[TargetTerm("loss", 5, "percent")])
    assert claim.targets.count() == 1


def test_a_baseline_of_another_kind_lets_its_experiment_go(claim, root, erin):
    stating.edit(claim, by=erin, baseline_experiment=root)
    assert claim.baseline == "experiment"
    stating.edit(claim, by=erin, baseline="best")
    assert claim.baseline_experiment is None
    assert last(claim).sentence == "Changed: the baseline from root to the best that had ended before."


def test_a_change_that_is_refused_changes_nothing(claim, erin):
    refused(stating.edit, claim, by=erin, title="new", targets=[TargetTerm("f1")])
    again = Hypothesis.objects.get()
    assert (again.title, again.targets.get().metric.name, again.events.count()) == ("wider is better", "accuracy", 1)


def test_a_baseline_that_is_linked_repeats_or_descends_from_a_linked_run_is_a_cycle(claim, root, erin):
    run = wide(root)
    link(claim, [run], by=erin)
    below = lifecycle.create(root.project, by=None, name="below", parent=run, params={"width": 128})
    for baseline in (run, wide(root, "again"), below):
        assert refused(stating.edit, claim, by=erin, baseline_experiment=baseline) == [(None, "baseline_experiment", "cycle")]


def test_status_moves_by_hand_between_proposed_and_testing_only(claim, root, erin):
    stating.edit(claim, by=erin, status="proposed")
    assert (claim.status, last(claim).kind, last(claim).sentence) == ("proposed", "status", "Set by hand from testing to proposed.")
    stating.edit(claim, by=erin, status="testing")
    assert refused(stating.edit, claim, by=erin, status="supported") == [(None, "status", "by_evidence")]
    link(claim, [wide(root)], by=erin)
    assert refused(stating.edit, claim, by=erin, status="proposed") == [(None, "status", "has_begun")]
    Hypothesis.objects.update(status="refuted")
    assert refused(stating.edit, claim, by=erin, status="testing") == [(None, "status", "by_evidence")]
    stating.edit(claim, by=erin, status="refuted")
    assert claim.status == "refuted"


def test_a_hypothesis_that_was_deleted_meanwhile_is_not_found(claim, root, erin):
    kept = Hypothesis.objects.get()
    stating.delete(claim, by=erin)
    for verb in (lambda: stating.edit(kept, by=erin, title="x"), lambda: link(kept, [wide(root)], by=erin)):
        with pytest.raises(NotFound):
            verb()


# Links


def test_a_run_that_had_ended_is_post_hoc_and_one_that_runs_is_not(claim, root, erin):
    running, over = wide(root, "running"), ended(wide(root, "over"))
    settled(claim)
    assert link(claim, [running, over, running], by=erin) == [running, over]
    assert [(one.experiment.name, one.is_post_hoc, one.by) for one in claim.links.order_by("pk")] == [("running", False, erin), ("over", True, erin)]
    assert last(claim).sentence.startswith("Linked by hand: running, over. 1 of 2 had ended")
    assert is_waiting(claim)
    assert link(claim, [running], by=erin) == []
    assert claim.events.count() == 2


def test_a_recording_is_linked_when_it_says(claim, root, erin):
    run = ended(wide(root))
    link(claim, [run], by=erin, at=run.finished_at - timedelta(seconds=1))
    assert claim.links.get().is_post_hoc is False


def test_a_stale_object_does_not_make_an_ended_run_count(claim, root, erin):
    run = wide(root)
    ended(Experiment.objects.get(pk=run.pk))
    link(claim, [run], by=erin)
    assert claim.links.get().is_post_hoc is True


def test_the_first_running_run_begins_the_test_of_a_proposed_claim(claim, root, erin):
    stating.edit(claim, by=erin, status="proposed")
    link(claim, [wide(root, "planned", status="planned")], by=erin)
    assert claim.status == "proposed"
    link(claim, [wide(root, "running")], by=erin)
    assert (claim.status, Hypothesis.objects.get().status) == ("testing", "testing")


def test_what_may_not_be_linked_is_named_and_nothing_is_linked(project, claim, root, team, erin):
    other = lifecycle.create(Project.objects.create(team=team, name="other"), by=None, name="elsewhere")
    repeat = lifecycle.create(project, by=None, name="root again", params={"width": 32, "seed": 2})
    found = refused(link, claim, [wide(root), other, root, repeat], by=erin)
    assert found == [(1, "experiments", "other_project"), (2, "experiments", "baseline"), (3, "experiments", "baseline")]
    assert not Link.objects.exists()


def test_a_run_of_the_baselines_arm_or_above_it_cannot_be_linked(project, root, erin):
    middle = wide(root, "middle")
    claim = stating.propose(project, by=erin, title="t", targets=[ACCURACY], baseline_experiment=middle)
    assert refused(link, claim, [root, wide(root, "middle again")], by=erin) == [(0, "experiments", "cycle"), (1, "experiments", "baseline")]
    Hypothesis.objects.update(frozen={"arms": [wide(root, "old arm", 96).replicate_key]})
    assert refused(link, claim, [wide(root, "repeat", 96)], by=erin) == [(0, "experiments", "baseline")]


def test_unlinking_before_the_end_forgets_and_linking_again_begins_anew(claim, root, erin):
    run = wide(root)
    link(claim, [run], by=erin)
    stating.unlink(claim, run, by=erin)
    assert not Link.objects.standing().exists()
    assert last(claim).sentence == "Unlinked wide: it no longer counts."
    with pytest.raises(NotFound):
        stating.unlink(claim, run, by=erin)
    link(claim, [ended(run)], by=erin)
    assert Link.objects.standing().get().is_post_hoc is True


def test_unlinking_after_the_end_does_not_stop_it_from_counting(claim, root, erin):
    run = wide(root)
    link(claim, [run], by=erin)
    before = claim.links.get().linked_at
    ended(run)
    stating.unlink(claim, run, by=erin)
    stating.unlink(claim, run, by=erin)
    assert Link.objects.standing().get().counts_unlinked is True
    assert "still counts" in last(claim).sentence
    link(claim, [run], by=erin)
    again = claim.links.get()
    assert (again.is_post_hoc, again.linked_at, again.unlinked_at, again.counts_unlinked) == (False, before, None, False)


def test_a_run_is_invalidated_with_a_reason_and_stays_out(claim, root, erin):
    run = ended(wide(root))
    with pytest.raises(NotFound):
        stating.invalidate(claim, run, reason="x", by=erin)
    link(claim, [run], by=erin)
    for reason in (" ", "a\0", "x" * 501):
        assert refused(stating.invalidate, claim, run, reason=reason, by=erin)[0][1] == "reason"
    settled(claim)
    stating.invalidate(claim, run, reason=" wrong split ", by=erin)
    assert (claim.links.get().reason, last(claim).sentence) == ("wrong split", "Invalidated wide: wrong split")
    assert is_waiting(claim)
    for verb in (lambda: stating.invalidate(claim, run, reason="y", by=erin), lambda: stating.unlink(claim, run, by=erin)):
        with pytest.raises(Conflict, match="wrong split"):
            verb()
    assert refused(link, claim, [run], by=erin) == [(0, "experiments", "invalidated")]


def test_deleting_a_linked_run_is_told_in_the_history(claim, root, erin):
    run = wide(root)
    link(claim, [run], by=erin)
    settled(claim)
    deletion.delete([run], by=erin)
    assert (last(claim).sentence, last(claim).by, is_waiting(claim)) == ("Deleted, with all points: wide.", erin, True)


def test_five_hundred_runs_are_linked_with_few_questions(claim, root, erin, django_assert_max_num_queries):
    runs = [Experiment(project=root.project, name=f"w {n}", slug=f"w-{n}", parent_experiment=root, root_experiment=root, replicate_key="w") for n in range(500)]
    Experiment.objects.bulk_create(runs)
    with django_assert_max_num_queries(20):
        assert len(link(claim, runs, by=erin)) == 500
    assert last(claim).sentence == "Linked by hand: w 0, w 1, w 2, w 3, w 4 and 495 more."


# Rules


def test_a_rule_links_what_there_is_and_what_comes_but_no_baseline(claim, root, erin):
    old = ended(wide(root, "old"))
    left = wide(root, "left")
    link(claim, [left], by=erin)
    stating.unlink(claim, left, by=erin)
    stating.add_rule(claim, "width", by=erin)
    stating.add_rule(claim, "width", by=erin)
    new = wide(root, "new", 96)
    plain = lifecycle.create(root.project, by=None, name="plain", parent=root, params={"width": 32, "lr": 1})
    lifecycle.edit(plain, by=erin, features_diff={"lr": 1, "width": 32})
    standing = {one.experiment.name: (one.source, one.is_post_hoc) for one in Link.objects.standing()}
    assert standing == {"old": ("rule", True), "new": ("rule", False), "plain": ("rule", False)}
    assert old.pk
    assert new.pk
    stating.remove_rule(claim, "width", by=erin)
    with pytest.raises(NotFound):
        stating.remove_rule(claim, "width", by=erin)
    wide(root, "later", 128)
    assert Link.objects.standing().count() == 3
    assert [event.kind for event in claim.events.filter(kind="rule")] == ["rule", "rule"]


def test_a_rule_without_a_name_is_refused(claim, erin):
    for feature in ("", " ", "a\0", "x" * 251):
        assert refused(stating.add_rule, claim, feature, by=erin)[0][1] == "feature"
    assert not claim.rules.exists()


def test_a_run_that_changes_nothing_asks_nothing_of_rules(project, claim, erin, django_assert_num_queries):
    stating.add_rule(claim, "width", by=erin)
    with django_assert_num_queries(0):
        link_by_rules(Experiment(project=project, name="root"), by=None)
