import html
import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.invitations import inviting
from accounts.models import AuditEntry, Invitation, Membership, Role, Team, User
from accounts.people import changing
from config.errors import Conflict, NotFound, TooManyRequests
from metrics.upkeep.expiry import expire
from tests.conftest import PASSWORD

pytestmark = pytest.mark.differs_on_servers("an invitation is held by a lock of the database while it is accepted")
JSON = "application/json"
NEW = {"username": "dora", "password": "long enough to pass", "again": "long enough to pass"}


def invited(team, by, role="editor", name="dora@lab.example", **options) -> str:
    return inviting.invite(team, name=name, role=role, by=by, **options)[1]


def join(key: str, client: Client | None = None, **fields):
    return (client or Client()).post("/join", {"key": key, **NEW, **fields})


# Making one


def test_an_admin_makes_a_link_that_is_shown_once(browser_for, alice, team):
    browser = browser_for(alice)
    page = browser.post(f"/teams/{team.slug}/invitations", {"name": "dora", "role": "viewer", "days": "7"})
    link = html.unescape(re.search(r'id="link">([^<]+)<', page.content.decode())[1])
    key = link.partition("key=")[2]
    assert Client().get(link).status_code == 200
    assert "no-store" in page["Cache-Control"]
    again = browser.get(f"/teams/{team.slug}/").content.decode()
    assert key not in again
    assert "dora" in again
    assert not Invitation.objects.filter(digest=key).exists()


def test_the_page_of_a_team_stands_where_whoever_invited_is_gone(browser_for, alice, team):
    Invitation.objects.create(team=team, name="dora", role="viewer", made_by=None, ends_at=timezone.now() + timedelta(days=7))
    assert "by somebody who is gone" in browser_for(alice).get(f"/teams/{team.slug}/").content.decode()


def test_what_is_wrong_with_an_invitation_has_the_cursor(browser_for, alice, team):
    page = browser_for(alice).post(f"/teams/{team.slug}/invitations", {"name": "", "role": "viewer", "days": "7"})
    assert page.status_code == 422
    assert "autofocus" in re.search(r'<input[^>]+name="name"[^>]*>', page.content.decode())[0]


def test_a_team_with_too_many_invitations_says_so_on_its_page(browser_for, alice, team, monkeypatch):
    monkeypatch.setattr(inviting, "HOUR_MOST", 0)
    answer = browser_for(alice).post(f"/teams/{team.slug}/invitations", {"name": "dora", "role": "viewer", "days": "7"}, follow=True)
    assert (answer.redirect_chain[-1][0], "wait a while" in answer.content.decode()) == (f"/teams/{team.slug}/", True)


@pytest.mark.parametrize("name", ["erin@example.com", "nobody@example.com", "erin", "nobody"])
def test_whom_an_invitation_is_for_is_not_looked_up(api_for, alice, erin, carol, team, name):
    answer = api_for(alice).post(f"/api/v1/teams/{team.slug}/invitations", {"name": name}, content_type=JSON)
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "name", "role", "made_by", "created_at", "ends_at", "url", "key", "sent"}
    assert answer["Cache-Control"] == "no-store"
    assert Membership.objects.filter(team=team).count() == 2


def test_an_address_is_written_to_where_there_is_a_mail_server(api_for, alice, team, settings):
    settings.EMAIL_URL = "smtp://mail"
    made = api_for(alice).post(f"/api/v1/teams/{team.slug}/invitations", {"name": "dora@lab.example"}, content_type=JSON).json()
    assert made["sent"] is True
    assert mail.outbox[0].to == ["dora@lab.example"]
    assert made["key"] in mail.outbox[0].body


def test_a_letter_that_cannot_be_sent_leaves_the_link(api_for, alice, team, settings):
    settings.EMAIL_URL, settings.EMAIL_BACKEND, settings.EMAIL_PORT = "smtp://mail", "django.core.mail.backends.smtp.EmailBackend", 1
    made = api_for(alice).post(f"/api/v1/teams/{team.slug}/invitations", {"name": "dora@lab.example"}, content_type=JSON).json()
    assert made["sent"] is False
    assert inviting.opened_by(made["key"]).name == "dora@lab.example"


def test_a_team_does_not_make_invitations_without_end(alice, team, monkeypatch):
    monkeypatch.setattr(inviting, "HOUR_MOST", 2)
    for _ in range(2):
        invited(team, alice)
    with pytest.raises(TooManyRequests):
        invited(team, alice)


