"""Servers of the tests' own, for what only the server form has. They run in every form of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from config.databases.cache import CIRCUIT
from config.settings import shared_caches
from tests.servers import PostgresServer, RedisServer


@pytest.fixture(scope="session")
def postgres_ground() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of the run."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres(postgres_ground: PostgresServer) -> PostgresServer:
    """The same, running, whatever the test before did to it."""
    if not postgres_ground.answers():
        postgres_ground.restart()
    return postgres_ground


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis, running."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def shared(redis_server: RedisServer, settings: Any) -> Iterator[RedisServer]:
    """The caches of this process in that Redis, as with REDIS_URL."""
    settings.CACHES = shared_caches(redis_server.url)
    CIRCUIT.succeeded()
    yield redis_server
    CIRCUIT.succeeded()
