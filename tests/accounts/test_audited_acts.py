"""Every verb that changes what others rely on leaves its line, wherever it is called from."""

import pytest
from django.utils import timezone

from accounts import services as services_of_people
from accounts.invitations import inviting
from accounts.models import ApiToken, AuditEntry, Invitation, Membership, Role, Team, User
from accounts.people import changing
from alerts.sending import channels
from experiments import deletion, lifecycle
from experiments.models import Experiment
from hypotheses.claims import stating
from hypotheses.claims.stating import TargetTerm
from projects import services
from projects.models import Project, ProjectMetric, SavedView

JSON = "application/json"


def told(*begins: str) -> list[tuple[str, str, str]]:
    """(who, act, on what) of each line but sign-ins, oldest first."""
    return [
        (line.who, line.act, line.on_name)
        for line in AuditEntry.objects.order_by("pk")
        if line.act.startswith(begins or "") and not line.act.startswith("sign_in")
    ]


def test_a_project_is_made_changed_archived_restored_and_deleted(browser_for, alice, team):
    browser = browser_for(alice)
    browser.post("/api/v1/projects", {"name": "digits"}, content_type=JSON)
    for change in ({"description": "d"}, {"archived": True}, {"archived": False, "retention_days": 30}, {"seed_params": ["fold"]}, {"description": "d"}):
        assert browser.patch("/api/v1/projects/digits", change, content_type=JSON).status_code == 200
    Experiment.objects.create(project=Project.objects.get(), name="run")
    browser.delete("/api/v1/projects/digits")
    acts = ["made", "changed", "archived", "restored", "changed", "changed", "deleted"]
    assert told("project.") == [("alice", f"project.{act}", "digits") for act in acts]
    assert AuditEntry.objects.get(act="project.deleted").sentence == "deleted the project digits: 1 runs, 0 hypotheses"
    assert {line.team_id for line in AuditEntry.objects.filter(act__startswith="project")} == {team.pk}


def test_tokens_limited_to_a_project_or_of_a_team_are_revoked_before_it_is_deleted(alice, operator, team, project):
    for name, more in (("of digits", {"project": project}), ("ended", {"project": project, "revoked_at": timezone.now()}), ("of the team", {})):
        ApiToken.issue(user=alice, team=team, name=name)
        ApiToken.objects.filter(name=name).update(**more)
    services.delete(project, by=alice)
    assert [(act, on) for _, act, on in told("token.", "project.")] == [("token.revoked", "of digits"), ("project.deleted", "digits")]
    assert AuditEntry.objects.get(act="token.revoked").project_id is not None
    services.delete_team(team, by=operator)
    assert [(act, on) for _, act, on in told("token.", "team.")][1:] == [("token.revoked", "of the team"), ("team.deleted", "Vision team")]


def test_metrics_are_changed_and_forgotten_by_the_api_and_on_their_page(browser_for, alice, project, team):
    browser, metrics = browser_for(alice), "/api/v1/projects/digits/metrics"
    browser.post(metrics, {"name": "loss"}, content_type=JSON)
    for change in ({"direction": "minimize"}, {"direction": "minimize"}, {}):
        assert browser.patch(f"{metrics}/loss", change, content_type=JSON).status_code == 200
    metric = ProjectMetric.objects.get()
    page = f"/projects/{team.slug}/{project.slug}/metrics/"
    assert browser.post(f"{page}{metric.pk}", {"aggregation": "min"}).status_code == 302
    assert browser.post(f"{page}{metric.pk}", {"direction": ""}).status_code == 302
    assert browser.post(f"{page}suggestions").status_code == 302
    assert browser.post(f"{page}suggestions").status_code == 302
    assert browser.delete(f"{metrics}/loss").status_code == 204
    lines = AuditEntry.objects.filter(project_id=project.pk).order_by("pk")
    assert [line.sentence for line in lines] == [
        "changed the metric loss: direction",
        "changed the metric loss: aggregation",
        "changed the metric loss: direction",
        "changed the project digits: the direction of 1 metrics",
        "deleted the definition of the metric loss",
    ]
    assert {(line.who, line.team_id) for line in lines} == {("alice", team.pk)}
    assert [line.details["values"] for line in lines[:4]] == [
        {"direction": ["", "minimize"]},
        {"aggregation": ["last", "min"]},
        {"direction": ["minimize", ""]},
        {"loss": "minimize"},
    ]


