"""The pages where a team says where its alerts are sent."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, Role
from alerts import lifecycle as alerts
from alerts.models import Channel, Delivery, Kind, Severity
from alerts.sending import allowance, channels, outbox

pytestmark = pytest.mark.differs_on_servers("channels and their outbox rest on constraints and locks")
NEW = "/alerts/channels/new"


@pytest.fixture
def receiver(settings) -> Iterator[list[bytes]]:
    """A webhook's other end on this machine, allowed by the operator; its bodies."""
    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the standard library's name
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(404 if b"refuse me" in got[-1] else 200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    settings.RECEIVER = f"http://127.0.0.1:{server.server_port}/"
    yield got
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def filled(of: Any, **other: Any) -> dict[str, Any]:
    return {"team": str(of.pk), "name": "On call", "kind": "email", "target": "", "least_severity": "mid", "enabled": "on"} | other


def of_channel(channel: Channel, verb: str = "") -> str:
    return f"/alerts/channels/{channel.pk}{verb}"


def test_an_admin_makes_a_channel_by_form_and_finds_it_on_the_health_page(browser_for, alice, team):
    browser = browser_for(alice)
    assert "Alerts are shown here and sent nowhere yet" in browser.get("/alerts/").content.decode()
    answer = browser.post(NEW, filled(team))
    made = Channel.objects.get()
    assert answer["Location"] == of_channel(made)
    assert (made.team, made.kind, made.target, made.least_severity, made.enabled) == (team, "email", "", "mid", True)
    assert "to alice@example.com" in browser.get(of_channel(made)).content.decode()
    text = browser.get("/alerts/").content.decode()
    assert of_channel(made) in text
    assert "none yet" in text


def test_a_webhooks_secret_is_shown_once_and_again_only_as_another(browser_for, alice, team):
    browser = browser_for(alice)
    answer = browser.post(NEW, filled(team, kind="webhook", target="https://hooks.example.org/x"))
    first = Channel.objects.get()
    assert first.secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert first.secret not in browser.get(of_channel(first)).content.decode()
    renewed = browser.post(of_channel(first, "/secret")).content.decode()
    second = Channel.objects.get()
    assert second.secret != first.secret
    assert second.secret in renewed
    assert first.secret not in renewed


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("webhook", "", "give https://host/path"),
        ("webhook", "http://hooks.example.org/x", "Alerts are sent over https alone"),
        ("webhook", "https://127.0.0.1/x", "127.0.0.1 leads to a private, local or reserved address"),
        ("webhook", "https://localhost:8000/x", "localhost leads to a private, local or reserved address"),
        ("webhook", "https://[::1]/x", "::1 leads to a private, local or reserved address"),
        ("webhook", "https://169.254.169.254/latest/meta-data", "private, local or reserved"),
        ("webhook", "https://me:secret@hooks.example.org/x", "user name"),
        ("email", "somebody", "is no e-mail address"),
    ],
)
def test_a_target_that_could_not_be_sent_to_is_refused_with_a_sentence_at_its_field(browser_for, alice, team, kind, target, said):
    answer = browser_for(alice).post(NEW, filled(team, kind=kind, target=target))
    assert answer.status_code == 422
    (message,) = answer.context["form"].errors["target"]
    assert said in message
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not Channel.objects.exists()


def test_what_is_refused_on_changing_leaves_the_channel_as_it_was(browser_for, alice, team):
    channel = channels.create(team, name="On call", kind=Channel.Kind.WEBHOOK, target="https://hooks.example.org/x")
    browser = browser_for(alice)
    form = {"name": "Other", "target": "https://10.0.0.1/", "least_severity": "high", "enabled": "on"}
    answer = browser.post(of_channel(channel), form)
    assert answer.status_code == 422
    assert "On call</bdi></h1>" in answer.content.decode()
    channel.refresh_from_db()
    assert (channel.name, channel.target, channel.least_severity) == ("On call", "https://hooks.example.org/x", "low")
    assert browser.post(of_channel(channel), form | {"target": "https://hooks.example.org/y", "enabled": ""}).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.target, channel.least_severity, channel.enabled) == ("Other", "https://hooks.example.org/y", "high", False)