def test_a_person_makes_no_more_links_in_many_teams_than_in_one(api_for, alice, erin, team, monkeypatch):
    monkeypatch.setattr(inviting, "LINKS_MOST", 3)
    services.change_role(Membership.objects.get(user=erin), Role.ADMIN)
    other = Team.objects.create(name="Another")
    invited(team, alice)
    invited(other, alice)
    one = Invitation.objects.get(team=team)
    inviting.renew(one, by=alice)
    for refused in (lambda: invited(other, alice), lambda: inviting.renew(one, by=alice)):
        with pytest.raises(TooManyRequests):
            refused()
    assert api_for(alice).post(f"/api/v1/teams/{team.slug}/invitations/{one.pk}/link").status_code == 429
    assert inviting.renew(one, by=erin)
    later = timezone.now() + timedelta(hours=1, seconds=1)
    monkeypatch.setattr(inviting.timezone, "now", lambda: later)
    assert invited(other, alice)


@pytest.mark.parametrize("name", ["ü@lab,team.de", "dora @ the lab", "@dora", "Dora <dora@lab.example>"])
def test_a_name_that_is_no_address_is_written_to_by_nobody_and_gets_its_link(api_for, alice, team, settings, name):
    settings.EMAIL_URL = "smtp://mail"
    made = api_for(alice).post(f"/api/v1/teams/{team.slug}/invitations", {"name": name}, content_type=JSON)
    assert (made.status_code, made.json()["sent"], mail.outbox) == (201, False, [])
    assert inviting.opened_by(made.json()["key"]).name == name


def test_a_letter_that_cannot_be_written_leaves_the_link(api_for, alice, team, settings):
    settings.EMAIL_URL, settings.EMAIL_SUBJECT_PREFIX = "smtp://mail", "[Lab]\nBcc: all"
    made = api_for(alice).post(f"/api/v1/teams/{team.slug}/invitations", {"name": "dora@lab.example"}, content_type=JSON)
    assert (made.status_code, made.json()["sent"]) == (201, False)


# Accepting one


def test_a_link_makes_an_account_and_a_member(team, alice):
    browser = Client()
    answer = join(invited(team, alice), browser, name="Dora D", email="dora@lab.example")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    dora = User.objects.get(username="dora")
    assert (dora.check_password(NEW["password"]), dora.get_full_name(), dora.is_staff, dora.is_superuser) == (True, "Dora D", False, False)
    assert Membership.objects.get(user=dora).role == "editor"
    assert browser.get("/account").status_code == 200


def test_who_is_signed_in_says_yes(browser_for, carol, alice, team):
    key, browser = invited(team, alice), browser_for(carol)
    assert "Join" in browser.get(f"/join?key={key}").content.decode()
    assert not Membership.objects.filter(team=team, user=carol).exists()
    assert browser.post("/join", {"key": key}).status_code == 302
    assert Membership.objects.get(team=team, user=carol).role == "editor"


def test_a_link_works_once(team, alice):
    key = invited(team, alice)
    assert join(key).status_code == 302
    assert join(key, username="mallory").status_code == 404
    assert not User.objects.filter(username="mallory").exists()


def test_without_an_open_invitation_nobody_makes_an_account(team, alice, db):
    key = invited(team, alice)
    Invitation.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    for each in ("", "guess", key):
        assert join(each).status_code == 404
        body = {"key": each or "x", "username": "dora", "password": NEW["password"]}
        assert Client().post("/api/v1/invitations/join", body, content_type=JSON).status_code == 404
    assert not User.objects.filter(username="dora").exists()


@pytest.mark.parametrize("name", ["Dora\nD", "Dora\u202eD", "Dora\u200bD"])
def test_nobody_joins_under_a_name_with_characters_that_show_nowhere(team, alice, name):
    key = invited(team, alice)
    assert join(key, name=name).status_code == 422
    assert inviting.opened_by(key)
    assert not User.objects.filter(username="dora").exists()


def test_a_member_does_not_use_up_an_invitation(team, alice, erin):
    key = invited(team, alice)
    with pytest.raises(Conflict):
        inviting.accept(key, erin)
    assert inviting.opened_by(key)


def test_a_member_who_opens_an_invitation_is_led_to_the_team(browser_for, team, alice, erin):
    link = f"/join?key={invited(team, alice)}"
    answer = browser_for(erin).get(link, follow=True)
    assert (answer.redirect_chain[-1][0], "already, as editor" in answer.content.decode()) == (f"/teams/{team.slug}/", True)


@pytest.mark.parametrize(
    "field",
    [
        {"username": "erin"},
        {"username": "ERIN"},
        {"username": "erin@example.com"},
        {"email": "ERIN@example.com"},
        {"password": "short", "again": "short"},
        {"again": "another one"},
    ],
)
def test_an_account_that_cannot_be_leaves_the_invitation_open(team, alice, erin, field):
    key = invited(team, alice)
    assert join(key, **field).status_code == 422
    assert inviting.opened_by(key)
    assert User.objects.count() == 2


def asked_who(key: str, **fields) -> int:
    body = {"key": key, "username": "erin", "password": "long enough to pass", **fields}
    return Client().post("/api/v1/invitations/join", body, content_type="application/json").status_code


