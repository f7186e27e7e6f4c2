"""The record of one team, and who asks for it."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client

from accounts.invitations import inviting
from accounts.models import ApiToken, BrowserSession, Membership, User
from alerts import lifecycle as alerts
from alerts.models import Channel, Kind, Severity
from alerts.sending import channels
from experiments import lifecycle
from hypotheses.claims import stating
from hypotheses.claims.linking import link
from projects.models import ProjectMetric, SavedView
from tests.security.callers import World
from tests.security.matrix import CALLERS


@pytest.fixture
def people(carol, bob, erin, alice) -> dict[str, User]:
    """Who stands for each of CALLERS but the anonymous."""
    return dict(zip(CALLERS[1:], (carol, bob, erin, alice), strict=True))


@pytest.fixture
def world(store, log, browser_for, token_for, team, project, experiment, people, erin, alice, bob) -> World:
    log(experiment, {"loss": [1.0, 0.5]})
    sessions = {who: browser_for(user).cookies[settings.SESSION_COOKIE_NAME].value for who, user in people.items()}
    tokens = {who: token_for(user) for who, user in people.items()}
    token = ApiToken.objects.get(user=erin)
    names = {"team_slug": team.slug, "project_slug": project.slug, "experiment_slug": experiment.slug, "name": "no.whl", "user": "bob", "metric": "loss"}
    keys = {"team": team.pk, "project": project.pk, "experiment": experiment.pk, "token": token.pk, "token_id": token.pk}
    alert = alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=experiment, message="silent")
    keys["invitation"] = keys["invitation_id"] = inviting.invite(team, name="dora", role="viewer", by=alice)[0].pk
    keys["session"] = keys["session_id"] = BrowserSession.objects.get(user=erin).pk
    keys["membership_id"] = Membership.objects.get(user=bob).pk
    sent_to = channels.create(team, name="ops", kind=Channel.Kind.EMAIL)
    keys |= {"alert": alert.pk, "alert_id": alert.pk, "channel": sent_to.pk, "channel_id": sent_to.pk}
    lifecycle.edit(experiment, by=erin, parent=lifecycle.create(project, by=erin, name="root"), features_diff={"lr": 0.1})
    claim = stating.propose(project, by=erin, title="less loss", targets=[stating.TargetTerm("loss", direction="minimize")])
    link(claim, [experiment], by=erin)
    keys |= {"hypothesis": claim.pk, "hypothesis_slug": claim.slug, "rule": stating.add_rule(claim, "width", by=erin).pk}
    keys["view_id"] = SavedView.objects.create(project=project, name="losses", query="?q=loss").pk
    return World(Client(raise_request_exception=False), sessions, tokens, {**names, **keys, "metric_id": ProjectMetric.objects.get(name="loss").pk})
