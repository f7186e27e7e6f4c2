"""A metric store of the test's own, apart from the one that the test process serves from."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from django.conf import settings

from metrics import process
from metrics.clickhouse.client import Coded, Columns, Engine
from metrics.clickhouse.embedded import EmbeddedEngine
from metrics.clickhouse.migrate import migrate
from metrics.clickhouse.server import ServerEngine
from metrics.clickhouse.wire import Address, Login
from metrics.repository import MetricRepository, Place
from tests.clickhouse_server import ClickHouseServer

EMBEDDED = {"database": settings.CLICKHOUSE_DATABASE, "max_memory_bytes": 750_000_000, "max_threads": 2, "timeout_s": 30.0}
NOW_US = 1_763_900_000_000_000


@dataclass
class Points:
    """Columns of one series, ready for the repository; every column can be given."""

    place: Place
    experiment: uuid.UUID
    metric: str = "loss"
    values: Sequence[float] = (0.5,)
    steps: Sequence[int] | None = None
    ids: Sequence[int] | None = None
    times: Sequence[int] | None = None
    logged_at: int = NOW_US
    extra: dict[str, Any] = field(default_factory=dict)

    def columns(self) -> Columns:
        n = len(self.values)
        same = np.zeros(n, dtype=np.uint32)
        steps = np.arange(n) if self.steps is None else np.array(self.steps, dtype=np.int64)
        return {
            "team_id": Coded([self.place.team_id], same),
            "project_id": Coded([self.place.project_id], same),
            "experiment_id": Coded([self.experiment], same),
            "metric_name": Coded([self.metric], same),
            "step": steps,
            "timestamp": NOW_US + np.arange(n) * 1_000_000 if self.times is None else np.array(self.times, dtype=np.int64),
            "point_id": np.arange(n, dtype=np.uint64) if self.ids is None else np.array(self.ids, dtype=np.uint64),
            "metric_value": np.array(self.values, dtype=np.float64),
            "host": Coded([""], same),
            "logged_at": np.full(n, self.logged_at, dtype=np.int64),
            "created_month": np.full(n, 202611, dtype=np.uint32),
        }


@pytest.fixture
def place() -> Place:
    """A team and a project that no other test has."""
    return Place(uuid.uuid4(), uuid.uuid4())


@pytest.fixture(params=["embedded", "server"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that there is, with its tables."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def repository(engine: Engine) -> MetricRepository:
    """The repository over each engine that there is."""
    return MetricRepository(engine, database=settings.CLICKHOUSE_DATABASE)


@pytest.fixture(scope="session")
def embedded_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    """The engine of this process; where the product runs on a server, one beside it."""
    if not settings.CLICKHOUSE_HOST:
        yield request.getfixturevalue("_process").engine
        return
    with contextlib.closing(EmbeddedEngine(tmp_path_factory.mktemp("embedded"), **EMBEDDED)) as engine:
        migrate(engine, settings.CLICKHOUSE_DATABASE)
        yield engine


@pytest.fixture(scope="session")
def server_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerEngine]:
    """An engine on the ClickHouse of the settings; where there is none, on one of the tests' own."""
    own = contextlib.nullcontext() if settings.CLICKHOUSE_HOST else ClickHouseServer(tmp_path_factory.mktemp("served"))
    with own as server, contextlib.closing(engine_on(server) if server else process.server_engine()) as engine:
        migrate(engine, settings.CLICKHOUSE_DATABASE)
        yield engine


def engine_on(*servers: ClickHouseServer, **options: Any) -> ServerEngine:
    """An engine on servers of the tests' own, the first being the primary."""
    login = Login(servers[0].user, servers[0].password, secure=servers[0].certificate is not None)
    given = {"database": settings.CLICKHOUSE_DATABASE, "pool_size": 4, "max_overflow": 8, "timeout_s": 30.0} | options
    return ServerEngine([Address(server.host, server.port) for server in servers], login, **given)
