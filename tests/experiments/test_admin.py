import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from experiments import lifecycle
from experiments.models import DeletedExperiment, Experiment, Tag
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("search and lists of the admin are queries that each database answers in its own way")
TABLE = "/admin/experiments/experiment/"


@pytest.fixture
def browser(operator, browser_for) -> Client:
    return browser_for(operator)


def many(project: Project, count: int) -> None:
    """Experiments in a lineage, so that a table which follows relations one by one shows it."""
    roots = [Experiment(project=project, name=f"root {n}", slug=f"r{n}") for n in range(count // 2)]
    for root in roots:
        root.root_experiment_id = root.pk
    Experiment.objects.bulk_create(roots)
    Experiment.objects.bulk_create(
        Experiment(project=project, name=f"run {n}", slug=f"n{n}", parent_experiment=root, root_experiment=root, params={"lr": n})
        for n, root in enumerate(roots)
    )


def form(browser: Client, experiment: Experiment, **changes) -> dict:
    """The fields of the change page as a browser would send them back, with some changed."""
    page = browser.get(f"{TABLE}{experiment.pk}/change/")
    assert page.status_code == 200
    fields = page.context["adminform"].form
    sent = {name: fields[name].value() for name in fields.fields}
    hidden = {f"initial-{name}": value for name, value in sent.items() if fields.fields[name].show_hidden_initial}
    inline = {f"events-{part}_FORMS": "0" for part in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
    return {name: value for name, value in {**sent, **hidden, **inline, **changes}.items() if value is not None}


def act(browser: Client, action: str, *experiments: Experiment, **more):
    return browser.post(TABLE, {"action": action, "_selected_action": [experiment.pk for experiment in experiments], **more}, follow=True)


def test_every_model_of_the_product_is_in_the_admin():
    registered = {model.__name__ for model in admin.site._registry if model._meta.app_label in ("accounts", "projects", "experiments", "metrics")}
    assert registered >= {
        "User",
        "Team",
        "Membership",
        "ApiToken",
        "Project",
        "ProjectMetric",
        "Tag",
        "Experiment",
        "ExperimentEvent",
        "DeletedExperiment",
        "Spool",
    }


def test_every_table_and_form_opens(browser, experiment, erin, team):
    lifecycle.edit(experiment, by=erin, notes="x", tags=["t"])
    DeletedExperiment.objects.create(experiment_id=team.pk, project_id=team.pk, team_id=team.pk, name="gone")
    for model, page in admin.site._registry.items():
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert browser.get(reverse(f"{base}_changelist"), {"q": "a"} if page.search_fields else {}).status_code == 200
        row = model._default_manager.first()
        if row is not None:
            assert browser.get(reverse(f"{base}_change", args=[row.pk])).status_code == 200


def test_a_long_table_costs_the_same_queries_as_a_short_one(browser, project, django_assert_num_queries):
    many(project, 10)
    browser.get(TABLE)
    with django_assert_num_queries(7):
        browser.get(TABLE)
    Experiment.objects.all().delete()
    many(project, 300)
    with django_assert_num_queries(7):
        page = browser.get(TABLE)
    assert page.content.count(b'name="_selected_action"') == 50


def test_with_ten_thousand_experiments_no_page_holds_a_giant_select_box(browser, project):
    many(project, 10_000)
    experiment = Experiment.objects.filter(slug="n7").get()
    for address in (TABLE, f"{TABLE}?q=run", f"{TABLE}?status__exact=running", f"{TABLE}{experiment.pk}/change/", f"{TABLE}add/"):
        page = browser.get(address)
        assert page.status_code == 200
        assert page.content.count(b"<option") < 80
        assert len(page.content) < 120_000
    lookup = {"app_label": "experiments", "model_name": "experiment", "field_name": "parent_experiment", "term": "run 4321"}
    found = browser.get("/admin/autocomplete/", lookup).json()
    assert [row["text"] for row in found["results"]] == ["run 4321"]


def test_an_experiment_is_found_by_its_uuid(browser, experiment):
    assert str(experiment.pk) in browser.get(TABLE, {"q": str(experiment.pk)}).content.decode()


def test_history_and_what_follows_from_other_things_cannot_be_typed(browser, experiment, erin):
    lifecycle.edit(experiment, by=erin, notes="x")
    page = browser.get(f"{TABLE}{experiment.pk}/change/").content.decode()
    typed = set(re.findall(r'name="([^"]+)"', page))
    assert typed.isdisjoint({"root_experiment", "replicate_key", "writers", "status", "failure_kind", "archived", "project", "created_by", "events-0-detail"})
    assert {"name", "notes", "params", "features_diff", "parent_experiment", "tags"} <= typed
    assert "Edited" in page


def test_an_edit_is_recorded_and_writes_only_what_was_changed(browser, operator, experiment):
    sent = form(browser, experiment, notes="by hand", params='{"lr": 2}')
    Experiment.objects.filter(pk=experiment.pk).update(writers=7)
    answer = browser.post(f"{TABLE}{experiment.pk}/change/", sent)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    experiment.refresh_from_db()
    assert (experiment.notes, experiment.params, experiment.writers) == ("by hand", {"lr": 2}, 7)
    event = experiment.events.get()
    assert (event.kind, event.by) == ("edited", operator)
    assert set(event.detail.split(", ")) == {"notes", "params"}


def test_a_new_parent_moves_the_subtree(browser, project):
    old, new = (Experiment.objects.create(project=project, name=name) for name in ("old", "new"))
    child = Experiment.objects.create(project=project, name="child", parent_experiment=old, params={"lr": 1})
    leaf = Experiment.objects.create(project=project, name="leaf", parent_experiment=child)
    Experiment.objects.filter(pk=new.pk).update(params={"lr": 2})
    assert browser.post(f"{TABLE}{child.pk}/change/", form(browser, child, parent_experiment=str(new.pk))).status_code == 302
    leaf.refresh_from_db()
    assert leaf.root_experiment_id == new.pk
    child.refresh_from_db()
    assert child.features_diff == {"lr": {"from": 2, "to": 1}}


@pytest.mark.parametrize("wrong", ["cycle", "parent", "tag", "nan", "nul", "list"])
def test_what_would_break_the_record_is_refused_on_the_form(browser, experiment, team, wrong):
    elsewhere = Project.objects.create(team=team, name="other")
    child = Experiment.objects.create(project=experiment.project, name="child", parent_experiment=experiment)
    stranger = Experiment.objects.create(project=elsewhere, name="stranger")
    tag = Tag.objects.create(project=elsewhere, name="theirs")
    changes = {
        "cycle": {"parent_experiment": str(child.pk)},
        "parent": {"parent_experiment": str(stranger.pk)},
        "tag": {"tags": [str(tag.pk)]},
        "nan": {"params": '{"lr": NaN}'},
        "nul": {"params": '{"lr": "\\u0000"}'},
        "list": {"features_diff": '["lr"]'},
    }
    answer = browser.post(f"{TABLE}{experiment.pk}/change/", form(browser, experiment, **changes[wrong]))
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    experiment.refresh_from_db()
    assert (experiment.parent_experiment, experiment.params) == (None, {})


def test_an_experiment_added_by_hand_has_a_beginning(browser, operator, project):
    inline = {f"events-{part}_FORMS": "0" for part in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
    tag = Tag.objects.create(project=project, name="t")
    sent = {"project": str(project.pk), "name": "by hand", "status": "planned", "params": "{}", "features_diff": "{}", "tags": [tag.pk], **inline}
    answer = browser.post(f"{TABLE}add/", sent)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    made = Experiment.objects.get()
    assert (made.slug, made.status, made.started_at, made.created_by, list(made.tags.all())) == ("by-hand", "planned", None, operator, [tag])
    assert [event.kind for event in made.events.all()] == ["created"]


def test_tags_and_an_emptied_slug_are_saved_well(browser, experiment):
    tag = Tag.objects.create(project=experiment.project, name="t")
    browser.post(f"{TABLE}{experiment.pk}/change/", form(browser, experiment, tags=[str(tag.pk)], slug=""))
    experiment.refresh_from_db()
    assert (experiment.slug, list(experiment.tags.all())) == ("baseline", [tag])
    assert [event.detail for event in experiment.events.all()] == ["tags"]


def test_actions_archive_restore_end_and_resume(browser, operator, experiment):
    for action in ("archive", "restore", "mark_failed", "resume", "mark_complete"):
        assert act(browser, action, experiment).status_code == 200
    assert [event.kind for event in experiment.events.all()] == ["archived", "restored", "failed", "resumed", "completed"]
    assert {event.by for event in experiment.events.all()} == {operator}


def test_an_action_that_is_refused_for_some_says_so(browser, experiment, erin):
    other = Experiment.objects.create(project=experiment.project, name="other")
    lifecycle.complete(experiment, by=erin)
    page = act(browser, "mark_failed", experiment, other).content.decode()
    assert "Done: 1." in page
    assert "Not done: 1. baseline is complete already" in page
    other.refresh_from_db()
    assert other.status == "failed"


def test_deleting_asks_first_and_leaves_marks(browser, experiment):
    child = Experiment.objects.create(project=experiment.project, name="child", parent_experiment=experiment)
    page = act(browser, "delete_selected", experiment)
    assert "Are you sure" in page.content.decode()
    assert Experiment.objects.count() == 2
    act(browser, "delete_selected", experiment, post="yes")
    assert DeletedExperiment.objects.get().pk == experiment.pk
    child.refresh_from_db()
    assert child.root_experiment_id == child.pk
    assert browser.post(f"{TABLE}{child.pk}/delete/", {"post": "yes"}).status_code == 302
    assert DeletedExperiment.objects.count() == 2


def test_deleting_a_project_names_its_size_and_leaves_marks(browser, project):
    many(project, 300)
    address = f"/admin/projects/project/{project.pk}/delete/"
    assert len(browser.get(address).content) < 30_000
    assert browser.post(address, {"post": "yes"}).status_code == 302
    assert DeletedExperiment.objects.count() == 300


def test_deleting_a_team_leaves_marks(browser, experiment, team):
    assert browser.post(f"/admin/accounts/team/{team.pk}/delete/", {"post": "yes"}).status_code == 302
    assert DeletedExperiment.objects.count() == 1


@pytest.mark.parametrize("table", ["experiments/experimentevent", "experiments/deletedexperiment", "metrics/spool"])
def test_what_the_product_writes_nobody_edits(browser, table):
    assert browser.get(f"/admin/{table}/").status_code == 200
    assert browser.get(f"/admin/{table}/add/").status_code == 403


def test_a_deletion_left_undone_can_be_done_from_the_admin(browser, store, team):
    mark = DeletedExperiment.objects.create(experiment_id=team.pk, project_id=team.pk, team_id=team.pk, name="gone")
    browser.post("/admin/experiments/deletedexperiment/", {"action": "purge", "_selected_action": [mark.pk]})
    mark.refresh_from_db()
    assert mark.purged_at is not None


def test_staff_who_may_only_look_purge_nothing_and_whoever_may_is_told(browser_for, bob, store, team):
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    mark = DeletedExperiment.objects.create(experiment_id=team.pk, project_id=team.pk, team_id=team.pk, name="gone")
    for permissions, is_done in ((["view_deletedexperiment"], False), (["view_deletedexperiment", "change_deletedexperiment"], True)):
        bob.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        browser_for(bob).post("/admin/experiments/deletedexperiment/", {"action": "purge", "_selected_action": [mark.pk]})
        mark.refresh_from_db()
        lines = [line.sentence for line in AuditEntry.objects.filter(act="admin.acted", user_id=bob.pk)]
        assert (mark.purged_at is not None, lines) == (
            is_done,
            ["took out of the metric store the points of 1 deleted experiments in the admin"] * is_done,
        )


def test_members_without_staff_rights_stay_outside(browser_for, alice):
    assert browser_for(alice).get("/admin/").status_code == 302
