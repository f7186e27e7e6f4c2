from __future__ import annotations

import pytest

from experiments.models import DeletedExperiment, Experiment, ExperimentEvent, Tag
from experiments.readings.selection import select
from hypotheses.claims import stating
from hypotheses.models import Hypothesis
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("params are JSON, which PostgreSQL stores and compares in its own way")
BASE = "/projects/vision-team/digits/"
OWN = f"{BASE}experiments/baseline/"


def test_an_editor_plans_an_experiment_under_a_parent(browser_for, erin, experiment):
    form = {
        "name": "lr 3e-4",
        "parent": "baseline",
        "params": '{"lr": 3e-4}',
        "tags": "a, b,, a",
        "seed": "7",
        "status": "planned",
        "notes": "n",
        "replicate_group": "",
    }
    answer = browser_for(erin).post(f"{BASE}new-experiment", form)
    made = Experiment.objects.get(name="lr 3e-4")
    assert answer["Location"] == f"{BASE}experiments/lr-3e-4/"
    assert (made.parent_experiment, made.params, made.seed, made.status, made.created_by) == (experiment, {"lr": 3e-4}, 7, "planned", erin)
    assert sorted(tag.name for tag in made.tags.all()) == ["a", "b"]
    assert made.features_diff == {"lr": {"from": None, "to": 3e-4}}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("params", "{lr: 1}", "This is not JSON"),
        ("params", "[1]", "an object is needed"),
        ("params", "[" * 100_000, "This is not JSON"),
        ("params", '{"a": NaN}', "nan"),
        ("parent", "nobody", "There is no experiment nobody"),
        ("seed", "1.5", "whole number"),
        ("seed", str(2**63), "less than or equal"),
        ("tags", "x" * 101, "100 characters at most"),
        ("name", "", "required"),
        ("name", "x" * 256, "255"),
    ],
)
def test_what_is_not_valid_is_said_at_its_field_and_kept_in_the_form(browser_for, erin, experiment, field, value, said):
    form = {"name": "typed before", "parent": "", "params": "", "tags": "", "seed": "", "status": "planned", "notes": "kept"} | {field: value}
    answer = browser_for(erin).post(f"{BASE}new-experiment", form)
    assert answer.status_code == 422
    assert said.lower() in " ".join(answer.context["form"].errors[field]).lower()
    assert "kept" in answer.content.decode()
    assert Experiment.objects.count() == 1


def test_editing_changes_the_record_and_notes_who_did_it(browser_for, erin, experiment):
    form = {"name": "基线", "parent": "", "params": '{"lr": 0.1}', "tags": "final", "seed": "", "notes": "better", "replicate_group": "g"}
    assert browser_for(erin).post(f"{OWN}edit", form)["Location"] == OWN
    experiment.refresh_from_db()
    assert (experiment.name, experiment.slug, experiment.params, experiment.replicate_key) == ("基线", "baseline", {"lr": 0.1}, "g")
    event = ExperimentEvent.objects.get(experiment=experiment, kind="edited")
    assert event.by == erin
    assert "params" in event.detail


def test_saving_the_form_untouched_changes_nothing(browser_for, erin, experiment):
    Experiment.objects.filter(pk=experiment.pk).update(params={"lr": 0.1, "名": [1, {"a": None}]}, notes="x")
    form = {name: field or "" for name, field in browser_for(erin).get(f"{OWN}edit").context["form"].initial.items()}
    assert browser_for(erin).post(f"{OWN}edit", form).status_code == 302
    assert not ExperimentEvent.objects.filter(kind="edited").exists()


def test_a_child_cannot_become_its_own_ancestor(browser_for, erin, experiment):
    Experiment.objects.create(project=experiment.project, name="child", parent_experiment=experiment)
    answer = browser_for(erin).post(f"{OWN}edit", {"name": "renamed", "parent": "child", "params": "", "tags": "", "seed": "", "notes": ""})
    assert answer.status_code == 422
    assert "descends from" in " ".join(answer.context["form"].errors["parent"])
    experiment.refresh_from_db()
    assert (experiment.name, experiment.parent_experiment) == ("baseline", None)


