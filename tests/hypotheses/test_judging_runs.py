"""Judging through trouble: two at once, a store that is away, terms that change meanwhile; when it is asked for, and what it costs."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Team, User
from alerts import lifecycle as alerts
from alerts.models import Alert
from config.celery import app
from experiments import deletion, lifecycle
from experiments.models import Experiment
from hypotheses.claims import linking, stating
from hypotheses.judgements import histories
from hypotheses.judgements import judge as judgements
from hypotheses.judgements.gathering import USUAL_RUNS, frozen_baseline, gather
from hypotheses.models import Hypothesis, HypothesisEvent, Known, Link, Target
from hypotheses.tasks import judge, judge_open, judge_wanted
from metrics import process
from metrics.clickhouse.errors import StoreUnavailable
from metrics.clock import schedule
from metrics.drain import record
from metrics.store.evidence_rows import ARM, NIL, POOLED, append, rows
from metrics.store.repository import MetricRepository
from metrics.tasks import swept
from projects.models import Project, ProjectMetric
from tests.hypotheses.test_judgements import children, link, noisy, seeds, settled

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.differs_on_servers("judgements race, in transactions and under locks")]


class Dead:
    """An engine that is away: the far side of the repository's port."""

    def query(self, *args, **kwargs):
        raise StoreUnavailable("refused")

    insert = execute = query


class Watched:
    """The real engine, with everything that is inserted told of before; it may do something then."""

    def __init__(self, engine, before_insert) -> None:
        self.engine, self.before_insert = engine, before_insert

    def insert(self, table, columns) -> None:
        self.before_insert(table)
        self.engine.insert(table, columns)

    def __getattr__(self, name):
        return getattr(self.engine, name)


@pytest.fixture
def through(store) -> Iterator:
    """through(engine): the process's repository speaks to this engine until the test ends."""

    def put(engine) -> None:
        process.Running.parts = dataclasses.replace(store, repository=MetricRepository(engine, database=store.repository.database))

    yield put
    process.Running.parts = store


@pytest.fixture
def tested(claim, root, ran) -> Hypothesis:
    """Three linked runs and three of the root, all complete; judged."""
    wide = children(root, 3)
    link(claim, wide)
    for run in [root, *seeds(root, 2)]:
        ran(run, noisy(0.90))
    for run in wide:
        ran(run, noisy(0.95))
    return settled(claim)


def messages() -> int:
    with app.connection_for_read() as broker:
        return int(broker.default_channel.queue_declare(app.conf.task_default_queue).message_count)


def ask(hypothesis: Hypothesis) -> None:
    Hypothesis.objects.filter(pk=hypothesis.pk).want(at=timezone.now())


# Once, and whole


def test_two_that_judge_at_once_leave_one_judgement(tested, store, through):
    Hypothesis.objects.filter(pk=tested.pk).update(status="testing", judged_at=timezone.now())
    before, inside, go_on = len(histories.history(tested)), threading.Event(), threading.Event()
    found: list[object] = []

    def pause(table: str) -> None:
        if table == "evidence_metrics":
            inside.set()
            assert go_on.wait(20)

    def first() -> None:
        found.append(judgements.judge(tested.pk))
        connections.close_all()

    through(Watched(store.engine, pause))
    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    assert judgements.judge(tested.pk) is None
    go_on.set()
    thread.join(20)
    assert found[0] is not None
    assert len(histories.history(tested)) == before + 1
    assert HypothesisEvent.objects.filter(hypothesis=tested, kind="status").count() == 2


def test_terms_that_change_while_it_is_judged_are_not_overwritten_by_what_was_found(tested, store, through):
    def respecify(table: str) -> None:
        if table == "evidence_metrics":
            changed = {"epoch": 2, "epoch_began_at": timezone.now(), "status": "testing", "score": None, "frozen_at": None, "frozen": {}}
            Hypothesis.objects.filter(pk=tested.pk, epoch=1).update(**changed)
            ask(tested)

    through(Watched(store.engine, respecify))
    assert judgements.judge(tested.pk) is None
    process.Running.parts = store
    tested.refresh_from_db()
    assert (tested.status, tested.score, tested.epoch) == ("testing", None, 2)
    assert tested.wanted_at is not None
    assert tested.claimed_at is None
    settled(tested)
    assert (tested.status, tested.score) == ("testing", 0.0)


