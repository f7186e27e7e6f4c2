"""A features_diff that nobody gave follows the params of the run and of its parent, and arms with it; one that was given stays."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test import Client

from experiments import lifecycle, rekeying
from experiments.arms import digest
from experiments.models import Experiment, MovedArm, current_keys
from hypotheses.models import Hypothesis, Link, Rule
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("descendants are written in batches, in transactions")
MIGRATION = "experiments.migrations.0006_keys_by_value"


def arms(project: Project) -> int:
    return Experiment.objects.filter(project=project).values("replicate_key").distinct().count()


def test_twenty_nested_runs_that_get_their_params_one_by_one_are_twenty_arms(api_for, erin, project: Project):
    api: Client = api_for(erin)

    def patch(slug: str, params: dict[str, object]) -> None:
        run = Experiment.objects.get(slug=slug)
        assert api.patch(f"/api/v1/experiments/{run.pk}", {"params": params}, content_type="application/json").status_code == 200

    assert api.post("/api/v1/experiments", {"project": "digits", "name": "search"}, content_type="application/json").status_code == 201
    for n in range(20):
        api.post("/api/v1/experiments", {"project": "digits", "name": f"trial {n}", "parent": "search"}, content_type="application/json")
    assert arms(project) == 2
    for n in range(20):
        patch(f"trial-{n}", {"lr": n})
        patch("search", {"budget": n})
        patch(f"trial-{n}", {"lr": n, "opt": "adam"})
    assert arms(project) == 21
    patch("search", {"budget": 20, "lr": 3})
    assert arms(project) == 21
    assert Experiment.objects.get(slug="trial-3").features_diff == {"budget": {"from": 20, "to": None}, "opt": {"from": None, "to": "adam"}}


def test_twenty_runs_nested_in_each_other_follow_too(project: Project, erin):
    line = [lifecycle.create(project, by=erin, name="n0")]
    for n in range(1, 20):
        line.append(lifecycle.create(project, by=erin, name=f"n{n}", parent=line[-1]))
    for n, run in enumerate(line):
        lifecycle.edit(Experiment.objects.get(pk=run.pk), by=erin, params={"depth": n})
    assert arms(project) == 20
    assert Experiment.objects.get(name="n7").features_diff == {"depth": {"from": 6, "to": 7}}


def test_what_somebody_gave_stays_until_it_is_given_empty(project: Project, erin):
    parent = lifecycle.create(project, by=erin, name="p", params={"lr": 1})
    child = lifecycle.create(project, by=erin, name="c", parent=parent, params={"lr": 2}, features_diff={"lr": {"from": 1, "to": 2}})
    assert child.features_diff_given
    lifecycle.edit(parent, by=erin, params={"lr": 5})
    child.refresh_from_db()
    assert child.features_diff == {"lr": {"from": 1, "to": 2}}
    lifecycle.edit(child, by=erin, features_diff={})
    child.refresh_from_db()
    assert (child.features_diff, child.features_diff_given) == ({"lr": {"from": 5, "to": 2}}, False)
    lifecycle.edit(child, by=erin, features_diff={"augment": "on"})
    lifecycle.edit(child, by=erin, parent=None)
    assert (child.features_diff, child.features_diff_given) == ({"augment": "on"}, True)


def test_an_answer_says_whether_it_was_given(api_for, erin, project: Project):
    api: Client = api_for(erin)
    for name, more in (("a", {}), ("b", {"features_diff": {"x": 1}}), ("c", {"features_diff": {}})):
        api.post("/api/v1/experiments", {"project": "digits", "name": name, **more}, content_type="application/json")
    assert {row["name"]: row["features_diff_given"] for row in api.get("/api/v1/experiments").json()["results"]} == {"a": False, "b": True, "c": False}


def test_a_run_whose_change_follows_its_parent_is_linked_by_the_rule_that_names_it(project: Project, erin):
    claim = Hypothesis.objects.create(project=project, title="t")
    Rule.objects.create(hypothesis=claim, feature="lr")
    parent = lifecycle.create(project, by=erin, name="p", params={"lr": 2})
    child = lifecycle.create(project, by=erin, name="c", parent=parent, params={"lr": 2})
    assert not Link.objects.exists()
    lifecycle.edit(parent, by=erin, params={"lr": 1})
    assert list(Link.objects.values_list("experiment", flat=True)) == [child.pk]


def test_a_thousand_children_follow_in_batches(project: Project, erin, django_assert_max_num_queries):
    parent = lifecycle.create(project, by=erin, name="p")
    rows = [Experiment(project=project, name=f"n{n}", slug=f"n{n}", parent_experiment=parent, params={"lr": n}) for n in range(1000)]
    Experiment.objects.bulk_create(rows)
    with django_assert_max_num_queries(40):
        lifecycle.edit(parent, by=erin, params={"lr": -1})
    assert arms(project) == 1001


# Old records


def old_key(*parts: str) -> str:
    return digest(*parts)


@pytest.fixture
def old(project: Project) -> dict[str, Experiment]:
    """Runs with the keys and changes that the version before gave them."""
    rows = {
        "whole": Experiment.objects.create(project=project, name="whole", params={"n": 64}),
        "float": Experiment.objects.create(project=project, name="float", params={"n": 64.0}),
        "null": Experiment.objects.create(project=project, name="null", params={"n": 64, "a": None}),
        "state": Experiment.objects.create(project=project, name="state", params={"n": 64, "random_state": 3}),
    }
    rows["child"] = Experiment.objects.create(project=project, name="child", parent_experiment=rows["float"], params={"n": 65, "random_state": 1})
    rows["given"] = Experiment.objects.create(project=project, name="given", parent_experiment=rows["whole"], features_diff={"augment": "on"})
    texts = {"whole": '{"n": 64}', "float": '{"n": 64.0}', "null": '{"a": null, "n": 64}', "state": '{"n": 64, "random_state": 3}'}
    for name, text in texts.items():
        Experiment.objects.filter(pk=rows[name].pk).update(replicate_key=old_key(str(project.pk), text, "{}"))
    changed = {"n": {"from": 64.0, "to": 65}, "random_state": {"from": None, "to": 1}}
    Experiment.objects.filter(pk=rows["child"].pk).update(features_diff=changed, replicate_key="old child")
    Experiment.objects.update(features_diff_given=False)
    return rows


def migrated() -> None:
    import_module(MIGRATION).put_in_arms(apps, None)


def test_old_keys_are_recomputed_and_each_leads_to_the_new_one(project: Project, old, api_for, erin):
    before = dict(Experiment.objects.values_list("slug", "replicate_key"))
    migrated()
    after = dict(Experiment.objects.values_list("slug", "replicate_key"))
    assert after["whole"] == after["float"] == after["null"] == after["state"] == before["whole"]
    assert {before[name]: after[name] for name in ("float", "null", "state", "child")} == dict(MovedArm.objects.values_list("old_key", "new_key"))
    assert set(MovedArm.objects.filter(is_joined=True).values_list("old_key", flat=True)) == {before["float"], before["null"], before["state"]}
    assert current_keys(project.pk, [before["float"], before["whole"], "unheard of"]) == {before["float"], after["whole"], "unheard of"}
    found = api_for(erin).get("/api/v1/experiments", {"replicate_key": before["child"]}).json()["results"]
    assert [row["slug"] for row in found] == ["child"]


def test_old_changes_that_were_given_are_told_from_those_that_follow(old):
    migrated()
    assert dict(Experiment.objects.values_list("slug", "features_diff_given"))["given"] is True
    child = Experiment.objects.get(slug="child")
    assert (child.features_diff_given, child.features_diff) == (False, {"n": {"from": 64.0, "to": 65}})


def test_migrating_once_more_changes_nothing(old):
    migrated()
    before = [*Experiment.objects.order_by("pk").values_list("replicate_key", "features_diff"), *MovedArm.objects.values_list("old_key", "new_key", "at")]
    migrated()
    assert [
        *Experiment.objects.order_by("pk").values_list("replicate_key", "features_diff"),
        *MovedArm.objects.values_list("old_key", "new_key", "at"),
    ] == before


def test_runs_that_the_version_before_makes_meanwhile_are_put_in_place_by_the_next_sweep(project: Project, old):
    migrated()
    Experiment.objects.filter(slug="float").update(replicate_key="as before")
    project.refresh_from_db()
    assert project.keys_due_at is not None
    import_module("experiments.tasks").rekey()
    assert Experiment.objects.get(slug="float").replicate_key == Experiment.objects.get(slug="whole").replicate_key


@pytest.fixture
def before(project: Project) -> Any:
    """The model of a run as the version before has it; what it writes leaves placed_key to the database."""
    state = MigrationLoader(connection).project_state([("experiments", "0007_writer")])
    return state.apps.get_model("experiments", "Experiment")


def test_a_run_that_the_version_before_makes_long_after_the_upgrade_is_put_in_place_by_the_next_sweep(project: Project, before: Any, erin):
    ours = lifecycle.create(project, by=erin, name="ours", params={"n": 64})
    assert not rekeying.due().exists()
    before.objects.create(project_id=project.pk, name="theirs", slug="theirs", params={"n": 64.0}, replicate_key="as before")
    assert [found.pk for found in rekeying.due()] == [project.pk]
    assert rekeying.rekey_due() == 1
    theirs = Experiment.objects.get(slug="theirs")
    assert (theirs.replicate_key, theirs.placed_key) == (ours.replicate_key, ours.replicate_key)
    assert [*MovedArm.objects.values_list("old_key", "new_key")] == [("as before", ours.replicate_key)]
    assert not rekeying.due().exists()
    row = before.objects.get(slug="ours")
    row.replicate_key = "edited as before"
    row.save()
    assert (rekeying.rekey_due(), arms(project), rekeying.due().exists()) == (1, 1, False)


def test_changes_that_somebody_gave_to_the_version_before_stay_given_and_those_that_it_worked_out_follow(project: Project, before: Any, erin):
    root = lifecycle.create(project, by=erin, name="root", params={"n": 64, "trainer": {"seed": 1}})
    about = {"project_id": project.pk, "parent_experiment_id": root.pk, "params": {"n": 65, "trainer": {"seed": 2}}, "replicate_key": "as before"}
    before.objects.create(**about, name="given", slug="given", features_diff={"augmented": True})
    seeds = {"from": {"seed": 1}, "to": {"seed": 2}}
    before.objects.create(**about, name="told", slug="told", features_diff={"n": {"from": 64, "to": 65}, "trainer": seeds})
    assert rekeying.rekey_due() == 2
    found = {run.slug: (run.features_diff_given, run.features_diff) for run in Experiment.objects.exclude(pk=root.pk)}
    assert found == {"given": (True, {"augmented": True}), "told": (False, {"n": {"from": 64, "to": 65}})}
    assert not rekeying.due().exists()


def test_runs_that_are_out_of_place_are_found_by_an_index_of_their_own(project: Project):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"r{n}", slug=f"r{n}", replicate_key="k", placed_key="k") for n in range(500)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":  # which reads a table of so few rows whole, whatever index there is
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "experiment_misplaced" in Experiment.objects.misplaced().order_by().values("project").explain()


def test_deleting_a_project_takes_its_moved_arms_along(project: Project, old):
    migrated()
    project.delete()
    assert not MovedArm.objects.exists()
