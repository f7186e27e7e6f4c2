import re
from datetime import timedelta
from typing import ClassVar

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.http import int_to_base36
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.invitations import inviting
from accounts.models import ApiToken, AuditEntry, BrowserSession, Membership, Role, SignInCount, User
from accounts.people import changing, passwords, sessions
from accounts.people.devices import device
from config.errors import Conflict
from experiments import lifecycle
from metrics.upkeep.expiry import expire
from tests.conftest import PASSWORD
from tests.waiting import until

pytestmark = pytest.mark.differs_on_servers("sessions lie in the record, and are found through the shared cache")
JSON = "application/json"
NEXT = "another fine password"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


def signed_in(user: User, password: str = PASSWORD, **headers: str) -> Client:
    browser = Client(headers=headers)
    assert browser.post("/sign-in", {"username": user.username, "password": password}).status_code == 302
    return browser


def is_in(browser: Client) -> bool:
    return browser.get("/account").status_code == 200


def change(browser: Client, present: str = PASSWORD, new: str = NEXT, again: str = NEXT, **more):
    return browser.post("/account/password", {"present": present, "new": new, "again": again, **more})


# You


def test_somebody_changes_name_and_address(erin):
    browser = signed_in(erin)
    assert browser.post("/account/profile", {"name": "Erin E", "email": "e@lab.example", "present": PASSWORD}).status_code == 302
    erin.refresh_from_db()
    assert (erin.get_full_name(), erin.email) == ("Erin E", "e@lab.example")
    assert AuditEntry.objects.get(act="account.changed").details == {"changed": "name, email"}


def test_another_address_takes_the_password_as_it_opens_the_account(erin):
    browser = signed_in(erin)
    assert browser.post("/account/profile", {"name": "", "email": "e@lab.example", "present": "a guess"}).status_code == 422
    assert browser.patch("/api/v1/account", {"email": "e@lab.example"}, content_type=JSON).status_code == 422
    assert browser.patch("/api/v1/account", {"name": "Erin"}, content_type=JSON).json()["name"] == "Erin"
    erin.refresh_from_db()
    assert erin.email == "erin@example.com"


@pytest.mark.parametrize("email", ["BOB@example.com", "named@lab.example"])
def test_nobody_takes_the_address_by_which_another_signs_in(erin, bob, email):
    User.objects.create_user("named@lab.example", password=PASSWORD)
    answer = signed_in(erin).post("/account/profile", {"name": "", "email": email, "present": PASSWORD})
    assert (answer.status_code, "taken" in answer.content.decode()) == (422, True)


def test_an_address_from_before_that_another_signs_in_with_keeps_nobody_from_changing_the_name(erin):
    User.objects.create_user(erin.email, password=PASSWORD)
    User.objects.create_user("ERIN", password=PASSWORD)
    browser = signed_in(erin)
    assert browser.post("/account/profile", {"name": "Erin E", "email": erin.email}).status_code == 302
    assert browser.patch("/api/v1/account", {"name": "Erin F"}, content_type=JSON).status_code == 200
    assert User.objects.get(pk=erin.pk).get_full_name() == "Erin F"


def test_who_tries_many_addresses_learns_no_more_whose_they_are(erin, bob):
    browser = signed_in(erin)

    def tried(number: int) -> int:
        asked = {"email": "bob@example.com" if number % 2 else f"e{number}@lab.example", "present": PASSWORD}
        if number % 3:
            return browser.patch("/api/v1/account", asked, content_type=JSON).status_code
        return browser.post("/account/profile", {"name": "", **asked}).status_code

    assert [tried(number) for number in range(passwords.ADDRESSES_MOST)] == [302, 422, 200, 422, 200]
    assert [tried(number) for number in range(5, 11)] == [429] * 6
    assert browser.patch("/api/v1/account", {"name": "Erin"}, content_type=JSON).status_code == 200
    assert signed_in(bob).patch("/api/v1/account", {"email": "b@lab.example", "present": PASSWORD}, content_type=JSON).status_code == 200


def test_account_pages_are_kept_by_nobody(browser_for, erin, team):
    browser = browser_for(erin)
    for address in ("/account", "/account/password", "/password/forgotten", "/teams/", f"/teams/{team.slug}/", "/api/v1/account"):
        assert "no-store" in browser.get(address)["Cache-Control"], address


# The password


