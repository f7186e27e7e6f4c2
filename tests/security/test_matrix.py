from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import User
from tests.security.callers import World
from tests.security.matrix import CALLERS, REFUSED, ROUTES, VERBS, Call

pytestmark = pytest.mark.differs_on_servers("who may do what is asked of the record and of the shared cache")
ADMIN = "admin/"


def routes(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """Every route that the product answers; the admin's pages stand behind its index."""
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        elif route == ADMIN:
            yield ADMIN
        else:
            yield from routes(pattern, route)


def test_every_address_has_its_line_in_the_matrix():
    answered = set(routes(get_resolver()))
    assert answered - set(ROUTES) == set(), "Give each of these a line in tests/security/matrix.py."
    assert set(ROUTES) - answered == set(), "Nothing answers at these any more: take their lines out."


def test_every_caller_is_answered_as_the_matrix_says(world):
    expected = {(route, verb): call.codes for route, verbs in ROUTES.items() for verb, call in verbs.items()}
    found = {(route, verb): tuple(world.status(route, verb, who, ROUTES[route][verb]) for who in CALLERS) for route, verb in expected}
    assert {place: codes for place, codes in found.items() if codes != expected[place]} == {}


def test_a_verb_that_the_matrix_does_not_name_is_refused_to_everybody(world):
    admitted = []
    for route, verbs in ROUTES.items():
        for verb in sorted(set(VERBS) - set(verbs)):
            codes = [refused_as(world, route, verb, who) for who in CALLERS]
            if not is_refused(route, codes):
                admitted.append((route, verb, codes))
    assert admitted == []


def refused_as(world: World, route: str, verb: str, who: str) -> int:
    """The status; who opens what only takes a form, and is led to the page above it, is refused as well."""
    answer, address = world.answer(route, verb, who, Call(())), world.address(route)
    above = answer.get("Location", "")
    return 405 if verb == "GET" and above and above != address and address.startswith(above) else answer.status_code


def is_refused(route: str, codes: list[int]) -> bool:
    """Whether all are refused; pages send the anonymous to sign in, and the admin everybody."""
    sent_on = codes if route == ADMIN else codes[:1]
    return all(code in REFUSED for code in codes[len(sent_on) :]) and all(code in REFUSED | {302} for code in sent_on)


def pages_of_the_admin() -> dict[str, bool]:
    """Every address under the admin of each model, with the key of a row where it takes one; whether that row is there."""
    found = {}
    for model, its in admin.site._registry.items():
        row = model._default_manager.first()
        keys = {"object_id": quote(row.pk) if row else "1", "id": "1", "content_type_id": "1"}
        base = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for pattern in its.get_urls():
            first, *rest = str(pattern.pattern).removeprefix("^").split("<")
            parts = [part.partition(">") for part in rest]
            found[base + first + "".join(str(keys.get(name.split(":")[-1], "1")) + text for name, _, text in parts)] = row is not None
    return found


def test_no_page_of_the_admin_lets_members_in(world):
    for path in pages_of_the_admin():
        for verb, who in (*(("get", who) for who in CALLERS), ("post", CALLERS[-1])):
            answer = getattr(world.browser(who), verb)(path)
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/"), (verb, path, who)


def test_no_page_of_the_admin_shows_rows_to_staff_without_rights(world, alice, browser_for):
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    browser = browser_for(alice)
    answers = {(verb, path): getattr(browser, verb)(path) for path in pages_of_the_admin() for verb in ("get", "post")}
    shown = {place: answer.status_code for place, answer in answers.items() if answer.status_code not in REFUSED}
    elsewhere = ("/change/", "/admin/")  # from an address of before, and from a row that is not there
    assert {place: code for place, code in shown.items() if not answers[place].get("Location", "").endswith(elsewhere)} == {}


def test_an_operator_sees_every_row_of_every_team_in_the_admin(world, operator, browser_for):
    browser = browser_for(operator)
    pages = [path for path, is_there in pages_of_the_admin().items() if is_there and path.endswith("/change/")]
    assert len(pages) > 8
    assert {path: code for path in pages if (code := browser.get(path).status_code) != 200} == {}
