"""Scopes that no answer of the two worlds shows: each by itself."""

from __future__ import annotations

import pytest

from accounts import services
from accounts.models import Membership, Role, Team
from alerts.models import Channel
from alerts.sending import channels
from config.errors import Conflict
from experiments.models import Experiment
from projects.models import Project
from tests.security.worlds import member


@pytest.fixture
def elsewhere(db) -> Team:
    """Another team, with an admin, a project of the same name and a run in it."""
    team = Team.objects.create(name="Elsewhere")
    member("zoe", team, Role.ADMIN)
    Experiment.objects.create(project=Project.objects.create(team=team, name="digits"), name="baseline")
    return team


def test_the_last_admin_of_a_team_stays_however_many_other_teams_have(elsewhere, alice):
    with pytest.raises(Conflict):
        services.remove_member(Membership.objects.get(user=alice))


def test_runs_are_numbered_project_by_project(elsewhere, project):
    first, second = (Experiment.objects.create(project=project, name=name) for name in ("one", "two"))
    assert (first.number, second.number) == (0, 1)


def test_the_health_of_a_project_lists_the_channels_of_its_team_alone(elsewhere, project, alice, browser_for):
    Membership.objects.create(team=elsewhere, user=alice, role=Role.ADMIN)
    channels.create(project.team, name="ours", kind=Channel.Kind.EMAIL)
    channels.create(elsewhere, name="theirs", kind=Channel.Kind.EMAIL)
    page = browser_for(alice).get(f"/projects/{project.team.slug}/{project.slug}/alerts/").content.decode()
    assert "ours" in page
    assert "theirs" not in page


def test_only_an_admin_says_how_long_points_are_kept(project, erin, alice, api_for):
    codes = [api_for(who).patch(f"/api/v1/projects/{project.pk}", {"retention_days": 30}, content_type="application/json").status_code for who in (erin, alice)]
    assert codes == [403, 200]


def test_only_operators_and_this_machine_read_the_meters(client, db):
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.7").status_code in (401, 403, 404)