def test_a_new_password_signs_out_every_other_browser_and_jwt_and_no_token(erin, token_for):
    here, there, secret = signed_in(erin), signed_in(erin), token_for(erin)
    jwt = Client().post("/api/v1/auth/token", {"username": "erin", "password": PASSWORD}, content_type=JSON).json()
    assert change(here).status_code == 302
    assert (is_in(here), is_in(there)) == (True, False)
    bearer = [Client(headers={"Authorization": f"Bearer {each}"}).get("/api/v1/teams").status_code for each in (jwt["access"], secret)]
    assert bearer == [401, 200]
    assert Client().post("/api/v1/auth/token/refresh", {"refresh": jwt["refresh"]}, content_type=JSON).status_code == 401
    assert signed_in(erin, NEXT)


def test_the_browser_that_changed_the_password_is_the_one_that_stays_listed(erin):
    here = signed_in(erin, user_agent=FIREFOX)
    signed_in(erin)
    change(here)
    assert [(one.device, one.session_key) for one in sessions.of(erin)] == [("Firefox on Linux", here.session.session_key)]


def test_tokens_that_were_chosen_end_with_the_password(erin, team):
    kept, ended = (ApiToken.issue(user=erin, team=team, name=name)[0] for name in ("kept", "ended"))
    browser = signed_in(erin)
    assert "ended" in browser.get("/account/password").content.decode()
    change(browser, end=[str(ended.pk)])
    assert list(ApiToken.objects.filter(revoked_at=None)) == [kept]


class Noting(MD5PasswordHasher):
    """Notes how many transactions and savepoints were open when it hashed."""

    algorithm = "noting"
    depths: ClassVar[list[int]] = []

    def encode(self, password: str, salt: str) -> str:
        self.depths.append(len(connection.savepoint_ids))
        return super().encode(password, salt)


def test_no_password_is_hashed_while_a_transaction_holds_the_record(erin, alice, team, settings):
    key = passwords.key_for(erin)
    settings.PASSWORD_HASHERS = ["tests.accounts.test_people.Noting", "django.contrib.auth.hashers.MD5PasswordHasher"]
    Noting.depths.clear()
    invitation = inviting.invite(team, name="dora", role="viewer", by=alice)[1]
    passwords.set_anew(key, NEXT)
    assert change(signed_in(erin, NEXT), present=NEXT, new=PASSWORD, again=PASSWORD).status_code == 302
    inviting.join(invitation, username="dora", password=NEXT)
    assert is_in(signed_in(erin))
    assert is_in(signed_in(User.objects.get(username="dora"), NEXT))
    assert len(Noting.depths) >= 3
    assert set(Noting.depths) == {len(connection.savepoint_ids)}


def test_tokens_that_were_ticked_stay_ticked_where_the_form_comes_back(erin, team):
    kept, ended = (str(ApiToken.issue(user=erin, team=team, name=name)[0].pk) for name in ("kept", "ended"))
    asked = {"new": NEXT, "again": "another", "end": [ended]}
    anew = Client().post("/password/new", {"key": passwords.key_for(erin), **asked}).content.decode()
    page = change(signed_in(erin), **asked).content.decode()
    for form, words in ((page, "Every other session"), (anew, "Every session")):
        assert dict(re.findall(r'name="end" value="([^"]+)"( checked)?', form)) == {kept: "", ended: " checked"}
        assert words in form


def test_no_password_that_the_admin_sets_is_hashed_while_a_transaction_holds_the_record(erin, operator, browser_for, settings):
    browser = browser_for(operator)
    settings.PASSWORD_HASHERS = ["tests.accounts.test_people.Noting", "django.contrib.auth.hashers.MD5PasswordHasher"]
    Noting.depths.clear()
    sent = {"usable_password": "true", "password1": NEXT, "password2": NEXT}
    assert browser.post(f"/admin/accounts/user/{erin.pk}/password/", sent).status_code == 302
    assert set(Noting.depths) == {len(connection.savepoint_ids)}


def test_somebody_elses_token_does_not_end(erin, alice, team):
    theirs = ApiToken.issue(user=alice, team=team, name="theirs")[0]
    browser = signed_in(erin)
    assert change(browser, end=[str(theirs.pk)]).status_code == 422
    body = {"present": PASSWORD, "new": NEXT, "end_tokens": [str(theirs.pk)]}
    assert browser.post("/api/v1/account/password", body, content_type=JSON).status_code == 422
    theirs.refresh_from_db()
    erin.refresh_from_db()
    assert theirs.revoked_at is None
    assert erin.check_password(PASSWORD)