def test_a_test_goes_through_the_outbox_and_says_that_it_arrived(browser_for, alice, team, settings, receiver):
    channel = channels.create(team, name="On call", kind=Channel.Kind.WEBHOOK, target=settings.RECEIVER)
    text = browser_for(alice).post(of_channel(channel, "/test"), follow=True).content.decode()
    assert "The test reached On call." in text
    sent = Delivery.objects.get()
    assert (sent.event, sent.state, sent.alert, sent.attempts) == ("test", "done", None, 1)
    assert len(receiver) == 1
    assert b'"event": "test"' in receiver[0]
    assert outbox.deliver_due() == 0
    assert len(receiver) == 1


def test_a_test_that_does_not_arrive_says_why_and_is_not_tried_again(browser_for, alice, team, settings, receiver):
    channel = channels.create(team, name="refuse me", kind=Channel.Kind.WEBHOOK, target=settings.RECEIVER)
    browser = browser_for(alice)
    text = browser.post(of_channel(channel, "/test"), follow=True).content.decode()
    assert "The test did not reach refuse me. The webhook answered 404." in text
    assert Delivery.objects.get().state == "failed"
    assert outbox.deliver_due() == 0
    assert len(receiver) == 1
    listed = browser.get("/alerts/").content.decode()
    assert "The webhook answered 404." in listed
    assert "failed" in listed


def test_without_a_mail_server_a_test_by_e_mail_says_which_setting_is_missing(browser_for, alice, team):
    channel = channels.create(team, name="mail", kind=Channel.Kind.EMAIL)
    text = browser_for(alice).post(of_channel(channel, "/test"), follow=True).content.decode()
    assert "E-mail is not set up: give EMAIL_URL." in text


def test_the_api_sends_a_test_too(api_for, alice, team, settings, receiver):
    channel = channels.create(team, name="refuse me", kind=Channel.Kind.WEBHOOK, target=settings.RECEIVER)
    said = api_for(alice).post(f"/api/v1/teams/vision-team/channels/{channel.pk}/test").json()
    assert (said["event"], said["state"], said["last_error"]) == ("test", "failed", "The webhook answered 404.")


def test_deleting_asks_first_and_takes_what_waited_along(browser_for, alice, team, experiment):
    channel = channels.create(team, name="On call", kind=Channel.Kind.EMAIL)
    alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=experiment, message="silent")
    browser = browser_for(alice)
    assert "1 message that waits included" in browser.get(of_channel(channel, "/delete")).content.decode()
    assert Channel.objects.exists()
    assert browser.post(of_channel(channel, "/delete"))["Location"] == "/alerts/"
    assert not Channel.objects.exists()
    assert not Delivery.objects.exists()


def test_only_admins_of_the_team_see_and_change_its_channels(browser_for, alice, erin, bob, carol, team):
    channel = channels.create(team, name="On call", kind=Channel.Kind.EMAIL)
    for user, code in ((erin, 403), (bob, 403), (carol, 404)):
        browser = browser_for(user)
        for verb in ("", "/test", "/secret", "/delete"):
            assert browser.post(of_channel(channel, verb), filled(team)).status_code == code
        assert "On call" not in browser.get("/alerts/").content.decode()
    assert browser_for(erin).get(NEW).status_code == 403
    assert browser_for(carol).post(NEW, filled(team)).status_code == 422
    assert [one.name for one in Channel.objects.all()] == ["On call"]
    assert not Delivery.objects.exists()