def test_a_run_is_ended_failed_and_resumed_by_buttons(browser_for, erin, experiment):
    browser = browser_for(erin)
    for form, state in (
        ({"status": "complete"}, "complete"),
        ({"status": "running"}, "running"),
        ({"status": "failed", "failure_kind": "diverged"}, "diverged"),
    ):
        assert browser.post(f"{OWN}status", form).status_code == 302
        experiment.refresh_from_db()
        assert experiment.state == state
    assert browser.post(f"{OWN}status", {"status": "complete"}).status_code == 409
    assert browser.post(f"{OWN}status", {"status": "nonsense"}).status_code == 422


def test_marking_complete_ignores_the_kind_that_stands_beside_it(browser_for, erin, experiment):
    browser_for(erin).post(f"{OWN}status", {"status": "complete", "failure_kind": "crashed"})
    experiment.refresh_from_db()
    assert (experiment.status, experiment.failure_kind) == ("complete", "")


def test_an_experiment_is_archived_and_brought_back(browser_for, erin, experiment):
    browser_for(erin).post(f"{OWN}archive")
    experiment.refresh_from_db()
    assert experiment.archived
    browser_for(erin).post(f"{OWN}archive", {"restore": "1"})
    experiment.refresh_from_db()
    assert not experiment.archived


def test_deleting_first_says_what_goes_and_only_a_post_deletes(browser_for, alice, erin, experiment, log):
    log(experiment, {"loss": [3.0, 2.0, 1.0], "acc": [0.1, 0.2, 0.3]})
    child = Experiment.objects.create(project=experiment.project, name="the child", parent_experiment=experiment)
    assert browser_for(erin).get(f"{OWN}delete").status_code == 403
    asked = browser_for(alice).get(f"{OWN}delete")
    assert (asked.context["points"], asked.context["children"]) == (6, ["the child"])
    assert Experiment.objects.filter(pk=experiment.pk).exists()
    assert browser_for(alice).post(f"{OWN}delete")["Location"] == BASE
    child.refresh_from_db()
    assert child.parent_experiment is None
    assert DeletedExperiment.objects.filter(pk=experiment.pk).exists()
    assert not Experiment.objects.filter(pk=experiment.pk).exists()


@pytest.mark.parametrize("path", [f"{OWN}edit", f"{BASE}new-experiment"])
def test_a_viewer_changes_nothing_and_a_stranger_finds_nothing(browser_for, bob, carol, experiment, path):
    assert browser_for(bob).get(path).status_code == 403
    assert browser_for(bob).post(path, {"name": "x"}).status_code == 403
    assert browser_for(carol).post(path, {"name": "x"}).status_code == 404


@pytest.mark.parametrize("verb", ["status", "archive", "delete"])
def test_verbs_take_a_role(browser_for, bob, carol, experiment, verb):
    assert browser_for(bob).post(f"{OWN}{verb}", {"status": "complete"}).status_code == 403
    assert browser_for(carol).post(f"{OWN}{verb}", {"status": "complete"}).status_code == 404
    experiment.refresh_from_db()
    assert experiment.status == "running"


def test_a_form_without_its_token_is_refused(alice, experiment):
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.post(f"{OWN}delete").status_code == 403
    assert Experiment.objects.filter(pk=experiment.pk).exists()


def test_who_may_delete_says_how_long_points_are_kept(browser_for, alice, erin, project):
    address, sent = f"/projects/{project.team.slug}/{project.slug}/edit", {"name": "digits", "description": "", "retention_days": "30"}
    assert b"retention_days" not in browser_for(erin).get(address).content
    assert browser_for(erin).post(address, sent).status_code == 302
    project.refresh_from_db()
    assert project.retention_days is None
    assert b"Keep points for (days)" in browser_for(alice).get(address).content
    assert browser_for(alice).post(address, sent | {"retention_days": "0"}).status_code == 422
    assert browser_for(alice).post(address, sent).status_code == 302
    project.refresh_from_db()
    assert project.retention_days == 30
    browser_for(alice).post(address, sent | {"retention_days": ""})
    project.refresh_from_db()
    assert project.retention_days is None


@pytest.mark.parametrize("name", ["a\u200bb", "\u202eab", "a\u00adb"])
def test_forms_refuse_an_invisible_character_with_its_position(erin, browser_for, project, name):
    browser, base = browser_for(erin), "/projects/vision-team/digits"
    place = next(i for i, character in enumerate(name) if character not in "ab")
    sent = {
        "/projects/new": {"name": name, "team": project.team_id},
        f"{base}/edit": {"name": name},
        f"{base}/new-experiment": {"name": name, "status": "planned"},
        f"{base}/hypotheses/new": {"title": name},
    }
    for address, fields in sent.items():
        answer = browser.post(address, fields)
        assert answer.status_code == 422, (address, answer.status_code)
        assert f"at position {place}" in answer.content.decode()
    tagged = browser.post(f"{base}/new-experiment", {"name": "run", "status": "planned", "tags": f"ok, {name}"})
    assert "at position" in tagged.content.decode()
    assert not Experiment.objects.exists()