@pytest.mark.parametrize(
    "wrong", [{"present": "a guess"}, {"new": "short", "again": "short"}, {"again": "something else"}, {"new": "password123", "again": "password123"}]
)
def test_a_password_that_cannot_be_changes_nothing(erin, wrong):
    browser, there = signed_in(erin), signed_in(erin)
    assert change(browser, **wrong).status_code == 422
    erin.refresh_from_db()
    assert erin.check_password(PASSWORD)
    assert is_in(there)


def test_guesses_at_the_present_password_are_braked_as_those_of_signing_in(erin, settings):
    settings.SIGN_IN_FAILURES = 3
    browser = signed_in(erin)
    assert [change(browser, present=f"guess {n}").status_code for n in range(5)][-1] == 429


def test_a_script_changes_no_password(api_for, erin):
    assert api_for(erin).post("/api/v1/account/password", {"present": PASSWORD, "new": NEXT}, content_type=JSON).status_code == 403


def test_a_person_changes_it_over_the_api(erin):
    access = Client().post("/api/v1/auth/token", {"username": "erin", "password": PASSWORD}, content_type=JSON).json()["access"]
    person, browser = Client(headers={"Authorization": f"Bearer {access}"}), signed_in(erin)
    assert person.post("/api/v1/account/password", {"present": PASSWORD, "new": NEXT}, content_type=JSON).status_code == 204
    assert person.get("/api/v1/account").status_code == 401
    assert not is_in(browser)


# Sessions


def test_browsers_are_listed_and_signed_out_one_by_one_or_all(erin, bob):
    here, there, other, strangers = signed_in(erin, user_agent=FIREFOX), signed_in(erin), signed_in(erin), signed_in(bob)
    assert "Firefox on Linux" in here.get("/account").content.decode()
    listed = here.get("/api/v1/account/sessions").json()["results"]
    assert len(listed) == 3
    assert BrowserSession.objects.get(session_key=here.session.session_key).address == "127.0.0.1"
    gone = BrowserSession.objects.get(session_key=there.session.session_key)
    assert here.post(f"/account/sessions/{gone.pk}/sign-out").status_code == 302
    assert [is_in(each) for each in (here, there, other)] == [True, False, True]
    here.post("/account/sessions/sign-out")
    assert [is_in(each) for each in (here, other, strangers)] == [True, False, True]


def test_who_is_signed_in_here_alone_is_offered_no_signing_out_elsewhere(erin):
    here = signed_in(erin)
    assert "/account/sessions/sign-out" not in here.get("/account").content.decode()
    signed_in(erin)
    assert "Sign out the 1 other" in here.get("/account").content.decode()


def test_nobody_signs_out_somebody_else(erin, bob):
    there = signed_in(bob)
    number = BrowserSession.objects.get(user=bob).pk
    assert signed_in(erin).post(f"/account/sessions/{number}/sign-out").status_code == 404
    assert signed_in(erin).delete(f"/api/v1/account/sessions/{number}").status_code == 404
    assert is_in(there)


def test_a_session_from_before_they_were_listed_is_seen_and_ends_with_the_others(erin):
    here, old = signed_in(erin), signed_in(erin)
    BrowserSession.objects.filter(session_key=old.session.session_key).delete()
    assert sessions.end(erin, but=here.session.session_key) == 1
    assert not is_in(old)


def test_a_session_that_is_used_is_seen_again(erin):
    browser = signed_in(erin)
    BrowserSession.objects.all().delete()
    sessions.SEEN.at.clear()
    browser.get("/account", headers={"User-Agent": FIREFOX})
    assert BrowserSession.objects.get().device == "Firefox on Linux"


def test_who_signs_out_is_listed_no_more(erin):
    signed_in(erin).post("/sign-out")
    assert not BrowserSession.objects.exists()
    assert [entry.act for entry in AuditEntry.objects.all()] == ["sign_in.ended", "sign_in.done"]


def test_browsers_whose_session_ran_out_are_forgotten(erin):
    signed_in(erin)
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    assert not sessions.of(erin).exists()
    expire(None)
    assert not BrowserSession.objects.exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/128.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.6 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/128.0 Safari/537.36 Edg/128.0", "Edge on Windows"),
        ("", "A browser"),
        ("x" * 10_000, "A browser"),
    ],
)
def test_a_browser_is_told_in_two_words(said, words):
    assert device(said) == words


# Forgotten


def key_in(text: str) -> str:
    return re.search(r"key=([\w.-]+)", text)[1]


