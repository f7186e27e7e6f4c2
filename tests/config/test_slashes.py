"""Slashes in names that stand in a path of the API."""

from __future__ import annotations

import pytest
from django.test import Client

from experiments.models import Experiment
from projects.models import Project


@pytest.mark.parametrize("word", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize("origin", ["", "http://testserver"])
def test_a_project_is_found_by_its_escaped_name_as_either_server_tells_what_was_sent(bob, api_for, team, word: str, origin: str):
    made = Project.objects.create(team=team, name="org/llm")
    api: Client = api_for(bob)
    answer = api.get("/api/v1/projects/org%2Fllm", **{word: f"{origin}/api/v1/projects/org%2fllm?x"})
    assert (answer.status_code, answer.json().get("id")) == (200, str(made.pk))


def test_a_name_that_holds_an_escape_is_no_name_with_a_slash(bob, api_for, team):
    Project.objects.create(team=team, name="org/llm")
    made = Project.objects.create(team=team, name="org%2Fllm")
    answer = api_for(bob).get("/api/v1/projects/org%252Fllm", RAW_URI="/api/v1/projects/org%252Fllm")
    assert answer.json()["id"] == str(made.pk)


def test_an_address_that_is_not_there_stays_404_and_what_a_server_tells_wrongly_is_not_believed(bob, api_for, project):
    api: Client = api_for(bob)
    assert api.get("/api/v1/nothing/a%2Fb", RAW_URI="/api/v1/nothing/a%2Fb").status_code == 404
    assert api.get("/api/v1/projects/digits", RAW_URI="/api/v1/projects/other%2Fone").json()["name"] == "digits"


def test_points_are_taken_under_a_name_with_a_slash(erin, api_for, team, store):
    run = Experiment.objects.create(project=Project.objects.create(team=team, name="org/llm"), name="a/b")
    path = "/api/v1/metrics/log/org%2Fllm/a%2Fb"
    answer = api_for(erin).post(path, {"metric_name": "loss", "metric_value": 1}, content_type="application/json", RAW_URI=path)
    assert (answer.status_code, run.pk is not None) == (200, True), answer.content
