"""What a token may do at most: each scope on every address and verb of the API, a token of one project, and one whose maker has ended."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from accounts.models import ApiToken, Team, User
from accounts.tokens import ending
from experiments import lifecycle
from experiments.models import Experiment
from projects.models import Project
from tests.security.callers import World
from tests.security.matrix import CALLERS, ROUTES
from tests.security.test_carriers import cells

pytestmark = pytest.mark.differs_on_servers("who may do what is asked of the record and of the shared cache")
# What each may do, written down once more: a scope that includes more than this by mistake is seen.
INCLUDES = {
    "ingest": {"ingest"},
    "read": {"read"},
    "write": {"ingest", "read", "write"},
    "admin": {"ingest", "read", "write", "admin"},
    "before": {"ingest", "read", "write", "admin", "before"},
}
# A token of a team's admin is answered as the role that its scope is enough for.
ACTS_AS = {"read": "viewer", "write": "editor", "admin": "admin", "before": "admin"}
# What concerns the whole team, and so takes no token of one project.
OF_THE_TEAM = {
    ("api/v1/audit", "GET"),
    ("api/v1/projects", "POST"),
    ("api/v1/teams/<str:team>", "PATCH"),
}
# A token of somebody else is not there for anybody's.
SOMEBODY_ELSES = {"api/v1/tokens/<uuid:token>": 404}
# The scopes that may stand at an address, by the scope that acts as the weakest role that is let in.
ENOUGH = {"read": {"ingest", "read", "write", "admin"}, "write": {"ingest", "write", "admin"}, "admin": {"admin"}}
OF_THE_OTHER = ("digits", "baseline", "less loss", '"loss"')


def declared(world: World, route: str, verb: str) -> set[str]:
    """The weakest scopes that an address says it takes."""
    view = resolve(world.address(route)).func
    operation = (getattr(view, "actions", None) or {}).get(verb.lower(), verb.lower())
    return {str(scope) for scope in view.cls.scopes[operation]}


def of_scope(user: User, team: Team, scope: str, **limits: Any) -> str:
    """The text of a token."""
    return ApiToken.issue(user=user, team=team, name="scoped", scope=scope, **limits)[1]


@pytest.mark.parametrize("scope", ACTS_AS)
def test_a_token_does_what_its_scope_includes_and_what_the_role_for_it_may(world: World, alice: User, team: Team, scope: str):
    world.tokens["scoped"] = of_scope(alice, team, scope)
    odd = {}
    for route, verb, call in cells(is_api=True):
        takes, code = declared(world, route, verb), world.status(route, verb, "scoped", call)
        expected = SOMEBODY_ELSES.get(route, call.codes[CALLERS.index(ACTS_AS[scope])]) if takes & INCLUDES[scope] else 403
        if code != expected:
            odd[route, verb] = (code, expected)
    assert odd == {}


def test_what_an_address_takes_is_no_less_than_the_role_that_may_do_it(world: World):
    weak = {}
    for route, verb, call in cells(is_api=True):
        takes = declared(world, route, verb)
        by_role = next((scope for scope, who in ACTS_AS.items() if call.codes[CALLERS.index(who)] < 400), None)
        if by_role and not takes <= ENOUGH[by_role]:
            weak[route, verb] = (takes, by_role)
    assert weak == {}


def test_a_token_that_logs_alone_reaches_nothing_that_it_did_not_make(world: World, alice: User, team: Team):
    world.tokens["scoped"] = of_scope(alice, team, "ingest")
    found = {(route, verb): world.answer(route, verb, "scoped", call) for route, verb, call in cells(is_api=True)}
    made = found.pop(("api/v1/experiments", "POST"))
    nothing = {"count": 0, "next": None, "previous": None, "results": []}
    told = {place: answer.status_code for place, answer in found.items() if answer.status_code < 400 and {**answer.json(), "count": 0} != nothing}
    assert (made.status_code, told) == (201, {})


def test_a_token_that_logs_alone_follows_what_it_made(world: World, alice: User, team: Team):
    world.tokens["scoped"] = of_scope(alice, team, "ingest")
    run = world.ask("api/v1/experiments", "POST", "scoped", ROUTES["api/v1/experiments"]["POST"]).json()
    world.values |= {"experiment": run["id"]}
    own = [(route, verb) for route, verb, _ in cells(is_api=True) if "ingest" in declared(world, route, verb) and "<" in route and "<path" not in route]
    codes = {(route, verb): world.answer(route, verb, "scoped", ROUTES[route][verb]).status_code for route, verb in own}
    assert len(own) > 5
    assert {place: code for place, code in codes.items() if code >= 400} == {}


@pytest.fixture
def script(alice: User, team: Team) -> Client:
    """One that carries a token of the scope ingest."""
    return Client(headers={"authorization": f"Bearer {of_scope(alice, team, 'ingest')}"})


def started(script: Client, **said: Any) -> dict[str, Any]:
    """A run that it makes, as it is answered."""
    answer = script.post("/api/v1/experiments", {"project": "digits", **said}, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def test_a_token_that_logs_alone_proves_no_guess_at_the_params_of_a_parent(script: Client, alice: User, project: Project):
    lifecycle.create(project, by=alice, name="theirs", params={"lr": 0.1, "hidden": 1})
    guess = {"params": {"lr": 0.1, "hidden": 1}}
    runs = [started(script, name="same", parent="theirs", **guess), started(script, name="given", parent="theirs", features_diff={"lr": 2}, **guess)]
    runs.append(started(script, name="below", parent="same", **guess))
    keys = {run.name: run.replicate_key for run in Experiment.objects.all()}
    assert [run["replicate_key"] for run in runs] == ["", "", ""]
    assert [script.get(f"/api/v1/experiments/{run['id']}").json()["replicate_key"] for run in runs] == ["", "", ""]
    assert {row["replicate_key"] for row in script.get("/api/v1/experiments").json()["results"]} == {""}
    for run in runs:
        assert script.get("/api/v1/experiments", {"replicate_key": keys[run["name"]]}).json()["results"] == []


def test_a_token_that_logs_alone_reads_the_key_of_its_own_roots_and_groups(script: Client, alice: User, project: Project):
    lifecycle.create(project, by=alice, name="theirs", params={"lr": 0.1})
    root, one = started(script, name="root", params={"lr": 1}), started(script, name="one", parent="theirs", replicate_group="seeds")
    for run in (root, one):
        assert run["replicate_key"]
        found = script.get("/api/v1/experiments", {"replicate_key": run["replicate_key"]}).json()["results"]
        assert [row["id"] for row in found] == [run["id"]]


@pytest.mark.parametrize("asked", ["where=params.hidden = 1", "where=params.none = 1", "metrics=loss", "metrics=none", "ordering=-metrics.loss.last"])
@pytest.mark.parametrize("within", ["&project=digits", "&project=nowhere", ""])
def test_a_token_that_logs_alone_learns_of_no_param_and_no_metric_by_asking_for_it(world: World, script: Client, asked: str, within: str):
    answer = script.get(f"/api/v1/experiments?{asked}{within}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert "scope read (Read)" in answer.json()["error"]["message"]


@pytest.mark.parametrize("address", ["experiments?project={}", "experiments?project={}&parent=root", "projects/{}"])
def test_a_project_without_a_run_of_it_is_not_there_for_a_token_that_logs_alone(world: World, script: Client, address: str):
    there, nowhere = (script.get(f"/api/v1/{address.format(name)}") for name in ("digits", "nowhere"))
    assert (there.status_code, nowhere.status_code) == (404, 404)
    assert there.json()["error"]["message"] == nowhere.json()["error"]["message"].replace("nowhere", "digits")
    started(script, name="mine")
    assert script.get("/api/v1/experiments?project=digits").json()["results"][0]["name"] == "mine"


@pytest.mark.parametrize("scope", INCLUDES)
def test_a_token_of_one_project_finds_nothing_of_another(world: World, alice: User, team: Team, scope: str):
    world.tokens["limited"] = of_scope(alice, team, scope, project=Project.objects.create(team=team, name="apart"))
    found = {(route, verb): world.answer(route, verb, "limited", call) for route, verb, call in cells(is_api=True)}
    told = {}
    for place, answer in found.items():
        said = answer.content.decode()
        if answer.status_code < 400 and (answer.status_code == 204 or any(word in said for word in OF_THE_OTHER)):
            told[place] = (answer.status_code, said[:200])
    assert told == {}


def test_a_token_of_one_project_is_answered_there_as_one_of_the_team(world: World, alice: User, team: Team):
    world.tokens["limited"] = of_scope(alice, team, "admin", project=Project.objects.get(name="digits"))
    odd = {}
    for route, verb, call in cells(is_api=True):
        is_of_the_team = (route, verb) in OF_THE_TEAM or route.startswith("api/v1/teams/<str:team>/")
        code, expected = world.status(route, verb, "limited", call), 403 if is_of_the_team else call.codes[-1]
        if code != expected:
            odd[route, verb] = (code, expected)
    assert odd == {}


def test_a_token_ends_with_the_one_that_made_it(world: World, alice: User, team: Team):
    parent = ApiToken.issue(user=alice, team=team, name="parent")[0]
    world.tokens["child"] = of_scope(alice, team, "write", parent=ApiToken.issue(user=alice, team=team, name="child", parent=parent)[0])
    before = world.status("api/v1/projects", "GET", "child", ROUTES["api/v1/projects"]["GET"])
    ending.revoke(parent)
    found = {(route, verb): world.status(route, verb, "child", call) for route, verb, call in cells(is_api=True)}
    assert before == 200
    assert {place: code for place, code in found.items() if code != 401} == {}
