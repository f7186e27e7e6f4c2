"""What a caller carries: each that holds is answered alike, and none that holds no more lets anybody in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from accounts import services
from accounts.models import ApiToken, Membership, Team, User
from accounts.tokens import ending
from tests.security.callers import API, World
from tests.security.matrix import ROUTES, Call

pytestmark = pytest.mark.differs_on_servers("who may do what is asked of the record and of the shared cache")
# Addresses that answer who is not known, too.
OPEN = (
    "api/v1/auth/token",
    "api/v1/auth/token/refresh",
    "api/v1/auth/password",
    "api/v1/auth/password/forgotten",
    "api/v1/invitations/join",
)
# Points come from scripts: a page sends none.
BY_TOKEN_ALONE = ("api/v1/metrics/log/<str:project>/<str:experiment>", "api/v1/metrics/log-batch/<str:project>/<str:experiment>")
# What the roles of a team's members do not say of an operator, who is admin of every team and carries a token of this one.
OPERATORS = {
    ("api/v1/metrics/dead-letters", "GET"): 200,
    ("api/v1/metrics/dead-letters", "POST"): 200,
    ("api/v1/metrics/restore", "POST"): 200,
    ("api/v1/tokens/<uuid:token>", "DELETE"): 404,
    ("api/v1/teams/<str:team>/members", "POST"): 201,
}


def jwt(user: User) -> str:
    """An access JWT, as signing in gives it."""
    return str(RefreshToken.for_user(user).access_token)


def expired_token(user: User, team: Team) -> str:
    return ApiToken.issue(user=user, team=team, name="old", expires_at=timezone.now() - timedelta(seconds=1))[1]


def revoked_token(user: User, team: Team) -> str:
    token, secret = ApiToken.issue(user=user, team=team, name="revoked")
    ending.revoke(token)
    return secret


def token_of_a_deactivated(user: User, team: Team) -> str:
    secret = ApiToken.issue(user=user, team=team, name="left")[1]
    User.objects.filter(pk=user.pk).update(is_active=False)
    return secret


def token_of_a_deleted(user: User, team: Team) -> str:
    secret = ApiToken.issue(user=user, team=team, name="left")[1]
    User.objects.get(pk=user.pk).delete()
    return secret


def expired_jwt(user: User, team: Team) -> str:
    token = AccessToken.for_user(user)
    token.set_exp(lifetime=-timedelta(seconds=1))
    return str(token)


def jwt_of_a_deactivated(user: User, team: Team) -> str:
    secret = jwt(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    return secret


def jwt_from_before_a_new_password(user: User, team: Team) -> str:
    secret = jwt(user)
    user.set_password("another one, as long")
    user.save()
    return secret


def jwt_with_another_signature(user: User, team: Team) -> str:
    return jwt(user)[:-6] + "AAAAAA"


def refresh_jwt(user: User, team: Team) -> str:
    return str(RefreshToken.for_user(user))


def made_up(user: User, team: Team) -> str:
    return "rp_" + "a" * 43


DEAD: tuple[Callable[[User, Team], str], ...] = (
    expired_token, revoked_token, token_of_a_deactivated, token_of_a_deleted, expired_jwt, jwt_of_a_deactivated, jwt_from_before_a_new_password,
    jwt_with_another_signature, refresh_jwt, made_up,
)  # fmt: skip
# What people do themselves, no token for them: by (address, verb) what a person is answered, in the order of CALLERS from the stranger on.
PEOPLES = {
    ("api/v1/teams", "POST"): (422, 422, 422, 422),
    ("api/v1/teams/<str:team>/leave", "POST"): (404, 204, 204, 409),
    ("api/v1/invitations/accept", "POST"): (422, 422, 422, 422),
    ("api/v1/account", "PATCH"): (200, 200, 200, 200),
    ("api/v1/account/password", "POST"): (422, 422, 422, 422),
    ("api/v1/account/sessions", "GET"): (200, 200, 200, 200),
    ("api/v1/account/sessions", "DELETE"): (204, 204, 204, 204),
    ("api/v1/account/sessions/<int:session>", "DELETE"): (404, 404, 204, 404),
}
# A JWT that does not say when the password was given makes no token without it.
UNPROVED = {("api/v1/tokens", "POST"): (403, 403, 403, 403)}
Cells = list[tuple[str, str, Call]]


def cells(*, is_api: bool) -> Cells:
    """Every address, verb and call of the table, the API's or the pages'."""
    return [(route, verb, call) for route, verbs in ROUTES.items() if route.startswith(API) is is_api and route not in OPEN for verb, call in verbs.items()]


@pytest.mark.parametrize("what", ["jwt", "session"])
def test_whatever_a_caller_carries_the_api_answers_alike(world: World, people: dict[str, User], what: str):
    if what == "jwt":
        world.tokens.update({who: jwt(user) for who, user in people.items()})
    else:
        world.tokens.clear()
        world.keeps_session = True
    strange = PEOPLES | (UNPROVED if what == "jwt" else {(route, "POST"): (401, 401, 401, 401) for route in BY_TOKEN_ALONE})
    found = {}
    for route, verb, call in cells(is_api=True):
        for who, code in zip(people, strange.get((route, verb), call.codes[1:]), strict=True):
            found[route, verb, who] = (world.status(route, verb, who, call), code)
    assert {place: codes for place, codes in found.items() if codes[0] != codes[1]} == {}


def test_an_operator_is_admin_of_every_team(world: World, operator: User, team: Team):
    world.tokens["operator"] = ApiToken.issue(user=operator, team=team, name="all")[1]
    found = {(route, verb): world.status(route, verb, "operator", call) for route, verb, call in cells(is_api=True)}
    expected = {(route, verb): OPERATORS.get((route, verb), call.codes[-1]) for route, verb, call in cells(is_api=True)}
    assert {place: code for place, code in found.items() if code != expected[place]} == {}


@pytest.mark.parametrize("made", DEAD, ids=lambda made: made.__name__)
def test_what_holds_no_more_is_refused_everywhere(world: World, alice: User, team: Team, made: Callable[[User, Team], str]):
    world.tokens["dead"] = made(alice, team)
    found = {(route, verb): world.status(route, verb, "dead", call) for route, verb, call in cells(is_api=True)}
    assert {place: code for place, code in found.items() if code != 401} == {}


def test_the_token_of_somebody_who_was_removed_gets_nothing_of_the_team(world: World, erin: User, team: Team):
    services.remove_member(Membership.objects.get(user=erin, team=team))
    found = {(route, verb): world.answer(route, verb, "editor", call) for route, verb, call in cells(is_api=True)}
    empty = {"count": 0, "next": None, "previous": None, "results": []}
    told = {place: answer.status_code for place, answer in found.items() if answer.status_code < 400 and body_of(answer) | {"count": 0} != empty}
    assert told == {}


def body_of(answer: Any) -> dict[str, Any]:
    """The JSON of an answer."""
    return dict(answer.json())


def deactivated(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def with_a_new_password(user: User) -> None:
    user.set_password("another one, as long")
    user.save()


@pytest.mark.parametrize("become", [deactivated, with_a_new_password, User.delete])
def test_a_session_from_before_opens_no_page(world: World, alice: User, become: Callable[[User], Any]):
    become(alice)
    found = {(route, verb): (world.status(route, verb, "admin", call), call.codes[0]) for route, verb, call in cells(is_api=False)}
    assert {place: codes for place, codes in found.items() if codes[0] != codes[1]} == {}


def test_a_session_changes_nothing_without_the_word_of_its_form(world: World):
    admitted = []
    strict = Client(enforce_csrf_checks=True, raise_request_exception=False)
    for route, verbs in ROUTES.items():
        for verb in sorted(set(verbs) - {"GET"}):
            if route not in OPEN and not (route.startswith("api/v1/metrics/log") or (verb in ("PUT", "PATCH", "DELETE") and not route.startswith(API))):
                strict.cookies[settings.SESSION_COOKIE_NAME] = world.sessions["admin"]
                code = strict.generic(verb, world.address(route), "{}", content_type="application/json").status_code
                admitted += [(route, verb, code)] if code not in (401, 403) else []
    assert admitted == []
