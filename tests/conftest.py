"""What every test may use. Alice owns the team, Erin edits, Bob views, Carol is a stranger with a team of her own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client, TransactionTestCase
from whitenoise.middleware import WhiteNoiseMiddleware

from accounts.models import ApiToken, Membership, Role, Team, User
from experiments.models import Experiment
from metrics import process
from metrics.clickhouse.migrate import migrate
from projects.models import Project
from tests.waiting import until

PASSWORD = "correct horse battery"
FLUSHES_MOST = 5
KEPT = {"django_content_type", "auth_permission"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who marks a test for servers says why."""
    for item in items:
        for mark in item.iter_markers("differs_on_servers"):
            if not (len(mark.args) == 1 and isinstance(mark.args[0], str) and mark.args[0].strip()):
                raise pytest.UsageError(f'{item.nodeid}: say what can differ there: differs_on_servers("why").')


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    yield
    for each in caches.settings:
        caches[each].clear()


@pytest.fixture(autouse=True, scope="session")
def _static_files_once() -> Iterator[None]:
    """Every test client makes the middleware anew; the static files are looked for once, which takes it longer than most requests."""
    look, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def known(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", known)
        yield


@pytest.fixture(autouse=True, scope="session")
def _quick_flush() -> Iterator[None]:
    """A test's tables are emptied where there is something in them, and what `migrate` writes about the models stays: Django empties all and writes it anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: empty_patiently(connection))
        yield


def empty_patiently(database: BaseDatabaseWrapper) -> None:
    """Again where a query of the process's own threads stood in the way: on PostgreSQL one of the two has to give way."""
    for _ in range(FLUSHES_MOST):
        try:
            return empty(database)
        except (OperationalError, IntegrityError):
            continue
    return empty(database)


def empty(database: BaseDatabaseWrapper) -> None:
    """Delete every row that a test may have left."""
    quoted = [database.ops.quote_name(name) for name in database.introspection.django_table_names(only_existing=True) if name not in KEPT]
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT {place} WHERE EXISTS (SELECT 1 FROM {name})" for place, name in enumerate(quoted)))
        for (place,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {quoted[place]}")
    ContentType.objects.clear_cache()


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
    """The real embedded engine, spool and drain of this test process, over what a test did before that took the store away."""
    if _process.drain.last_error:
        _process.spool.hurry()
        until(lambda: not _process.drain.last_error, "a drain that is well again")
    yield _process
    assert _process.drain.wait_visible(_process.spool.last_row(), timeout_s=60), _process.drain.last_error


@pytest.fixture
def log(store: process.Process) -> Callable[..., None]:
    """log(experiment, {"loss": [..]}, steps=[..]): through the real ingest, until it can be queried; with `is_awaited=False`, until the next that is."""

    def write(
        experiment: Experiment,
        metrics: dict[str, Sequence[Any]],
        steps: Sequence[int] | None = None,
        timestamps: Sequence[Any] | None = None,
        *,
        is_awaited: bool = True,
    ) -> None:
        rows = len(next(iter(metrics.values())))
        body = {"steps": list(steps or range(rows)), "metrics": {name: list(values) for name, values in metrics.items()}}
        if timestamps is not None:
            body["timestamps"] = list(timestamps)
        writer, _ = User.objects.get_or_create(username="logger", defaults={"is_superuser": True})
        _, secret = ApiToken.issue(user=writer, team=experiment.project.team, name="logger")
        answer = Client().post(
            f"/api/v1/metrics/log-batch/{experiment.project_id}/{experiment.pk}" + "?wait=visible" * is_awaited,
            data=json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )
        assert answer.status_code == 200, answer.content
        assert answer.json()["visible"] is is_awaited

    return write