def test_a_forgotten_password_is_set_by_a_letter_that_works_once(erin, settings):
    settings.EMAIL_URL = "smtp://mail"
    there, browser = signed_in(erin), Client()
    User.objects.filter(pk=erin.pk).update(last_login=None)
    assert browser.post("/password/forgotten", {"name": "ERIN@example.com"}).status_code == 200
    until(lambda: mail.outbox, "a letter")
    key = key_in(mail.outbox[0].body)
    assert browser.get(f"/password/new?key={key}").status_code == 200
    assert browser.post("/password/new", {"key": key, "new": NEXT, "again": NEXT}).status_code == 302
    assert not is_in(there)
    assert browser.post("/password/new", {"key": key, "new": NEXT, "again": NEXT}).status_code == 404
    assert is_in(signed_in(erin, NEXT))


def test_the_sign_in_page_says_that_the_password_is_set(erin):
    answer = Client().post("/password/new", {"key": passwords.key_for(erin), "new": NEXT, "again": NEXT}, follow=True)
    assert (answer.redirect_chain[-1][0], "The password is set" in answer.content.decode()) == ("/sign-in", True)


def test_asking_says_nothing_of_who_there_is(erin, settings):
    settings.EMAIL_URL = "smtp://mail"
    known, unknown = (Client().post("/password/forgotten", {"name": name}) for name in ("erin", "nobody"))
    assert known.status_code == unknown.status_code == 200
    csrf = re.compile(rb'name="csrfmiddlewaretoken" value="\w+"')
    assert csrf.sub(b"", known.content) == csrf.sub(b"", unknown.content)
    api = [Client().post("/api/v1/auth/password/forgotten", {"name": name}, content_type=JSON) for name in ("erin", "nobody")]
    assert [(each.status_code, each.content) for each in api] == [(202, b"")] * 2


def test_nobody_is_flooded_with_letters(erin, settings, monkeypatch):
    settings.EMAIL_URL = "smtp://mail"
    sent = []
    monkeypatch.setattr(passwords, "send", sent.append)
    codes = [Client().post("/password/forgotten", {"name": "erin"}).status_code for _ in range(passwords.ASKED_OF_NETWORK + 1)]
    assert codes == [200] * passwords.ASKED_OF_NETWORK + [429]
    until(lambda: len(sent) == passwords.ASKED_OF_NETWORK, "every thread")
    assert sent.count(erin) == passwords.ASKED_OF_USER


def test_whoever_asks_on_and_on_keeps_nobody_from_the_next_letter(erin, settings, monkeypatch):
    settings.EMAIL_URL = "smtp://mail"
    sent = []
    monkeypatch.setattr(passwords, "send", sent.append)
    for number in range(passwords.ASKED_OF_USER + 2):
        Client(REMOTE_ADDR=f"192.0.2.{number}").post("/password/forgotten", {"name": "erin"})
    SignInCount.objects.update(ends_at=timezone.now() - timedelta(seconds=1))  # the hour of those that were sent is over, and some were asked for since
    Client(REMOTE_ADDR="198.51.100.1").post("/password/forgotten", {"name": "erin"})
    until(lambda: len(sent) == passwords.ASKED_OF_USER + 3, "every thread")
    assert sent.count(erin) == passwords.ASKED_OF_USER + 1


def test_asking_for_somebody_and_for_nobody_costs_as_many_counts(erin, settings, monkeypatch):
    settings.EMAIL_URL = "smtp://mail"
    monkeypatch.setattr(passwords, "send", lambda _: None)
    counted = []
    for name in ("erin", "nobody"):
        SignInCount.objects.all().delete()
        Client().post("/password/forgotten", {"name": name})
        counted.append(sorted(SignInCount.objects.values_list("tried", flat=True)))
    assert counted == [[1, 1], [1, 1]]


def test_a_letter_that_cannot_be_written_is_told_in_the_log(erin, settings, caplog):
    settings.EMAIL_SUBJECT_PREFIX = "[Lab]\nBcc: all"
    passwords.send(erin)
    assert "could not be sent" in caplog.text


def test_letters_are_counted_by_network(erin, settings, monkeypatch):
    settings.EMAIL_URL = "smtp://mail"
    monkeypatch.setattr(passwords, "send", lambda _: None)

    def ask(address: str) -> int:
        return Client(REMOTE_ADDR=address).post("/password/forgotten", {"name": "nobody"}).status_code

    assert [ask(f"2001:db8:1:2::{n}") for n in range(passwords.ASKED_OF_NETWORK + 1)] == [200] * passwords.ASKED_OF_NETWORK + [429]
    assert [ask("2001:db8:1:3::1"), ask("192.0.2.1")] == [200, 200]
    left = SignInCount.objects.get(tried=passwords.ASKED_OF_NETWORK).ends_at - timezone.now()
    assert passwords.ASKED_SPAN - timedelta(minutes=5) < left <= passwords.ASKED_SPAN
    SignInCount.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    assert ask("2001:db8:1:2::1") == 200