def test_what_is_asked_for_while_it_is_judged_stays_asked_for(tested, store, through):
    through(Watched(store.engine, lambda table: table == "evidence_metrics" and ask(tested)))
    assert judgements.judge(tested.pk) is not None
    tested.refresh_from_db()
    assert tested.wanted_at is not None


def test_a_task_judges_again_what_was_asked_for_meanwhile(tested, store, through):
    asked: list[str] = []

    def once(table: str) -> None:
        if table == "evidence_metrics" and not asked:
            asked.append(table)
            ask(tested)

    before = len(histories.history(tested))
    ask(tested)
    through(Watched(store.engine, once))
    judge_wanted()
    assert not Hypothesis.objects.wanted().exists()
    assert len(histories.history(tested)) == before + 2


def test_a_judge_that_dies_after_the_evidence_and_before_the_record_leaves_no_second_history(claim, root, ran, store, through):
    wide = children(root, 3)
    link(claim, wide)
    for run in [root, *seeds(root, 1), *wide]:
        ran(run, noisy(0.9))
    died: list[str] = []

    def die(table: str) -> None:
        if table == "evidence_metrics":
            died.append(table)
            if len(died) == 2:
                raise StoreUnavailable("killed here")

    through(Watched(store.engine, die))
    with pytest.raises(StoreUnavailable):
        judgements.judge(claim.pk)
    process.Running.parts = store
    Hypothesis.objects.filter(pk=claim.pk).update(judged_at=None)
    settled(claim)
    past = histories.history(claim)
    assert len({each.id for each in past}) == len(past)
    assert [(each.n_exp, each.n_base) for each in past][:3] == [(1, 2), (2, 2), (3, 2)]


def test_evidence_that_is_written_twice_is_there_once(tested, store):
    place = judgements.place_of(tested)
    found = rows(store.repository, place, [tested.pk])
    append(store.repository, place, found, logged_at=timezone.now())
    assert [repr(each) for each in rows(store.repository, place, [tested.pk])] == [repr(each) for each in found]
    assert {each.scope for each in found} == {POOLED, ARM}
    assert {each.experiment_id == NIL for each in found if each.scope == POOLED} == {True}


def test_history_tells_each_judgement_as_it_was_decided(tested):
    past = histories.history(tested)
    assert [each.at for each in past] == sorted(each.at for each in past)
    assert (past[-1].score, past[-1].status, past[-1].epoch, past[-1].gates) == (tested.score, "supported", 1, ())
    assert past[0].gates == ("replicates",)
    assert abs(past[0].score) <= 0.49
    low, high = past[-1].readings[0].anytime_ci95
    assert low < past[-1].readings[0].improvement < high


def test_at_most_twenty_runs_that_ended_since_get_a_point_of_their_own(claim, root, store):
    wide = children(root, 30)
    link(claim, wide)
    ended = timezone.now()
    for n, run in enumerate([root, *wide]):
        Experiment.objects.filter(pk=run.pk).update(status="complete", finished_at=ended - timedelta(seconds=60 - n))
    case = gather(claim, store.repository)
    found = judgements.moments(claim, case)
    assert len(found) == 20
    assert found == sorted(found)


# The store is away; something is wrong


def test_while_the_store_is_away_it_stays_marked_without_a_traceback(tested, through, caplog):
    ask(tested)
    through(Dead())
    judge_wanted()
    tested.refresh_from_db()
    assert tested.wanted_at is not None
    assert tested.claimed_at is None
    assert "waits for the metric store" in caplog.text
    assert "Traceback" not in caplog.text
    assert judge(str(tested.pk)) == "The metric store is away; it stays marked."
    with pytest.raises(StoreUnavailable):
        judgements.read(tested)


def test_one_that_cannot_be_judged_keeps_no_other_from_it(tested, project, caplog):
    broken = Hypothesis.objects.create(project=project, title="broken", baseline="experiment", require="all")
    Hypothesis.objects.filter(pk=broken.pk).update(require="none", wanted_at=timezone.now() - timedelta(hours=1))
    target = tested.targets.get()
    Target.objects.create(hypothesis=broken, metric=target.metric)
    ask(tested)
    judge_wanted()
    assert list(Hypothesis.objects.wanted()) == [broken]
    assert f"The judgement of {broken.pk} failed" in caplog.text


