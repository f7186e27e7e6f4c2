"""Scopes that no answer of the two worlds shows: each by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import services
from accounts.access import Caller
from accounts.audit.recording import Subject, record
from accounts.invitations import inviting
from accounts.models import ApiToken, BrowserSession, Invitation, Membership, Role, Scope, Team, User
from accounts.people import changing as people
from accounts.people.page import memberships_of
from accounts.teams import changing
from accounts.teams.page import members_of
from accounts.tokens import issuing
from alerts.models import Channel
from alerts.sending import allowance, channels
from config.errors import Conflict, Invalid, NotFound, TooManyRequests
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


def test_a_team_invites_however_many_another_has_invited(elsewhere, team, alice):
    ends_at = timezone.now() + timedelta(days=1)
    many = [Invitation(team=elsewhere, name=f"{n}", role=Role.VIEWER, digest=f"{n}", ends_at=ends_at) for n in range(inviting.OPEN_MOST)]
    Invitation.objects.bulk_create(many)
    with pytest.raises(TooManyRequests):
        inviting.invite(elsewhere, name="dora", role=Role.VIEWER, by=alice)
    assert inviting.invite(team, name="dora", role=Role.VIEWER, by=alice)[0].team == team
    Invitation.objects.update(ends_at=timezone.now())  # as many were made within this hour, still
    with pytest.raises(TooManyRequests):
        inviting.invite(elsewhere, name="dora", role=Role.VIEWER, by=alice)
    assert inviting.invite(team, name="dora", role=Role.VIEWER, by=alice)[0].team == team


def test_who_is_member_elsewhere_or_invited_beside_members_is_asked_and_not_led_on(elsewhere, team, alice, browser_for):
    dora = User.objects.create_user("dora")
    Membership.objects.create(team=elsewhere, user=dora, role=Role.VIEWER)
    _, key = inviting.invite(team, name="dora", role=Role.VIEWER, by=alice)
    page = browser_for(dora).get(f"/join?key={key}")
    assert page.status_code == 200
    assert not Membership.objects.filter(team=team, user=dora).exists()
    assert browser_for(dora).post("/join", {"key": key}).status_code == 302
    assert Membership.objects.filter(team=team, user=dora).exists()


def test_the_last_admin_is_told_so_however_many_other_teams_have(elsewhere, team, alice, browser_for):
    assert "You are its last admin" in browser_for(alice).get(f"/teams/{team.slug}/leave").content.decode()


def test_a_person_makes_links_however_many_others_made(elsewhere, alice):
    zoe = User.objects.get(username="zoe")
    for n in range(inviting.LINKS_MOST):
        record("invitation.made", team=elsewhere, on=Subject("invitation", f"{n}"), by=zoe)
    with pytest.raises(TooManyRequests):
        inviting.refuse_too_many_links(zoe)
    inviting.refuse_too_many_links(alice)


def test_who_is_switched_off_takes_nobody_elses_tokens_along(team, operator, alice, bob):
    ours, theirs = (ApiToken.issue(user=user, team=team, name="t")[0] for user in (bob, alice))
    people.switch_off(bob, by=operator)
    assert set(ApiToken.objects.exclude(revoked_at=None)) == {ours}
    assert set(ApiToken.objects.filter(revoked_at=None)) == {theirs}


def test_who_is_admin_elsewhere_alone_invites_nobody_here(elsewhere, team, alice):
    Membership.objects.create(team=team, user=User.objects.get(username="zoe"), role=Role.ADMIN)
    _, key = inviting.invite(team, name="dora", role=Role.VIEWER, by=alice)
    Membership.objects.filter(team=team, user=alice).update(role=Role.EDITOR)
    Membership.objects.create(team=elsewhere, user=alice, role=Role.ADMIN)
    with pytest.raises(NotFound):
        inviting.opened_by(key)


@pytest.mark.parametrize("end", [Membership.delete, lambda one: Membership.objects.filter(pk=one.pk).delete()], ids=["one", "several"])
def test_tokens_of_other_teams_and_people_do_not_end_with_a_membership(elsewhere, team, alice, bob, end):
    Membership.objects.create(team=elsewhere, user=alice)
    tokens = {(user, of): ApiToken.issue(user=user, team=of, name="t")[0].pk for user, of in ((alice, team), (alice, elsewhere), (bob, team))}
    end(Membership.objects.get(team=team, user=alice))
    assert set(ApiToken.objects.exclude(revoked_at=None).values_list("pk", flat=True)) == {tokens[alice, team]}


def test_who_leaves_a_team_stays_in_the_others(elsewhere, team, erin):
    Membership.objects.create(team=elsewhere, user=erin)
    changing.leave(elsewhere, erin)
    assert list(erin.teams.all()) == [team]


def test_who_makes_a_team_is_its_admin_however_many_teams_others_administer(elsewhere, bob):
    zoe = User.objects.get(username="zoe")
    for n in range(changing.ADMINISTERED_MOST):
        Membership.objects.create(team=Team.objects.create(name=f"{n}"), user=zoe, role=Role.ADMIN)
    with pytest.raises(Conflict):
        changing.make("more", by=zoe)
    assert Membership.objects.get(team=changing.make("new", by=bob)).role == Role.ADMIN


def test_a_person_makes_tokens_however_many_others_have(team, alice, bob):
    many = [ApiToken(user=alice, team=team, name="t", digest=f"{n}") for n in range(issuing.LIVING_MOST)]
    ApiToken.objects.bulk_create(many)
    wanted = issuing.Wanted("t", team, Scope.READ, None, None)
    with pytest.raises(Conflict):
        issuing.mint(Caller(alice), wanted)
    assert issuing.mint(Caller(bob), wanted)[0].user == bob


def test_a_members_row_tells_of_that_members_browsers_and_tokens_alone(elsewhere, team, alice, bob):
    ApiToken.issue(user=bob, team=team, name="one")
    ApiToken.issue(user=bob, team=elsewhere, name="another team's")
    BrowserSession.objects.create(session_key="k", user=bob)
    found = {row.user.username: (row.tokens, row.browser_seen_at is not None) for row in members_of(team)}
    assert (found["alice"], found["bob"]) == ((None, False), (1, True))


def test_an_account_counts_the_members_of_each_team_apart(elsewhere, team, alice, bob, erin):
    Membership.objects.create(team=elsewhere, user=alice)
    assert {each.team: each.member_count for each in memberships_of(alice)} == {team: 3, elsewhere: 2}


def test_a_team_has_channels_however_many_another_has(elsewhere, team):
    Channel.objects.bulk_create(Channel(team=elsewhere, name=f"{n}", kind=Channel.Kind.EMAIL) for n in range(allowance.CHANNELS))
    with pytest.raises(Invalid):
        allowance.refuse_too_many(elsewhere)
    allowance.refuse_too_many(team)


def test_a_team_tests_its_channels_however_often_another_did(elsewhere, team):
    ours, theirs = (Channel.objects.create(team=each, name="ops", kind=Channel.Kind.EMAIL) for each in (team, elsewhere))
    for n in range(allowance.TEAM_TESTS):
        record("channel.tested", team=elsewhere, on=Subject("channel", f"{n}", f"{n}"))
    with pytest.raises(TooManyRequests):
        allowance.take_turn(theirs, at=timezone.now())
    allowance.take_turn(ours, at=timezone.now())


def test_only_an_admin_says_how_long_points_are_kept(project, erin, alice, api_for):
    codes = [api_for(who).patch(f"/api/v1/projects/{project.pk}", {"retention_days": 30}, content_type="application/json").status_code for who in (erin, alice)]
    assert codes == [403, 200]


def test_only_operators_and_this_machine_read_the_meters(client, db):
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.7").status_code in (401, 403, 404)
