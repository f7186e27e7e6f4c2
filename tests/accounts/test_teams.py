import pytest
from django.test import Client

from accounts.audit.recording import record
from accounts.models import ApiToken, AuditEntry, Membership, Role, Team

pytestmark = pytest.mark.differs_on_servers("the last admin is held by a lock of the database")
JSON = "application/json"


def member(user, team) -> Membership:
    return Membership.objects.get(user=user, team=team)


def test_anybody_makes_a_team_and_is_its_admin(browser_for, bob):
    answer = browser_for(bob).post("/new-team", {"name": "Language team"})
    made = Team.objects.get(name="Language team")
    assert answer["Location"] == f"/teams/{made.slug}/"
    assert member(bob, made).role == Role.ADMIN


def test_a_script_makes_no_team(api_for, alice):
    assert api_for(alice).post("/api/v1/teams", {"name": "x"}, content_type=JSON).status_code == 403


def test_a_person_makes_and_renames_a_team_over_the_api(browser_for, bob):
    browser = browser_for(bob)
    made = browser.post("/api/v1/teams", {"name": "Language team"}, content_type=JSON)
    assert (made.status_code, made.json()["role"]) == (201, "admin")
    renamed = browser.patch(f"/api/v1/teams/{made.json()['slug']}", {"name": "Words"}, content_type=JSON)
    assert (renamed.json()["name"], renamed.json()["slug"]) == ("Words", made.json()["slug"])


def test_a_renamed_team_keeps_its_addresses(browser_for, alice, team):
    browser_for(alice).post(f"/teams/{team.slug}/rename", {"name": "Seeing"})
    assert browser_for(alice).get(f"/teams/{team.slug}/").status_code == 200
    assert AuditEntry.objects.get(act="team.renamed").sentence == "renamed the team Vision team to Seeing"


def test_members_see_the_team_and_only_admins_its_invitations_and_audit(browser_for, alice, bob, carol, team):
    address = f"/teams/{team.slug}/"
    assert "Invite someone" in browser_for(alice).get(address).content.decode()
    seen = browser_for(bob).get(address).content.decode()
    assert "alice@example.com" in seen
    assert "Invite someone" not in seen
    assert 'class="audit"' not in seen
    assert browser_for(carol).get(address).status_code == 404


def test_who_leaves_is_gone_and_so_are_the_tokens(browser_for, token_for, bob, team):
    secret, browser = token_for(bob), browser_for(bob)
    assert browser.post(f"/teams/{team.slug}/leave").status_code == 302
    assert not Membership.objects.filter(user=bob).exists()
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/teams").status_code == 401
    assert AuditEntry.objects.get(act="member.left").who == "bob"


def test_the_last_admin_stays_until_there_is_another(browser_for, alice, erin, team):
    browser, address = browser_for(alice), f"/teams/{team.slug}/"
    assert "You are its last admin" in browser.get(address + "leave").content.decode()
    for refused, sent in (("leave", {}), (f"members/{member(alice, team).pk}/role", {"role": "viewer"}), (f"members/{member(alice, team).pk}/remove", {})):
        answer = browser.post(address + refused, sent, follow=True)
        assert (answer.redirect_chain, "make another member admin first" in answer.content.decode()) == ([(address, 302)], True)
    assert member(alice, team).role == "admin"
    assert browser.post(f"{address}members/{member(erin, team).pk}/role", {"role": "admin"}).status_code == 302
    assert browser.post(address + "leave").status_code == 302


def test_an_admin_who_is_switched_off_is_none_who_stays(browser_for, alice, erin, team):
    Membership.objects.filter(user=erin).update(role=Role.ADMIN)
    erin.is_active = False
    erin.save()
    assert "last admin" in browser_for(alice).post(f"/teams/{team.slug}/leave", follow=True).content.decode()
    assert member(alice, team)


def test_a_member_of_one_team_is_not_changed_from_another(browser_for, alice, carol, bob, team):
    theirs = Membership.objects.get(user=carol).team
    for verb in ("role", "remove"):
        assert browser_for(carol).post(f"/teams/{theirs.slug}/members/{member(bob, team).pk}/{verb}", {"role": "admin"}).status_code == 404
    assert member(bob, team).role == Role.VIEWER


def test_a_removed_members_runs_keep_the_name(browser_for, alice, erin, team, project):
    from experiments import lifecycle

    run = lifecycle.create(project, by=erin, name="run")
    browser_for(alice).post(f"/teams/{team.slug}/members/{member(erin, team).pk}/remove")
    run.refresh_from_db()
    assert run.created_by == erin
    assert not ApiToken.objects.filter(user=erin, revoked_at=None).exists()


def test_members_are_found_by_a_part_of_their_name(browser_for, alice, erin, bob, team):
    seen = browser_for(alice).get(f"/teams/{team.slug}/?q=eri").content.decode()
    assert "erin@example.com" in seen
    assert "bob@example.com" not in seen


def test_the_page_of_a_team_costs_as_many_queries_whatever_its_size(browser_for, alice, team, django_assert_max_num_queries):
    from accounts.models import User

    people = User.objects.bulk_create(User(username=f"u{number}") for number in range(60))
    Membership.objects.bulk_create(Membership(team=team, user=user) for user in people)
    browser = browser_for(alice)
    with django_assert_max_num_queries(16):
        assert browser.get(f"/teams/{team.slug}/").status_code == 200


def test_another_name_is_said(browser_for, alice, team):
    page = browser_for(alice).post(f"/teams/{team.slug}/rename", {"name": "Vision"}, follow=True)
    assert "The team is called Vision now." in page.content.decode()


def test_the_page_of_a_team_tells_what_was_done_not_who_came_and_went(browser_for, alice, team, project):
    record("project.archived", on=project, by=alice)
    for act in ("sign_in.done", "sign_in.ended"):
        record(act, on=alice, by=alice, details={"way": "on a page"})
    page = browser_for(alice).get(f"/teams/{team.slug}/").content.decode()
    assert ("archived the project" in page, "signed in" in page, "signed out" in page) == (True, False, False)