def test_a_direction_that_comes_with_a_claim_is_told_of_its_metric(erin, project):
    ProjectMetric.objects.create(project=project, name="loss")
    for title in ("less", "much less"):
        stating.propose(project, by=erin, title=title, targets=[TargetTerm("loss", direction="minimize")])
    assert told("metric.") == [("erin", "metric.changed", "loss")]


def test_a_saved_view_is_deleted_on_its_page(browser_for, erin, project, team):
    view = SavedView.objects.create(project=project, name="losses", query="?q=loss")
    assert browser_for(erin).post(f"/projects/{team.slug}/{project.slug}/views/{view.pk}/delete").status_code == 302
    line = AuditEntry.objects.get(act="view.deleted")
    assert (line.who, line.sentence, line.project_id) == ("erin", "deleted the saved view losses", project.pk)


def test_runs_are_archived_restored_and_deleted(alice, project):
    runs = [lifecycle.create(project, by=alice, name=name) for name in ("one", "two", "three")]
    lifecycle.archive(runs[0], by=alice)
    lifecycle.archive(runs[0], by=alice)
    lifecycle.restore(runs[0], by=alice)
    deletion.delete(runs[:1], by=alice)
    deletion.delete(runs[1:], by=alice)
    assert told("run") == [
        ("alice", "run.archived", "one"),
        ("alice", "run.restored", "one"),
        ("alice", "run.deleted", "one"),
        ("alice", "runs.deleted", "digits"),
    ]
    line = AuditEntry.objects.get(act="runs.deleted")
    assert (line.details["count"], sorted(line.details["runs"].values())) == (2, ["three", "two"])


def test_a_team_is_deleted_with_counts(operator, alice, team, project, experiment):
    services.delete_team(team, by=operator)
    line = AuditEntry.objects.get(act="team.deleted")
    assert (line.who, line.on_name, line.details) == ("operator", "Vision team", {"projects": 1, "runs": 1, "members": 1})


def test_terms_of_a_hypothesis_are_stated_changed_and_deleted(erin, project, experiment):
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    claim = stating.propose(project, by=erin, title="less loss", targets=[TargetTerm("loss")])
    stating.edit(claim, by=erin, title="less", claim="c")
    stating.edit(claim, by=erin, targets=[TargetTerm("loss", smallest_effect=0.1)])
    run = lifecycle.create(project, by=erin, name="other", parent=experiment, features_diff={"lr": 0.1})
    stating.link(claim, [run], by=erin)
    lifecycle.complete(run, by=erin)
    stating.edit(claim, by=erin, targets=[TargetTerm("loss", smallest_effect=0.2)])
    stating.delete(claim, by=erin)
    acts = [act for _, act, _ in told("hypothesis.")]
    assert acts == ["hypothesis.stated", "hypothesis.changed", "hypothesis.changed", "hypothesis.epoch", "hypothesis.deleted"]
    assert AuditEntry.objects.get(act="hypothesis.epoch").sentence == "changed the terms of the hypothesis less: version 2 begins"


def test_channels_are_told_of_without_what_is_secret_in_them(browser_for, alice, team, settings):
    settings.WEBHOOK_ALLOWED_HOSTS = ["hooks.example"]
    channel = channels.create(team, name="ops", kind="webhook", target="https://hooks.example/T0/SECRETPATH")
    channels.change(channel, enabled=False)
    channels.change(channel, enabled=False)
    channels.renew_secret(channel)
    browser_for(alice).post(f"/alerts/channels/{channel.pk}/delete")
    assert [act for _, act, _ in told("channel.")] == ["channel.made", "channel.changed", "channel.secret", "channel.removed"]
    assert not AuditEntry.objects.filter(details__icontains="SECRETPATH").exists()
    assert not AuditEntry.objects.filter(details__icontains=channel.secret).exists()