def test_the_servers_own_channels_are_for_operators(browser_for, alice, operator, team):
    assert browser_for(alice).post(NEW, filled(team, team="")).status_code == 422
    assert browser_for(operator).post(NEW, filled(team, team="", name="operators")).status_code == 302
    channel = Channel.objects.get()
    assert channel.team is None
    assert browser_for(alice).get(of_channel(channel)).status_code == 404
    assert "operators" not in browser_for(alice).get("/alerts/").content.decode()
    assert "alerts of the server itself" in browser_for(operator).get(of_channel(channel)).content.decode()


def test_a_projects_health_page_shows_its_teams_channels_to_admins(browser_for, alice, bob, carol, project, team):
    Membership.objects.create(user=alice, team=carol.memberships.get().team, role=Role.ADMIN)
    channels.create(team, name="of this team", kind=Channel.Kind.EMAIL)
    channels.create(carol.memberships.get().team, name="of another team", kind=Channel.Kind.EMAIL)
    text = browser_for(alice).get("/projects/vision-team/digits/alerts/").content.decode()
    assert "of this team" in text
    assert "of another team" not in text
    assert f"{NEW}?team=vision-team" in text
    assert browser_for(alice).get(f"{NEW}?team=vision-team").context["form"].initial["team"] == team
    assert "of this team" not in browser_for(bob).get("/projects/vision-team/digits/alerts/").content.decode()


def test_names_cannot_break_the_pages(browser_for, alice, team):
    channel = channels.create(team, name='<script>alert("x")</script>', kind=Channel.Kind.EMAIL)
    for address in ("/alerts/", of_channel(channel), of_channel(channel, "/delete")):
        assert "<script>alert" not in browser_for(alice).get(address).content.decode()


def test_a_channels_page_costs_as_many_queries_for_one_message_as_for_ten(browser_for, alice, team, experiment):
    channel = channels.create(team, name="On call", kind=Channel.Kind.EMAIL)
    browser, costs = browser_for(alice), []
    for number in range(10):
        alerts.open_alert(kind=Kind.DIVERGED, severity=Severity.MID, experiment=experiment, metric=str(number), message="m")
        if number in (0, 9):
            with CaptureQueriesContext(connection) as queries:
                browser.get(of_channel(channel))
            costs.append(len(queries))
    assert costs[0] == costs[1] <= 8


def test_one_channel_too_many_is_refused_in_words_on_the_page_in_the_api_and_in_the_admin(browser_for, alice, operator, team, settings):
    for number in range(allowance.CHANNELS):
        channels.create(team, name=f"{number}", kind=Channel.Kind.EMAIL)
    answer = browser_for(alice).post(NEW, filled(team))
    assert answer.status_code == 422
    assert "There are 20 channels already" in answer.content.decode()
    refused = browser_for(alice).post(f"/api/v1/teams/{team.slug}/channels", {"name": "x", "kind": "email"}, "application/json")
    assert (refused.status_code, refused.json()["error"]["errors"][0]["code"]) == (422, "too_many")
    page = browser_for(operator).post("/admin/metrics/channel/add/", filled(team, secret=""))
    assert "There are 20 channels already" in page.content.decode()
    assert Channel.objects.count() == allowance.CHANNELS


def test_one_test_too_many_is_told_on_the_page_and_429_in_the_api(browser_for, alice, team, receiver, settings):
    channel = channels.create(team, name="x", kind=Channel.Kind.WEBHOOK, target=settings.RECEIVER)
    browser = browser_for(alice)
    for _ in range(allowance.CHANNEL_TESTS):
        browser.post(of_channel(channel, "/test"))
    assert "A channel can be tested 3 times a minute" in browser.post(of_channel(channel, "/test"), follow=True).content.decode()
    refused = browser.post(f"/api/v1/teams/{team.slug}/channels/{channel.pk}/test")
    assert (refused.status_code, refused.json()["error"]["code"], refused["Retry-After"]) == (429, "too_many_tests", "60")
    assert len(receiver) == allowance.CHANNEL_TESTS
