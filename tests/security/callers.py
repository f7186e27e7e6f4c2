"""One team's record, and how each caller of the matrix asks for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.test import Client

from tests.security.matrix import Call

API = "api/v1/"


@dataclass
class World:
    """How each caller says who it is, on pages and to the API, and what stands for each parameter of a route."""

    client: Client
    sessions: dict[str, str]
    tokens: dict[str, str]
    values: dict[str, Any]
    keeps_session: bool = False

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
        answer = self.answer(route, verb, who, call)
        if answer.status_code == 302 and who == "anonymous" and route != "sign-out":
            assert answer["Location"].startswith(("/sign-in?next=", "/admin/login/?next=")), answer["Location"]
        return answer.status_code

    def answer(self, route: str, verb: str, who: str, call: Call) -> HttpResponse:
        """What one request is answered. Nothing of it stays."""
        with transaction.atomic():
            answer = self.ask(route, verb, who, call)
            transaction.set_rollback(True)
        return answer

    def ask(self, route: str, verb: str, who: str, call: Call) -> HttpResponse:
        """Send one request: JSON to the API, a form to a page."""
        address, client = self.address(route) + call.query, self.browser(who)
        if route.startswith(API):
            headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
            if not self.keeps_session:
                client.cookies.clear()
            return client.generic(verb, address, json.dumps(call.body or {}), content_type="application/json", headers=headers)
        if verb == "POST":
            return client.post(address, {name: value.format(**self.values) for name, value in (call.body or {}).items()})
        return client.generic(verb, address)