def test_whoever_has_an_invitation_asks_only_so_often_who_there_is(team, alice, erin):
    first, second, third = (invited(team, alice, name=name) for name in ("first", "second", "third"))
    wrong = [{}, {"email": erin.email, "username": "dora"}, {"username": "dora", "password": "short"}]
    assert [asked_who(first, **wrong[n % 3]) for n in range(inviting.TRIED_MOST)] == [422] * inviting.TRIED_MOST
    assert [asked_who(first), asked_who(first, username="dora"), join(first).status_code] == [429] * 3
    renewed = inviting.renew(Invitation.objects.get(name="first"), by=alice)
    assert asked_who(renewed) == 429
    left = inviting.TRIED_OF_MAKER - inviting.TRIED_MOST
    assert [asked_who(second) for _ in range(left)] == [422] * left
    assert asked_who(third) == 429
    assert not User.objects.filter(username="dora").exists()


def test_accounts_that_are_made_use_up_no_tries(team, alice, monkeypatch):
    monkeypatch.setattr(inviting, "TRIED_OF_MAKER", 1)
    keys = [invited(team, alice, name=name) for name in ("one", "two", "three")]
    assert [join(key, username=f"new-{number}").status_code for number, key in enumerate(keys)] == [302] * 3


def test_an_account_does_not_take_the_name_by_which_another_signs_in(team, alice):
    User.objects.create_user("somebody@lab.example", password=PASSWORD)
    assert join(invited(team, alice), email="somebody@lab.example").status_code == 422


# Taking it back


def test_what_is_taken_back_opens_nothing(browser_for, team, alice):
    key = invited(team, alice)
    browser_for(alice).post(f"/teams/{team.slug}/invitations/{Invitation.objects.get().pk}/take-back")
    assert join(key).status_code == 404


def test_a_new_link_ends_the_one_before(api_for, team, alice):
    key = invited(team, alice)
    answer = api_for(alice).post(f"/api/v1/teams/{team.slug}/invitations/{Invitation.objects.get().pk}/link")
    assert join(key).status_code == 404
    assert join(answer.json()["key"]).status_code == 302


def test_a_link_that_is_replaced_while_somebody_accepts_it_opens_nothing(team, alice, carol, monkeypatch):
    key, opened_by = invited(team, alice), inviting.opened_by

    def replaced_meanwhile(key: str) -> Invitation:
        found = opened_by(key)
        inviting.renew(Invitation.objects.get(pk=found.pk), by=alice)
        return found

    monkeypatch.setattr(inviting, "opened_by", replaced_meanwhile)
    with pytest.raises(NotFound):
        inviting.accept(key, carol)
    assert not Membership.objects.filter(team=team, user=carol).exists()


@pytest.mark.parametrize("end", ["demoted", "removed", "switched off", "past the verbs"])
def test_nobody_joins_by_the_invitation_of_who_is_no_admin_any_more(team, alice, erin, operator, end):
    membership = Membership.objects.get(user=erin)
    services.change_role(membership, Role.ADMIN)
    key = invited(team, erin, role="admin")
    if end == "demoted":
        services.change_role(membership, Role.EDITOR)
    elif end == "removed":
        services.remove_member(membership)
    elif end == "switched off":
        changing.switch_off(erin, by=operator)
    else:
        Membership.objects.filter(user=erin).update(role=Role.EDITOR)
    with pytest.raises(NotFound):
        inviting.opened_by(key)
    assert (Invitation.objects.get().taken_back_at is None) is (end == "past the verbs")


def test_an_invitation_of_one_team_is_not_another_admins(api_for, alice, carol, team):
    invited(team, alice)
    theirs, pk = Membership.objects.get(user=carol).team, Invitation.objects.get().pk
    client = api_for(carol)
    assert client.delete(f"/api/v1/teams/{theirs.slug}/invitations/{pk}").status_code == 404
    assert client.post(f"/api/v1/teams/{theirs.slug}/invitations/{pk}/link").status_code == 404
    assert Invitation.objects.open(at=timezone.now()).exists()


def test_what_ended_long_ago_is_forgotten(team, alice):
    invited(team, alice)
    invited(team, alice, name="lately")
    Invitation.objects.exclude(name="lately").update(ends_at=timezone.now() - timedelta(days=91))
    expire(None)
    assert [one.name for one in Invitation.objects.all()] == ["lately"]


def test_every_step_leaves_a_line(team, alice):
    key = invited(team, alice)
    key = inviting.renew(Invitation.objects.get(), by=alice)
    join(key)
    invited(team, alice, name="frank")
    inviting.take_back(Invitation.objects.get(name="frank"), by=alice)
    acts = list(AuditEntry.objects.filter(act__startswith="invitation.").order_by("pk").values_list("act", "who"))
    made = ("invitation.made", "alice")
    assert acts == [made, ("invitation.renewed", "alice"), ("invitation.accepted", "dora"), made, ("invitation.taken_back", "alice")]
    assert not AuditEntry.objects.filter(details__icontains=key).exists()