@pytest.fixture
def broken(tested) -> Hypothesis:
    """A claim that no code path expects: what is required of its targets is no word of ours."""
    made = Hypothesis.objects.create(project=tested.project, title="broken")
    Target.objects.create(hypothesis=made, metric=tested.targets.get().metric)
    Hypothesis.objects.filter(pk=made.pk).update(require="none", wanted_at=timezone.now())
    made.refresh_from_db()
    return made


def test_one_that_cannot_be_judged_says_why_waits_longer_each_time_and_fills_no_log(broken, caplog):
    pauses = []
    for _ in range(3):
        Hypothesis.objects.filter(pk=broken.pk).update(retry_at=None)
        began = timezone.now()
        judge_wanted()
        broken.refresh_from_db()
        pauses.append((broken.retry_at - began).total_seconds())
        assert not Hypothesis.objects.due(at=timezone.now()).exists()
    assert [round(pause / 60) for pause in pauses] == [1, 2, 4]
    assert broken.failures == 3
    assert broken.failure.startswith("This is a defect of the server, and its log says more.")
    assert caplog.text.count("Traceback") == 1
    assert caplog.text.count(f"The judgement of {broken.pk} failed") == 3
    judge_wanted()
    broken.refresh_from_db()
    assert broken.failures == 3, "It is not due yet."
    assert Hypothesis.objects.due(at=timezone.now() + timedelta(hours=7)).get() == broken


def test_once_it_can_be_judged_nothing_is_left_of_the_failure(broken):
    judge_wanted()
    Hypothesis.objects.filter(pk=broken.pk).update(require="all")
    assert judge(str(broken.pk))
    broken.refresh_from_db()
    assert (broken.failure, broken.failures, broken.retry_at, broken.wanted_at) == ("", 0, None, None)


def test_a_change_by_a_person_makes_it_due_at_once(broken, erin):
    judge_wanted()
    assert not Hypothesis.objects.due(at=timezone.now()).exists()
    stating.link(broken, children(Experiment.objects.get(name="base"), 1, width=7), by=erin)
    assert list(Hypothesis.objects.due(at=timezone.now())) == [broken]


def test_asked_by_the_api_one_that_cannot_be_judged_says_why(broken, api_for, erin):
    answer = api_for(erin).post(f"/api/v1/hypotheses/{broken.pk}/evaluate")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "not_judged"
    assert api_for(erin).get(f"/api/v1/hypotheses/{broken.pk}").json()["failure"].startswith("This is a defect of the server")


def test_a_value_beyond_what_can_be_compared_is_a_run_that_diverged(claim, root, ran, log, alice):
    (wide,) = children(root, 1)
    link(claim, [wide])
    ran(root, 0.9)
    log(wide, {"accuracy": [1e305]})
    lifecycle.complete(wide, by=alice)
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert judgement.readings[0].failed == 1


# When it is asked for


def test_many_runs_that_end_at_once_are_one_message(claim, root, ran):
    wide = children(root, 4)
    link(claim, wide)
    app.control.purge()
    for run in wide:
        ran(run, 0.9)
    assert messages() == 1
    app.control.purge()


def test_a_run_of_the_baselines_arm_that_was_never_compared_asks_for_a_judgement(tested, root, ran):
    (fresh,) = seeds(root, 1)
    ran(fresh, noisy(0.9))
    assert list(Hypothesis.objects.wanted()) == [tested]
    settled(tested)
    assert histories.history(tested)[-1].n_base == 4


@pytest.mark.parametrize("verb", ["delete", "resume", "fail", "edit"])
def test_whatever_changes_what_a_run_says_asks_for_a_judgement(tested, root, alice, verb):
    run = tested.links.first().experiment
    if verb == "delete":
        deletion.delete([Experiment.objects.select_related("project").get(pk=run.pk)], by=alice)
    elif verb == "resume":
        lifecycle.resume(run, by=alice)
    elif verb == "fail":
        lifecycle.resume(run, by=alice)
        Hypothesis.objects.update(wanted_at=None)
        lifecycle.fail(run, "crashed", by=alice)
    else:
        lifecycle.edit(run, by=alice, params={"width": 7})
    assert list(Hypothesis.objects.wanted()) == [tested]


REREAD = [
    ({"direction": "minimize"}, "accuracy from higher is better (last of the series) to lower is better (last of the series)"),
    ({"aggregation": "max"}, "accuracy from higher is better (last of the series) to higher is better (max of the series)"),
]


