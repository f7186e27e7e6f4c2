"""What every test may use. Alice owns the team, Erin edits, Bob views, Carol is a stranger with a team of her own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.core.management import CommandError
from django.db import OperationalError
from django.test import Client, TransactionTestCase

from accounts.models import ApiToken, Membership, Role, Team, User
from experiments.models import Experiment
from metrics import process
from metrics.clickhouse.migrate import migrate
from projects.models import Project

PASSWORD = "correct horse battery"
FLUSHES_MOST = 5


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    yield
    for each in caches.settings:
        caches[each].clear()


@pytest.fixture(autouse=True, scope="session")
def _patient_flush() -> Iterator[None]:
    """A test's tables are emptied again where a query of the process's own threads stood in the way: on PostgreSQL one of the two has to give way."""
    once = TransactionTestCase._fixture_teardown

    def until_done(case: TransactionTestCase) -> None:
        for _ in range(FLUSHES_MOST):
            try:
                return once(case)
            except CommandError as error:
                if not isinstance(error.__cause__, OperationalError):
                    raise
        return once(case)

    TransactionTestCase._fixture_teardown = until_done  # type: ignore[method-assign]
    yield
    TransactionTestCase._fixture_teardown = once  # type: ignore[method-assign]


@pytest.fixture
def team(db) -> Team:
    return Team.objects.create(name="Vision team")


def member(name: str, team: Team, role: Role) -> User:
    user = User.objects.create_user(name, email=f"{name}@example.com", password=PASSWORD)
    Membership.objects.create(team=team, user=user, role=role)
    return user


@pytest.fixture
def alice(team: Team) -> User:
    return member("alice", team, Role.ADMIN)


@pytest.fixture
def erin(team: Team) -> User:
    return member("erin", team, Role.EDITOR)


@pytest.fixture
def bob(team: Team) -> User:
    return member("bob", team, Role.VIEWER)


@pytest.fixture
def carol(db) -> User:
    return member("carol", Team.objects.create(name="Strangers"), Role.ADMIN)


@pytest.fixture
def operator(db) -> User:
    """Who may do everything, and is in no team."""
    return User.objects.create_superuser("operator", password=PASSWORD)


@pytest.fixture
def project(team: Team) -> Project:
    return Project.objects.create(team=team, name="digits")


@pytest.fixture
def experiment(project: Project) -> Experiment:
    return Experiment.objects.create(project=project, name="baseline")


@pytest.fixture
def browser_for(db) -> Callable[[User], Client]:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def token_for(db) -> Callable[[User], str]:
    def issued(user: User) -> str:
        team = Team.objects.filter(members=user).first()
        assert team is not None
        return ApiToken.issue(user=user, team=team, name="test")[1]

    return issued


@pytest.fixture
def api_for(token_for: Callable[[User], str]) -> Callable[[User], Client]:
    def client(user: User) -> Client:
        return Client(headers={"Authorization": f"Bearer {token_for(user)}"})

    return client


@pytest.fixture(scope="session")
def _process(django_db_setup: None, django_db_blocker: Any) -> Iterator[process.Process]:
    with django_db_blocker.unblock():
        migrate(process.open_engine(), settings.CLICKHOUSE_DATABASE)
        parts = process.start()
        yield parts
        process.stop()


@pytest.fixture
def store(_process: process.Process, transactional_db: None) -> Iterator[process.Process]:
    """The real embedded engine, spool and drain of this test process."""
    yield _process
    assert _process.drain.wait_visible(_process.spool.last_row(), timeout_s=60), _process.drain.last_error


@pytest.fixture
def log(store: process.Process) -> Callable[..., None]:
    """log(experiment, {"loss": [..]}, steps=[..]): through the real ingest, until it can be queried."""

    def write(experiment: Experiment, metrics: dict[str, Sequence[Any]], steps: Sequence[int] | None = None, timestamps: Sequence[Any] | None = None) -> None:
        rows = len(next(iter(metrics.values())))
        body = {"steps": list(steps or range(rows)), "metrics": {name: list(values) for name, values in metrics.items()}}
        if timestamps is not None:
            body["timestamps"] = list(timestamps)
        writer, _ = User.objects.get_or_create(username="logger", defaults={"is_superuser": True})
        _, secret = ApiToken.issue(user=writer, team=experiment.project.team, name="logger")
        answer = Client().post(
            f"/api/v1/metrics/log-batch/{experiment.project_id}/{experiment.pk}?wait=visible",
            data=json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )
        assert answer.status_code == 200, answer.content
        assert answer.json()["visible"] is True

    return write
