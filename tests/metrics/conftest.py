"""A metric store of the test's own, apart from the one that the test process serves from."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.utils import timezone

from experiments.models import Experiment
from metrics import process
from metrics.clickhouse.client import Coded, Columns, Engine
from metrics.clickhouse.embedded import EmbeddedEngine
from metrics.clickhouse.migrate import migrate
from metrics.clickhouse.server import ServerEngine
from metrics.clickhouse.wire import Address, Login
from metrics.clock.occurrences import Turn
from metrics.drain.block import summary_columns
from metrics.points.states import State, states
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place
from tests.clickhouse_server import ClickHouseServer
from tests.counting import Counting

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


ON_A_SERVER = [pytest.mark.slow, pytest.mark.differs_on_servers("the same repository over the native protocol")]


@pytest.fixture(params=["embedded", pytest.param("server", marks=ON_A_SERVER)])
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


DAY = timedelta(days=1)


@pytest.fixture
def counting(store: Any, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """The engine of the store, counted."""
    engine = Counting(store.repository.engine)
    monkeypatch.setattr(store.repository, "engine", engine)
    return engine


@pytest.fixture
def turn() -> Turn:
    """The nightly turn of this day."""
    return Turn(timezone.now().replace(hour=0, minute=0, second=0, microsecond=0))


@pytest.fixture
def put(store: Any) -> Callable[..., Points]:
    """put(experiment, values, since=timedelta): points straight into the store, with the summary that one spool would have of them, long at rest."""

    def write(experiment: Experiment, values: Sequence[float], *, since: timedelta = 3 * DAY, apart: timedelta = timedelta(minutes=10), **extra: Any) -> Points:
        began = int((turn_midnight() - since).timestamp()) * 1_000_000
        spool, first = extra.pop("spool", 1 << 20), extra.pop("first", 0)
        times = [began + i * int(apart / timedelta(microseconds=1)) for i in range(len(values))]
        numbers = range(first, first + len(values))
        place = Place(experiment.project.team_id, experiment.project_id)
        points = Points(place, experiment.pk, values=values, steps=numbers, ids=numbers, times=times, **extra)
        store.repository.insert_points(points.columns())
        known = store.repository.spooled(place, [experiment.pk], [points.metric]).get((experiment.pk, points.metric))
        before = store.repository.state(place, experiment.pk, points.metric) if known and spool in known.spools else None
        store_state(store.repository, points, before or state_of(points), spool=spool)
        at_rest = datetime.fromtimestamp(NOW_US / 1e6, tz=UTC) + timedelta(seconds=1)
        Experiment.objects.filter(pk=experiment.pk).update(last_point_at=at_rest)
        return points

    return write


def turn_midnight() -> datetime:
    """The last midnight, UTC."""
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)


def state_of(points: Points) -> State:
    """What a spool would keep of these points."""
    columns = points.columns()
    series = np.zeros(len(points.values), dtype=np.int64)
    return states(series, columns["step"], columns["timestamp"], columns["point_id"], columns["metric_value"], columns["logged_at"])[0]


def store_state(repository: MetricRepository, points: Points, state: State, *, spool: int) -> None:
    """Put a series' state into the store as a spool would."""
    place = points.place
    kept = (state.packed(), state.once, state.last_logged)
    row = (points.experiment.bytes, points.metric, place.team_id.bytes, place.project_id.bytes, time.time_ns(), *kept)
    repository.insert_summaries(summary_columns([row], spool=spool))
