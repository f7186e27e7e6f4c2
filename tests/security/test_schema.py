"""Whatever is sent to the API, each answer is one that its schema describes, and none is a failure of the server's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from rest_framework_simplejwt.tokens import RefreshToken
from schemathesis.specs.openapi import checks

from tests.security.callers import World

pytestmark = pytest.mark.slow  # `make test-slow` runs it on both databases
EXAMPLES = 20
CHECKS = [schemathesis.checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]
# What queries and bodies may name of what is there.
THERE: dict[str, Any] = {
    "project": "digits",
    "experiment": "baseline",
    "experiments": "baseline",
    "parent": "root",
    "root": "root",
    "to": "baseline",
    "baseline_experiment": "root",
    "metric": "loss",
    "metrics": "loss",
    "where": "metrics.loss > 0",
    "user": "carol",
    "team": "vision-team",
}
TRIED = given_settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@pytest.fixture
def schema(db: None) -> Iterator[Any]:
    """The schema as it is served, over the application in this process, which keeps the connection that what it does is taken back on."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/schema", get_wsgi_application())
    for signal in ends:
        signal.connect(close_old_connections)


def operations(schema: Any) -> Iterator[Any]:
    """Every operation that it describes."""
    for each in schema.get_all_operations():
        yield each.ok()


def test_whatever_is_sent_is_answered_as_the_schema_says(world: World, people: dict[str, Any], schema: Any, settings: Any):
    settings.EMAIL_URL = "smtp://mail.example.com"  # without, who forgot the password is answered 503
    jwt = RefreshToken.for_user(people["admin"]).access_token
    faults: list[str] = []
    for operation in operations(schema):
        try:
            tried(operation, {"Authorization": f"Bearer {jwt}"}, world)
        except (Exception, BaseExceptionGroup) as error:  # a group of failures is none of the former
            faults.append(f"{operation.label}: {said(error)}")
    assert not faults, "\n".join(faults)


def tried(operation: Any, headers: dict[str, str], world: World) -> None:
    """Some requests of one operation, half of them about what is there. Nothing of them stays."""

    @TRIED
    @given(case=operation.as_strategy(), is_there=st.booleans())
    def ask(case: Any, is_there: bool) -> None:
        if is_there:
            case.path_parameters = {name: str(world.values[name]) for name in case.path_parameters or {}}
            case.query = {name: THERE.get(name, value) for name, value in (case.query or {}).items()}
            case.body = {name: THERE.get(name, value) for name, value in case.body.items()} if isinstance(case.body, dict) else case.body
        with transaction.atomic():
            try:
                answer = case.call(headers=headers)
                case.validate_response(answer, checks=CHECKS)
            finally:
                transaction.set_rollback(True)

    ask()


def said(error: BaseException) -> str:
    """What was wrong, in one line."""
    inner = [said(each) for each in getattr(error, "exceptions", ())]
    return " | ".join(inner) if inner else " ".join(str(error).split())[:700]
