"""The words behind the question mark: none is ignored, at any address of the API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import ApiToken
from config.web.query import Endpoint
from experiments.models import Experiment
from hypotheses.models import Hypothesis
from metrics.api.points import Log
from projects.models import ProjectMetric

API = "api/v1/"


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern
        else:
            yield from routes(pattern, route)


ENDPOINTS = {route: pattern for route, pattern in routes(get_resolver()) if route.startswith(API)}


@pytest.fixture
def root(client, operator, team, project, experiment):
    """An operator, who may ask everything, with what addresses name."""
    _, secret = ApiToken.issue(user=operator, team=team, name="test")
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    ProjectMetric.objects.create(project=project, name="loss")
    return client


def address(route: str, experiment: Experiment) -> str:
    values = {"project": "digits", "team": "vision-team", "experiment": experiment.pk, "metric": "loss", "user": "bob"}
    parts = route.split("<")
    filled = parts[0]
    for part in parts[1:]:
        name, _, text = part.partition(">")
        kind, _, name = name.rpartition(":")
        filled += str(values.get(name, 1 if kind == "int" else uuid.uuid4())) + text
    return "/" + filled


def verbs(view: Any) -> list[str]:  # Any: what as_view made
    """What an address can be asked to do."""
    if getattr(view, "actions", None):
        return [verb for verb in view.actions if verb != "head"]
    return ["post"] if issubclass(view.cls, Log) else [verb for verb in ("get", "post", "patch", "delete") if hasattr(view.cls, verb)]


def test_every_address_of_the_api_looks_at_its_query():
    assert len(ENDPOINTS) > 40
    assert [route for route, pattern in ENDPOINTS.items() if not issubclass(pattern.callback.cls, Endpoint)] == []


@pytest.mark.parametrize("route", ENDPOINTS)
def test_a_word_that_an_address_does_not_know_is_refused_by_every_verb(root, browser_for, operator, experiment, route):
    for verb in verbs(ENDPOINTS[route].callback):
        asked = (verb.upper(), f"{address(route, experiment)}?wher=1", "{}", "application/json")
        answer = root.generic(*asked)
        if b"no token may do this" in answer.content:
            answer = browser_for(operator).generic(*asked)
        assert (verb, answer.status_code) == (verb, 422), answer.content
        (fault,) = answer.json()["error"]["errors"]
        assert (fault["field"], fault["code"]) == ("wher", "unknown_word")


@pytest.mark.parametrize(
    ("asked", "near"),
    [("experiments?wher=1", "where"), ("experiments?projet=digits", "project"), ("experiments?PROJECT=digits", "project"),
     ("experiments?page_sise=5", "page_size"),
     ("projects?orderin=name", "ordering"), ("metrics/compare/digits?metrics=loss&experiments=baseline", "metric"), ("alerts?projects=digits", "project"),
     ("metrics/timeseries/digits/baseline/loss?max_point=5", "max_points"), ("metrics/summary/digits?formt=csv", "format")],
)  # fmt: skip
def test_an_unknown_word_is_told_with_the_nearest_known(root, asked, near):
    error = root.get(f"/{API}{asked}").json()["error"]
    assert error["errors"][0]["suggestion"] == near
    assert f"Did you mean {near!r}?" in error["message"]


def test_a_word_that_is_like_none_is_told_with_all_there_are(root):
    error = root.get(f"/{API}projects?limit=5").json()["error"]
    assert "This address takes archived, ordering, page, page_size, search, team." in error["message"]
    assert "suggestion" not in error["errors"][0] or error["errors"][0]["suggestion"]


@pytest.mark.parametrize(
    ("asked", "field", "code"),
    [("experiments?project=", "project", "empty"), ("experiments?where=%20", "where", "empty"), ("metrics/summary/digits?experiments=", "experiments", "empty"),
     ("experiments?project=digits&project=other", "project", "repeated"), ("experiments?archived=flase", "archived", "invalid"),
     ("projects?archived=no", "archived", "invalid"), ("metrics/compare/digits?metric=loss&experiments=baseline&live=yes", "live", "invalid"),
     ("metrics/compare/digits?metric=loss&experiments=baseline&x_metric=loss", "x_metric", "invalid")],
)  # fmt: skip
def test_a_value_that_would_narrow_nothing_is_refused(root, asked, field, code):
    answer = root.get(f"/{API}{asked}")
    assert answer.status_code == 422
    assert [(fault["field"], fault["code"]) for fault in answer.json()["error"]["errors"]] == [(field, code)]


def test_a_word_for_several_may_come_several_times(root):
    assert root.get(f"/{API}experiments?status=running&status=failed&tag=a&tag=b").status_code == 200
    assert root.get(f"/{API}experiments?archived=false").json()["count"] == root.get(f"/{API}experiments?archived=FALSE").json()["count"] == 1
    assert root.get(f"/{API}experiments?archived=true").json()["count"] == 0


@pytest.mark.parametrize("path", ["projects", "experiments", "hypotheses", "alerts", "teams", "tokens", "teams/vision-team/members", "projects/digits/metrics"])
@pytest.mark.parametrize("size", ["501", "5000", "0", "-1", "ten", "1.5", "%D9%A1"])
def test_a_page_of_a_size_that_there_is_not_is_refused(root, path, size):
    answer = root.get(f"/{API}{path}?page_size={size}")
    assert answer.status_code == 422
    assert "1 to 500" in answer.json()["error"]["message"]
    assert root.get(f"/{API}{path}?page_size=500").status_code == 200


@pytest.mark.parametrize(
    ("path", "near"),
    [("projects?ordering=nam", "name"), ("experiments?ordering=created_at,-finishd_at", "-finished_at"), ("teams?ordering=nmae", "name"),
     ("hypotheses?ordering=scor", "score"), ("alerts?ordering=-opened", "-opened_at"), ("projects/digits/metrics?ordering=named", "name"),
     ("tokens?ordering=create_at", "created_at"), ("teams/vision-team/members?ordering=rol", "role")],
)  # fmt: skip
def test_an_order_that_there_is_not_is_refused_with_the_nearest(root, path, near):
    answer = root.get(f"/{API}{path}")
    assert answer.status_code == 422
    assert answer.json()["error"]["errors"][0] | {"field": "ordering", "suggestion": near} == answer.json()["error"]["errors"][0]


@pytest.mark.parametrize(
    ("path", "near"),
    [("experiments?project=digit", "digits"), ("hypotheses?project=digit", "digits"), ("alerts?project=digit", "digits"),
     ("projects?team=vision-tea", "vision-team"),
     ("hypotheses?metric=los", "loss"), ("projects/digit", "digits"), ("teams/vision-tem", "vision-team"), ("projects/digits/attribution?metric=los", "loss"),
     ("projects/digits/attribution?metric=loss&root=baselin", "baseline"), ("metrics/compare/digits?metric=loss&experiments=baselin", "baseline"),
     ("metrics/timeseries/digits/baselin/loss", "baseline")],
)  # fmt: skip
def test_what_is_not_there_is_404_with_the_nearest_that_is(root, path, near):
    answer = root.get(f"/{API}{path}")
    assert answer.status_code == 404
    assert f"Did you mean {near!r}?" in answer.json()["error"]["message"]


@pytest.mark.parametrize("word", ["parent", "root"])
def test_an_experiment_that_is_not_there_has_no_list_of_its_own(root, word):
    assert root.get(f"/{API}experiments?{word}={uuid.uuid4()}").status_code == 404
    assert root.get(f"/{API}hypotheses?experiment={uuid.uuid4()}").status_code == 404
    assert root.get(f"/{API}alerts?experiment={uuid.uuid4()}").status_code == 404
    assert not Hypothesis.objects.exists()


def test_every_parameter_of_the_schema_is_described(client, db):
    paths = client.get("/api/schema").json()["paths"]
    told = [(path, each["name"], each.get("description")) for path, verbs in paths.items() for verb in verbs.values() for each in verb.get("parameters", [])]
    assert [each for each in told if not each[2] and f"{{{each[1]}}}" not in each[0]] == []
    words = {each["name"] for each in paths["/api/v1/experiments"]["get"]["parameters"]}
    assert {"fields", "metrics", "ordering", "cursor", "page_size", "where"} <= words
