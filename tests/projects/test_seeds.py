"""Which params are seeds: what the setting means, how it is changed, and what follows."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from config.errors import Invalid
from experiments.compare.grouping import Key
from experiments.models import Experiment, MovedArm
from experiments.rekeying import keys_above, keys_by
from experiments.scatter.axes import choices_of
from experiments.table.columns import Columns
from experiments.table.filtering import fitting
from experiments.tasks import rekey
from hypotheses.page.dossier import reseeded
from projects import services
from projects.models import Project
from projects.seeds import DEFAULT, ENTRIES_MOST, Seeds, entries_of
from tests.projects.test_api import faults

pytestmark = pytest.mark.differs_on_servers("the setting is JSON, and runs are put into arms in the database")
JSON = "application/json"


@pytest.fixture
def editor(api_for, erin) -> Client:
    return api_for(erin)


def arms(project: Project) -> list[list[str]]:
    """The slugs of the runs of each arm."""
    found: dict[str, list[str]] = {}
    for slug, key in Experiment.objects.filter(project=project).order_by("created_at", "pk").values_list("slug", "replicate_key"):
        found.setdefault(key, []).append(slug)
    return sorted(found.values())


def make(project: Project, name: str, params: dict[str, Any], **more: Any) -> Experiment:
    return Experiment.objects.create(project=project, name=name, params=params, **more)


# What an entry means


@pytest.mark.parametrize(
    "name",
    [
        *("seed", "Seed", "SEED", "trainer.seed", "args.seed", "args/seed", "a.b.c.seed", "seed_everything", "random_state", "randomState", "random-seed"),
        *("manual_seed", "model.random_state", "PYTHONHASHSEED", "replicate", "data_seed"),
    ],
)
def test_seeds_by_default(name: str):
    assert Seeds().has(name)


@pytest.mark.parametrize("name", ["seed_lr", "data.seeds_dir", "seed.path", "seeds", "n_seeds", "seedling", "use_seed", "lr", "seed.torch", "trainer", ""])
def test_no_seeds_by_default(name: str):
    assert not Seeds().has(name)


def test_a_path_means_one_param_and_an_exclamation_mark_takes_one_out():
    seeds = Seeds(("seed", "rng.state", ".only_here", "!data.seed", "!eval_seed"))
    assert [seeds.has(name) for name in ("seed", "x.seed", "rng.state", "a.rng.state", "RNG/State", "state")] == [True, True, True, False, True, False]
    assert [seeds.has(name) for name in ("only_here", "x.only_here", "data.seed", "more.data.seed")] == [True, False, False, True]


def test_params_without_seeds_lose_them_at_every_depth_and_objects_that_held_nothing_else():
    params = {"lr": 1, "Seed": 2, "trainer": {"seed": 1, "steps": 9}, "rng": {"seed": 3, "none": None}, "o": {}, "l": [{"seed": 1}]}
    assert Seeds().without(params) == {"lr": 1, "trainer": {"steps": 9}, "o": {}, "l": [{"seed": 1}]}
    assert Seeds(()).without(params) is params


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"lr": 1, "Seed": 3}, 3),
        ({"trainer": {"seed": 4, "steps": 9}}, 4),
        ({"random_state": 5.0}, 5),
        ({"seed": 1, "data_seed": 2}, 1),
        ({"model_seed": 2, "data_seed": 2}, 2),
        ({"model_seed": 1, "data_seed": 2}, None),
        ({"seed": "first"}, None),
        ({"seed": True}, None),
        ({"seed": math.nan}, None),
        ({"seed": math.inf}, None),
        ({"seed_lr": 1}, None),
        ({}, None),
    ],
)
def test_the_seed_of_a_run_is_told_by_its_params_where_nobody_gave_it(params: dict[str, Any], told: int | None):
    assert Experiment(params=params).seed_by(Seeds()) == told
    assert Experiment(params=params, seed=77).seed_by(Seeds()) == 77


def test_what_starts_a_replicate_has_another_number_for_every_seed():
    params = {"lr": 1, "trainer": {"seed": 1, "steps": 9}, "random_state": 2, "seed_lr": 3, "Seed": "text", "deterministic": True}
    assert Seeds().replaced(params, 7) == params | {"trainer": {"seed": 7, "steps": 9}, "random_state": 7}
    command = "python t.py --seed 1 --trainer.seed=2 +args.random_state=3 --lr 4 seed_lr=5 --seed-everything=-6 --epochs=10"
    assert reseeded(command, 7, Seeds()) == "python t.py --seed 7 --trainer.seed=7 +args.random_state=7 --lr 4 seed_lr=5 --seed-everything=7 --epochs=10"


@pytest.mark.parametrize("odd", ["*", "*.seed", "a..b", ".", "!", "!.", "a.", "__", "x" * 251, "a\u200bb"])
def test_an_entry_that_means_no_param_is_refused_with_what_to_do(odd: str):
    with pytest.raises(ValueError, match=r"write a name|at most|invisible"):
        entries_of(["seed", odd])


def test_entries_are_kept_once_and_without_blanks():
    assert entries_of([" seed ", "", "seed", "x.y"]) == ("seed", "x.y")
    with pytest.raises(ValueError, match="100 at most"):
        entries_of(f"s{n}" for n in range(ENTRIES_MOST + 1))


# The same everywhere


def test_seeds_that_are_nested_or_named_otherwise_keep_no_replicates_apart(project: Project):
    for n, name in enumerate(("trainer", "args")):
        make(project, f"{name}", {"lr": 1, "trainer": {"seed": n, "steps": 9}, "random_state": n, "Seed": n, "args.seed": n, "seed_everything": n})
    (runs,) = arms(project)
    assert len(runs) == 2
    assert len({Key("seed").value(run) for run in Experiment.objects.filter(project=project)}) == 1


def test_a_change_of_nested_seeds_alone_is_no_change(project: Project):
    root = make(project, "root", {"lr": 1, "trainer": {"seed": 1, "steps": 9}})
    children = [make(project, f"c{n}", {"lr": 2, "trainer": {"seed": n, "steps": 9}}, parent_experiment=root) for n in range(3)]
    assert [child.features_diff for child in children] == [{"lr": {"from": 1, "to": 2}}] * 3
    assert len({child.replicate_key for child in children}) == 1
    given = [make(project, "g", {}, parent_experiment=root, features_diff={"trainer": {"seed": n}, "lr": 3, "Seed": n}) for n in range(2)]
    assert len({child.replicate_key for child in given}) == 1


def test_seeds_are_no_columns_by_themselves_and_are_there_for_who_asks(project: Project):
    for n in range(3):
        make(project, "run", {"lr": n, "random_state": n, "trainer": {"seed": n}})
    columns = Columns(project, ())
    assert ("param:lr" in columns.default_keys, "param:random_state" in columns.menu, columns.params["trainer"]) == (True, False, False)
    assert Columns(project, ("param:random_state",)).keys == ("param:random_state",)
    assert len(fitting(project, "params.random_state = 1 and params.trainer.seed = 1", Experiment.objects.filter(project=project))) == 1
    assert choices_of(Experiment.objects.values_list("params", flat=True), [], project.seeds).telling == 1


# How it is changed


def test_the_api_tells_the_seeds_and_changes_them(editor: Client, project: Project):
    url = "/api/v1/projects/digits"
    assert editor.get(url).json()["seed_params"] == list(DEFAULT)
    assert editor.patch(url, {"seed_params": ["seed", "!data.seed"]}, content_type=JSON).json()["seed_params"] == ["seed", "!data.seed"]
    assert editor.patch(url, {"seed_params": []}, content_type=JSON).json()["seed_params"] == []
    assert editor.patch(url, {"seed_params": None}, content_type=JSON).json()["seed_params"] == list(DEFAULT)
    refused = editor.patch(url, {"name": "Other", "seed_params": ["a.*"]}, content_type=JSON)
    assert "no wildcards" in faults(refused)["seed_params"]
    project.refresh_from_db()
    assert (project.name, project.seed_params) == ("digits", None)


def test_the_form_shows_the_seeds_and_changes_them_and_the_projects_page_tells_them(browser_for, erin, project: Project):
    page, url = browser_for(erin), reverse("projects:edit", args=[project.team.slug, project.slug])
    assert "seed_everything\nmanual_seed" in page.get(url).content.decode()
    sent = {"name": "digits", "seed_params": "fold\r\n seed \r\n\r\n!data.seed"}
    assert page.post(url, sent).status_code == 302
    project.refresh_from_db()
    assert project.seeds == Seeds(("fold", "seed", "!data.seed"))
    assert "fold, seed, !data.seed" in page.get(reverse("projects:project", args=[project.team.slug, project.slug])).content.decode()
    refused = page.post(url, sent | {"seed_params": "a..b"})
    assert (refused.status_code, "is no name of a param" in refused.content.decode()) == (422, True)
    assert page.post(url, sent | {"seed_params": ""}).status_code == 302
    project.refresh_from_db()
    assert project.seed_params is None


def test_who_set_the_seeds_is_in_the_log_and_the_same_list_is_no_change(project: Project, erin, caplog):
    with caplog.at_level(logging.INFO, logger="projects.services"):
        services.edit(project, by=erin, seed_params=["fold"])
        services.edit(project, by=erin, seed_params=["fold"])
    assert [record.getMessage() for record in caplog.records] == [f"erin set the seeds of the project digits ({project.pk}): fold"]
    with pytest.raises(Invalid, match="seed_params: 'a\\.\\.b' is no name"):
        services.edit(project, by=erin, seed_params=["a..b"])


def test_the_admin_sets_seeds_by_the_verb(browser_for, operator, project: Project):
    url = reverse("admin:projects_project_change", args=[project.pk])
    sent = {"name": "digits", "slug": "digits", "description": "", "retention_days": "", "seeds": "fold"}
    assert browser_for(operator).post(url, sent).status_code == 302
    project.refresh_from_db()
    assert (project.seed_params, project.keys_due_at is None) == (["fold"], False)


# What follows


def test_another_setting_puts_runs_into_arms_anew_in_a_task_and_back(project: Project, erin):
    for n in range(2):
        root = make(project, f"r{n}", {"lr": 1, "fold": n})
        make(project, f"c{n}", {"lr": 2, "fold": n + 5}, parent_experiment=root)
    apart = [["c0"], ["c1"], ["r0"], ["r1"]]
    assert arms(project) == apart
    before = dict(Experiment.objects.values_list("slug", "replicate_key"))
    services.edit(project, by=erin, seed_params=[*DEFAULT, "fold"])
    assert arms(project) == apart
    rekey()
    assert arms(project) == [["c0", "c1"], ["r0", "r1"]]
    assert Experiment.objects.get(slug="c0").features_diff == {"lr": {"from": 1, "to": 2}}
    assert keys_by(project.pk, Seeds()) == {run.pk: before[run.slug] for run in Experiment.objects.all()}
    assert {run.pk: keys_above(run, Seeds())[run.pk] for run in Experiment.objects.all()} == keys_by(project.pk, Seeds())
    rekey()
    assert Project.objects.get(pk=project.pk).keys_due_at is None
    services.edit(project, by=erin, seed_params=None)
    rekey()
    assert dict(Experiment.objects.values_list("slug", "replicate_key")) == before
    assert not MovedArm.objects.filter(old_key__in=before.values()).exists()


def test_an_old_key_finds_its_runs_after_arms_were_joined_or_fell_apart(project: Project, erin, editor: Client):
    runs = [make(project, f"r{n}", {"lr": 1, "fold": n}) for n in range(2)]
    old = runs[0].replicate_key
    services.edit(project, by=erin, seed_params=["fold"])
    rekey()
    joined = Experiment.objects.get(slug="r0").replicate_key

    def found(key: str) -> list[str]:
        return sorted(row["slug"] for row in editor.get("/api/v1/experiments", {"replicate_key": key}).json()["results"])

    assert found(old) == found(joined) == ["r0", "r1"]
    assert set(MovedArm.objects.values_list("new_key", "is_joined")) == {(joined, True)}
    services.edit(project, by=erin, seed_params=["lr"])
    rekey()
    assert found(joined) == ["r0", "r1"]
    assert found(old) == ["r0", "r1"]  # it was one arm with the other since


def test_a_setting_that_changes_while_runs_are_put_in_place_is_done_once_more(project: Project, erin):
    make(project, "r", {"fold": 1})
    services.edit(project, by=erin, seed_params=["fold"])
    services.edit(project, by=erin, seed_params=["lr"])
    rekey()
    assert Experiment.objects.get().replicate_key == make(project, "s", {"fold": 1}).replicate_key


def test_many_runs_are_put_into_arms_in_batches(project: Project, erin, django_assert_max_num_queries):
    root = make(project, "root", {"lr": 1})
    keys = [Experiment(project=project, name=f"n{n}", slug=f"n{n}", parent_experiment=root, params={"fold": n}, replicate_key=str(n)) for n in range(2500)]
    Experiment.objects.bulk_create(keys)
    services.edit(project, by=erin, seed_params=["fold"])
    with django_assert_max_num_queries(60):
        rekey()
    assert len(arms(project)) == 2
