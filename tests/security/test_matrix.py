from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.invitations import inviting
from accounts.models import ApiToken, BrowserSession, Membership
from alerts import lifecycle as alerts
from alerts.models import Channel, Kind, Severity
from alerts.sending import channels
from experiments import lifecycle
from hypotheses.claims import stating
from hypotheses.claims.linking import link
from projects.models import ProjectMetric, SavedView
from tests.security.matrix import CALLERS, REFUSED, ROUTES, VERBS, Call

pytestmark = pytest.mark.differs_on_servers("who may do what is asked of the record and of the shared cache")
ADMIN = "admin/"
API = "api/v1/"


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


@dataclass(frozen=True)
class World:
    """How each caller says who it is, on pages and to the API, and what stands for each parameter of a route."""

    client: Client
    sessions: dict[str, str]
    tokens: dict[str, str]
    values: dict[str, Any]

    def browser(self, who: str) -> Client:
        """The client with the cookies of `who` and no other: a sign-out before took them away."""
        self.client.cookies.clear()
        if who in self.sessions:
            self.client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[who]
        return self.client

    def address(self, route: str) -> str:
        """The route with its parameters filled in."""
        first, *rest = route.split("<")
        filled = [str(self.values[parameter.split(":")[-1]]) + text for parameter, _, text in (part.partition(">") for part in rest)]
        return "/" + first + "".join(filled)

    def status(self, route: str, verb: str, who: str, call: Call) -> int:
        """What one request is answered. Nothing of it stays."""
        with transaction.atomic():
            answer = self.ask(route, verb, who, call)
            transaction.set_rollback(True)
        if answer.status_code == 302 and who == "anonymous" and route != "sign-out":
            assert answer["Location"].startswith(("/sign-in?next=", "/admin/login/?next=")), answer["Location"]
        return answer.status_code

    def ask(self, route: str, verb: str, who: str, call: Call) -> HttpResponse:
        """Send one request: JSON to the API, a form to a page."""
        address, client = self.address(route) + call.query, self.browser(who)
        if route.startswith(API):
            headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
            client.cookies.clear()
            return client.generic(verb, address, json.dumps(call.body or {}), content_type="application/json", headers=headers)
        if verb == "POST":
            return client.post(address, {name: value.format(**self.values) for name, value in (call.body or {}).items()})
        return client.generic(verb, address)


@pytest.fixture
def world(store, log, browser_for, token_for, team, project, experiment, alice, erin, bob, carol) -> World:
    log(experiment, {"loss": [1.0, 0.5]})
    people = dict(zip(CALLERS[1:], (carol, bob, erin, alice), strict=True))
    sessions = {who: browser_for(user).cookies[settings.SESSION_COOKIE_NAME].value for who, user in people.items()}
    tokens = {who: token_for(user) for who, user in people.items()}
    token = ApiToken.objects.get(user=erin)
    names = {"team_slug": team.slug, "project_slug": project.slug, "experiment_slug": experiment.slug, "name": "no.whl", "user": "bob", "metric": "loss"}
    keys = {"team": team.pk, "project": project.pk, "experiment": experiment.pk, "token": token.pk, "token_id": token.pk}
    alert = alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=experiment, message="silent")
    keys["invitation"] = keys["invitation_id"] = inviting.invite(team, name="dora", role="viewer", by=alice)[0].pk
    keys["session"] = keys["session_id"] = BrowserSession.objects.get(user=erin).pk
    keys["membership_id"] = Membership.objects.get(user=bob).pk
    sent_to = channels.create(team, name="ops", kind=Channel.Kind.EMAIL)
    keys |= {"alert": alert.pk, "alert_id": alert.pk, "channel": sent_to.pk, "channel_id": sent_to.pk}
    lifecycle.edit(experiment, by=erin, parent=lifecycle.create(project, by=erin, name="root"), features_diff={"lr": 0.1})
    claim = stating.propose(project, by=erin, title="less loss", targets=[stating.TargetTerm("loss", direction="minimize")])
    link(claim, [experiment], by=erin)
    keys |= {"hypothesis": claim.pk, "hypothesis_slug": claim.slug, "rule": stating.add_rule(claim, "width", by=erin).pk}
    keys["view_id"] = SavedView.objects.create(project=project, name="losses", query="?q=loss").pk
    return World(Client(raise_request_exception=False), sessions, tokens, {**names, **keys, "metric_id": ProjectMetric.objects.get(name="loss").pk})


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
