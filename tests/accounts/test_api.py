from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, Membership, Role, Team, User

pytestmark = pytest.mark.differs_on_servers("memberships and tokens rest on constraints of the database")
JSON = "application/json"


def faults(answer) -> dict[str, str]:
    assert answer.status_code == 422, answer.content
    return {fault["field"]: fault["message"] for fault in answer.json()["error"]["errors"]}


def post(client: Client, url: str, **fields):
    return client.post(url, fields, content_type=JSON)


def test_people_see_their_teams_and_their_role(api_for, bob, carol, team):
    rows = api_for(bob).get("/api/v1/teams").json()["results"]
    assert [(row["slug"], row["role"]) for row in rows] == [("vision-team", "viewer")]
    assert api_for(bob).get(f"/api/v1/teams/{team.pk}").json()["name"] == "Vision team"
    assert api_for(carol).get("/api/v1/teams/vision-team").status_code == 404


# Members


def test_an_operator_takes_people_in_and_an_admin_changes_them_and_lets_them_go(api_for, browser_for, operator, alice, carol, team):
    admin, url = api_for(alice), "/api/v1/teams/vision-team/members"
    assert post(browser_for(operator), url, user="CAROL@example.com").json()["role"] == "viewer"
    assert post(browser_for(operator), url, user="carol").status_code == 409
    assert admin.patch(f"{url}/carol", {"role": "editor"}, content_type=JSON).json()["role"] == "editor"
    assert [(row["user"], row["role"]) for row in admin.get(url).json()["results"]] == [("alice", "admin"), ("carol", "editor")]
    assert admin.delete(f"{url}/carol").status_code == 204
    assert admin.delete(f"{url}/carol").status_code == 404


@pytest.mark.parametrize("user", ["carol", "CAROL@example.com", "nobody", "alice"])
def test_an_admin_adds_nobody_without_asking_and_learns_nothing_of_who_there_is(api_for, alice, carol, team, user):
    answer = post(api_for(alice), "/api/v1/teams/vision-team/members", user=user)
    assert (answer.status_code, "invitations" in answer.json()["error"]["message"]) == (403, True)
    assert not Membership.objects.filter(team=team, user=carol).exists()


def test_a_team_keeps_an_admin(api_for, alice, erin, team):
    admin, url = api_for(alice), "/api/v1/teams/vision-team/members"
    assert admin.patch(f"{url}/alice", {"role": "viewer"}, content_type=JSON).status_code == 409
    assert admin.delete(f"{url}/alice").status_code == 409
    admin.patch(f"{url}/erin", {"role": "admin"}, content_type=JSON)
    assert admin.delete(f"{url}/alice").status_code == 204


def test_unknown_people_and_roles_are_refused(browser_for, operator, alice, team):
    url = "/api/v1/teams/vision-team/members"
    assert "admin" in faults(post(browser_for(operator), url, user="nobody"))["user"]
    assert faults(post(browser_for(operator), url, user="alice", role="owner"))["role"]
    assert faults(post(browser_for(operator), url, user="a\x00"))["user"]


@pytest.mark.parametrize(("who", "status"), [("erin", 403), ("bob", 403), ("carol", 404)])
def test_only_admins_see_or_change_members(api_for, alice, erin, bob, carol, team, who, status):
    client, url = api_for(User.objects.get(username=who)), f"/api/v1/teams/{team.pk}/members"
    answers = [client.get(url), post(client, url, user="carol"), client.patch(f"{url}/bob", {"role": "admin"}, content_type=JSON), client.delete(f"{url}/bob")]
    assert [answer.status_code for answer in answers] == [status] * 4
    assert Membership.objects.filter(team=team).count() == 3


# Tokens


def test_a_tokens_text_is_in_one_answer_only(api_for, erin, team):
    client = api_for(erin)
    made = post(client, "/api/v1/tokens", name="gpu7").json()
    assert made["token"].startswith(made["prefix"])
    assert made["team"] == "vision-team"
    assert Client(headers={"Authorization": f"Bearer {made['token']}"}).get("/api/v1/teams").status_code == 200
    listed = client.get("/api/v1/tokens")
    assert made["token"].encode() not in listed.content
    assert {row["name"] for row in listed.json()["results"]} == {"test", "gpu7"}


def test_a_revoked_token_is_unknown_from_then_on(api_for, erin, team):
    client = api_for(erin)
    made = post(client, "/api/v1/tokens", name="gpu7").json()
    for _ in range(2):
        assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert Client(headers={"Authorization": f"Bearer {made['token']}"}).get("/api/v1/teams").status_code == 401
    assert [row["name"] for row in client.get("/api/v1/tokens").json()["results"]] == ["test"]


def test_tokens_are_their_owners_alone(api_for, alice, erin, team):
    made = post(api_for(erin), "/api/v1/tokens", name="gpu7").json()
    assert api_for(alice).delete(f"/api/v1/tokens/{made['id']}").status_code == 404
    assert ApiToken.objects.get(pk=made["id"]).revoked_at is None
    assert "gpu7" not in api_for(alice).get("/api/v1/tokens").content.decode()


def test_a_token_makes_no_token_for_another_team(api_for, erin, team):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=erin, role=Role.EDITOR)
    client = Client(headers={"Authorization": f"Bearer {ApiToken.issue(user=erin, team=team, name='t')[1]}"})
    assert post(client, "/api/v1/tokens", name="x", team="other").status_code == 404
    assert post(client, "/api/v1/tokens", name="x").json()["team"] == "vision-team"


def test_a_token_may_expire_in_the_future_only(api_for, erin, team):
    client, now = api_for(erin), timezone.now()
    assert "passed" in faults(post(client, "/api/v1/tokens", name="x", expires_at=now.isoformat()))["expires_at"]
    assert post(client, "/api/v1/tokens", name="x", expires_at=(now + timedelta(days=1)).isoformat()).json()["expires_at"]


@pytest.mark.parametrize(("field", "value"), [("name", ""), ("name", "x" * 101), ("name", "\x00"), ("expires_at", "soon"), ("scope", "all")])
def test_a_token_that_does_not_fit_is_422(api_for, erin, team, field, value):
    assert field in faults(post(api_for(erin), "/api/v1/tokens", **{"name": "x", field: value}))


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x", "bearer x", "Token x", "Basic eDp4", "Bearer " + "x" * 5000, "Bearer \u00e9"])
def test_a_bad_header_is_401_with_a_challenge(db, header):
    answer = Client(headers={"Authorization": header}).get("/api/v1/teams")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
