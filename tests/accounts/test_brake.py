"""The brake on guessing passwords, and the hashes that are made a few at a time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts.invitations import inviting
from accounts.models import Membership, SignInCount, User
from accounts.signing_in import brake, hashing
from config.errors import Unavailable
from tests.conftest import PASSWORD
from tests.waiting import until

pytestmark = pytest.mark.differs_on_servers("tries are counted by statements of the database, many at once")
JSON = "application/json"
API = "/api/v1/auth/token"
LIMIT = 10
HASHERS = ["accounts.signing_in.hashing.QueuedPBKDF2"]


def sign_in(username: str, password: str = PASSWORD, **more):
    return Client(**more).post(API, {"username": username, "password": password}, content_type=JSON)


def guesses(count: int, *names: str, **more) -> list[int]:
    return [sign_in(names[n % len(names)], "a guess", **more).status_code for n in range(count)]


def test_after_ten_wrong_passwords_one_account_from_one_network_waits(erin, bob):
    assert guesses(LIMIT, "erin") == [401] * LIMIT
    for name in ("erin", "erin@example.com", "ERIN@example.com"):
        refused = sign_in(name)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_attempts")
        assert 0 < int(refused["Retry-After"]) <= brake.SPAN_S
    assert sign_in("bob").status_code == 200
    assert sign_in("erin", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_name_and_address_of_one_account_are_counted_together(erin):
    assert guesses(LIMIT + 1, "erin", "erin@example.com") == [401] * LIMIT + [429]


def test_a_name_that_nobody_has_is_counted_as_one_that_somebody_has(erin):
    for name in ("erin", "nobody", "nobody@example.com"):
        assert guesses(LIMIT + 2, name) == [401] * LIMIT + [429] * 2, name
        SignInCount.objects.all().delete()
    assert guesses(LIMIT + 1, "nobody", "nobody ") == [401] * LIMIT + [429]


@pytest.mark.parametrize("name", ["ann", "ann@lab.example", "login@lab.example"])
def test_another_spelling_tells_nobody_whether_a_name_is_somebodys(db, name):
    """Capital letters count in usernames and do not in addresses: of names that nobody has, the same are counted together."""

    def answers() -> list[int]:
        SignInCount.objects.all().delete()
        return guesses(LIMIT, name) + [sign_in(each, "a guess").status_code for each in (name.upper(), f" {name} ", name)]

    while_nobodys = answers()
    User.objects.create_user("ann", email="ann@lab.example", password=PASSWORD)
    User.objects.create_user("login@lab.example", password=PASSWORD)
    assert answers() == while_nobodys


@pytest.mark.parametrize(
    ("first", "second"), [("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), ("192.0.2.1", "::ffff:192.0.2.1"), ("fe80::1%eth0", "fe80::2%eth1")]
)
def test_addresses_of_one_network_are_counted_together(erin, first, second):
    assert guesses(LIMIT, "erin", REMOTE_ADDR=first) == [401] * LIMIT
    assert guesses(1, "erin", REMOTE_ADDR=second) == [429]
    assert guesses(1, "erin", REMOTE_ADDR="2001:db8:1:3::1") == [401]


def test_many_networks_together_do_not_guess_at_one_account_for_ever(erin):
    found = [guesses(1, "erin", REMOTE_ADDR=f"192.0.2.{n}")[0] for n in range(LIMIT * brake.EVERYWHERE + 1)]
    assert found == [401] * LIMIT * brake.EVERYWHERE + [429]


def test_one_network_does_not_guess_at_many_accounts_for_ever(erin):
    found = [guesses(1, f"name-{n}")[0] for n in range(LIMIT * brake.ANYBODY + 1)]
    assert found == [401] * LIMIT * brake.ANYBODY + [429]
    assert sign_in("erin", REMOTE_ADDR="192.0.2.7").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_one_moment_no_more_pass_than_one_after_the_other(erin):
    gate = threading.Barrier(24)

    def guess(_: int) -> int:
        gate.wait()
        try:
            return sign_in("erin", "a guess").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(24) as senders:
        found = sorted(senders.map(guess, range(24)))
    assert found == [401] * LIMIT + [429] * (24 - LIMIT)


def test_a_flood_of_other_names_and_an_empty_cache_free_nobody(erin, settings):
    guesses(LIMIT, "erin")
    settings.SIGN_IN_FAILURES = 1000
    guesses(60, *(f"name-{n}" for n in range(60)))
    cache.clear()
    settings.SIGN_IN_FAILURES = LIMIT
    assert sign_in("erin").status_code == 429


def test_a_span_ends(erin):
    guesses(LIMIT, "erin")
    SignInCount.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    assert guesses(LIMIT + 1, "erin") == [401] * LIMIT + [429]


def test_counts_whose_span_ended_go_with_the_next_that_begins(erin):
    guesses(1, "erin")
    SignInCount.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    sign_in("nobody", "a guess", REMOTE_ADDR="192.0.2.7")
    assert not SignInCount.objects.filter(ends_at__lt=timezone.now()).exists()


def test_right_passwords_are_not_counted(erin):
    assert [sign_in("erin").status_code for _ in range(LIMIT + 2)] == [200] * (LIMIT + 2)
    assert not SignInCount.objects.filter(tried__gt=0).exists()


def test_a_count_tells_nobody_who_is_meant(erin):
    guesses(1, "erin")
    assert all(len(row.counted) == 64 and "erin" not in row.counted for row in SignInCount.objects.all())


def test_the_page_and_the_admin_have_the_same_brake(erin):
    for _ in range(5):
        assert Client().post("/sign-in", {"username": "erin", "password": "a guess"}).status_code == 200
        assert Client().post("/admin/login/", {"username": "erin", "password": "a guess"}).status_code == 200
    for address in ("/sign-in", "/admin/login/"):
        refused = Client().post(address, {"username": "erin", "password": PASSWORD})
        assert refused.status_code == 429
        assert "Retry-After" in refused
        assert "Too many wrong passwords" in refused.content.decode()


def test_who_forwards_is_believed_only_where_it_is_our_proxy(erin, settings):
    def guess(forwarded: str) -> int:
        return sign_in("erin", "a guess", headers={"X-Forwarded-For": forwarded}).status_code

    assert [guess(f"192.0.2.{n}") for n in range(LIMIT + 1)] == [401] * LIMIT + [429]
    SignInCount.objects.all().delete()
    settings.PROXY_TRUSTED = True
    assert [guess(f"203.0.113.{n}, 192.0.2.1") for n in range(LIMIT + 1)] == [401] * LIMIT + [429]
    assert guess("203.0.113.1, 192.0.2.2") == 401


# Known devices


def known_browser(name: str) -> Client:
    browser = Client()
    assert browser.post("/sign-in", {"username": name, "password": PASSWORD}).status_code == 302
    browser.post("/sign-out")
    return browser


def by_page(browser: Client, name: str, password: str = PASSWORD) -> int:
    return browser.post("/sign-in", {"username": name, "password": password}).status_code


def test_guesses_of_strangers_do_not_lock_out_a_browser_that_its_owner_signed_in_with(erin):
    browser = known_browser("erin")
    guesses(LIMIT, "erin")
    assert by_page(Client(), "erin") == 429
    assert by_page(browser, "erin") == 302


def test_a_browser_is_known_wherever_its_session_began(operator, team):
    def in_admin(browser: Client) -> int:
        return browser.post("/admin/login/?next=/admin/", {"username": "operator", "password": PASSWORD}).status_code

    browser, joining = Client(), Client()
    assert in_admin(browser) == 302
    Membership.objects.create(team=team, user=operator, role="admin")
    key = inviting.invite(team, name="dora", role="viewer", by=operator)[1]
    assert joining.post("/join", {"key": key, "username": "dora", "password": PASSWORD, "again": PASSWORD}).status_code == 302
    for each in (browser, joining):
        each.post("/sign-out")
    for name in ("operator", "dora"):
        guesses(LIMIT, name)
    assert (in_admin(Client()), by_page(Client(), "dora")) == (429, 429)
    assert (in_admin(browser), by_page(joining, "dora")) == (302, 302)


def test_a_known_browser_guesses_no_more_than_others(erin):
    browser = known_browser("erin")
    assert [by_page(browser, "erin", "a guess") for _ in range(LIMIT + 1)] == [200] * LIMIT + [429]
    assert by_page(Client(), "erin") == 302


def test_a_browser_is_known_for_its_own_people_alone(erin, bob):
    browser = known_browser("bob")
    guesses(LIMIT, "erin")
    assert by_page(browser, "erin") == 429
    assert by_page(Client(), "bob") == 302


@pytest.mark.parametrize("forged", ["", "x", "a:b:c"])
def test_a_forged_device_is_a_strangers(erin, forged):
    browser = known_browser("erin")
    guesses(LIMIT, "erin")
    real = browser.cookies["device"]
    assert real["httponly"]
    assert real["samesite"] == "Lax"
    browser.cookies["device"] = forged + real.value[:-2]
    assert by_page(browser, "erin") == 429


# Hashing


def test_a_hash_is_what_django_makes_and_checks(settings):
    plain = make_password(PASSWORD, hasher="default")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    before = make_password(PASSWORD)
    settings.PASSWORD_HASHERS = HASHERS
    assert check_password(PASSWORD, before)
    assert not check_password("a guess", before)
    assert plain


def test_a_few_hashes_are_made_at_once_a_few_wait_and_the_others_are_sent_away():
    places, inside, hold = hashing.Places(at_once=1, waiting_most=2, wait_s=30), [0], threading.Event()

    def hashed(_: int) -> int:
        try:
            with places.one():
                inside[0] += 1
                hold.wait(30)
                inside[0] -= 1
        except Unavailable as busy:
            return busy.retry_after_s or 0
        return 0

    with ThreadPoolExecutor(3) as senders:
        done = [senders.submit(hashed, n) for n in range(3)]
        until(lambda: inside[0] == 1 and places.admitted._value == 0, "one hashes, two wait")
        began = time.monotonic()
        assert hashed(3) == 5
        assert time.monotonic() - began < 1
        hold.set()
        assert [each.result() for each in done] == [0, 0, 0]
    assert inside == [0]


def test_who_waits_too_long_is_sent_away_and_leaves_its_place():
    places = hashing.Places(at_once=1, waiting_most=1, wait_s=0.01)
    with places.one(), pytest.raises(Unavailable), places.one():
        pass
    with places.one():
        pass


@pytest.mark.parametrize("name", ["erin", "nobody"])
@pytest.mark.parametrize("address", [API, "/sign-in", "/admin/login/"])
def test_a_sign_in_without_a_place_is_told_to_come_again_and_is_not_counted(erin, settings, monkeypatch, name, address):
    settings.PASSWORD_HASHERS = HASHERS
    erin.password = "pbkdf2_sha256$1$salt$aaaa"
    erin.save()
    monkeypatch.setattr(hashing, "PLACES", hashing.Places(at_once=1, waiting_most=0, wait_s=0))
    with hashing.PLACES.one():
        answer = Client().post(address, {"username": name, "password": "a guess"}, **({"content_type": JSON} if address == API else {}))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert not SignInCount.objects.filter(tried__gt=0).exists()


def test_a_long_wait_is_told_in_minutes():
    now = timezone.now()
    told = {left_s: str(brake.refusal(SignInCount(ends_at=now + timedelta(seconds=left_s)), now)) for left_s in (245, 60)}
    assert ("wait 5 min," in told[245], "wait 60 seconds," in told[60]) == (True, True)