@pytest.mark.parametrize(("change", "said"), REREAD)
def test_a_metric_that_is_read_another_way_after_data_begins_a_new_epoch(tested, alice, api_for, project, change, said):
    answer = api_for(alice).patch(f"/api/v1/projects/{project.pk}/metrics/accuracy", change, content_type="application/json")
    assert answer.status_code == 200, answer.content
    tested.refresh_from_db()
    assert (tested.epoch, tested.status, tested.score, tested.frozen_at) == (2, "testing", None, None)
    event = tested.events.last()
    assert (event.kind, event.by) == ("respecified", alice)
    assert event.sentence == f"Respecified after data: epoch 2 begins, and only runs that end from now on count. Changed: {said}."
    settled(tested)
    assert tested.status == "testing"
    alert = Alert.objects.get(kind="verdict")
    assert not alert.is_open
    assert alert.resolution.startswith("Respecified after data")


def test_a_metric_that_is_read_another_way_before_data_changes_the_terms_alone(claim, erin, browser_for, project, metric):
    other = ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    browser_for(erin).post(f"/projects/vision-team/digits/metrics/{other.pk}", {"direction": "maximize"})
    assert not claim.events.exists()
    answer = browser_for(erin).post(f"/projects/vision-team/digits/metrics/{metric.pk}", {"aggregation": "min"}, follow=True)
    claim.refresh_from_db()
    assert (claim.epoch, claim.events.get().kind) == (1, "terms")
    assert claim.wanted_at is not None
    assert "Respecified" not in answer.content.decode()


def test_the_admin_begins_a_new_epoch_too_and_the_page_says_which_claims_begin_again(tested, browser_for, erin):
    root, metric = User.objects.create_superuser("root"), tested.targets.get().metric
    form = {"name": metric.name, "project": metric.project_id, "direction": "minimize", "aggregation": "last"}
    assert browser_for(root).post(f"/admin/projects/projectmetric/{metric.pk}/change/", form).status_code == 302
    tested.refresh_from_db()
    assert tested.epoch == 2
    page = browser_for(erin).post(f"/projects/vision-team/digits/metrics/{metric.pk}", {"direction": "maximize"}, follow=True).content.decode()
    assert "Respecified after data, so that only runs that end from now on count: “wider is better”." in page


def test_a_direction_that_another_claim_brings_is_told_where_the_metric_is_a_target_already(tested, erin, project):
    ProjectMetric.objects.update(direction="")
    stating.propose(project, by=erin, title="the other way", targets=[stating.TargetTerm("accuracy", direction="minimize")])
    tested.refresh_from_db()
    assert tested.epoch == 2
    assert "to lower is better" in tested.events.last().sentence


def test_a_verdict_that_goes_ends_its_alert_and_a_new_one_says_what_is_true(tested, alice, root, ran):
    first = Alert.objects.get(kind="verdict")
    assert "testing → supported" in first.message
    alerts.acknowledge(first, by=alice)
    for link_ in tested.links.all()[:2]:
        stating.invalidate(tested, link_.experiment, reason="wrong data", by=alice)
    settled(tested)
    assert tested.status == "testing"
    first.refresh_from_db()
    assert first.resolution.startswith("It is testing now.")
    now = Alert.objects.open().get(kind="verdict")
    assert now.message.startswith("wider is better: supported → testing.")
    assert now.acknowledged_at is None
    stating.delete(tested, by=alice)
    assert not Alert.objects.open().filter(kind="verdict").exists()


def test_the_way_in_of_points_asks_the_record_nothing_where_there_are_no_hypotheses(experiment):
    Known.is_any, Known.looked_at = False, time.monotonic()
    with CaptureQueriesContext(connection) as alone:
        record.note_points({experiment.pk: 1})
    assert [query["sql"] for query in alone if "hypothes" in query["sql"]] == []


def test_the_way_in_of_points_asks_the_record_once_for_all_runs_of_a_block(claim, root):
    runs = children(root, 5)
    link(claim, runs)
    with CaptureQueriesContext(connection) as asked:
        record.note_points({run.pk: 1 for run in runs})
    assert len([query for query in asked if "hypothes" in query["sql"]]) == 1
    assert not Hypothesis.objects.wanted().exists()