def test_what_is_downloaded_is_told(browser_for, log, bob, team, project, experiment):
    log(experiment, {"loss": [1.0, 0.5]})
    browser, page = browser_for(bob), f"/projects/{team.slug}/{project.slug}/"
    other = Experiment.objects.create(project=project, name="other")
    for address in (
        f"{page}?format=csv",
        f"{page}compare?e={experiment.slug}&e={other.slug}&table=summary&format=csv",
        f"{page}explore/data?format=csv&axis=metric:loss",
        "/api/v1/metrics/timeseries/digits/baseline/loss?format=csv",
        "/api/v1/metrics/points/digits?metric=loss&experiments=baseline&format=csv",
        "/api/v1/metrics/summary/digits?format=csv",
    ):
        answer = browser.get(address)
        assert answer.status_code == 200, (address, answer)
        b"".join(answer.streaming_content)
    assert [act for _, act, _ in told("export.")] == ["export.made"] * 6
    assert {line.project_id for line in AuditEntry.objects.filter(act="export.made")} == {project.pk}


def test_a_token_is_made_and_revoked(browser_for, erin, team):
    browser = browser_for(erin)
    made = browser.post("/api/v1/tokens", {"name": "gpu7"}, content_type=JSON)
    if made.status_code == 403:  # a sign-in whose password nobody saw
        pytest.skip("the password is asked for")
    browser.delete(f"/api/v1/tokens/{made.json()['id']}")
    assert [act for _, act, _ in told("token.")] == ["token.made", "token.revoked"]


def test_what_a_token_does_names_the_token(api_for, alice, team):
    api_for(alice).post("/api/v1/projects", {"name": "new"}, content_type=JSON)
    assert AuditEntry.objects.get(act="project.made").token == ApiToken.objects.get().prefix


def test_members_come_change_and_go(browser_for, operator, alice, carol, team):
    root, url = browser_for(operator), "/api/v1/teams/vision-team/members"
    root.post(url, {"user": "carol", "role": "viewer"}, content_type=JSON)
    browser_for(alice).patch(f"{url}/carol", {"role": "editor"}, content_type=JSON)
    browser_for(alice).patch(f"{url}/carol", {"role": "editor"}, content_type=JSON)
    browser_for(alice).delete(f"{url}/carol")
    assert told("member.") == [("operator", "member.added", "carol"), ("alice", "member.role", "carol"), ("alice", "member.removed", "carol")]
    assert AuditEntry.objects.get(act="member.role").sentence == "changed the role of carol: viewer to editor"


@pytest.mark.parametrize("end", ["role", "removal", "switched off", "deleted"])
def test_invitations_that_end_with_whoever_made_them_are_told_one_by_one(operator, alice, erin, team, end):
    services_of_people.change_role(Membership.objects.get(user=erin), Role.ADMIN, by=alice)
    for name in ("frank", "grace"):
        inviting.invite(team, name=name, role=Role.VIEWER, by=erin)
    inviting.take_back(Invitation.objects.get(name="grace"), by=erin)
    inviting.invite(team, name="heidi", role=Role.VIEWER, by=alice)
    member = Membership.objects.get(user=erin)
    {
        "role": lambda: services_of_people.change_role(member, Role.EDITOR, by=alice),
        "removal": lambda: services_of_people.remove_member(member, by=alice),
        "switched off": lambda: changing.switch_off(erin, by=operator),
        "deleted": lambda: changing.delete(erin, by=operator),
    }[end]()
    by = "alice" if end in ("role", "removal") else "operator"
    assert told("invitation.taken_back") == [("erin", "invitation.taken_back", "grace"), (by, "invitation.taken_back", "frank")]
    assert AuditEntry.objects.get(act="invitation.taken_back", on_name="frank").team_id == team.pk
    assert Invitation.objects.get(taken_back_at=None).name == "heidi"


def test_what_is_refused_leaves_no_line(browser_for, bob, project):
    assert browser_for(bob).delete("/api/v1/projects/digits").status_code == 403
    assert told() == []


def test_a_superuser_of_no_team_acts_under_the_own_name(browser_for, operator, project):
    browser_for(operator).patch("/api/v1/projects/digits", {"archived": True}, content_type=JSON)
    assert told() == [("operator", "project.archived", "digits")]
    assert User.objects.filter(is_superuser=True).count() == Team.objects.count() == 1
    assert not Membership.objects.filter(role=Role.ADMIN).exists()
