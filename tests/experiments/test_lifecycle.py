import math
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from accounts.models import Team
from config.errors import Conflict, Invalid
from experiments import deletion, lifecycle
from experiments.models import AlreadyEnded, DeletedExperiment, Experiment, LineageCycle, Tag
from metrics import process
from metrics.store.shapes import Place
from projects import services
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("states that race are changed in transactions, under locks")


def reread(experiment: Experiment) -> Experiment:
    return Experiment.objects.get(pk=experiment.pk)


def history(experiment: Experiment) -> list[tuple[str, str]]:
    return [(event.kind, event.detail) for event in experiment.events.all()]


# Beginning


def test_a_new_experiment_runs_from_now_and_its_history_says_who_began_it(project, erin):
    experiment = lifecycle.create(project, by=erin, name="first", params={"lr": 1}, tags=["a", "b", "a"])
    assert (experiment.status, experiment.created_by) == ("running", erin)
    assert experiment.started_at is not None
    assert [tag.name for tag in experiment.tags.all()] == ["a", "b"]
    assert [(event.kind, event.by) for event in experiment.events.all()] == [("created", erin)]


def test_a_planned_experiment_has_not_started(project, erin):
    experiment = lifecycle.create(project, by=erin, name="later", status="planned")
    assert reread(experiment).started_at is None
    lifecycle.start(experiment, by=erin)
    assert reread(experiment).status == "running"
    assert reread(experiment).started_at is not None
    assert history(experiment) == [("created", ""), ("started", "")]


def test_tags_are_shared_within_a_project(project, erin):
    for name in ("one", "two"):
        lifecycle.create(project, by=erin, name=name, tags=["shared", name])
    assert Tag.objects.filter(project=project).count() == 3


def test_creating_costs_few_queries(project, erin, django_assert_max_num_queries):
    parent = lifecycle.create(project, by=erin, name="parent")
    with django_assert_max_num_queries(8):
        lifecycle.create(project, by=erin, name="child", parent=parent, params={"lr": 1})


@pytest.mark.django_db(transaction=True)
def test_runs_that_start_together_get_slugs_of_their_own(project, erin):
    together = threading.Barrier(5)
    failures = []

    def start() -> None:
        together.wait()
        try:
            lifecycle.create(project, by=erin, name="same")
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sorted(project.experiments.values_list("slug", flat=True)) == ["same", "same-2", "same-3", "same-4", "same-5"]


def nested(depth: int) -> dict:
    value: dict = {}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"a": {"b": [1, math.nan]}}, "a.b.1 is nan, which JSON cannot hold"),
        ({"a": -math.inf}, "a is -inf"),
        ({"a": "x\x00"}, "NUL"),
        ({"a\x00": 1}, "NUL"),
        ({"a": "\ud800"}, "surrogate"),
        (nested(51), "deeper than 50"),
        (nested(100_000), "deeper than 50"),
        ({"a": "x" * 1_000_000}, "1,000,000 at most"),
    ],
)
def test_params_that_no_database_keeps_are_refused_with_a_sentence(project, erin, params, sentence):
    with pytest.raises(Invalid, match=sentence) as refusal:
        lifecycle.create(project, by=erin, name="bad", params=params)
    assert [fault.field for fault in refusal.value.faults] == ["params"]
    assert not Experiment.objects.exists()


def test_params_at_the_limits_are_kept(project, erin):
    for params in (nested(50), {"a": "x" * 999_990}, {"big": 10**300, "small": 5e-324, "no": -0.0, "text": "größer 学習"}):
        assert reread(lifecycle.create(project, by=erin, name="good", params=params)).params == params


# Its life


def test_ending_is_recorded_with_who_and_why(experiment, erin):
    lifecycle.fail(experiment, "diverged", by=erin)
    found = reread(experiment)
    assert (found.status, found.failure_kind) == ("failed", "diverged")
    assert found.finished_at is not None
    assert history(experiment) == [("failed", "diverged")]