def test_the_sweep_finds_what_was_forgotten(tested):
    ask(tested)
    app.control.purge()
    swept(None)
    assert messages() >= 1
    app.control.purge()


def test_every_night_what_is_open_is_judged(claim, tested, project):
    open_ = Hypothesis.objects.create(project=project, title="open")
    Target.objects.create(hypothesis=open_, metric=tested.targets.get().metric)
    at = tested.judged_at
    judge_open.apply()
    open_.refresh_from_db()
    tested.refresh_from_db()
    assert open_.judged_at is not None
    assert tested.judged_at == at
    assert (schedule.JUDGE.hour, schedule.JUDGE in schedule.ENTRIES) == (4, True)


# What is gathered


def test_a_direction_that_nobody_set_closes_a_gate_that_says_where_and_is_no_evidence(tested, metric):
    ProjectMetric.objects.filter(pk=metric.pk).update(direction="")
    before = len(histories.history(tested))
    judgement = judgements.judge(tested.pk)
    assert judgement is not None
    assert [gate.name for gate in judgement.closed] == ["direction:accuracy"]
    assert "Metrics page" in judgement.missing
    assert judgement.status == "testing"
    assert len(histories.history(tested)) == before


def test_one_run_against_one_is_measured_by_the_projects_usual_spread(claim, root, ran, project):
    for n, value in enumerate([0.5, 0.52, 0.54]):
        other = Experiment.objects.create(project=project, name=f"other {n}", params={"depth": 9}, seed=n)
        ran(other, value)
    (wide,) = children(root, 1)
    link(claim, [wide])
    ran(root, 0.9)
    ran(wide, 0.95)
    judgement = judgements.judge(claim.pk)
    assert judgement is not None
    assert judgement.sentence.startswith("Testing: +0.05 in accuracy, 2.5 x your usual spread; one run each, so direction only.")


def test_a_best_arm_of_which_a_run_was_still_going_when_the_claim_was_tested_is_no_candidate(project, metric, root, ran):
    good = children(root, 3, width=64)
    for run in [root, *seeds(root, 2)]:
        ran(run, noisy(0.90))
    for run in good[:2]:
        ran(run, noisy(0.93))
    best = Hypothesis.objects.create(project=project, title="widest", baseline="best")
    Target.objects.create(hypothesis=best, metric=metric)
    link(best, children(root, 1, width=256))
    judgements.judge(best.pk)
    best.refresh_from_db()
    assert best.frozen["arms"] == [root.replicate_key]


def test_without_any_arm_that_ended_before_the_best_is_the_root_and_that_is_told(project, metric, root, ran):
    best = Hypothesis.objects.create(project=project, title="first of all", baseline="best")
    Target.objects.create(hypothesis=best, metric=metric)
    wide = children(root, 3)
    link(best, wide)
    for run in [root, *seeds(root, 2)]:
        ran(run, noisy(0.90))
    for run in wide:
        ran(run, noisy(0.95))
    judgement = judgements.judge(best.pk)
    assert judgement is not None
    assert judgement.status == "supported"
    assert next(gate for gate in judgement.gates if gate.name == "baseline_fell_back").is_open


def test_a_run_that_began_before_its_claim_was_linked_as_proposed_makes_it_tested(claim, root):
    Hypothesis.objects.filter(pk=claim.pk).update(status="proposed")
    link(claim, children(root, 1))
    judgements.judge(claim.pk)
    claim.refresh_from_db()
    assert claim.status == "testing"
    assert claim.frozen_at is not None


def test_as_of_a_moment_only_what_had_ended_is_seen(tested, store):
    ends = sorted(link_.experiment.finished_at for link_ in tested.links.all())
    case = gather(tested, store.repository, as_of=ends[0])
    assert [run.state for run in case.linked] == ["complete", "running", "running"]
    assert [bool(run.values) for run in case.linked] == [True, False, False]


# What is read


def test_reading_twice_gathers_once_and_again_when_a_run_or_a_point_came(tested, root, ran, through, store, log):
    first = judgements.read(tested)
    through(Dead())
    assert judgements.read(tested) == first
    process.Running.parts = store
    link_ = Link.objects.filter(hypothesis=tested).first()
    Link.objects.filter(pk=link_.pk).update(invalidated_at=timezone.now(), reason="a wrong dataset")
    assert judgements.read(tested).readings[0].comparison.n_exp == 2
    log(link_.hypothesis.links.last().experiment, {"accuracy": [0.5]}, steps=[99])
    assert judgements.read(tested).readings[0].comparison != first.readings[0].comparison


