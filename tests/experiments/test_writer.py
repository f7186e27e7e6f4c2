"""What a run says of the script that writes it: the points that did not arrive, and that nothing more of it can come."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, Membership, Role
from accounts.tokens import ending
from experiments.models import Experiment
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("what is missing is JSON, and a token's row may be gone: constraints and joins are the database's")
URL = "/api/v1/experiments"
JSON = "application/json"
NAMES = {"how": "refused", "reason": "too_many_names", "points": 332, "message": "Put what varies into the step."}


@pytest.fixture
def token(erin, team) -> ApiToken:
    return ApiToken.issue(user=erin, team=team, name="gpu7")[0]


@pytest.fixture
def script(erin, team, project):
    """A run that a token began, and the client that carries it."""
    token, secret = ApiToken.issue(user=erin, team=team, name="gpu7")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    made = client.post(URL, {"project": "digits", "name": "run"}, content_type=JSON).json()
    return client, Experiment.objects.get(pk=made["id"]), token


def tell(client: Client, experiment: Experiment, *said: object):
    return client.patch(f"{URL}/{experiment.pk}", {"missing": said}, content_type=JSON)


def page(client: Client, experiment: Experiment) -> str:
    return client.get(f"/projects/vision-team/digits/experiments/{experiment.slug}/").content.decode()


def test_a_run_says_how_many_points_were_refused_and_why(script, browser_for, bob):
    client, run, _ = script
    assert tell(client, run, NAMES).json()["missing"] == [NAMES]
    assert client.get(f"{URL}/{run.pk}").json()["missing"] == [NAMES]
    assert [row["missing"] for row in client.get(URL).json()["results"]] == [[NAMES]]
    assert "332 points refused: too many names" in page(browser_for(bob), run)


def test_what_is_said_again_is_counted_once_and_zero_points_end_it(script):
    client, run, _ = script
    kept = {"how": "kept", "reason": "not_sent", "points": 1, "message": ""}
    tell(client, run, NAMES)
    assert tell(client, run, NAMES, kept).json()["missing"] == [NAMES, kept]
    assert tell(client, run, {**NAMES, "points": 400}).json()["missing"] == [{**NAMES, "points": 400}, kept]
    assert tell(client, run, {**kept, "points": 0}).json()["missing"] == [{**NAMES, "points": 400}]


@pytest.mark.parametrize("change", [{"how": "eaten"}, {"reason": "Too many!"}, {"points": -1}, {"points": "many"}, {"message": "x" * 501}, {"more": 1}])
def test_what_is_said_of_missing_points_is_checked(script, change):
    client, run, _ = script
    assert tell(client, run, {**NAMES, **change}).status_code == 422
    assert client.get(f"{URL}/{run.pk}").json()["missing"] == []


def test_the_kinds_of_missing_points_are_bounded(script):
    client, run, _ = script
    told = tell(client, run, *({**NAMES, "reason": f"reason_{number}"} for number in range(60))).json()["missing"]
    assert len(told) == 50


def test_an_older_row_has_no_missing_points_and_no_lost_writer(api_for, erin, experiment):
    found = api_for(erin).get(f"{URL}/{experiment.pk}").json()
    assert (found["missing"], found["writer_lost"]) == ([], None)


def revoked(token: ApiToken) -> None:
    ending.revoke(token)


def expired(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def deactivated(token: ApiToken) -> None:
    type(token.user).objects.filter(pk=token.user_id).update(is_active=False)


def deleted(token: ApiToken) -> None:
    token.delete()


def removed(token: ApiToken) -> None:
    Membership.objects.filter(user=token.user, team=token.team).update(role=Role.VIEWER)


@pytest.mark.parametrize(
    ("lose", "said"),
    [
        (revoked, "Its token was revoked at"),
        (expired, "Its token expired at"),
        (deactivated, "The user of its token was deactivated"),
        (deleted, "Its token was deleted"),
        (removed, "The user of its token may not write to this team any more"),
    ],
)
def test_a_run_says_at_once_that_it_lost_its_writer(script, api_for, alice, browser_for, bob, lose, said):
    client, run, token = script
    reading, watching = api_for(alice), browser_for(bob)
    assert client.get(f"{URL}/{run.pk}").json()["writer_lost"] is None
    assert "points after it" not in page(watching, run)
    lose(token)
    lost = reading.get(f"{URL}/{run.pk}").json()["writer_lost"]
    assert lost["why"] == lose.__name__
    assert (lost["at"] is not None) is (lose in (revoked, expired))
    assert [row["writer_lost"]["why"] for row in reading.get(URL).json()["results"]] == [lose.__name__]
    assert said in page(watching, run)


def test_the_live_part_of_a_page_learns_that_the_writer_is_lost(script, browser_for, bob):
    _, run, token = script
    watching = browser_for(bob)
    address = f"/projects/vision-team/digits/experiments/{run.slug}/"
    seen = watching.get(address).context["overview"].version
    headers = {"HX-Request": "true", "HX-Target": "live"}
    assert watching.get(address, {"seen": seen}, headers=headers).status_code == 204
    ending.revoke(token)
    assert "Its token was revoked" in watching.get(address, {"seen": seen}, headers=headers).content.decode()


def test_a_run_that_beats_with_a_new_token_has_its_writer_again(script, erin, team):
    _, run, token = script
    ending.revoke(token)
    _, secret = ApiToken.issue(user=erin, team=team, name="gpu7 again")
    renewed = Client(headers={"Authorization": f"Bearer {secret}"})
    assert renewed.post(f"{URL}/{run.pk}/heartbeat", json.dumps({"every_s": 30}), content_type=JSON).status_code == 204
    assert renewed.get(f"{URL}/{run.pk}").json()["writer_lost"] is None


def test_a_run_that_has_ended_lost_nothing(script, api_for, alice):
    client, run, token = script
    client.patch(f"{URL}/{run.pk}", {"status": "complete"}, content_type=JSON)
    ending.revoke(token)
    assert api_for(alice).get(f"{URL}/{run.pk}").json()["writer_lost"] is None


def test_deleting_a_project_or_a_user_takes_no_harm_from_the_token_of_a_run(script, project: Project):
    _, run, token = script
    token.user.delete()
    assert Experiment.objects.with_writer().get(pk=run.pk).writer_token is None
    project.delete()
    assert not Experiment.objects.exists()