def test_without_a_mail_server_the_page_names_the_operator(erin):
    assert "operator" in Client().get("/password/forgotten").content.decode()
    assert Client().post("/api/v1/auth/password/forgotten", {"name": "erin"}, content_type=JSON).status_code == 503
    assert not mail.outbox


def test_an_operators_link_sets_a_password_once(browser_for, operator, erin):
    made = browser_for(operator).post("/api/v1/people/erin/password-link")
    assert made["Cache-Control"] == "no-store"
    key = key_in(made.json()["url"])
    body = {"key": key, "new": NEXT}
    assert [Client().post("/api/v1/auth/password", body, content_type=JSON).status_code for _ in range(2)] == [204, 404]
    assert AuditEntry.objects.get(act="password.link").who == "operator"
    assert not AuditEntry.objects.filter(details__icontains=key).exists()


def test_a_link_opens_nothing_after_a_sign_in_or_a_day(erin, monkeypatch):
    key = passwords.key_for(erin)
    signed_in(erin)
    assert Client().get(f"/password/new?key={key}").status_code == 404
    erin.refresh_from_db()
    key, later = passwords.key_for(erin), passwords.KEYS._now() + timedelta(days=2)
    monkeypatch.setattr(passwords.KEYS, "_now", lambda: later)
    assert Client().get(f"/password/new?key={key}").status_code == 404


@pytest.mark.parametrize("key", ["", ".", "zzzzzzzzzzzzzzzzzzzz.x-y", "1.x", "é.x-y", "-1.a-b"])
def test_what_is_no_key_opens_nothing(db, key):
    assert Client().get("/password/new", {"key": key}).status_code == 404


# Switched off


def test_who_is_switched_off_is_let_in_nowhere_and_keeps_the_name_on_runs(browser_for, token_for, operator, erin, project):
    run = lifecycle.create(project, by=erin, name="run")
    browser, secret = signed_in(erin), token_for(erin)
    answer = browser_for(operator).patch("/api/v1/people/erin", {"is_active": False}, content_type=JSON)
    assert answer.json()["is_active"] is False
    assert not is_in(browser)
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/teams").status_code == 401
    assert Client().post("/sign-in", {"username": "erin", "password": PASSWORD}).status_code == 200
    run.refresh_from_db()
    assert run.created_by == erin
    browser_for(operator).patch("/api/v1/people/erin", {"is_active": True}, content_type=JSON)
    assert is_in(signed_in(erin))


def test_who_is_switched_on_again_makes_new_tokens(token_for, operator, erin, team):
    browser, secrets = signed_in(erin), [token_for(erin), token_for(erin)]
    changing.switch_off(erin, by=operator)
    changing.switch_on(erin, by=operator)
    assert [Client(headers={"Authorization": f"Bearer {each}"}).get("/api/v1/teams").status_code for each in secrets] == [401, 401]
    assert not is_in(browser)
    assert AuditEntry.objects.filter(act="token.revoked").count() == 2


def jwts(user: User, password: str = PASSWORD) -> dict[str, str]:
    return Client().post("/api/v1/auth/token", {"username": user.username, "password": password}, content_type=JSON).json()


def codes_of(pair: dict[str, str]) -> list[int]:
    asked = Client(headers={"Authorization": f"Bearer {pair['access']}"}).get("/api/v1/teams").status_code
    return [asked, Client().post("/api/v1/auth/token/refresh", {"refresh": pair["refresh"]}, content_type=JSON).status_code]


def test_neither_jwts_nor_links_of_before_come_back_with_who_is_switched_on_again(operator, erin):
    before = jwts(erin)
    key = passwords.key_for(User.objects.get(pk=erin.pk))
    assert (codes_of(before), Client().get("/password/new", {"key": key}).status_code) == ([200, 200], 200)
    changing.switch_off(erin, by=operator)
    changing.switch_on(erin, by=operator)
    assert (codes_of(before), Client().get("/password/new", {"key": key}).status_code) == ([401, 401], 404)
    assert codes_of(jwts(erin)) == [200, 200]