def test_reading_writes_nothing(tested):
    before, seen = len(histories.history(tested)), Hypothesis.objects.filter(pk=tested.pk).values().get()
    judgements.read(tested)
    assert len(histories.history(tested)) == before
    assert Hypothesis.objects.filter(pk=tested.pk).values().get() == seen


def test_badges_are_for_those_that_stand_when_all_are_read_together(tested, project):
    assert histories.badges(project) == {tested.pk}


# Of one project: others have runs, arms and claims of the same names


@pytest.fixture
def elsewhere(db) -> Project:
    """A project of another team."""
    return Project.objects.create(team=Team.objects.create(name="Elsewhere"), name="digits")


def stated(project: Project, title: str, **more: object) -> Hypothesis:
    return Hypothesis.objects.create(project=project, title=title, **more)


def test_badges_are_read_together_with_no_claim_of_another_team(tested, project, elsewhere):
    for created_at in (tested.created_at - timedelta(days=1), tested.created_at + timedelta(days=1)):
        theirs = stated(elsewhere, f"theirs {created_at}", score=0.9, status="supported")
        Hypothesis.objects.filter(pk=theirs.pk).update(created_at=created_at)
    assert histories.badges(project) == {tested.pk}
    assert histories.badges(elsewhere) == set()


def test_the_usual_spread_is_told_by_a_projects_newest_runs_however_many_another_has(claim, root, ran, project, elsewhere, store):
    for n, value in enumerate([0.5, 0.54]):
        ran(Experiment.objects.create(project=project, name=f"other {n}", params={"depth": 9}, seed=n), value)
    (wide,) = children(root, 1)
    link(claim, [wide])
    ran(root, 0.9)
    ran(wide, 0.95)
    late = timezone.now() + timedelta(hours=1)
    theirs = (Experiment(project=elsewhere, name=f"{n}", slug=f"{n}", status="complete", finished_at=late) for n in range(USUAL_RUNS))
    Experiment.objects.bulk_create(theirs)
    assert gather(claim, store.repository).usual_sd == {"accuracy": pytest.approx(0.02 * 2**0.5)}


def test_a_baseline_is_the_projects_own_group_and_nobody_elses_of_that_name(claim, root, project, elsewhere, store):
    for place in (project, elsewhere):
        Experiment.objects.create(project=place, name="grouped", replicate_group="base")
    chosen = Experiment.objects.get(project=project, name="grouped")
    Hypothesis.objects.filter(pk=claim.pk).update(baseline="experiment", baseline_experiment=chosen)
    claim.refresh_from_db()
    assert [run.id for run in gather(claim, store.repository).baseline] == [chosen.pk]


@pytest.mark.parametrize("kind", [{"baseline": "best"}, {"kept_seeds": ["fold"]}])
def test_a_run_of_one_project_has_no_claim_of_another_judged(project, elsewhere, root, kind):
    ours, theirs = stated(project, "ours", **kind), stated(elsewhere, "theirs", **kind)
    assert set(Hypothesis.objects.concerned_by([root.pk])) == {ours}
    assert set(Hypothesis.objects.concerned_by([Experiment.objects.create(project=elsewhere, name="run").pk])) == {theirs}


def test_what_was_invalidated_for_one_claim_is_linked_to_another(claim, root, alice):
    (run,) = children(root, 1)
    link(stated(claim.project, "another"), [run], invalidated_at=timezone.now(), reason="a wrong dataset")
    assert linking.link(claim, [run], by=alice) == [run]


def test_the_best_arm_is_chosen_by_the_projects_own_runs_whatever_runs_elsewhere(project, metric, elsewhere, ran, store):
    best, good = stated(project, "best", baseline="best"), Experiment.objects.create(project=project, name="good", replicate_group="base")
    Target.objects.create(hypothesis=best, metric=metric)
    ran(good, 0.9)
    ended = {"status": "complete", "finished_at": timezone.now()}
    for name, more in (("over", ended), ("going", {"status": "running"})):
        Experiment.objects.create(project=elsewhere, name=name, replicate_group="base", started_at=timezone.now(), **more)
    assert frozen_baseline(best, store.repository, at=timezone.now()) == {"arms": ["base"], "chosen_by": [str(good.pk)]}