def test_forms_keep_names_stripped_and_composed(erin, browser_for, project):
    browser, base = browser_for(erin), "/projects/vision-team/digits"
    assert browser.post(f"{base}/new-experiment", {"name": "\u00a0Gro\u0308ße ", "status": "planned", "tags": "e\u0301, é"}).status_code == 302
    made = Experiment.objects.get()
    assert (made.name, [tag.name for tag in made.tags.all()]) == ("Größe", ["é"])


def test_a_comparison_names_runs_by_name_too_and_a_shared_name_is_a_conflict(erin, browser_for, project):
    first, second = (Experiment.objects.create(project=project, name=name) for name in ("v1.1", "v11"))
    found = select(project, ["v1.1,v11", str(first.pk), "nowhere"])
    assert (found.experiments, found.unknown) == ([first, second], ["nowhere"])
    third = Experiment.objects.create(project=project, name="v1.1")
    answer = browser_for(erin).get("/projects/vision-team/digits/compare?e=v1.1,v11")
    assert answer.status_code == 409
    assert str(first.pk) in answer.content.decode()
    assert str(third.pk) in answer.content.decode()


def test_a_project_whose_slug_is_not_what_its_name_gives_says_so(erin, browser_for, team):
    page = browser_for(erin).post("/projects/new", {"name": "C++", "team": team.pk}, follow=True)
    assert page.redirect_chain[-1][0] == "/projects/vision-team/c-2/"
    assert "the slug is c-2" in page.content.decode()


def test_forms_keep_an_old_name_with_invisible_characters_where_nobody_changed_it(alice, browser_for, project, operator):
    browser, base = browser_for(alice), "/projects/vision-team/digits"
    old = "a\u200bb "
    run = Experiment.objects.create(project=project, name=old, replicate_group=old, params={"w\u200bidth": 1})
    run.tags.add(Tag.objects.create(project=project, name=old), Tag.objects.create(project=project, name="final"))
    ProjectMetric.objects.create(project=project, name="loss")
    claim = stating.propose(project, by=alice, title="a b", targets=[stating.TargetTerm("loss", direction="minimize")])
    Hypothesis.objects.filter(pk=claim.pk).update(title=old)
    Project.objects.filter(pk=project.pk).update(name=old)
    for address, changed in (
        (f"{base}/experiments/{run.slug}/edit", {"notes": "new"}),
        (f"{base}/hypotheses/{claim.slug}/edit", {"statement": "new"}),
        (f"{base}/edit", {"description": "new"}),
    ):
        form = browser.get(address).context["form"]
        sent = {name: "" if value is None else value for name in form.fields if (value := form[name].value()) is not False}
        answer = browser.post(address, sent | changed)
        assert answer.status_code == 302, (address, answer.context["form"].errors)
    run.refresh_from_db()
    assert (run.name, run.replicate_group, run.notes) == (old, old, "new")
    assert sorted(run.tags.values_list("name", flat=True)) == [old, "final"]
    admin = browser_for(operator)
    for address in (f"/admin/experiments/experiment/{run.pk}/change/", f"/admin/projects/project/{project.pk}/change/"):
        form = admin.get(address).context["adminform"].form
        sent = {name: value for name in form.fields if (value := form[name].value()) not in (None, False)}
        formsets = {f"{inline.formset.prefix}-{word}_FORMS": inline.formset.total_form_count() if word == "TOTAL" else inline.formset.initial_form_count()
                    for inline in admin.get(address).context["inline_admin_formsets"] for word in ("TOTAL", "INITIAL")}  # fmt: skip
        answer = admin.post(address, sent | formsets)
        assert answer.status_code == 302, (address, answer.context["errors"])
    project.refresh_from_db()
    assert project.name == old


def test_a_changed_old_name_is_refused_as_any_other(alice, browser_for, project):
    Project.objects.filter(pk=project.pk).update(name="a\u200bb")
    assert browser_for(alice).post("/projects/vision-team/digits/edit", {"name": "a\u200bbc"}).status_code == 422
