from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from experiments.models import Experiment
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("lists are ordered, narrowed and counted by the database")
BASE = "/projects/vision-team/digits/"


def test_the_first_page_says_what_runs_what_is_stalled_and_what_ended(browser_for, bob, project):
    now = timezone.now()
    Experiment.objects.create(project=project, name="alive", heartbeat_at=now, started_at=now)
    silent = Experiment.objects.create(project=project, name="silent", started_at=now - timedelta(hours=2))
    Experiment.objects.filter(pk=silent.pk).update(created_at=now - timedelta(hours=2))
    Experiment.objects.create(project=project, name="over", status="failed", failure_kind="diverged", finished_at=now)
    answer = browser_for(bob).get("/")
    line = answer.context["projects"][0]
    assert (line.running_count, line.stalled_count, line.experiment_count) == (1, 1, 3)
    text = answer.content.decode()
    assert "diverged" in text
    assert 'class="status stalled"' in text


def test_the_first_page_asks_no_more_often_for_thirty_projects_than_for_one(browser_for, bob, team, experiment, django_assert_max_num_queries):
    for i in range(30):
        Experiment.objects.create(project=Project.objects.create(team=team, name=f"p{i}"), name="e")
    browser = browser_for(bob)
    with django_assert_max_num_queries(9):
        assert browser.get("/").status_code == 200


def test_no_projects_yet_shows_commands_that_are_true_for_this_server(browser_for, erin):
    text = browser_for(erin).get("/", headers={"host": "localhost:8000"}).content.decode()
    assert "research-platform login http://localhost:8000" in text
    assert "http://localhost:8000/client/" in text
    assert "rp.init(project=" in text


def test_an_empty_project_listens_and_fills_when_the_first_experiment_arrives(browser_for, bob, project):
    browser, waiting = browser_for(bob), {"HX-Request": "true", "HX-Trigger": "waiting"}
    assert b"No experiments yet" in browser.get(BASE).content
    assert browser.get(BASE, headers=waiting).status_code == 204
    Experiment.objects.create(project=project, name="first")
    assert browser.get(BASE, headers=waiting)["HX-Refresh"] == "true"


def test_an_editor_makes_a_project_and_a_viewer_does_not(browser_for, erin, bob, team):
    made = browser_for(erin).post("/projects/new", {"team": team.pk, "name": "تصنيف الصور", "description": "八乘八"})
    project = Project.objects.get()
    assert made["Location"].endswith("/")
    assert browser_for(erin).get(made["Location"]).status_code == 200
    assert project.description == "八乘八"
    assert browser_for(bob).get("/projects/new").status_code == 403
    assert browser_for(bob).post("/projects/new", {"team": team.pk, "name": "x"}).status_code == 403


def test_nobody_makes_a_project_in_a_team_of_others(browser_for, erin, carol):
    theirs = carol.teams.get()
    assert browser_for(erin).post("/projects/new", {"team": theirs.pk, "name": "x"}).status_code == 422
    assert not Project.objects.exists()


def test_a_project_is_renamed_and_put_away_without_a_change_of_address(browser_for, erin, bob, project):
    assert browser_for(bob).post(f"{BASE}edit", {"name": "x"}).status_code == 403
    browser_for(erin).post(f"{BASE}edit", {"name": "Digits, again", "archived": "on"})
    project.refresh_from_db()
    assert (project.name, project.slug, project.archived) == ("Digits, again", "digits", True)
    assert b"Digits, again" not in browser_for(bob).get("/").content
    assert browser_for(bob).get(BASE).status_code == 200


@pytest.mark.parametrize("path", ["", "metrics/", "edit", "new-experiment"])
def test_a_stranger_finds_no_project(browser_for, carol, experiment, path):
    assert browser_for(carol).get(BASE + path).status_code == 404