@pytest.mark.parametrize("way", ["page", "API"])
def test_signing_out_everywhere_ends_jwts_and_links_too(erin, bob, way):
    browser, before, others = signed_in(erin), jwts(erin), jwts(bob)
    key = passwords.key_for(User.objects.get(pk=erin.pk))
    if way == "page":
        browser.post("/account/sessions/sign-out")
    else:
        browser.delete("/api/v1/account/sessions")
    assert (codes_of(before), Client().get("/password/new", {"key": key}).status_code) == ([401, 401], 404)
    assert (codes_of(jwts(erin)), codes_of(others), is_in(browser)) == ([200, 200], [200, 200], True)


def test_jwts_and_links_of_the_version_before_hold_until_somebody_is_signed_out_everywhere(erin):
    refresh = RefreshToken.for_user(erin)
    pair, key = {"access": str(refresh.access_token), "refresh": str(refresh)}, f"{int_to_base36(erin.pk)}.{default_token_generator.make_token(erin)}"
    assert (codes_of(pair), Client().get("/password/new", {"key": key}).status_code) == ([200, 200], 200)
    sessions.end(erin)
    assert (codes_of(pair), Client().get("/password/new", {"key": key}).status_code) == ([401, 401], 404)


def test_an_account_that_the_version_before_makes_was_signed_out_nowhere(db):
    columns = "username, password, is_superuser, is_staff, is_active, first_name, last_name, email, date_joined"
    with connection.cursor() as cursor:
        values = ["old", "!", False, False, True, "", "", "", timezone.now()]
        cursor.execute(f"INSERT INTO accounts_user ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)
    assert User.objects.get(username="old").times_signed_out == 0


def test_an_admin_whom_nobody_follows_is_switched_off_all_the_same(operator, alice, team):
    changing.switch_off(alice, by=operator)
    assert not team.memberships.filter(role=Role.ADMIN, user__is_active=True).exists()


def test_who_is_switched_off_is_no_admin_that_stays(operator, alice, erin, team):
    Membership.objects.filter(user=erin).update(role=Role.ADMIN)
    changing.switch_off(erin, by=operator)
    with pytest.raises(Conflict, match="last admin"):
        changing.delete(alice, by=operator)


def test_the_last_operator_and_oneself_stay(operator, erin):
    with pytest.raises(Conflict, match="yourself"):
        changing.switch_off(operator, by=operator)
    with pytest.raises(Conflict, match="last operator"):
        changing.switch_off(operator, by=erin)
    with pytest.raises(Conflict, match="last operator"):
        changing.delete(operator, by=erin)


def test_who_is_no_operator_switches_off_nobody(browser_for, alice, erin):
    browser = browser_for(alice)
    assert browser.get("/api/v1/people/erin").status_code == 403
    assert browser.patch("/api/v1/people/erin", {"is_active": False}, content_type=JSON).status_code == 403
    assert browser.post("/api/v1/people/erin/password-link").status_code == 403


def test_an_account_is_not_deleted_while_it_is_the_last_admin(operator, alice, erin, team):
    with pytest.raises(Conflict, match="last admin"):
        changing.delete(alice, by=operator)
    Membership.objects.filter(user=erin).update(role=Role.ADMIN)
    changing.delete(alice, by=operator)
    assert AuditEntry.objects.get(act="account.deleted").on_name == "alice"


# What is left of it in the audit


def test_a_wrong_password_leaves_a_line_and_a_mistyped_name_is_not_kept(erin):
    Client().post("/sign-in", {"username": "erin", "password": "a guess"}, headers={"X-Forwarded-For": "198.51.100.9"})
    Client().post("/sign-in", {"username": "my secret password", "password": "x"})
    Client().post("/api/v1/auth/token", {"username": "erin@example.com", "password": "a guess"}, content_type=JSON)
    failed = AuditEntry.objects.filter(act="sign_in.failed").order_by("pk")
    assert [(line.who, line.on_name, line.about_id) for line in failed] == [
        ("not signed in", "erin", erin.pk), ("not signed in", "a name that nobody has", None), ("not signed in", "erin", erin.pk),
    ]  # fmt: skip
    assert {line.address for line in failed} == {"127.0.0.1"}
    assert not AuditEntry.objects.filter(details__icontains="secret password").exists()


def test_signing_in_over_the_api_leaves_a_line(erin):
    Client().post("/api/v1/auth/token", {"username": "erin", "password": PASSWORD}, content_type=JSON)
    assert AuditEntry.objects.get(act="sign_in.done").sentence == "signed in over the API"
