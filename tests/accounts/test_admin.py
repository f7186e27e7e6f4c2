import re

import pytest
from django.test import Client

from accounts.models import ApiToken, Membership, Team, User
from accounts.signing_in.authentication import token_for as usable_token

pytestmark = pytest.mark.differs_on_servers("search and lists of the admin are queries that each database answers in its own way")
TOKENS = "/admin/accounts/apitoken/"


@pytest.fixture
def browser(browser_for) -> Client:
    return browser_for(User.objects.create_superuser("operator", password="long enough to pass"))


def issue(browser: Client, user: User, team: Team) -> str:
    answer = browser.post(f"{TOKENS}add/", {"user": user.pk, "team": team.pk, "name": "gpu7", "scope": "write"})
    found = re.search(r"it is not shown again:</p>\s*<pre>(rp_[\w-]+)", answer.content.decode())
    assert found, answer.content
    assert "no-store" in answer["Cache-Control"]
    assert not [cookie for cookie in answer.cookies.values() if found[1] in cookie.value]
    return found[1]


def test_a_new_token_is_shown_once(browser, erin, team):
    secret = issue(browser, erin, team)
    token = usable_token(secret)
    assert (token.user, token.team, token.name) == (erin, team, "gpu7")
    for address in (TOKENS, f"{TOKENS}{token.pk}/change/"):
        page = browser.get(address).content.decode()
        assert secret not in page
        assert token.digest not in page
        assert token.prefix in page


def test_whose_a_token_is_cannot_change(browser, erin, alice, team):
    token = usable_token(issue(browser, erin, team))
    assert browser.post(f"{TOKENS}{token.pk}/change/", {"user": alice.pk, "name": "new", "expires_at_0": "", "expires_at_1": ""}).status_code == 302
    token.refresh_from_db()
    assert (token.user, token.name) == (erin, "new")


def test_an_action_revokes(browser, erin, team):
    secret = issue(browser, erin, team)
    browser.post(TOKENS, {"action": "revoke", "_selected_action": [ApiToken.objects.get().pk]})
    assert usable_token(secret) is None


def test_members_are_edited_with_their_team(browser, team, bob, carol):
    membership = Membership.objects.get(user=bob)
    inline = {"memberships-TOTAL_FORMS": 2, "memberships-INITIAL_FORMS": 1, "memberships-MIN_NUM_FORMS": 0, "memberships-MAX_NUM_FORMS": 1000}
    first = {"memberships-0-id": membership.pk, "memberships-0-team": team.pk, "memberships-0-user": bob.pk, "memberships-0-role": "editor"}
    second = {"memberships-1-team": team.pk, "memberships-1-user": carol.pk, "memberships-1-role": "viewer"}
    answer = browser.post(f"/admin/accounts/team/{team.pk}/change/", {"name": "Vision", "slug": "vision", **inline, **first, **second})
    assert answer.status_code == 302
    assert sorted(team.memberships.values_list("user__username", "role")) == [("bob", "editor"), ("carol", "viewer")]


def test_a_user_is_made_as_everywhere_in_django(browser):
    inline = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    sent = {"username": "dora", "usable_password": "true", "password1": "quite long enough", "password2": "quite long enough", **inline}
    assert browser.post("/admin/accounts/user/add/", sent).status_code == 302
    assert User.objects.get(username="dora").check_password("quite long enough")


def test_long_tables_cost_the_same_queries_as_short_ones(browser, team, django_assert_max_num_queries):
    people = User.objects.bulk_create(User(username=f"u{number}") for number in range(300))
    Membership.objects.bulk_create(Membership(team=team, user=user) for user in people)
    ApiToken.objects.bulk_create(ApiToken(team=team, user=user, name="t", digest=user.username) for user in people)
    for table in ("user", "membership", "apitoken", "team"):
        with django_assert_max_num_queries(8):
            assert browser.get(f"/admin/accounts/{table}/").status_code == 200