def test_a_metric_without_a_direction_is_offered_one_with_the_suggestion_of_its_name(browser_for, erin, bob, experiment):
    metric = ProjectMetric.objects.create(project=experiment.project, name="val/accuracy")
    text = browser_for(erin).get(BASE).content.decode()
    assert "does not say which way is better" in text
    assert "Suggested by its name" in text
    assert "which way is better" not in browser_for(bob).get(BASE).content.decode()
    answer = browser_for(erin).post(f"{BASE}metrics/{metric.pk}", {"direction": "maximize", "next": f"{BASE}?q=a"})
    metric.refresh_from_db()
    assert (metric.direction, answer["Location"]) == ("maximize", f"{BASE}?q=a")
    assert browser_for(bob).post(f"{BASE}metrics/{metric.pk}", {"direction": "minimize"}).status_code == 403


def test_going_back_leads_to_no_other_site(browser_for, erin, experiment):
    metric = ProjectMetric.objects.create(project=experiment.project, name="loss")
    answer = browser_for(erin).post(f"{BASE}metrics/{metric.pk}", {"direction": "minimize", "next": "//evil.example/"})
    assert answer["Location"] == f"{BASE}metrics/"


def test_all_suggestions_are_taken_at_once_and_what_was_said_stays(browser_for, erin, project):
    for name, direction in (("loss", ""), ("accuracy", ""), ("thing", ""), ("train/loss", "maximize")):
        ProjectMetric.objects.create(project=project, name=name, direction=direction)
    browser_for(erin).post(f"{BASE}metrics/suggestions")
    assert dict(project.metrics.values_list("name", "direction")) == {"loss": "minimize", "accuracy": "maximize", "thing": "", "train/loss": "maximize"}


def test_the_metrics_page_counts_experiments_and_changes_by_a_click(browser_for, erin, experiment, log):
    log(experiment, {"loss": [1.0, 0.5], "val/accuracy": [0.1, 0.2]})
    browser = browser_for(erin)
    lines = {metric.name: (metric, count) for metric, count in browser.get(f"{BASE}metrics/").context["lines"]}
    assert {name: count for name, (_, count) in lines.items()} == {"loss": 1, "val/accuracy": 1}
    loss = lines["loss"][0]
    part = browser.post(f"{BASE}metrics/{loss.pk}", {"aggregation": "min"}, headers={"HX-Request": "true"})
    assert part.content.decode().strip().startswith("<tr>")
    browser.post(f"{BASE}metrics/{loss.pk}", {"direction": "minimize"})
    loss.refresh_from_db()
    assert (loss.aggregation, loss.direction) == ("min", "minimize")
    browser.post(f"{BASE}metrics/{loss.pk}", {"direction": ""})
    loss.refresh_from_db()
    assert (loss.aggregation, loss.direction) == ("min", "")
    assert browser.post(f"{BASE}metrics/{loss.pk}", {"aggregation": "median"}).status_code == 422


def test_a_metric_is_defined_before_its_first_point_and_only_once(browser_for, erin, bob, project):
    form = {"name": "val/f1", "direction": "maximize", "aggregation": "max"}
    assert browser_for(bob).post(f"{BASE}metrics/", form).status_code == 403
    assert browser_for(erin).post(f"{BASE}metrics/", form).status_code == 302
    again = browser_for(erin).post(f"{BASE}metrics/", form)
    assert again.status_code == 422
    assert b"has val/f1 already" in again.content
    assert project.metrics.get().aggregation == "max"


def test_ten_thousand_metrics_come_in_pages_and_are_found_by_name(browser_for, bob, project):
    ProjectMetric.objects.bulk_create([ProjectMetric(project=project, name=f"layer/{i:05d}") for i in range(10_000)], batch_size=1000)
    answer = browser_for(bob).get(f"{BASE}metrics/?page=2")
    assert len(answer.context["lines"]) == 100
    assert "101 to 200 of 10\u202f000" in answer.content.decode()
    assert len(browser_for(bob).get(f"{BASE}metrics/?q=00077").context["lines"]) == 1
