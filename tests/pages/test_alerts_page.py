"""The page of alerts, its badge, and what the admin and the API make of alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry, User
from alerts import lifecycle as alerts
from alerts import watch
from alerts.models import Alert, Channel, Delivery, Kind, Severity, WebProcess
from alerts.sending import allowance, channels
from experiments.models import Experiment
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("lists, badges and the admin's search are queries that each database answers in its own way")
PROJECT = "/projects/vision-team/digits/alerts/"
PART = {"HX-Request": "true"}


@pytest.fixture
def alert(experiment) -> Alert:
    return alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=experiment, message="No point for 94 s: look at the script.")


@pytest.fixture
def of_server(db) -> Alert:
    return alerts.open_alert(kind=Kind.DISK, severity=Severity.HIGH, part="disk of web1", message="3 GB are free: make room.")


def badge(client: Client) -> str:
    return client.get("/").content.decode().split('class="alert-badge"')[1].split(">")[0]


def test_the_page_says_what_was_seen_where_and_what_can_be_done(browser_for, erin, alert):
    text = browser_for(erin).get("/alerts/").content.decode()
    assert "1 alert</h1>" in text
    assert "1 needs somebody" in text
    assert "No point for 94 s: look at the script." in text
    assert "/projects/vision-team/digits/experiments/baseline/" in text
    assert 'class="level mid"' in text
    assert ">Acknowledge</button>" in text


def test_a_viewer_reads_and_may_change_nothing(browser_for, bob, alert):
    browser = browser_for(bob)
    text = browser.get("/alerts/").content.decode()
    assert "No point for 94 s" in text
    assert "Acknowledge</button>" not in text
    assert browser.post(f"/alerts/{alert.pk}/acknowledge").status_code == 403
    assert browser.post(f"/alerts/{alert.pk}/silence", {"for": "1h"}).status_code == 403


def test_a_stranger_sees_nothing_of_it(browser_for, carol, alert):
    browser = browser_for(carol)
    text = browser.get("/alerts/").content.decode()
    assert "No alerts" in text
    assert "baseline" not in text
    assert 'data-count="0"' in badge(browser)
    assert browser.post(f"/alerts/{alert.pk}/acknowledge").status_code == 404
    assert browser.get(PROJECT).status_code == 404


def test_alerts_of_the_server_and_its_parts_are_for_operators(store, browser_for, alice, operator, of_server):
    watching = watch.Watch()
    watching.report(watch.readings(), at=timezone.now())
    text = browser_for(alice).get("/alerts/").content.decode()
    assert "disk of web1" not in text
    assert "Metric store" not in text
    assert browser_for(alice).post(f"/alerts/{of_server.pk}/acknowledge").status_code == 404
    browser = browser_for(operator)
    answer = browser.get("/alerts/")
    assert "disk of web1" in answer.content.decode()
    found = {part.name: part for part in answer.context["parts"]}
    assert {"Web processes", "Points waiting", "Spool", "Store lag", "Dead letters", "Disk free", "Metric store"} <= set(found)
    assert [name for name, part in found.items() if not part.is_well] == []
    assert browser.post(f"/alerts/{of_server.pk}/acknowledge").status_code == 302
    watching.stop()


def test_parts_that_are_not_well_say_so(store, browser_for, operator):
    now = timezone.now()
    WebProcess.objects.create(
        host="web1", pid=1, started_at=now, seen_at=now, full_reason="full", dead_letters=2, oldest_at=now - timedelta(hours=1), disk_free_bytes=1
    )
    store.engine.is_closed = True  # the engine's own word for being away
    try:
        found = browser_for(operator).get("/alerts/").context["parts"]
    finally:
        store.engine.is_closed = False
    assert {part.name: part.word for part in found if not part.is_well} == {
        "Points waiting": "full", "Spool": "full", "Store lag": "over", "Dead letters": "some", "Disk free": "low", "Metric store": "away",
    }  # fmt: skip


def test_an_empty_page_says_what_is_watched(browser_for, bob):
    text = browser_for(bob).get("/alerts/").content.decode()
    assert "Watched every minute" in text
    assert "10 times its own pace" in text


def test_acknowledging_takes_it_out_of_the_badge_and_back_to_where_one_was(browser_for, erin, alert):
    browser = browser_for(erin)
    assert 'data-count="1"' in badge(browser)
    answer = browser.post(f"/alerts/{alert.pk}/acknowledge", {"next": PROJECT})
    assert answer["Location"] == PROJECT
    assert 'data-count="0"' in badge(browser)
    assert "erin sees to it" in browser.get(PROJECT).content.decode()
    assert browser.post(f"/alerts/{alert.pk}/acknowledge", {"next": "//evil.example/"})["Location"] == "/alerts/"


def test_silencing_hides_it_from_the_badge_until_it_ends(browser_for, erin, alert):
    browser = browser_for(erin)
    browser.post(f"/alerts/{alert.pk}/silence", {"for": "8h"})
    alert.refresh_from_db()
    assert alert.silenced_until is not None
    assert timedelta(hours=7.9) < alert.silenced_until - timezone.now() <= timedelta(hours=8)
    assert 'data-count="0"' in badge(browser)
    assert "End silence" in browser.get("/alerts/").content.decode()
    browser.post(f"/alerts/{alert.pk}/silence", {"for": "end"})
    assert 'data-count="1"' in badge(browser)
    assert browser.post(f"/alerts/{alert.pk}/silence", {"for": "ever"}).status_code == 422


def test_what_needs_somebody_and_is_worst_comes_first(browser_for, erin, experiment, alert):
    worst = alerts.open_alert(kind=Kind.DIVERGED, severity=Severity.HIGH, experiment=experiment, metric="a", message="m")
    seen = alerts.open_alert(kind=Kind.DIVERGED, severity=Severity.HIGH, experiment=experiment, metric="b", message="m")
    alerts.acknowledge(seen, by=erin)
    assert [row for row, _ in browser_for(erin).get("/alerts/").context["open"]] == [worst, alert, seen]


def test_the_living_part_comes_alone_and_brings_the_badge(browser_for, erin, alert):
    text = browser_for(erin).get("/alerts/", headers=PART).content.decode()
    assert "<html" not in text
    assert text.lstrip().startswith('<div id="alerts">')
    assert 'id="alert-badge" data-count="1"' in text
    assert 'hx-swap-oob="true"' in text
    assert "data-live" in text
    assert "hx-swap-oob" not in browser_for(erin).get("/alerts/").content.decode()


def test_what_was_cleared_says_why(browser_for, bob, alert, experiment):
    alerts.resolve(kind=Kind.STALLED, experiment=experiment, why="It was heard again.")
    text = browser_for(bob).get(PROJECT).content.decode()
    assert "Cleared lately" in text
    assert "It was heard again." in text


def test_a_projects_page_shows_its_own_alerts_and_counts_them_on_its_tab(browser_for, bob, team, alert):
    other = Experiment.objects.create(project=Project.objects.create(team=team, name="other"), name="elsewhere")
    alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=other, message="silent")
    text = browser_for(bob).get(PROJECT).content.decode()
    assert "elsewhere" not in text
    assert 'aria-current="page">Health<span class="count">1</span>' in text
    assert "elsewhere" in browser_for(bob).get("/alerts/").content.decode()


def test_what_a_run_is_called_cannot_break_the_page(browser_for, bob, project):
    run = Experiment.objects.create(project=project, name='<script>alert("x")</script>')
    alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=run, message="<b>bold</b>", metric="m")
    text = browser_for(bob).get("/alerts/").content.decode()
    assert "<script>alert" not in text
    assert "<b>bold" not in text


def test_the_page_costs_as_many_queries_for_two_alerts_as_for_fifty(browser_for, alice, project, team):
    channels.create(team, name="ops", kind=Channel.Kind.EMAIL)
    browser, costs = browser_for(alice), []
    for number in range(50):
        run = Experiment.objects.create(project=project, name=f"run {number}")
        alert = alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=run, message="silent")
        alerts.acknowledge(alert, by=alice)
        if number in (1, 49):
            with CaptureQueriesContext(connection) as queries:
                browser.get("/alerts/")
            costs.append(len(queries))
    assert costs[0] == costs[1] <= 12


def test_admins_see_where_alerts_are_sent_and_what_did_not_arrive(browser_for, alice, erin, team, alert):
    channel = channels.create(team, name="Slack of the team", kind=Channel.Kind.WEBHOOK, target="https://hooks.example.org/secret-path")
    Delivery.objects.create(alert=alert, channel=channel, event="opened", state="failed", last_error="The webhook answered 404.")
    text = browser_for(alice).get("/alerts/").content.decode()
    assert "Slack of the team" in text
    assert "The webhook answered 404." in text
    assert "secret-path" not in text
    assert "Slack of the team" not in browser_for(erin).get("/alerts/").content.decode()


def test_divergence_is_watched_by_a_click(browser_for, erin, bob, project):
    metric = ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    address = f"/projects/vision-team/digits/metrics/{metric.pk}"
    assert browser_for(bob).post(address, {"watch_divergence": "on"}).status_code == 403
    part = browser_for(erin).post(address, {"watch_divergence": "on"}, headers=PART).content.decode()
    assert 'value="on" aria-pressed="true"' in part
    metric.refresh_from_db()
    assert (metric.watch_divergence, metric.direction) == (True, "minimize")
    browser_for(erin).post(address, {"direction": "maximize"})
    metric.refresh_from_db()
    assert (metric.watch_divergence, metric.direction) == (True, "maximize")
    browser_for(erin).post(address, {"watch_divergence": "off"})
    metric.refresh_from_db()
    assert metric.watch_divergence is False


# The admin ---------------------------------------------------------------------------------------------------------------------------------


def test_the_admin_shows_alerts_and_changes_nothing_but_by_action(browser_for, operator, alert, of_server):
    browser = browser_for(operator)
    listed = browser.get("/admin/metrics/alert/")
    assert b"disk of web1" in listed.content
    assert browser.get("/admin/metrics/alert/add/").status_code == 403
    page = browser.get(f"/admin/metrics/alert/{alert.pk}/change/").content
    assert b'name="_save"' not in page
    assert b'name="message"' not in page
    for action in ("acknowledge", "silence_for_a_day"):
        browser.post("/admin/metrics/alert/", {"action": action, "_selected_action": [alert.pk, of_server.pk]})
    assert [row.acknowledged_by for row in Alert.objects.all()] == [operator, operator]
    assert all(row.is_silenced for row in Alert.objects.all())
    browser.post("/admin/metrics/alert/", {"action": "end_silence", "_selected_action": [alert.pk]})
    assert not Alert.objects.get(pk=alert.pk).is_silenced


def test_the_admin_makes_channels_refuses_bad_targets_and_never_shows_a_secret(browser_for, operator, team):
    browser = browser_for(operator)
    form = {"team": team.pk, "name": "ops", "kind": "webhook", "target": "ftp://x/", "least_severity": "low", "enabled": "on", "secret": ""}
    assert b"This is no address" in browser.post("/admin/metrics/channel/add/", form).content
    assert browser.post("/admin/metrics/channel/add/", form | {"target": "https://hooks.example.org/x"}).status_code == 302
    channel = Channel.objects.get()
    assert len(channel.secret) >= 32
    assert channel.secret.encode() not in browser.get(f"/admin/metrics/channel/{channel.pk}/change/").content
    browser.post(f"/admin/metrics/channel/{channel.pk}/change/", form | {"target": "https://hooks.example.org/y"})
    kept = Channel.objects.get()
    assert (kept.target, kept.secret) == ("https://hooks.example.org/y", channel.secret)


def test_the_admin_tries_what_failed_again(browser_for, operator, team, alert):
    channel = channels.create(team, name="ops", kind=Channel.Kind.EMAIL)
    old = timezone.now() - timedelta(days=3)
    failed = Delivery.objects.create(alert=alert, channel=channel, event="opened", state="failed", created_at=old)
    done = Delivery.objects.create(alert=alert, channel=channel, event="resolved", state="done")
    browser_for(operator).post("/admin/metrics/delivery/", {"action": "try_again", "_selected_action": [failed.pk, done.pk]})
    failed.refresh_from_db()
    done.refresh_from_db()
    assert (failed.state, done.state) == ("waiting", "done")
    assert timezone.now() - failed.created_at < timedelta(minutes=1)


@pytest.fixture
def staff(browser_for, bob) -> Callable[..., Client]:
    """staff("change_alert", ...): Bob in the admin with these permissions."""

    def with_permissions(*names: str) -> Client:
        User.objects.filter(pk=bob.pk).update(is_staff=True)
        bob.user_permissions.set(Permission.objects.filter(codename__in=names))
        return browser_for(bob)

    return with_permissions


ACTIONS = {"acknowledge": "acknowledged", "silence_for_a_day": "silenced for a day", "end_silence": "ended the silence of"}


@pytest.mark.parametrize("action", ACTIONS)
def test_staff_who_may_only_look_do_nothing_to_alerts_and_whoever_may_is_told(staff, bob, alert, action):
    sent = {"action": action, "_selected_action": [alert.pk]}
    before = Alert.objects.values().get()
    looking = staff("view_alert")
    assert looking.get("/admin/metrics/alert/").status_code == 200
    looking.post("/admin/metrics/alert/", sent)
    assert (Alert.objects.values().get(), AuditEntry.objects.filter(act="admin.acted").count()) == (before, 0)
    staff("view_alert", "change_alert").post("/admin/metrics/alert/", sent)
    line = AuditEntry.objects.get(act="admin.acted")
    assert (line.user_id, line.team_id, line.project_id) == (bob.pk, alert.team_id, alert.project_id)
    assert line.sentence == f"{ACTIONS[action]} {alert} in the admin"


def test_staff_who_may_only_look_send_nothing_again_and_whoever_may_is_told(staff, team, alert):
    channel = channels.create(team, name="ops", kind=Channel.Kind.EMAIL)
    failed = Delivery.objects.create(alert=alert, channel=channel, event="opened", state="failed")
    sent = {"action": "try_again", "_selected_action": [failed.pk]}
    staff("view_delivery").post("/admin/metrics/delivery/", sent)
    assert (Delivery.objects.get().state, AuditEntry.objects.filter(act="admin.acted").count()) == ("failed", 0)
    staff("view_delivery", "change_delivery").post("/admin/metrics/delivery/", sent)
    line = AuditEntry.objects.get(act="admin.acted")
    assert (Delivery.objects.get().state, line.team_id, line.sentence) == ("waiting", team.pk, f"had sent again {failed} in the admin")


def test_a_channel_stays_in_its_team_in_the_admin(browser_for, operator, team, carol):
    channel, theirs = channels.create(team, name="ops", kind=Channel.Kind.EMAIL), carol.teams.get()
    for number in range(allowance.CHANNELS):  # those of the server are as many as there may be, and none of this one's matter
        channels.create(None, name=f"{number}", kind=Channel.Kind.EMAIL)
    sent = {"team": theirs.pk, "name": "new", "kind": "email", "target": "", "least_severity": "low", "enabled": "on", "secret": ""}
    assert browser_for(operator).post(f"/admin/metrics/channel/{channel.pk}/change/", sent).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.team) == ("new", team)


def test_every_new_list_of_the_admin_opens(browser_for, operator, team, alert):
    channels.create(team, name="ops", kind=Channel.Kind.EMAIL)
    for model in ("alert", "channel", "delivery", "webprocess"):
        assert browser_for(operator).get(f"/admin/metrics/{model}/?q=x").status_code == 200
    assert Permission.objects.filter(codename="view_alert").exists()


# The API -----------------------------------------------------------------------------------------------------------------------------------


def listed(client: Client, query: str = "") -> list[int]:
    return [row["id"] for row in client.get(f"/api/v1/alerts{query}").json()["results"]]


def test_the_api_lists_and_narrows(api_for, bob, team, experiment, alert, of_server):
    other = alerts.open_alert(kind=Kind.NO_DATA, severity=Severity.LOW, project=Project.objects.create(team=team, name="other"), message="m")
    alerts.silence(other, until=timezone.now() + timedelta(hours=1))
    gone = alerts.open_alert(kind=Kind.DIVERGED, severity=Severity.HIGH, experiment=experiment, metric="loss", message="m")
    alerts.resolve(kind=Kind.DIVERGED, experiment=experiment, metric="loss")
    client = api_for(bob)
    assert listed(client) == [gone.pk, other.pk, alert.pk]
    for query, found in {
        "?status=open": [other, alert], "?status=waiting": [alert], "?status=silenced": [other], "?status=resolved": [gone], "?status=acknowledged": [],
        "?kind=stalled&kind=no_data": [other, alert], "?severity=high": [gone], "?project=digits": [gone, alert],
        f"?project={experiment.project_id}": [gone, alert], f"?experiment={experiment.pk}&status=open": [alert],
    }.items():  # fmt: skip
        assert listed(client, query) == [row.pk for row in found], query
    assert client.get("/api/v1/alerts?status=loud").status_code == 422
    assert client.get("/api/v1/alerts?project=nowhere").status_code == 404
    row = client.get(f"/api/v1/alerts/{alert.pk}").json()
    assert (row["kind"], row["project"], row["experiment"], row["team"], row["count"]) == ("stalled", "digits", "baseline", "vision-team", 1)


def test_the_api_acknowledges_and_silences(api_for, erin, alert):
    client = api_for(erin)
    assert client.post(f"/api/v1/alerts/{alert.pk}/acknowledge").json()["acknowledged_by"] == "erin"
    address, until = f"/api/v1/alerts/{alert.pk}/silence", timezone.now() + timedelta(hours=2)
    body = client.post(address, {"until": until.isoformat()}, content_type="application/json").json()
    assert body["silenced_until"] is not None
    assert client.post(address, {"until": None}, content_type="application/json").json()["silenced_until"] is None
    past = client.post(address, {"until": "2020-01-01T00:00:00Z"}, content_type="application/json")
    assert past.status_code == 422
    assert "This time has passed" in past.content.decode()


def test_the_servers_alerts_are_in_the_api_for_operators_alone(api_for, alice, operator, team, of_server):
    team.memberships.create(user=operator, role="admin")
    assert listed(api_for(alice)) == []
    assert api_for(alice).post(f"/api/v1/alerts/{of_server.pk}/acknowledge").status_code == 404
    assert listed(api_for(operator)) == [of_server.pk]
    assert api_for(operator).post(f"/api/v1/alerts/{of_server.pk}/acknowledge").status_code == 200


def test_channels_are_made_by_admins_and_show_their_secret_once(api_for, alice, team):
    client = api_for(alice)
    address = "/api/v1/teams/vision-team/channels"
    made = client.post(address, {"name": "Slack", "kind": "webhook", "target": "https://hooks.example.org/x"}, content_type="application/json")
    assert made.status_code == 201
    assert len(made.json()["secret"]) >= 32
    (row,) = client.get(address).json()["results"]
    assert "secret" not in row
    one = f"{address}/{row['id']}"
    assert client.patch(one, {"least_severity": "high"}, content_type="application/json").json()["least_severity"] == "high"
    refused = client.patch(one, {"target": "file:///etc/passwd"}, content_type="application/json")
    assert refused.status_code == 422
    assert refused.json()["error"]["errors"][0]["field"] == "target"
    assert Channel.objects.get().target == "https://hooks.example.org/x"
    assert client.delete(one).status_code == 204


def test_the_api_watches_a_metric_for_divergence(api_for, erin, project):
    ProjectMetric.objects.create(project=project, name="loss")
    answer = api_for(erin).patch("/api/v1/projects/digits/metrics/loss", {"watch_divergence": True}, content_type="application/json")
    assert answer.json()["watch_divergence"] is True
