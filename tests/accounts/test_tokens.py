"""Tokens: what each scope may do, which project one is for, what it ends with, and who may make one."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import RefreshToken

from accounts import services
from accounts.endpoints import ScopedEndpoint
from accounts.first_start import first_account
from accounts.models import GENERATIONS_MOST, ApiToken, AuditEntry, Membership, Role, Scope, Team, User
from accounts.scopes import READS, InScope
from accounts.signing_in.authentication import pair_for
from accounts.signing_in.proof import PROVED_AT
from accounts.tokens import ending
from accounts.tokens.forms import AdminTokenForm
from accounts.tokens.issuing import LIVING_MOST
from config.errors import Invalid
from config.web.words import NAMES_ARE_TOLD
from experiments import lifecycle
from experiments.models import Experiment
from hypotheses.claims import stating
from hypotheses.models import Hypothesis
from metrics.ingest.grants import GRANTS
from projects.models import Project, ProjectMetric
from tests.conftest import PASSWORD

pytestmark = pytest.mark.differs_on_servers("tokens, what made them and what they made are rows with conditions on each other")
JSON = "application/json"
TOKENS = "/api/v1/tokens"
SCOPES = [scope.value for scope in Scope]


def with_bearer(secret: str, **more: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"}, **more)


def send(client: Client, verb: str, address: str, **body: Any):
    return client.generic(verb, address, json.dumps(body), content_type=JSON)


def message(answer) -> str:
    return answer.json()["error"]["message"]


@pytest.fixture
def scoped(alice, team) -> Callable[..., Client]:
    """scoped("read"): a client with a token of alice, who is admin of the team."""

    def client(scope: str, **limits: Any) -> Client:
        return with_bearer(ApiToken.issue(user=alice, team=team, name=scope, scope=scope, **limits)[1])

    return client


def stated(project: Project, by: User) -> Hypothesis:
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    return stating.propose(project, by=by, title="less loss", targets=[stating.TargetTerm("loss")])


# What each scope may do


@pytest.fixture
def places(store, alice, project, experiment) -> dict[str, Any]:
    claim = stated(project, alice)
    return {"experiment": experiment.pk, "hypothesis": claim.pk, "rule": stating.add_rule(claim, "lr", by=alice).pk}


NAMED = r"the scope (ingest|read|write|admin) \((Log|Read|Edit|Administer)\)"
POINT = {"metric_name": "loss", "metric_value": 0.5}
# The weakest scopes of what is asked. `ingest` is tried on a run that another made: where it is named, only the run's own reach is left to ask for.
OPERATIONS = [
    ("read", "GET", "/api/v1/teams", {}),
    ("read", "GET", "/api/v1/teams/vision-team", {}),
    ("admin", "GET", "/api/v1/teams/vision-team/members", {}),
    ("admin", "POST", "/api/v1/teams/vision-team/members", {"user": "nobody"}),
    ("admin", "PATCH", "/api/v1/teams/vision-team/members/nobody", {"role": "viewer"}),
    ("admin", "DELETE", "/api/v1/teams/vision-team/members/nobody", {}),
    ("admin", "GET", "/api/v1/teams/vision-team/channels", {}),
    ("admin", "POST", "/api/v1/teams/vision-team/channels", {"name": "ops", "kind": "email"}),
    ("read", "GET", TOKENS, {}),
    ("write", "POST", TOKENS, {"name": "gpu8", "scope": "read"}),
    ("write", "PATCH", TOKENS + "/5b9a4d5e-0000-4000-8000-000000000001", {"name": "n"}),
    ("write", "DELETE", TOKENS + "/5b9a4d5e-0000-4000-8000-000000000001", {}),
    ("read ingest", "GET", "/api/v1/projects", {}),
    ("write", "POST", "/api/v1/projects", {"name": "new"}),
    ("write", "PATCH", "/api/v1/projects/digits", {"description": "d"}),
    ("admin", "PATCH", "/api/v1/projects/digits", {"retention_days": 30}),
    ("admin", "DELETE", "/api/v1/projects/nothing", {}),
    ("read", "GET", "/api/v1/projects/digits/metrics", {}),
    ("write", "POST", "/api/v1/projects/digits/metrics", {"name": "new"}),
    ("write", "PATCH", "/api/v1/projects/digits/metrics/loss", {"aggregation": "last"}),
    ("admin", "DELETE", "/api/v1/projects/digits/metrics/nothing", {}),
    ("read", "GET", "/api/v1/projects/digits/attribution?metric=loss", {}),
    ("read ingest", "GET", "/api/v1/experiments", {}),
    ("ingest", "POST", "/api/v1/experiments", {"project": "digits", "name": "n"}),
    ("read", "GET", "/api/v1/experiments/{experiment}", {}),
    ("write", "PATCH", "/api/v1/experiments/{experiment}", {"notes": "n"}),
    ("write", "POST", "/api/v1/experiments/{experiment}/heartbeat", {}),
    ("admin", "DELETE", "/api/v1/experiments/5b9a4d5e-0000-4000-8000-000000000001", {}),
    ("write", "POST", "/api/v1/metrics/log/digits/baseline", POINT),
    ("write", "POST", "/api/v1/metrics/log-batch/digits/baseline", {"metrics": [POINT]}),
    ("read", "GET", "/api/v1/metrics/timeseries/digits/baseline/loss", {}),
    ("read", "GET", "/api/v1/metrics/compare/digits?metric=loss&experiments=baseline", {}),
    ("read", "GET", "/api/v1/metrics/live/digits?experiments={experiment}", {}),
    ("read", "GET", "/api/v1/metrics/points/digits?metric=loss&experiments=baseline", {}),
    ("read", "GET", "/api/v1/metrics/summary/digits", {}),
    ("read", "GET", "/api/v1/metrics/names/digits", {}),
    ("read", "GET", "/api/v1/hypotheses", {}),
    ("write", "POST", "/api/v1/hypotheses", {"project": "digits", "title": "new", "targets": [{"metric": "loss", "direction": "minimize"}]}),
    ("read", "GET", "/api/v1/hypotheses/{hypothesis}", {}),
    ("write", "PATCH", "/api/v1/hypotheses/{hypothesis}", {"claim": "c"}),
    ("admin", "DELETE", "/api/v1/hypotheses/5b9a4d5e-0000-4000-8000-000000000001", {}),
    ("read", "GET", "/api/v1/hypotheses/{hypothesis}/experiments", {}),
    ("write", "POST", "/api/v1/hypotheses/{hypothesis}/experiments", {"experiments": ["baseline"]}),
    ("write", "DELETE", "/api/v1/hypotheses/{hypothesis}/experiments/baseline", {}),
    ("write", "POST", "/api/v1/hypotheses/{hypothesis}/experiments/baseline/invalidate", {"reason": "broken"}),
    ("read", "GET", "/api/v1/hypotheses/{hypothesis}/rules", {}),
    ("write", "POST", "/api/v1/hypotheses/{hypothesis}/rules", {"feature": "width"}),
    ("write", "DELETE", "/api/v1/hypotheses/{hypothesis}/rules/999999", {}),
    ("write", "POST", "/api/v1/hypotheses/{hypothesis}/evaluate", {}),
    ("read", "GET", "/api/v1/hypotheses/{hypothesis}/evidence", {}),
    ("read", "GET", "/api/v1/hypotheses/{hypothesis}/history", {}),
    ("read", "GET", "/api/v1/alerts", {}),
    ("read", "GET", "/api/v1/alerts/999999", {}),
    ("write", "POST", "/api/v1/alerts/999999/acknowledge", {}),
    ("write", "POST", "/api/v1/alerts/999999/silence", {"until": None}),
]


def test_each_scope_may_do_what_it_says_and_is_told_which_one_the_rest_takes(scoped, places):
    clients = {scope: scoped(scope) for scope in SCOPES}
    wrong = []
    for weakest, verb, address, body in OPERATIONS:
        needed = [Scope(word) for word in weakest.split()]
        for scope, client in clients.items():
            answer = send(client, verb, address.format(**places), **body)
            answer.close()  # a file that nobody reads to its end holds a place among the large questions
            is_taken = any(Scope(scope).includes(each) for each in needed)
            is_refused = answer.status_code == 403 and (
                message(answer).startswith("This takes a token of the scope") or "token of the scope ingest" in message(answer)
            )
            if is_taken == is_refused or answer.status_code in (401, 429, 500) or (is_refused and not re.search(NAMED, message(answer))):
                wrong.append((scope, verb, address, answer.status_code, answer.content[:200]))
    assert wrong == [], "\n".join(map(str, wrong))


@pytest.mark.parametrize("scope", SCOPES)
def test_operators_addresses_take_a_superusers_token_that_administers(store, operator, team, scope):
    client = with_bearer(ApiToken.issue(user=operator, team=team, name="t", scope=scope)[1], REMOTE_ADDR="192.0.2.7")
    expected = 200 if Scope(scope).includes(Scope.ADMIN) else 403
    assert client.get("/metrics").status_code == expected
    assert client.get("/api/v1/metrics/dead-letters").status_code == expected
    assert client.post("/api/v1/metrics/restore").status_code == expected
    assert ("checks" in client.get("/ready").json()) is (expected == 200)


def test_a_superusers_token_of_one_project_is_no_operators(store, operator, team, project):
    client = with_bearer(ApiToken.issue(user=operator, team=team, name="t", project=project)[1], REMOTE_ADDR="192.0.2.7")
    assert [client.get(address).status_code for address in ("/metrics", "/api/v1/metrics/dead-letters")] == [403, 403]


def test_a_token_does_no_more_than_its_owner(bob, team, experiment):
    client = with_bearer(ApiToken.issue(user=bob, team=team, name="t", scope="admin")[1])
    answer = send(client, "PATCH", f"/api/v1/experiments/{experiment.pk}", notes="n")
    assert (answer.status_code, "role editor" in message(answer)) == (403, True)


def endpoints(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, getattr(pattern.callback, "cls", None)
        else:
            yield from endpoints(pattern, route)


def test_every_address_of_the_api_says_which_scope_it_takes():
    found = {route: view for route, view in endpoints(get_resolver()) if route.startswith("api/v1/")}
    assert len(found) > 40
    assert [route for route, view in found.items() if view is None or not issubclass(view, ScopedEndpoint)] == []


def test_an_endpoint_that_does_not_say_its_scope_is_put_under_no_address():
    class Forgotten(ScopedEndpoint):
        def get(self, request): ...

    class Half(ScopedEndpoint):
        scopes = {"get": READS}  # noqa: RUF012

        def get(self, request): ...

        def post(self, request): ...

    for view, word in ((Forgotten, "get"), (Half, "post")):
        with pytest.raises(ImproperlyConfigured, match=word):
            view.as_view()


def test_a_view_that_says_nothing_takes_no_token(scoped, alice, team):
    class Plain(APIView):
        def get(self, request):
            return Response({})

    assert Plain.permission_classes == [InScope]
    _, secret = ApiToken.issue(user=alice, team=team, name="t", scope="admin")
    answer = Plain.as_view()(RequestFactory().get("/api/v1/x", headers={"Authorization": f"Bearer {secret}"}))
    assert answer.status_code == 403
    jwt = RequestFactory().get("/api/v1/x", headers={"Authorization": f"Bearer {pair_for(alice)[0]}"})
    assert Plain.as_view()(jwt).status_code == 200


def test_who_may_not_log_is_told_that_it_takes_no_more_than_the_scope_ingest(store, scoped, experiment):
    answer = send(scoped("read"), "POST", "/api/v1/metrics/log/digits/baseline", **POINT)
    assert (answer.status_code, "scope ingest (Log)" in message(answer)) == (403, True)


# A token that logs


@pytest.fixture
def logger(scoped) -> Client:
    return scoped("ingest")


def test_a_token_that_logs_makes_a_project_and_a_run_logs_resumes_it_and_reads_it_back(store, logger, alice, project, experiment):
    stated(project, alice)
    linked = send(logger, "POST", "/api/v1/experiments", project="digits", name="linked", parent="baseline", params={"lr": 1}, hypotheses=["less-loss"])
    made = send(logger, "POST", "/api/v1/experiments", project="mine", create_project=True, name="first").json()
    assert linked.status_code == 201, linked.content
    address = f"/api/v1/experiments/{made['id']}"
    assert send(logger, "POST", "/api/v1/metrics/log/mine/first?wait=visible", **POINT).status_code == 200
    for status in ("complete", "running"):
        assert send(logger, "PATCH", address, status=status, notes="n", tags=["a"]).json()["status"] == status
    assert send(logger, "POST", f"{address}/heartbeat").status_code == 204
    assert logger.get(address).json()["name"] == "first"
    assert logger.get("/api/v1/metrics/timeseries/mine/first/loss").json()["count"] == 1
    assert {row["slug"] for row in logger.get("/api/v1/experiments").json()["results"]} == {"first", "linked"}
    assert {row["slug"] for row in logger.get("/api/v1/projects").json()["results"]} == {"mine", "digits"}
    assert logger.get("/api/v1/projects/mine").status_code == 200


def test_a_token_that_logs_reaches_no_run_that_another_made(store, log, scoped, logger, alice, team, project, experiment):
    log(experiment, {"loss": [1.0]})
    other = send(scoped("ingest"), "POST", "/api/v1/experiments", project="digits", name="other").json()
    for pk, slug in ((experiment.pk, "baseline"), (other["id"], "other")):
        answers = [
            logger.get(f"/api/v1/experiments/{pk}"),
            send(logger, "PATCH", f"/api/v1/experiments/{pk}", notes="n"),
            send(logger, "POST", f"/api/v1/experiments/{pk}/heartbeat"),
            send(logger, "POST", f"/api/v1/metrics/log/digits/{slug}", **POINT),
            logger.get(f"/api/v1/metrics/timeseries/digits/{slug}/loss"),
        ]
        assert [answer.status_code for answer in answers] == [403] * 5
        assert all("runs that it made itself" in message(answer) for answer in answers)
    assert logger.get("/api/v1/experiments").json()["results"] == []
    assert logger.get("/api/v1/projects").json()["results"] == []
    assert logger.get("/api/v1/projects/digits").status_code == 404


def test_the_same_key_gives_a_token_that_logs_no_run_of_another(scoped, project):
    first, second = scoped("ingest"), scoped("ingest")
    answers = [
        each.post("/api/v1/experiments", {"project": "digits", "name": "n"}, content_type=JSON, headers={"Idempotency-Key": "k"})
        for each in (first, first, second)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 403]


def changes_told(client: Client, pk: str) -> list[dict[str, Any]]:
    rows = client.get("/api/v1/experiments").json()["results"]
    return [client.get(f"/api/v1/experiments/{pk}").json()["features_diff"], *(row["features_diff"] for row in rows if row["id"] == pk)]


def test_a_token_that_logs_reads_no_params_of_anothers_run_as_what_changed_against_it(scoped, logger, alice, project):
    hidden = lifecycle.create(project, by=alice, name="hidden", params={"data": "secret", "lr": 1})
    asked = {"project": "digits", "name": "below", "parent": "hidden", "params": {"lr": 2}}
    key = {"Idempotency-Key": "k"}
    made, again = (logger.post("/api/v1/experiments", asked, content_type=JSON, headers=key).json() for _ in range(2))
    later = send(logger, "POST", "/api/v1/experiments", project="digits", name="later").json()
    moved = send(logger, "PATCH", f"/api/v1/experiments/{later['id']}", parent=str(hidden.pk)).json()
    assert [each["features_diff"] for each in (made, again, moved)] == [{}] * 3
    assert [each["parent"] for each in (made, again, moved)] == [str(hidden.pk)] * 3
    assert [changes_told(logger, each["id"]) for each in (made, later)] == [[{}, {}]] * 2
    assert changes_told(scoped("read"), made["id"]) == [Experiment.objects.get(pk=made["id"]).features_diff] * 2
    assert "secret" in json.dumps(Experiment.objects.get(pk=made["id"]).features_diff)


def test_a_token_that_logs_reads_what_changed_against_its_own_run_and_what_was_said_of_it(logger, alice, project):
    lifecycle.create(project, by=alice, name="hidden", params={"data": "secret" * 5000})
    first = send(logger, "POST", "/api/v1/experiments", project="digits", name="first", params={"lr": 1}).json()
    second = send(logger, "POST", "/api/v1/experiments", project="digits", name="second", parent="first", params={"lr": 2}).json()
    said = {"width": {"from": 1, "to": 2}}
    third = send(logger, "POST", "/api/v1/experiments", project="digits", name="third", parent="hidden", features_diff=said).json()
    fourth = send(logger, "POST", "/api/v1/experiments", project="digits", name="fourth", parent="hidden").json()
    assert first["features_diff"] == {}
    assert changes_told(logger, second["id"]) == [second["features_diff"]] * 2 == [{"lr": {"from": 1, "to": 2}}] * 2
    assert changes_told(logger, third["id"]) == [third["features_diff"]] * 2 == [said] * 2
    assert {row["slug"]: row["cut"] for row in logger.get("/api/v1/experiments").json()["results"]}["fourth"] == []
    assert fourth["features_diff"] == {}


def test_a_token_that_logs_is_told_no_name_near_the_one_it_asks_for(store, scoped, logger, alice, team, project):
    Project.objects.create(team=team, name="secret plan")
    lifecycle.create(project, by=alice, name="hidden run", params={"data": 1})
    lifecycle.create(project, by=alice, name="hidden run 2", params={"data": 2})
    ProjectMetric.objects.create(project=project, name="hidden_loss")
    send(logger, "POST", "/api/v1/experiments", project="digits", name="mine")
    asked: list[Callable[[Client], Any]] = [
        lambda client: client.get("/api/v1/experiments", {"project": "digits", "where": "params.dat = 1"}),
        lambda client: client.get("/api/v1/experiments", {"project": "digits", "where": "metrics.hidden_los > 1"}),
        lambda client: client.get("/api/v1/experiments", {"project": "digits", "metrics": "hidden_los"}),
        lambda client: client.get("/api/v1/experiments", {"project": "digits", "ordering": "metrics.hidden_los"}),
        lambda client: client.get("/api/v1/experiments", {"project": "Secret plam"}),
        lambda client: client.get("/api/v1/projects/secret-plam"),
        lambda client: send(client, "POST", "/api/v1/experiments", project="Secret plam", name="n"),
        lambda client: send(client, "POST", "/api/v1/metrics/log/digits/hidden-rum", **POINT),
        lambda client: send(client, "POST", "/api/v1/metrics/log/secret-plam/hidden-rum", **POINT),
        lambda client: client.get("/api/v1/metrics/timeseries/digits/hidden-rum/loss"),
        lambda client: client.get("/api/v1/metrics/timeseries/digits/mine/hidden_los"),
    ]
    told = [[ask(client).content.decode() for ask in asked] for client in (logger, scoped("write"))]
    logger.get("/api/v1/experiments")
    assert NAMES_ARE_TOLD.get()  # to whom this thread answers next
    assert [n for n, said in enumerate(told[0]) if "Did you mean" in said or "hidden_loss" in said or "secret-plan" in said] == []
    assert [n for n, said in enumerate(told[1]) if "Did you mean" not in said and n != 5] == []


def test_a_key_that_made_a_run_elsewhere_is_refused_with_the_reason(alice, team, project, other):
    elsewhere = Team.objects.create(name="Elsewhere")
    Membership.objects.create(team=elsewhere, user=alice, role=Role.EDITOR)
    Project.objects.create(team=elsewhere, name="theirs")
    tokens = [ApiToken.issue(user=alice, team=each, name="t", scope="write")[1] for each in (team, elsewhere)]
    tokens.append(ApiToken.issue(user=alice, team=team, name="t", scope="write", project=other.project)[1])
    found = [
        with_bearer(secret).post("/api/v1/experiments", {"project": name, "name": "n"}, content_type=JSON, headers={"Idempotency-Key": "k"})
        for secret, name in zip(tokens, ("digits", "theirs", "letters"), strict=True)
    ]
    assert [answer.status_code for answer in found] == [201, 409, 409]
    assert all("used elsewhere" in message(answer) for answer in found[1:])
    assert Experiment.objects.filter(name="n").count() == 1


def test_nobody_reaches_a_run_by_the_name_of_another_runs_descendants(logger, experiment, project, alice):
    lifecycle.create(project, by=alice, name="child", parent=experiment)
    assert logger.get("/api/v1/experiments?project=digits&parent=baseline").status_code == 404


# One project


@pytest.fixture
def other(team, alice) -> Experiment:
    return Experiment.objects.create(project=Project.objects.create(team=team, name="letters"), name="first")


def test_a_token_of_one_project_finds_nothing_of_another(store, scoped, project, experiment, other, alice):
    claim = stated(other.project, alice)
    client = scoped("admin", project=project)
    hidden = [
        client.get("/api/v1/projects/letters"),
        client.get(f"/api/v1/experiments/{other.pk}"),
        client.get(f"/api/v1/hypotheses/{claim.pk}"),
        client.get("/api/v1/metrics/names/letters"),
        send(client, "POST", "/api/v1/metrics/log/letters/first", **POINT),
        send(client, "POST", "/api/v1/experiments", project="letters", name="n"),
    ]
    assert [answer.status_code for answer in hidden] == [404] * 6
    assert [row["slug"] for row in client.get("/api/v1/projects").json()["results"]] == ["digits"]
    assert [row["slug"] for row in client.get("/api/v1/experiments").json()["results"]] == ["baseline"]
    assert client.get("/api/v1/hypotheses").json()["results"] == []
    assert send(client, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 200


def test_a_token_of_one_project_sees_the_alerts_of_that_one(scoped, project, experiment, other):
    from alerts import lifecycle as alerts
    from alerts.models import Kind, Severity

    for each in (experiment, other):
        alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=each, message=f"{each.name} silent")
    assert [row["message"] for row in scoped("read", project=project).get("/api/v1/alerts").json()["results"]] == ["baseline silent"]
    assert len(scoped("read").get("/api/v1/alerts").json()["results"]) == 2


def test_a_token_of_one_project_does_nothing_that_concerns_the_team(scoped, project):
    client = scoped("admin", project=project)
    team = "/api/v1/teams/vision-team"
    answers = [
        client.get(f"{team}/members"),
        send(client, "POST", f"{team}/members", user="carol"),
        client.get(f"{team}/channels"),
        send(client, "POST", "/api/v1/projects", name="new"),
        send(client, "POST", "/api/v1/experiments", project="new", create_project=True, name="n"),
    ]
    assert [(answer.status_code, "limited to one project" in message(answer)) for answer in answers] == [(403, True)] * 5


def test_a_token_goes_with_its_project_and_with_the_one_that_made_it(scoped, alice, team, project):
    parent, _ = ApiToken.issue(user=alice, team=team, name="p", project=project)
    ApiToken.issue(user=alice, team=team, name="c", parent=parent)
    assert ApiToken.objects.count() == 2
    project.delete()
    assert not ApiToken.objects.exists()


# Made by a token


def minted(client: Client, **asked: Any) -> dict[str, Any]:
    answer = send(client, "POST", TOKENS, name="made", **asked)
    assert answer.status_code == 201, answer.content
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


def test_a_token_makes_no_stronger_one(scoped, project, other):
    assert minted(scoped("write"))["scope"] == "write"
    assert send(scoped("write"), "POST", TOKENS, name="n", scope="admin").status_code == 403
    assert send(scoped("admin"), "POST", TOKENS, name="n", scope="before").status_code == 422
    assert minted(scoped("before"), scope="admin")["scope"] == "admin"
    narrow = scoped("write", project=project)
    assert minted(narrow)["project"] == "digits"
    assert send(narrow, "POST", TOKENS, name="n", project="letters").status_code == 404


def test_what_a_token_made_ends_no_later_and_with_it(alice, team, scoped):
    ends = timezone.now() + timedelta(days=3)
    parent, secret = ApiToken.issue(user=alice, team=team, name="p", scope="write", expires_at=ends)
    child = minted(with_bearer(secret), expires_at=(ends + timedelta(days=9)).isoformat())
    grandchild = minted(with_bearer(child["token"]))
    assert child["parent"] == str(parent.pk)
    assert {row.expires_at for row in ApiToken.objects.all()} == {ends}
    parent.revoke()
    for each in (child, grandchild):
        assert with_bearer(each["token"]).get("/api/v1/teams").status_code == 401


def test_what_a_token_made_ends_where_a_version_from_before_revokes_or_deletes_the_one_that_made_it(alice, team):
    for end in (lambda rows: rows.update(revoked_at=timezone.now()), lambda rows: rows._raw_delete("default")):
        parent, secret = ApiToken.issue(user=alice, team=team, name="p", scope="write")
        child = with_bearer(minted(with_bearer(secret))["token"])
        assert child.get("/api/v1/teams").status_code == 200
        end(ApiToken.objects.filter(pk=parent.pk))
        assert child.get("/api/v1/teams").status_code == 401


def test_what_was_made_by_what_a_token_made_ends_with_it_though_a_version_from_before_revokes_it(alice, team):
    first, secret = ApiToken.issue(user=alice, team=team, name="p", scope="write")
    below = []
    for _ in range(GENERATIONS_MOST):
        secret = minted(with_bearer(secret))["token"]
        below.append(with_bearer(secret))
    assert [each.get("/api/v1/teams").status_code for each in below] == [200] * GENERATIONS_MOST
    refused = send(below[-1], "POST", TOKENS, name="one below more")
    assert (refused.status_code, "made each other" in message(refused)) == (403, True)
    ApiToken.objects.filter(pk=first.pk).update(revoked_at=timezone.now())
    assert [each.get("/api/v1/teams").status_code for each in below] == [401] * GENERATIONS_MOST


def test_a_token_that_does_not_administer_reaches_itself_and_what_it_made(scoped, alice, team):
    mine, secret = ApiToken.issue(user=alice, team=team, name="mine", scope="write")
    theirs, _ = ApiToken.issue(user=alice, team=team, name="another", scope="write")
    client = with_bearer(secret)
    child = minted(client)
    assert {row["id"] for row in client.get(TOKENS).json()["results"]} == {str(mine.pk), child["id"]}
    assert send(client, "DELETE", f"{TOKENS}/{theirs.pk}").status_code == 404
    assert send(client, "PATCH", f"{TOKENS}/{theirs.pk}", name="n").status_code == 404
    assert send(client, "DELETE", f"{TOKENS}/{child['id']}").status_code == 204
    assert send(client, "DELETE", f"{TOKENS}/{mine.pk}").status_code == 204
    assert client.get(TOKENS).status_code == 401


def test_nobody_has_endless_tokens(scoped, alice, team):
    client = scoped("write")
    ApiToken.objects.bulk_create(ApiToken(user=alice, team=team, name="t", digest=str(n)) for n in range(LIVING_MOST - 1))
    answer = send(client, "POST", TOKENS, name="one more")
    assert (answer.status_code, "revoke" in message(answer)) == (409, True)


def test_a_token_that_ends_meanwhile_makes_none(alice, team, monkeypatch):
    from accounts.access import Caller
    from accounts.tokens import issuing
    from config.errors import Unauthenticated

    token, _ = ApiToken.issue(user=alice, team=team, name="p", scope="write")
    ApiToken.objects.get(pk=token.pk).revoke()
    with pytest.raises(Unauthenticated):
        issuing.mint(Caller(alice, token), issuing.Wanted("n", team, Scope.READ))


# Narrower


def test_a_token_from_before_keeps_all_until_somebody_narrows_it(browser_for, alice, team, project):
    token, secret = ApiToken.issue(user=alice, team=team, name="old", scope="before")
    browser, client = browser_for(alice), with_bearer(secret)
    assert client.get("/api/v1/teams/vision-team/members").status_code == 200
    assert "as before" in browser.get("/account").content.decode()
    assert browser.post(f"/account/tokens/{token.pk}/narrow", {"scope": "read"}).status_code == 302
    assert client.get("/api/v1/teams/vision-team/members").status_code == 403
    assert "as before" not in browser.get("/account").content.decode()
    assert browser.post(f"/account/tokens/{token.pk}/narrow", {"scope": "admin"}).status_code == 422


def test_a_token_is_changed_towards_less_alone(browser_for, alice, team, project, other):
    ends = timezone.now() + timedelta(days=3)
    token, _ = ApiToken.issue(user=alice, team=team, name="t", scope="write", project=project, expires_at=ends)
    session, address = browser_for(alice), f"{TOKENS}/{token.pk}"
    for change in ({"scope": "admin"}, {"project": "letters"}, {"expires_at": (ends + timedelta(days=1)).isoformat()}):
        answer = send(session, "PATCH", address, **change)
        assert (answer.status_code, "can only be narrowed" in message(answer) or answer.json()["error"]["errors"][0]["code"] == "wider") == (422, True), change
    changed = send(session, "PATCH", address, scope="read", name="n", expires_at=(ends - timedelta(days=1)).isoformat()).json()
    assert (changed["scope"], changed["name"], changed["project"]) == ("read", "n", "digits")
    assert send(session, "PATCH", address, scope="ingest").status_code == 422


def test_what_a_token_made_shrinks_with_it(browser_for, alice, team, project):
    parent, secret = ApiToken.issue(user=alice, team=team, name="p", scope="before")
    children = {scope: minted(with_bearer(secret), scope=scope)["token"] for scope in ("admin", "write", "read", "ingest")}
    ends = timezone.now() + timedelta(days=1)
    ending.narrow(parent, scope=Scope.READ, project=project, expires_at=ends)
    kept = {row.name: row for row in ApiToken.objects.exclude(pk=parent.pk).filter(revoked_at=None)}
    assert {(row.scope, row.project, row.expires_at) for row in ApiToken.objects.filter(parent=parent, revoked_at=None)} == {("read", project, ends)}
    assert kept
    assert [with_bearer(secret).get("/api/v1/teams").status_code for secret in children.values()] == [200, 200, 200, 401]


def test_a_token_that_another_request_narrows_meanwhile_is_not_widened(alice, team):
    token, _ = ApiToken.issue(user=alice, team=team, name="t", scope="admin")
    loaded = ApiToken.objects.get(pk=token.pk)
    ends = timezone.now() + timedelta(days=1)
    ending.narrow(token, scope=Scope.READ, expires_at=ends)
    for change in ({"scope": Scope.WRITE}, {"expires_at": ends + timedelta(days=1)}):
        with pytest.raises(Invalid):
            ending.narrow(loaded, **change)
    ending.narrow(loaded, name="n")
    token.refresh_from_db()
    assert (token.scope, token.expires_at, token.name) == ("read", ends, "n")


def test_the_admin_changes_of_a_token_what_its_page_asks_for_alone(browser_for, operator, alice, team, monkeypatch):
    token, _ = ApiToken.issue(user=alice, team=team, name="t", scope="admin")
    clean = AdminTokenForm.clean

    def meanwhile(form: AdminTokenForm) -> dict[str, Any]:
        ending.narrow(ApiToken.objects.get(pk=token.pk), scope=Scope.READ)
        ending.revoke(ApiToken.objects.get(pk=token.pk))
        return clean(form)

    monkeypatch.setattr(AdminTokenForm, "clean", meanwhile)
    assert browser_for(operator).post(f"/admin/accounts/apitoken/{token.pk}/change/", {"name": "n"}).status_code == 302
    token.refresh_from_db()
    assert (token.name, token.scope, token.revoked_at is None) == ("n", "read", False)


def test_a_token_that_can_do_nothing_any_more_ends_with_a_line_of_its_own(alice, team):
    parent, secret = ApiToken.issue(user=alice, team=team, name="p", scope="write")
    child = minted(with_bearer(secret), scope="ingest")
    ending.narrow(parent, scope=Scope.READ)
    assert with_bearer(child["token"]).get("/api/v1/teams").status_code == 401
    assert list(AuditEntry.objects.filter(act="token.revoked").values_list("on_id", flat=True)) == [child["id"]]


def test_a_narrowed_token_writes_no_more_in_this_process_at_once(store, settings, alice, team, experiment):
    settings.METRICS_ACCESS_CACHE_S = 1000
    token, secret = ApiToken.issue(user=alice, team=team, name="t", scope="write")
    client = with_bearer(secret)
    assert send(client, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 200
    assert send(client, "PATCH", f"{TOKENS}/{token.pk}", scope="read").status_code == 200
    assert send(client, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 403
    GRANTS.forget()


def test_a_row_of_the_version_before_has_the_scope_of_before(alice, team):
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_apitoken (id, user_id, team_id, name, prefix, digest, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [key(uuid.uuid4()), alice.pk, key(team.pk), "old", "rp_old", "d" * 64, now],
        )
    found = ApiToken.objects.usable(at=now).get()
    assert (found.scope, found.project, found.parent) == ("before", None, None)


def key(value: uuid.UUID) -> str:
    return str(value) if connection.vendor == "postgresql" else value.hex


def test_an_end_that_an_operator_changes_is_that_of_what_the_token_made_too(browser_for, operator, alice, team):
    ends = timezone.now().replace(microsecond=0) + timedelta(days=3)
    parent, secret = ApiToken.issue(user=alice, team=team, name="p", scope="write", expires_at=ends)
    child = ApiToken.objects.get(pk=minted(with_bearer(secret))["id"])
    browser, sooner, later = browser_for(operator), ends - timedelta(days=1), ends + timedelta(days=1)
    for token, asked in ((parent, sooner), (child, later)):
        given = {"name": "n", "expires_at_0": f"{asked:%Y-%m-%d}", "expires_at_1": f"{asked:%H:%M:%S}"}
        browser.post(f"/admin/accounts/apitoken/{token.pk}/change/", given)
    assert set(ApiToken.objects.values_list("expires_at", flat=True)) == {sooner}


def ended_on(browser: Client, token: ApiToken, end: datetime | None, name: str = "n") -> int:
    given = {"expires_at_0": f"{end:%Y-%m-%d}", "expires_at_1": f"{end:%H:%M:%S}"} if end else {}
    return browser.post(f"/admin/accounts/apitoken/{token.pk}/change/", {"name": name, **given}).status_code


def test_the_admin_lets_no_token_hold_for_longer(browser_for, operator, alice, team):
    ends = timezone.now() + timedelta(days=3)
    token, _ = ApiToken.issue(user=alice, team=team, name="t", expires_at=ends)
    browser = browser_for(operator)
    assert [ended_on(browser, token, end) for end in (ends + timedelta(days=1), None)] == [200, 200]
    assert ApiToken.objects.get(pk=token.pk).expires_at == ends
    assert [ended_on(browser, token, end, "gpu8") for end in (ends, ends - timedelta(days=1))] == [302, 302]
    token.refresh_from_db()
    assert (token.name, token.expires_at) == ("gpu8", (ends - timedelta(days=1)).replace(microsecond=0))


def test_the_admin_lets_no_token_that_ended_come_alive_again(browser_for, operator, alice, team):
    ended = timezone.now() - timedelta(days=3)
    token, secret = ApiToken.issue(user=alice, team=team, name="t", expires_at=ended)
    browser, now = browser_for(operator), timezone.now()
    assert [ended_on(browser, token, end) for end in (now + timedelta(days=1), now - timedelta(days=1), ended - timedelta(days=1), None)] == [200] * 4
    assert ended_on(browser, token, ended, "of last year") == 302
    token.refresh_from_db()
    assert (token.name, token.expires_at.date()) == ("of last year", ended.date())
    assert with_bearer(secret).get("/api/v1/teams").status_code == 401


def test_the_admin_moves_no_end_that_another_request_brings_forward_meanwhile(browser_for, operator, alice, team, monkeypatch):
    soon, later = (timezone.now().replace(microsecond=0) + timedelta(days=days) for days in (1, 3))
    token, _ = ApiToken.issue(user=alice, team=team, name="t", expires_at=later)
    clean = AdminTokenForm.clean

    def meanwhile(form: AdminTokenForm) -> dict[str, Any]:
        ending.narrow(ApiToken.objects.get(pk=token.pk), expires_at=soon)
        return clean(form)

    monkeypatch.setattr(AdminTokenForm, "clean", meanwhile)
    assert ended_on(browser_for(operator), token, later - timedelta(days=1)) == 302
    assert ApiToken.objects.get(pk=token.pk).expires_at == soon


# Ends


REMOVALS: dict[str, Callable[[Membership, Client], object]] = {
    "verb": lambda member, _: services.remove_member(member),
    "row": lambda member, _: member.delete(),
    "rows": lambda member, _: Membership.objects.filter(pk=member.pk).delete(),
    "admin": lambda member, admin: admin.post(f"/admin/accounts/membership/{member.pk}/delete/", {"post": "yes"}),
    "admin's action": lambda member, admin: admin.post(
        "/admin/accounts/membership/", {"action": "delete_selected", "_selected_action": [member.pk], "post": "yes"}
    ),
    "admin's team": lambda member, admin: admin.post(
        f"/admin/accounts/team/{member.team_id}/change/",
        {
            "name": "Vision team",
            "slug": "vision-team",
            "memberships-TOTAL_FORMS": 1,
            "memberships-INITIAL_FORMS": 1,
            "memberships-0-id": member.pk,
            "memberships-0-team": member.team_id,
            "memberships-0-user": member.user_id,
            "memberships-0-role": "editor",
            "memberships-0-DELETE": "on",
        },
    ),
}


@pytest.mark.parametrize("removal", REMOVALS)
def test_removal_from_a_team_ends_its_tokens_for_good(alice, erin, operator, browser_for, team, removal):
    elsewhere = Team.objects.create(name="Elsewhere")
    Membership.objects.create(team=elsewhere, user=erin, role=Role.EDITOR)
    here, there = (with_bearer(ApiToken.issue(user=erin, team=each, name="t")[1]) for each in (team, elsewhere))
    session = browser_for(operator)
    assert here.get("/api/v1/teams").status_code == 200
    REMOVALS[removal](Membership.objects.get(team=team, user=erin), session)
    assert not Membership.objects.filter(team=team, user=erin).exists()
    Membership.objects.create(team=team, user=erin, role=Role.ADMIN)
    assert [each.get("/api/v1/teams").status_code for each in (here, there)] == [401, 200]


def test_the_admin_keeps_a_team_an_admin_as_everybody_does(alice, operator, browser_for, team):
    member = Membership.objects.get(user=alice)
    assert browser_for(operator).post(f"/admin/accounts/membership/{member.pk}/delete/", {"post": "yes"}).status_code == 409
    assert Membership.objects.filter(pk=member.pk).exists()


def test_who_leaves_takes_no_token_of_another_person(alice, erin, team):
    _, secret = ApiToken.issue(user=alice, team=team, name="t")
    Membership.objects.get(team=team, user=erin).delete()
    assert with_bearer(secret).get("/api/v1/teams").status_code == 200


def change_password(session: Client, address: str, ended: ApiToken) -> None:
    if address.startswith("/api"):
        answer = send(session, "POST", address, present=PASSWORD, new="another long password", end_tokens=[str(ended.pk)])
    else:
        answer = session.post(address, {"present": PASSWORD, "new": "another long password", "again": "another long password", "end": ended.pk})
    assert answer.status_code in (204, 302), answer.content


@pytest.mark.parametrize("address", ["/account/password", "/api/v1/account/password"])
def test_a_change_of_the_password_ends_sessions_and_jwts_and_the_tokens_that_are_chosen(store, settings, browser_for, erin, team, experiment, address):
    settings.METRICS_ACCESS_CACHE_S = 1000
    session, other, jwt = browser_for(erin), browser_for(erin), with_bearer(pair_for(erin)[0])
    kept, ended = (ApiToken.issue(user=erin, team=team, name=name) for name in ("kept", "ended"))
    for client in (jwt, with_bearer(ended[1])):
        assert send(client, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 200
    change_password(session, address, ended[0])
    assert [client.get("/account").status_code for client in (session, other)] == [200, 302]
    for client in (jwt, with_bearer(ended[1])):
        assert send(client, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 401
    assert with_bearer(kept[1]).get("/api/v1/teams").status_code == 200


def test_a_jwt_that_logged_a_moment_ago_ends_with_the_password_alone(store, settings, browser_for, erin, experiment):
    settings.METRICS_ACCESS_CACHE_S = 1000
    jwt = with_bearer(pair_for(erin)[0])
    assert send(jwt, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 200
    sent = {"present": PASSWORD, "new": "another long password", "end_tokens": []}
    assert send(browser_for(erin), "POST", "/api/v1/account/password", **sent).status_code == 204
    assert send(jwt, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 401


@pytest.mark.parametrize("way", ["page", "API"])
def test_a_jwt_that_logged_a_moment_ago_ends_with_signing_out_everywhere(store, settings, browser_for, erin, experiment, way):
    settings.METRICS_ACCESS_CACHE_S = 1000
    jwt, session = with_bearer(pair_for(erin)[0]), browser_for(erin)
    assert send(jwt, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 200
    assert (session.post("/account/sessions/sign-out") if way == "page" else session.delete("/api/v1/account/sessions")).status_code in (204, 302)
    assert send(jwt, "POST", "/api/v1/metrics/log/digits/baseline", **POINT).status_code == 401


# The password again


def aged(browser: Client) -> Client:
    session = browser.session
    session[PROVED_AT] = int((timezone.now() - timedelta(hours=1, seconds=1)).timestamp())
    session.save()
    return browser


FORM = {"name": "gpu7", "scope": "read"}


def test_the_page_asks_for_the_password_where_the_sign_in_is_older_than_an_hour(browser_for, alice, team):
    fresh = browser_for(alice)
    assert 'name="password"' not in fresh.get("/account").content.decode()
    browser = aged(fresh)
    assert 'name="password"' in browser.get("/account").content.decode()
    for given in ({}, {"password": "a guess"}):
        assert browser.post("/account/tokens", {**FORM, "reach": team.pk, **given}).status_code == 422
    assert not ApiToken.objects.exists()
    assert browser.post("/account/tokens", {**FORM, "reach": team.pk, "password": PASSWORD}).status_code == 200
    assert browser.post("/account/tokens", {**FORM, "reach": team.pk}).status_code == 200, "the password holds for an hour again"


def test_a_session_that_does_not_say_when_it_began_is_an_old_one(browser_for, alice, team):
    browser = browser_for(alice)
    session = browser.session
    del session[PROVED_AT]
    session.save()
    assert browser.post("/account/tokens", {**FORM, "reach": team.pk}).status_code == 422


@pytest.mark.parametrize("address", ["/sign-in", "/admin/login/"])
def test_a_sign_in_on_either_page_is_a_proof(operator, team, address):
    browser = Client()
    browser.post(address, {"username": "operator", "password": PASSWORD})
    assert browser.post("/account/tokens", {**FORM, "reach": team.pk}).status_code == 200


def test_the_api_asks_too_of_a_session_and_of_a_jwt(browser_for, alice, team):
    old = RefreshToken.for_user(alice)
    old[PROVED_AT] = int((timezone.now() - timedelta(hours=2)).timestamp())
    renewed = Client().post("/api/v1/auth/token/refresh", {"refresh": str(old)}, content_type=JSON).json()["access"]
    undated = str(RefreshToken.for_user(alice).access_token)
    for client in (aged(browser_for(alice)), with_bearer(renewed), with_bearer(undated)):
        refused = send(client, "POST", TOKENS, name="n")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "password_needed")
        assert send(client, "POST", TOKENS, name="n", password="a guess").status_code == 422
        assert send(client, "POST", TOKENS, name="n", password=PASSWORD).status_code == 201
    assert send(with_bearer(pair_for(alice)[0]), "POST", TOKENS, name="n").status_code == 201


def test_the_admin_asks_too(browser_for, operator, alice, team):
    browser, sent = aged(browser_for(operator)), {"user": alice.pk, "team": team.pk, "name": "gpu7", "scope": "read"}
    add = "/admin/accounts/apitoken/add/"
    assert "Your password" in browser.get(add).content.decode()
    for given in ({}, {"password": "a guess"}):
        browser.post(add, {**sent, **given})
    assert not ApiToken.objects.exists()
    assert "rp_" in browser.post(add, {**sent, "password": PASSWORD}).content.decode()
    assert ApiToken.objects.get().user == alice


def test_guesses_at_the_password_again_have_the_brake(browser_for, alice, team):
    browser = aged(browser_for(alice))
    found = [browser.post("/account/tokens", {**FORM, "reach": team.pk, "password": "a guess"}).status_code for _ in range(11)]
    assert found == [422] * 10 + [429]


def test_wrong_passwords_at_minting_are_told_in_the_audit(browser_for, operator, alice, team):
    browser = aged(browser_for(alice))
    assert send(browser, "POST", TOKENS, name="n", password="a guess").status_code == 422
    assert browser.post("/account/tokens", {**FORM, "reach": team.pk, "password": "a guess"}).status_code == 422
    root = aged(browser_for(operator))
    sent = {"user": alice.pk, "team": team.pk, "name": "gpu7", "scope": "read", "password": "a guess"}
    assert root.post("/admin/accounts/apitoken/add/", sent).status_code == 200
    found = AuditEntry.objects.filter(act="sign_in.failed").order_by("pk").values_list("who", "on_name")
    assert list(found) == [("alice", "alice"), ("alice", "alice"), ("operator", "operator")]


# How long


def test_a_setting_bounds_how_long_a_token_holds(settings, browser_for, alice, team):
    settings.TOKEN_MAX_DAYS = 30
    session, last = browser_for(alice), timezone.now() + timedelta(days=30)
    endless = minted(session)
    assert abs(ApiToken.objects.get(pk=endless["id"]).expires_at - last) < timedelta(minutes=5)
    refused = send(session, "POST", TOKENS, name="n", expires_at=(last + timedelta(days=2)).isoformat())
    assert (refused.status_code, "30 days" in message(refused)) == (422, True)
    assert session.post("/account/tokens", {**FORM, "reach": team.pk, "expires_on": str((last + timedelta(days=2)).date())}).status_code == 422
    assert session.post("/account/tokens", {**FORM, "reach": team.pk, "expires_on": str(last.date())}).status_code == 200
    assert not ApiToken.objects.filter(expires_at=None).exists()


def test_an_end_that_is_taken_away_in_the_admin_is_bounded_too(settings, browser_for, operator, alice, team):
    ends = timezone.now().replace(microsecond=0) + timedelta(days=3)
    bounded, endless = (ApiToken.issue(user=alice, team=team, name="t", expires_at=each)[0] for each in (ends, None))
    settings.TOKEN_MAX_DAYS = 30
    browser = browser_for(operator)
    answers = [browser.post(f"/admin/accounts/apitoken/{each.pk}/change/", {"name": "n"}) for each in (bounded, endless)]
    assert [answer.status_code for answer in answers] == [200, 302]  # one from before the setting may still be called otherwise
    assert "give no later end" in answers[0].content.decode()
    assert list(ApiToken.objects.filter(pk=bounded.pk).values_list("expires_at", "name")) == [(ends, "t")]


# The first one


def test_the_first_token_logs_reads_and_edits_and_is_no_operators(store):
    first = first_account("admin")
    token = ApiToken.objects.get()
    assert (token.scope, token.expires_at) == ("write", None)
    client = with_bearer(first.token, REMOTE_ADDR="192.0.2.7")
    made = send(client, "POST", "/api/v1/experiments", project="first", create_project=True, name="run 1").json()
    assert send(client, "POST", "/api/v1/metrics/log/first/run-1", **POINT).status_code == 200
    assert send(client, "PATCH", f"/api/v1/experiments/{made['id']}", notes="n").status_code == 200
    refused = [
        client.get("/metrics"),
        client.delete(f"/api/v1/experiments/{made['id']}"),
        client.delete("/api/v1/projects/first"),
        client.get("/api/v1/teams/research-team/members"),
        client.get("/api/v1/metrics/dead-letters"),
        send(client, "POST", TOKENS, name="n", scope="admin"),
    ]
    assert [answer.status_code for answer in refused] == [403] * 6


# The form


def test_the_form_offers_the_projects_of_ones_teams_and_takes_one_of_the_team(browser_for, alice, carol, team, project):
    theirs = Project.objects.create(team=Team.objects.get(members=carol), name="secret plan")
    browser = browser_for(alice)
    page = browser.get("/account").content.decode()
    assert "digits" in page
    assert "secret plan" not in page
    assert browser.post("/account/tokens", {**FORM, "reach": theirs.pk}).status_code == 422
    assert browser.post("/account/tokens", {**FORM, "reach": project.pk}).status_code == 200
    assert ApiToken.objects.get().project == project


def test_the_form_begins_where_one_may_edit_and_a_project_names_its_team(browser_for, alice, team):
    first = Team.objects.create(name="A team to look at")
    Membership.objects.create(team=first, user=alice, role=Role.VIEWER)
    theirs = Project.objects.create(team=first, name="looked at")
    browser = browser_for(alice)
    page = browser.get("/account").content.decode()
    assert f'<option value="{team.pk}" selected>all of {team.name}</option>' in page
    assert f'<optgroup label="{first.name}">' in page
    assert browser.post("/account/tokens", {**FORM, "reach": theirs.pk}).status_code == 200
    assert (ApiToken.objects.get().team, ApiToken.objects.get().project) == (first, theirs)


def test_without_a_team_the_page_leads_to_one(browser_for):
    lone = User.objects.create_user("lone", password=PASSWORD)
    page = browser_for(lone).get("/account").content.decode()
    assert ("You need a team first" in page, 'action="/account/tokens"' in page) == (True, False)


def test_a_token_is_revoked_after_a_page_that_names_what_ends_with_it(browser_for, alice, team):
    maker = ApiToken.issue(user=alice, team=team, name="laptop")[0]
    ApiToken.issue(user=alice, team=team, name="of the sweep", parent=maker)
    browser, address = browser_for(alice), f"/account/tokens/{maker.pk}/revoke"
    assert "of the sweep" in browser.get(address).content.decode()
    assert ApiToken.objects.usable(at=timezone.now()).count() == 2
    assert "is revoked, and 1 token that it made" in browser.post(address, follow=True).content.decode()
    assert not ApiToken.objects.usable(at=timezone.now()).exists()


def test_nothing_is_chosen_for_a_token_from_before_until_somebody_does(browser_for, alice, team):
    ApiToken.issue(user=alice, team=team, name="old", scope=Scope.BEFORE)
    page = browser_for(alice).get("/account").content.decode()
    assert '<option value="">narrow to…</option>' in page


def test_a_narrowed_token_tells_from_what_to_what(alice, team):
    token = ApiToken.issue(user=alice, team=team, name="laptop", scope=Scope.WRITE)[0]
    ending.narrow(token, scope=Scope.READ)
    assert AuditEntry.objects.get(act="token.changed").sentence.endswith("scope write to read")


def test_a_token_made_without_a_word_logs_alone(browser_for, alice, team):
    browser_for(alice).post("/account/tokens", {"name": "gpu7", "reach": team.pk})
    assert ApiToken.objects.get().scope == "ingest"


def test_making_and_ending_tokens_leaves_lines_in_the_audit(browser_for, alice, team):
    session = browser_for(alice)
    made = minted(session)
    send(session, "PATCH", f"{TOKENS}/{made['id']}", scope="read")
    send(session, "DELETE", f"{TOKENS}/{made['id']}")
    lines = AuditEntry.objects.filter(on_id=made["id"]).order_by("pk").values_list("act", "who")
    assert list(lines) == [(f"token.{act}", "alice") for act in ("made", "changed", "revoked")]
    assert not AuditEntry.objects.filter(details__icontains=made["token"]).exists()


def test_users_are_found_by_no_token_of_a_deactivated_one(alice, team, scoped):
    client = scoped("write")
    child = with_bearer(minted(client)["token"])
    User.objects.update(is_active=False)
    assert [each.get("/api/v1/teams").status_code for each in (client, child)] == [401, 401]
