import pytest
from django.db import IntegrityError, transaction

from accounts.models import Team
from config.errors import Conflict, Invalid, NotFound
from experiments.arms import difference
from experiments.models import AlreadyEnded, DeletedExperiment, Experiment, LineageCycle, changes
from projects.models import Project
from projects.seeds import Seeds

pytestmark = pytest.mark.differs_on_servers("constraints and uniqueness are the database's")


def make(project, name="run", **fields) -> Experiment:
    return Experiment.objects.create(project=project, name=name, **fields)


def reread(experiment: Experiment) -> Experiment:
    return Experiment.objects.get(pk=experiment.pk)


def test_a_taken_slug_gets_a_number(project):
    assert [make(project, "lr 3e-4").slug for _ in range(3)] == ["lr-3e-4", "lr-3e-4-2", "lr-3e-4-3"]


def test_two_projects_may_use_one_slug(project, team):
    other = Project.objects.create(team=team, name="other")
    assert make(project, "a").slug == make(other, "a").slug == "a"


@pytest.mark.parametrize(("name", "slug"), [("größere Schicht", "größere-schicht"), ("学習率", "学習率"), ("???", "experiment"), ("x" * 300, "x" * 80)])
def test_a_slug_keeps_unicode_and_is_never_empty_or_endless(project, name, slug):
    assert make(project, name[:255]).slug == slug


def test_a_name_that_reads_as_a_uuid_gets_a_slug_that_does_not(project):
    name = "12345678-1234-5678-1234-567812345678"
    experiment = make(project, name)
    assert experiment.slug == f"experiment-{name}"
    assert project.experiments.named(experiment.slug) == experiment
    assert project.experiments.named(str(experiment.pk)) == experiment


def test_a_name_that_is_not_there_is_answered_with_the_call_that_makes_one(project):
    with pytest.raises(NotFound, match="POST /api/v1/experiments"):
        project.experiments.named("nowhere")


def test_a_roots_root_is_itself(project):
    root = make(project)
    assert reread(root).root_experiment_id == root.pk


def test_a_descendants_root_is_the_root(project):
    root = make(project)
    leaf = make(project, parent_experiment=make(project, parent_experiment=root))
    assert reread(leaf).root_experiment_id == root.pk


def test_an_experiment_cannot_descend_from_itself(project):
    root = make(project)
    leaf = make(project, parent_experiment=make(project, parent_experiment=root))
    for parent in (root, leaf):
        root.parent_experiment = parent
        with pytest.raises(LineageCycle):
            root.save()
    assert reread(root).parent_experiment_id is None


def test_a_parent_of_another_project_is_refused(project, team):
    stranger = make(Project.objects.create(team=team, name="other"))
    with pytest.raises(Invalid, match="another project"):
        make(project, parent_experiment=stranger)


def test_moving_a_subtree_moves_roots_and_replicate_keys(project):
    old, new = make(project, params={"lr": 1}), make(project, params={"lr": 2})
    child = make(project, parent_experiment=old, params={"lr": 1, "width": 2})
    leaf = make(project, parent_experiment=child, params={"lr": 1, "width": 3})
    before = reread(leaf).replicate_key
    child.parent_experiment = new
    child.save()
    assert reread(child).root_experiment_id == reread(leaf).root_experiment_id == new.pk
    assert reread(leaf).replicate_key != before
    child.parent_experiment = old
    child.save()
    assert reread(leaf).replicate_key == before
    assert reread(leaf).root_experiment_id == old.pk


def test_a_child_cut_off_becomes_a_root_and_takes_its_subtree_along(project):
    root = make(project)
    child = make(project, parent_experiment=root)
    leaf = make(project, parent_experiment=child)
    child.parent_experiment = None
    child.save()
    assert reread(child).root_experiment_id == reread(leaf).root_experiment_id == child.pk


