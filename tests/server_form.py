"""The servers of a test run on the server form: those that the environment does not name are started, and stopped at the end."""

from __future__ import annotations

import atexit
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from tests.servers import PostgresServer, RedisServer


def start() -> None:
    """Bring the environment to the server form."""
    if not os.environ.get("DATABASE_URL"):
        postgres = PostgresServer()
        at_end(postgres.remove)
        postgres.start()
        os.environ["DATABASE_URL"] = postgres.url
    if not os.environ.get("REDIS_URL"):
        redis = RedisServer()
        at_end(redis.remove)
        redis.start()
        os.environ["REDIS_URL"] = redis.url
    if not os.environ.get("CLICKHOUSE_HOST") and importlib.util.find_spec("tests.clickhouse_server"):
        start_clickhouse()


def start_clickhouse() -> None:
    """The ClickHouse server of the tests, which keeps its data in the run's data directory."""
    from tests.clickhouse_server import ClickHouseServer

    clickhouse = ClickHouseServer(Path(os.environ["DATA_DIR"]) / "clickhouse-server")
    at_end(clickhouse.stop)
    clickhouse.start()
    os.environ |= {"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": str(clickhouse.port)}


def at_end(end: Callable[[], None]) -> None:
    """Call `end` when this process ends, and not when a child of it does."""
    owner = os.getpid()
    atexit.register(lambda: end() if os.getpid() == owner else None)
