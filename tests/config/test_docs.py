"""The schema of the API is the same bytes for everybody, made once: to make one takes a processor for half a second."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from drf_spectacular.generators import SchemaGenerator

from config.web.docs import ApiSchema, Kept


class Counted(SchemaGenerator):
    """Counts how often the schema is made."""

    times = 0

    def get_schema(self, **given: Any) -> Any:
        """Make it."""
        Counted.times += 1
        return super().get_schema(**given)


@pytest.fixture
def unmade(monkeypatch):
    """Nobody has asked for it yet."""
    monkeypatch.setattr(ApiSchema, "kept", Kept())
    monkeypatch.setattr(ApiSchema, "generator_class", Counted)
    monkeypatch.setattr(Counted, "times", 0)


def asked(accept: str = "application/json") -> HttpResponse:
    return ApiSchema.as_view()(RequestFactory().get("/api/schema", headers={"Accept": accept}))


def test_the_schema_is_made_once_for_each_format_however_many_ask(unmade):
    with ThreadPoolExecutor(4) as together:
        answers = list(together.map(lambda _: asked(), range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert Counted.times == 1
    assert asked("application/yaml").content.startswith(b"openapi:")
    assert asked("application/vnd.oai.openapi").content.startswith(b"openapi:")
    assert asked("application/json; indent=2").content == asked("application/vnd.oai.openapi+json").content == answers[0].content
    assert Counted.times == 2


def test_while_the_schema_is_made_some_wait_for_it_and_the_others_come_again(unmade):
    with contextlib.ExitStack() as held:
        for _ in range(settings.SERVER_THREADS // 4):
            held.enter_context(ApiSchema.kept.waiting.one())
        refused = asked()
        assert (refused.status_code, refused["Retry-After"]) == (503, "2")
    assert asked().status_code == 200


def test_a_schema_that_did_not_change_is_not_sent_again_and_no_word_of_a_query_makes_another(client, db):
    first = client.get("/api/schema")
    assert client.get("/api/schema", headers={"If-None-Match": first["ETag"]}).status_code == 304
    for query in ("?version=2", "?lang=de", "?format=json"):
        assert client.get(f"/api/schema{query}").content == first.content
