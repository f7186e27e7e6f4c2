"""What scripts state, link and ask for, over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from experiments import lifecycle
from experiments.models import Experiment
from hypotheses.models import Hypothesis, HypothesisEvent, Link
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("rules and terms are JSON, links rest on constraints")
URL = "/api/v1/hypotheses"
JSON = "application/json"


@pytest.fixture
def editor(api_for, erin) -> Client:
    return api_for(erin)


@pytest.fixture(autouse=True)
def _accuracy(project: Project) -> None:
    ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize")


def state(client: Client, **fields: Any):
    body = {"project": "digits", "title": "wider is better", "targets": [{"metric": "accuracy", "smallest_effect": 0.01}], **fields}
    return client.post(URL, body, content_type=JSON)


@pytest.fixture
def root(project: Project) -> Experiment:
    return Experiment.objects.create(project=project, name="root", params={"width": 1})


def child(root: Experiment, name: str) -> Experiment:
    return lifecycle.create(root.project, by=None, name=name, parent=root, params={"width": 2})


def message(answer) -> str:
    assert answer.status_code == 422, answer.content
    assert not Hypothesis.objects.exists(), "Nothing may be half-saved."
    return answer.json()["error"]["errors"][0]["message"]


def test_a_hypothesis_is_stated_with_one_request(editor, erin):
    answer = state(editor, claim="128 units help.", rationale="More room.")
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert (found["status"], found["baseline"], found["require"], found["score"], found["epoch"]) == ("testing", "root", "all", None, 1)
    assert found["targets"] == [{"metric": "accuracy", "direction": "maximize", "aggregation": "last", "smallest_effect": 0.01, "unit": "metric"}]
    assert editor.get(f"{URL}/{found['id']}").json()["claim"] == "128 units help."
    assert [event["sentence"] for event in editor.get(f"{URL}/{found['id']}/history").json()["results"]] == [
        "Stated: accuracy better by more than 0.01, against each experiment's own root."
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"targets": []}, "Name at least one metric that must improve"),
        ({"targets": [{"metric": "f1"}]}, "There is no metric 'f1'; digits has accuracy."),
        ({"targets": [{"metric": "accuracy"}, {"metric": "accuracy"}]}, "name each metric once"),
        ({"targets": [{"metric": "accuracy", "smallest_effect": -1}]}, "0 or more"),
        ({"targets": [{"metric": "accuracy", "unit": "percent"}]}, "An effect of 0% is any effect at all"),
        ({"targets": [{"metric": "accuracy", "direction": "minimize"}]}, "The project says maximize for accuracy"),
        ({"baseline": "experiment"}, "Name the experiment to compare with"),
        ({"baseline_experiment": "elsewhere"}, "There is no experiment 'elsewhere' in digits"),
        ({"title": "a\u0000b"}, "Null characters are not allowed"),
        ({"status": "supported"}, "supported"),
    ],
)
def test_what_could_not_be_judged_is_refused_in_a_sentence(editor, fields, said):
    answer = state(editor, **fields)
    text = answer.content.decode()
    assert answer.status_code in (400, 422), text
    assert said in text
    assert not Hypothesis.objects.exists()


def test_a_baseline_in_another_project_is_refused(editor, project, team):
    other = Project.objects.create(team=team, name="other")
    strange = Experiment.objects.create(project=other, name="strange")
    assert "There is no experiment" in message(state(editor, baseline="experiment", baseline_experiment=str(strange.pk)))


def test_a_metric_without_a_direction_is_told_where_to_get_one(editor, project):
    ProjectMetric.objects.create(project=project, name="speed")
    assert "say it with the target as its direction" in message(state(editor, targets=[{"metric": "speed"}]))
    assert state(editor, targets=[{"metric": "speed", "direction": "maximize"}]).status_code == 201
    assert ProjectMetric.objects.get(name="speed").direction == "maximize"


def test_a_baseline_that_descends_from_a_linked_run_is_a_cycle(editor, root):
    claim, wide = state(editor).json()["id"], child(root, "wide")
    assert editor.post(f"{URL}/{claim}/experiments", {"experiments": ["wide"]}, content_type=JSON).status_code == 200
    below = lifecycle.create(root.project, by=None, name="below", parent=wide, params={"width": 3})
    answer = editor.patch(f"{URL}/{claim}", {"baseline": "experiment", "baseline_experiment": str(below.pk)}, content_type=JSON)
    assert answer.status_code == 422
    assert "A cycle" in answer.json()["error"]["errors"][0]["message"]
    assert Hypothesis.objects.get().baseline == "root"


def test_a_script_names_what_its_run_tests(editor, root):
    claim = state(editor, status="proposed").json()
    body = {"project": "digits", "name": "wide", "parent": "root", "params": {"width": 2}, "hypotheses": [claim["slug"]]}
    made = editor.post("/api/v1/experiments", body, content_type=JSON)
    assert made.status_code == 201, made.content
    link = Link.objects.get()
    assert (link.source, link.is_post_hoc, str(link.experiment_id)) == ("script", False, made.json()["id"])
    assert Hypothesis.objects.get().status == "testing"
    lost = editor.post("/api/v1/experiments", body | {"hypotheses": ["nowhere"]}, content_type=JSON)
    assert lost.status_code == 422
    alone = editor.post("/api/v1/experiments", {**body, "parent": None}, content_type=JSON)
    assert alone.status_code == 422
    assert "belongs to the baseline" in alone.json()["error"]["message"]
    assert Experiment.objects.count() == 2, "Neither left a run behind."


def test_a_rule_links_what_is_there_and_what_comes(editor, project, erin):
    root = Experiment.objects.create(project=project, name="root", params={"width": 1})
    old = Experiment.objects.create(project=project, name="old", parent_experiment=root, params={"width": 2}, status="complete", finished_at=timezone.now())
    claim = state(editor).json()["id"]
    assert editor.post(f"{URL}/{claim}/rules", {"feature": "width"}, content_type=JSON).status_code == 201
    lifecycle.create(project, by=erin, name="new", parent=root, params={"width": 3})
    assert {(link.experiment.name, link.source, link.is_post_hoc) for link in Link.objects.select_related("experiment")} == {
        ("old", "rule", True),
        ("new", "rule", False),
    }
    assert old.pk
    rule = editor.get(f"{URL}/{claim}/rules").json()["results"][0]["id"]
    assert editor.delete(f"{URL}/{claim}/rules/{rule}").status_code == 204
    assert Link.objects.count() == 2


def test_unlinking_before_the_end_forgets_and_after_it_counts_until_invalidated(editor, root, erin):
    claim = state(editor).json()["id"]
    runs = [child(root, f"run {n}") for n in range(2)]
    editor.post(f"{URL}/{claim}/experiments", {"experiments": [str(run.pk) for run in runs]}, content_type=JSON)
    lifecycle.complete(runs[1], by=erin)
    for run in runs:
        assert editor.delete(f"{URL}/{claim}/experiments/{run.pk}").status_code == 204
    assert [link.experiment.name for link in Link.objects.standing()] == ["run 1"]
    assert editor.post(f"{URL}/{claim}/experiments/{runs[1].pk}/invalidate", {"reason": " "}, content_type=JSON).status_code in (400, 422)
    assert editor.post(f"{URL}/{claim}/experiments/{runs[1].pk}/invalidate", {"reason": "wrong data"}, content_type=JSON).status_code == 204
    assert not Link.objects.standing().exists()
    kinds = [event["kind"] for event in editor.get(f"{URL}/{claim}/history").json()["results"]]
    assert kinds == ["created", "linked", "unlinked", "unlinked", "invalidated"]


def test_links_rules_and_history_come_in_pages_as_every_list_does(editor, root):
    claim = state(editor).json()["id"]
    editor.post(f"{URL}/{claim}/experiments", {"experiments": [str(child(root, f"run {n}").pk) for n in range(3)]}, content_type=JSON)
    for feature in ("a", "b", "c"):
        editor.post(f"{URL}/{claim}/rules", {"feature": feature}, content_type=JSON)
    for name, count, key, first in (("experiments", 3, "name", "run 0"), ("rules", 3, "feature", "a"), ("history", 5, "kind", "created")):
        body = editor.get(f"{URL}/{claim}/{name}?page_size=2").json()
        assert (body["count"], len(body["results"]), body["previous"]) == (count, 2, None), name
        assert body["results"][0][key] == first
        rest = editor.get(body["next"]).json()["results"]
        assert rest[0] not in body["results"]
    assert editor.get(f"{URL}/{claim}/history?ordering=-at").json()["results"][0]["kind"] == "rule"
    assert editor.get(f"{URL}/{claim}/history?page=99").status_code == 404


def test_other_terms_after_data_begin_a_new_epoch(editor, root, erin):
    claim = state(editor).json()["id"]
    first = editor.patch(f"{URL}/{claim}", {"targets": [{"metric": "accuracy", "smallest_effect": 0.02}]}, content_type=JSON).json()
    assert (first["epoch"], first["targets"][0]["smallest_effect"]) == (1, 0.02)
    run = child(root, "run")
    editor.post(f"{URL}/{claim}/experiments", {"experiments": [str(run.pk)]}, content_type=JSON)
    lifecycle.complete(run, by=erin)
    again = editor.patch(f"{URL}/{claim}", {"targets": [{"metric": "accuracy", "smallest_effect": 0.03}]}, content_type=JSON).json()
    assert (again["epoch"], again["status"], again["is_waiting"]) == (2, "testing", True)
    assert HypothesisEvent.objects.filter(kind="respecified").count() == 1


def test_a_verdict_cannot_be_set_by_hand(editor):
    claim = state(editor).json()["id"]
    assert editor.patch(f"{URL}/{claim}", {"status": "supported"}, content_type=JSON).status_code in (400, 422)
    assert editor.patch(f"{URL}/{claim}", {"status": "proposed"}, content_type=JSON).json()["status"] == "proposed"


def test_a_list_is_narrowed_and_takes_few_questions(editor, project, django_assert_max_num_queries):
    for n in range(12):
        state(editor, title=f"claim {n}")
    Hypothesis.objects.filter(title="claim 3").update(status="supported")
    with django_assert_max_num_queries(8):
        assert editor.get(URL, {"project": "digits"}).json()["count"] == 12
    assert [row["title"] for row in editor.get(URL, {"status": "supported"}).json()["results"]] == ["claim 3"]
    assert editor.get(URL, {"metric": "accuracy", "search": "claim 1"}).json()["count"] == 3


@pytest.mark.django_db(transaction=True)
def test_a_judgement_is_asked_for_and_its_evidence_read_back(store, log, editor, project, erin):
    claim = state(editor).json()["id"]
    root = [lifecycle.create(project, by=erin, name=f"root {n}", params={"width": 1}, seed=n) for n in range(3)]
    wide = [lifecycle.create(project, by=erin, name=f"wide {n}", parent=root[0], params={"width": 2}, seed=n) for n in range(3)]
    editor.post(f"{URL}/{claim}/experiments", {"experiments": [str(run.pk) for run in wide]}, content_type=JSON)
    for n, run in enumerate([*root, *wide]):
        log(run, {"accuracy": [0.9 + 0.05 * (n > 2) + 0.001 * (n % 3)]})
        lifecycle.complete(run, by=erin)
    answer = editor.post(f"{URL}/{claim}/evaluate")
    assert answer.status_code == 200, answer.content
    judgement = answer.json()
    assert judgement["targets"][0]["comparison"]["n_exp"] == 3
    assert judgement["status"] == "supported", judgement
    rows = editor.get(f"{URL}/{claim}/evidence").json()["rows"]
    assert {row["scope"] for row in rows} == {"pooled", "arm"}
    assert {uuid.UUID(row["judgement_id"]) for row in rows} >= {uuid.UUID(judgement["id"])}
    assert editor.get(f"{URL}/{claim}/evidence", {"limit": "many"}).status_code == 422
    shown = editor.get(f"{URL}/{claim}").json()
    assert shown["status"] == "supported"
    assert shown["sentence"].startswith("Supported: 3 runs v 3")


def test_a_metric_that_a_hypothesis_targets_stays(editor, project):
    state(editor)
    answer = editor.delete("/api/v1/projects/digits/metrics/accuracy")
    assert answer.status_code == 409
    assert "is a target of a hypothesis" in answer.json()["error"]["message"]


def test_a_title_is_a_name_too(editor, project):
    first = state(editor, title=" Wider\u00a0").json()
    assert (first["title"], first["slug"], "warnings" in first) == ("Wider", "wider", False)
    assert state(editor, title="Wider!").json()["warnings"][0]["field"] == "title"
    fault = state(editor, title="wi\u200bder").json()["error"]["errors"][0]
    assert (fault["field"], fault["code"], fault["position"]) == ("title", "invisible", 2)