def test_an_end_may_be_told_later(experiment, erin):
    at = datetime(2026, 1, 2, tzinfo=UTC)
    lifecycle.complete(experiment, by=erin, at=at)
    assert reread(experiment).finished_at == at


def test_of_two_that_end_one_run_the_second_is_told(experiment, erin):
    one, other = reread(experiment), reread(experiment)
    lifecycle.complete(one, by=erin)
    with pytest.raises(AlreadyEnded, match="complete"):
        lifecycle.fail(other, "crashed", by=erin)
    assert other.status == "complete"
    assert reread(experiment).status == "complete"
    assert history(experiment) == [("completed", "")]


def test_an_ended_run_can_be_resumed_and_history_says_so(experiment, erin):
    lifecycle.fail(experiment, "crashed", by=erin)
    lifecycle.resume(experiment, by=erin)
    found = reread(experiment)
    assert (found.status, found.failure_kind, found.finished_at) == ("running", "", None)
    assert history(experiment) == [("failed", "crashed"), ("resumed", "was crashed")]
    with pytest.raises(Conflict):
        lifecycle.resume(experiment, by=erin)


def test_the_same_status_again_changes_nothing(experiment, erin):
    for _ in range(2):
        lifecycle.move(experiment, "failed", "crashed", by=erin)
    lifecycle.move(experiment, "failed", by=erin)
    assert history(experiment) == [("failed", "crashed")]
    with pytest.raises(AlreadyEnded):
        lifecycle.move(experiment, "failed", "diverged", by=erin)
    with pytest.raises(AlreadyEnded):
        lifecycle.move(experiment, "complete", by=erin)
    with pytest.raises(Conflict, match="planned"):
        lifecycle.move(experiment, "planned", by=erin)
    lifecycle.move(experiment, "running", by=erin)
    assert history(experiment)[-1] == ("resumed", "was crashed")


def test_ending_costs_few_queries(experiment, erin, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        lifecycle.complete(experiment, by=erin)


def test_a_heartbeat_is_one_query_and_no_history(experiment, django_assert_num_queries):
    with django_assert_num_queries(1):
        lifecycle.heartbeat(experiment)
    assert reread(experiment).heartbeat_at is not None
    assert history(experiment) == []


def test_the_archive_takes_once_and_gives_back_once(experiment, erin):
    for verb in (lifecycle.archive, lifecycle.archive, lifecycle.restore, lifecycle.restore):
        verb(experiment, by=erin)
    assert reread(experiment).archived is False
    assert history(experiment) == [("archived", ""), ("restored", "")]


# Changes


def test_an_edit_names_what_it_changed_and_nothing_else(experiment, erin):
    lifecycle.edit(experiment, by=erin, name="baseline", notes="seen", params={"lr": 1}, tags=["t"])
    assert history(experiment) == [("edited", "notes, params, tags")]
    lifecycle.edit(experiment, by=erin, notes="seen", tags=["t"])
    assert len(history(experiment)) == 1


def test_an_edit_leaves_alone_what_others_wrote_meanwhile(experiment, erin):
    stale = reread(experiment)
    reread(experiment).hand_out_writer()
    lifecycle.complete(reread(experiment), by=erin)
    lifecycle.edit(stale, by=erin, notes="late", params={"lr": 2})
    found = reread(experiment)
    assert (found.writers, found.status, found.notes) == (1, "complete", "late")


def test_a_difference_that_follows_from_params_follows_them_again(project, erin):
    parent, other = (lifecycle.create(project, by=erin, name="p", params={"lr": lr}) for lr in (0.1, 0.5))
    child = lifecycle.create(project, by=erin, name="c", parent=parent, params={"lr": 0.2})
    lifecycle.edit(child, by=erin, params={"lr": 0.3})
    assert reread(child).features_diff == {"lr": {"from": 0.1, "to": 0.3}}
    lifecycle.edit(child, by=erin, parent=other)
    assert reread(child).features_diff == {"lr": {"from": 0.5, "to": 0.3}}
    assert reread(child).root_experiment_id == other.pk


def test_a_difference_that_a_person_wrote_stays(project, erin):
    parent, other = (lifecycle.create(project, by=erin, name="p") for _ in range(2))
    child = lifecycle.create(project, by=erin, name="c", parent=parent, features_diff={"augment": "on"})
    lifecycle.edit(child, by=erin, params={"lr": 0.3}, parent=other)
    assert reread(child).features_diff == {"augment": "on"}


def test_an_edited_parent_moves_the_whole_subtree(project, erin):
    old, new = (lifecycle.create(project, by=erin, name=name) for name in ("old", "new"))
    child = lifecycle.create(project, by=erin, name="child", parent=old)
    leaf = lifecycle.create(project, by=erin, name="leaf", parent=child)
    lifecycle.edit(child, by=erin, parent=new)
    assert reread(leaf).root_experiment_id == new.pk
    with pytest.raises(LineageCycle):
        lifecycle.edit(reread(new), by=erin, parent=leaf)
    assert history(child)[-1] == ("edited", "parent")


def test_an_edit_that_does_not_touch_lineage_costs_few_queries(project, erin, django_assert_max_num_queries):
    parent = lifecycle.create(project, by=erin, name="parent")
    child = reread(lifecycle.create(project, by=erin, name="child", parent=parent))
    with django_assert_max_num_queries(4):
        lifecycle.edit(child, by=erin, notes="a word")


# The end


def tree(project, erin) -> dict[str, Experiment]:
    """a -> b -> c -> d, and b -> e; one param more at each step."""
    made: dict[str, Experiment] = {}
    for number, (name, parent) in enumerate([("a", None), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "b")]):
        made[name] = lifecycle.create(project, by=erin, name=name, parent=made.get(parent), params={"lr": number})
    return made


