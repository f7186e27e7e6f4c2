from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver, reverse

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
            codes = [world.status(route, verb, who, Call(())) for who in CALLERS]
            if not is_refused(route, codes):
                admitted.append((route, verb, codes))
    assert admitted == []


def is_refused(route: str, codes: list[int]) -> bool:
    """Whether all are refused; pages send the anonymous to sign in, and the admin everybody."""
    sent_on = codes if route == ADMIN else codes[:1]
    return all(code in REFUSED for code in codes[len(sent_on) :]) and all(code in REFUSED | {302} for code in sent_on)


def test_no_page_of_the_admin_lets_members_in(world):
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for path in (address, f"{address}add/"):
            for who in CALLERS:
                answer = world.browser(who).get(path)
                assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/"), (who, path)