def test_what_changed_is_worked_out_from_the_params(project):
    parent = make(project, params={"lr": 0.1, "width": 64, "seed": 1, "drop": 0.5})
    child = make(project, parent_experiment=parent, params={"lr": 0.01, "width": 64, "seed": 2, "depth": 3})
    assert child.features_diff == {"lr": {"from": 0.1, "to": 0.01}, "depth": {"from": None, "to": 3}, "drop": {"from": 0.5, "to": None}}


def test_what_changed_is_kept_as_given(project):
    parent = make(project, params={"lr": 0.1})
    assert make(project, parent_experiment=parent, params={"lr": 0.2}, features_diff={"augment": "on"}).features_diff == {"augment": "on"}


def test_both_spellings_of_a_difference_read_alike():
    rows = changes({"lr": {"from": 0.1, "to": 0.2}, "augment": "on", "depth": {"from": None, "to": [1, 2]}})
    assert [(row.feature, row.was, row.now) for row in rows] == [("lr", "0.1", "0.2"), ("augment", None, "on"), ("depth", "–", "[1, 2]")]


def test_a_difference_leaves_seeds_out():
    assert difference({"seed": 1, "random_seed": 1, "replicate": 1}, {"seed": 2, "random_seed": 2}, Seeds()) == {}


def test_five_seeds_are_replicates(project):
    keys = {make(project, params={"lr": 0.1, "seed": seed}, seed=seed).replicate_key for seed in range(5)}
    assert len(keys) == 1
    assert make(project, params={"lr": 0.2, "seed": 0}, seed=0).replicate_key not in keys


def test_children_of_replicates_are_replicates(project):
    roots = [make(project, params={"lr": 0.1, "seed": seed}, seed=seed) for seed in range(5)]
    keys = {make(project, parent_experiment=root, params={"lr": 0.1, "width": 2, "seed": root.seed}).replicate_key for root in roots}
    assert len(keys) == 1
    assert keys.isdisjoint({root.replicate_key for root in roots})


def test_equal_params_in_two_projects_are_no_replicates(project, team):
    other = Project.objects.create(team=team, name="other")
    assert make(project, params={"lr": 1}).replicate_key != make(other, params={"lr": 1}).replicate_key


def test_a_replicate_group_wins_over_params(project):
    first, second = make(project, params={"lr": 1}, replicate_group="g"), make(project, params={"lr": 2}, replicate_group="g")
    assert first.replicate_key == second.replicate_key == "g"


def test_a_kind_of_failure_goes_with_a_failure_only(project):
    with pytest.raises(IntegrityError), transaction.atomic():
        make(project, status="running", failure_kind="diverged")


def test_ended_is_ended_until_resumed(experiment):
    experiment.complete(at=experiment.created_at)
    with pytest.raises(AlreadyEnded, match="resume it"):
        experiment.fail("crashed", at=experiment.created_at)
    experiment.resume()
    assert (experiment.status, experiment.finished_at) == ("running", None)
    with pytest.raises(Conflict):
        experiment.resume()


def test_no_two_clients_get_one_writer_number(experiment):
    copies = [reread(experiment) for _ in range(3)]
    assert [copy.hand_out_writer() for copy in copies] == [1, 2, 3]


def test_deleting_a_team_in_the_database_leaves_marks_alone(team):
    mark = DeletedExperiment.objects.create(experiment_id=team.pk, project_id=team.pk, team_id=team.pk, name="gone")
    Team.objects.all().delete()
    assert DeletedExperiment.objects.get() == mark


def test_a_chain_of_a_hundred_changes_can_be_moved(project):
    previous = make(project, params={"step": 0})
    rows = []
    for number in range(100):
        row = Experiment(project=project, name=f"n{number}", slug=f"n{number}", parent_experiment=previous, root_experiment=previous)
        rows.append(row)
        previous = row
    Experiment.objects.bulk_create(rows)
    root = Experiment.objects.get(slug="run")
    root.params = {"step": 1}
    root.save()
    assert set(Experiment.objects.values_list("root_experiment", flat=True)) == {root.pk}
