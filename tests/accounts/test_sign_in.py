"""JWTs beside API tokens."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from accounts.models import Membership, Role, Team
from tests.conftest import PASSWORD

pytestmark = pytest.mark.differs_on_servers("a JWT is checked against the record")
JSON = "application/json"
SIGN_IN, REFRESH = "/api/v1/auth/token", "/api/v1/auth/token/refresh"
LOG = "/api/v1/metrics/log/digits/baseline"
POINT = {"metric_name": "loss", "metric_value": 0.5}


def sign_in(username: str, password: str = PASSWORD, **more):
    return Client(**more).post(SIGN_IN, {"username": username, "password": password}, content_type=JSON)


def signed_in(username: str) -> dict[str, str]:
    answer = sign_in(username)
    assert answer.status_code == 200, answer.content
    return answer.json()


def with_bearer(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"})


def error(answer) -> dict[str, str]:
    body = answer.json()
    assert set(body) == {"error", "request_id"}
    return body["error"]


@pytest.mark.parametrize("name", ["erin", "erin@example.com", "ERIN@example.com"])
def test_a_name_or_an_address_and_a_password_give_two_tokens(erin, name):
    tokens = signed_in(name)
    assert set(tokens) == {"access", "refresh"}
    assert with_bearer(tokens["access"]).get("/api/v1/teams").json()["results"][0]["slug"] == "vision-team"


def test_a_jwt_is_taken_wherever_an_api_token_is(store, erin, experiment):
    client = with_bearer(signed_in("erin")["access"])
    logged = client.post(f"{LOG}?wait=visible", POINT, content_type=JSON)
    assert (logged.status_code, logged.json()["visible"]) == (200, True)
    assert client.get("/api/v1/metrics/timeseries/digits/baseline/loss").json()["count"] == 1
    assert client.post("/api/v1/experiments", {"project": "digits", "name": "next"}, content_type=JSON).status_code == 201


def test_a_jwt_speaks_for_all_teams_of_its_user_with_the_role_in_each(store, bob, experiment):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=bob, role=Role.EDITOR)
    client = with_bearer(signed_in("bob")["access"])
    assert {team["slug"]: team["role"] for team in client.get("/api/v1/teams").json()["results"]} == {"other": "editor", "vision-team": "viewer"}
    assert client.post(LOG, POINT, content_type=JSON).status_code == 403


def test_a_stranger_with_a_jwt_is_still_a_stranger(store, carol, experiment):
    client = with_bearer(signed_in("carol")["access"])
    assert client.post(LOG, POINT, content_type=JSON).status_code == 404
    assert client.get("/api/v1/projects/digits").status_code == 404


@pytest.mark.parametrize(("name", "password"), [("erin", "wrong"), ("nobody", PASSWORD), ("nobody@example.com", PASSWORD), ("erin", PASSWORD.upper())])
def test_a_wrong_name_or_password_is_401_and_says_no_more(erin, name, password):
    answer = sign_in(name, password)
    assert (answer.status_code, error(answer)["code"]) == (401, "unauthenticated")
    assert error(answer)["message"].startswith("Name and password do not fit")


@pytest.mark.parametrize(
    "body", [{}, {"username": "erin"}, {"username": "erin", "password": ""}, {"username": "a\x00", "password": "b"}, {"user": "erin"}, [1]]
)
def test_a_body_that_does_not_fit_is_422(erin, body):
    answer = Client().post(SIGN_IN, body, content_type=JSON)
    assert (answer.status_code, error(answer)["code"]) == (422, "invalid")


def test_a_refresh_token_gives_the_next_access_token_and_cannot_call(erin):
    tokens = signed_in("erin")
    assert with_bearer(tokens["refresh"]).get("/api/v1/teams").status_code == 401
    answer = Client().post(REFRESH, {"refresh": tokens["refresh"]}, content_type=JSON)
    assert with_bearer(answer.json()["access"]).get("/api/v1/teams").status_code == 200
    assert Client().post(REFRESH, {"refresh": tokens["access"]}, content_type=JSON).status_code == 401


def test_both_hold_for_a_while_only(erin):
    access, refresh = AccessToken.for_user(erin), RefreshToken.for_user(erin)
    assert access["exp"] - access["iat"] == 30 * 60
    for token in (access, refresh):
        token.set_exp(lifetime=-timedelta(seconds=1))
    assert with_bearer(str(access)).get("/api/v1/teams").status_code == 401
    assert Client().post(REFRESH, {"refresh": str(refresh)}, content_type=JSON).status_code == 401


def deactivate(user):
    user.is_active = False
    user.save()


def change_password(user):
    user.set_password("another long password")
    user.save()


def delete(user):
    user.delete()


@pytest.mark.parametrize("change", [deactivate, change_password, delete])
def test_a_jwt_ends_with_its_user_or_the_password(store, erin, experiment, change):
    tokens = signed_in("erin")
    change(erin)
    client = with_bearer(tokens["access"])
    for answer in (client.get("/api/v1/teams"), client.post(LOG, POINT, content_type=JSON)):
        assert answer.status_code == 401
        assert error(answer)["message"].startswith("This token is not known")
        assert answer["WWW-Authenticate"].startswith("Bearer")
    refused = Client().post(REFRESH, {"refresh": tokens["refresh"]}, content_type=JSON)
    assert (refused.status_code, error(refused)["code"]) == (401, "unauthenticated")


def test_a_jwt_that_others_signed_or_changed_is_refused(erin):
    head, claims, signature = signed_in("erin")["access"].split(".")
    for forged in (f"{head}.{claims}.", f"{head}.{claims[:-2]}AA.{signature}", "a.b.c", "..", f"{head}.{claims}.\u00e9"):
        assert with_bearer(forged).get("/api/v1/teams").status_code == 401


@pytest.mark.parametrize("claim", [[1], {"id": 1}, 10**30, "9" * 400, None, True, -1, 1.5, "erin", ""])
def test_a_jwt_of_an_odd_user_is_refused(store, erin, experiment, claim):
    for made, ask in ((AccessToken(), lambda secret: with_bearer(secret).get("/api/v1/teams")), (AccessToken(), logged), (RefreshToken(), refreshed)):
        made["user_id"] = claim
        assert ask(str(made)).status_code == 401


def logged(secret: str):
    return with_bearer(secret).post(LOG, POINT, content_type=JSON)


def refreshed(secret: str):
    return Client().post(REFRESH, {"refresh": secret}, content_type=JSON)


def test_nobody_keeps_an_answer_with_a_jwt(erin):
    first = sign_in("erin")
    again = Client().post(REFRESH, {"refresh": first.json()["refresh"]}, content_type=JSON)
    assert [answer["Cache-Control"] for answer in (first, again)] == ["no-store"] * 2


def test_the_schema_names_both_addresses(client, db):
    paths = json.loads(client.get("/api/schema").content)["paths"]
    assert "security" not in paths[SIGN_IN]["post"]
    assert set(paths[SIGN_IN]["post"]["responses"]["200"]["content"]) == {"application/json"}
    assert REFRESH in paths