def test_children_of_a_deleted_experiment_go_to_its_parent(project, erin):
    runs = tree(project, erin)
    deletion.delete([runs["b"]], by=erin)
    c, d, e = (reread(runs[name]) for name in "cde")
    assert c.parent_experiment_id == e.parent_experiment_id == runs["a"].pk
    assert c.features_diff == {"lr": {"from": 0, "to": 2}}
    assert d.parent_experiment_id == c.pk
    assert {run.root_experiment_id for run in (c, d, e)} == {runs["a"].pk}
    assert history(c)[-1] == ("edited", "parent: b was deleted")


def test_children_of_a_deleted_root_become_roots(project, erin):
    runs = tree(project, erin)
    deletion.delete([runs["a"]], by=erin)
    b = reread(runs["b"])
    assert (b.parent_experiment_id, b.root_experiment_id, b.features_diff) == (None, b.pk, {})
    assert {reread(runs[name]).root_experiment_id for name in "cde"} == {b.pk}
    fresh = lifecycle.create(project, by=erin, name="same", params={"lr": 1})
    assert fresh.replicate_key == b.replicate_key


@pytest.mark.parametrize("order", ["ac", "ca"])
def test_gaps_in_a_lineage_close_to_the_nearest_that_stays(project, erin, order):
    runs = tree(project, erin)
    deletion.delete([runs[name] for name in order], by=erin)
    b, d, e = (reread(runs[name]) for name in "bde")
    assert d.parent_experiment_id == e.parent_experiment_id == b.pk
    assert d.root_experiment_id == b.root_experiment_id == b.pk
    before = d.replicate_key
    d.save()
    assert d.replicate_key == before


def test_a_whole_tree_goes_at_once(project, erin):
    runs = tree(project, erin)
    deletion.delete(list(runs.values()), by=erin)
    assert not Experiment.objects.exists()
    assert DeletedExperiment.objects.count() == 5


def test_a_deletion_that_fails_leaves_no_mark(experiment, erin):
    with transaction.atomic():
        deletion.delete([experiment], by=erin)
        transaction.set_rollback(True)
    assert Experiment.objects.exists()
    assert not DeletedExperiment.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_without_the_metric_store_a_deletion_stays_marked(experiment, erin, monkeypatch):
    monkeypatch.setattr(process.Running, "parts", None)
    monkeypatch.setattr(process.Running, "engine", None)
    deletion.delete([experiment], by=erin)
    assert not Experiment.objects.exists()
    assert DeletedExperiment.objects.get().purged_at is None
    assert deletion.purge() == 0


def place(experiment: Experiment) -> Place:
    return Place(experiment.project.team_id, experiment.project_id)


def test_points_go_with_their_experiment(store, log, project, erin):
    gone, stays = (lifecycle.create(project, by=erin, name=name) for name in ("gone", "stays"))
    for experiment in (gone, stays):
        log(experiment, {"loss": [1.0, 0.5]})
    deletion.delete([gone], by=erin)
    assert DeletedExperiment.objects.get().purged_at is not None
    assert set(store.repository.summaries(place(stays))) == {stays.pk}
    assert len(store.repository.series(place(stays), gone.pk, "loss").value) == 0
    assert deletion.purge() == 0


def test_a_mark_that_was_left_is_purged_later(store, log, project, erin):
    experiment = lifecycle.create(project, by=erin, name="gone")
    log(experiment, {"loss": [1.0]})
    deletion.mark([experiment])
    assert deletion.purge() == 1
    assert len(store.repository.series(place(experiment), experiment.pk, "loss").value) == 0


def test_ending_makes_points_visible_at_once(store, project, erin, api_for, monkeypatch):
    monkeypatch.setattr(store.drain, "timing", replace(store.drain.timing, interval_s=60.0, batch_points=1000))
    experiment = lifecycle.create(project, by=erin, name="run")
    body = {"metric_name": "loss", "metric_value": 1.0}
    api_for(erin).post(f"/api/v1/metrics/log/{project.slug}/{experiment.slug}", body, content_type="application/json")
    time.sleep(0.5)
    assert process.pending([experiment.pk]) == 1
    lifecycle.complete(experiment, by=erin)
    until = time.monotonic() + 5
    while process.pending([experiment.pk]) and time.monotonic() < until:
        time.sleep(0.02)
    assert len(store.repository.series(place(experiment), experiment.pk, "loss").value) == 1


def test_an_archived_experiment_takes_no_points_from_that_moment(store, project, erin, api_for, settings):
    settings.METRICS_ACCESS_CACHE_S = 30.0
    experiment, client = lifecycle.create(project, by=erin, name="run"), api_for(erin)

    def log_one() -> int:
        body = {"metric_name": "loss", "metric_value": 1.0}
        return client.post(f"/api/v1/metrics/log/{project.slug}/{experiment.slug}", body, content_type="application/json").status_code

    assert log_one() == 200
    lifecycle.archive(experiment, by=erin)
    assert log_one() == 409
    lifecycle.restore(experiment, by=erin)
    assert log_one() == 200
    deletion.delete([experiment], by=erin)
    assert log_one() == 404


def test_a_project_goes_with_experiments_and_points(store, log, project, erin):
    experiments = [lifecycle.create(project, by=erin, name="run", parent=None) for _ in range(3)]
    log(experiments[0], {"loss": [1.0]})
    services.delete(project, by=erin)
    assert not Project.objects.exists()
    assert not Experiment.objects.exists()
    assert DeletedExperiment.objects.exclude(purged_at=None).count() == 3
    assert store.repository.summaries(place(experiments[0])) == {}


def test_a_team_goes_with_its_projects_and_points(store, log, project, team, erin):
    experiment = lifecycle.create(project, by=erin, name="run")
    log(experiment, {"loss": [1.0]})
    services.delete_team(team, by=erin)
    assert not Team.objects.exists()
    assert store.repository.summaries(place(experiment)) == {}


def test_deleting_many_takes_a_bounded_number_of_queries(project, erin, django_assert_max_num_queries):
    Experiment.objects.bulk_create(Experiment(project=project, name="x", slug=f"x{number}") for number in range(1200))
    with django_assert_max_num_queries(70):  # 58 to 61, by where the random keys fall
        deletion.delete(Experiment.objects.select_related("project"), by=erin)
    assert DeletedExperiment.objects.count() == 1200
