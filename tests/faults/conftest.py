"""Servers that a test may break. Whatever it leaves running is killed, by its own process id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clickhouse_server import ClickHouseServer
from tests.faults.served import Served
from tests.faults.workers import Workers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: else all other processes wait for it in the end."""
    items.sort(key=lambda item: item.path.name != "test_kill.py")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """served(**settings): a `serve` that is not started yet, on this test's data directory unless another is given."""
    made: list[Served] = []

    def serve(data_dir: Path | None = None, **options: str) -> Served:
        made.append(Served(data_dir or tmp_path / "data", **options))
        return made[-1]

    yield serve
    for one in made:
        one.end()


@pytest.fixture
def in_earnest(served: Callable[..., Served]) -> Served:
    """A server that runs, and hashes passwords as slowly as in earnest: in tests it is done as quickly as can be."""
    made = served(METRICS_FLUSH_INTERVAL="0.2", ENVIRONMENT="development")
    made.start()
    return made


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """A ClickHouse server of this test's own."""
    with ClickHouseServer(tmp_path / "clickhouse") as server:
        yield server


@pytest.fixture
def workers(tmp_path: Path, clickhouse: ClickHouseServer) -> Iterator[Callable[..., Workers]]:
    """workers(**settings): a prepared gunicorn that is not started yet, on this test's data directory unless another is given."""
    made: list[Workers] = []

    def gunicorn(data_dir: Path | None = None, **settings: Any) -> Workers:
        (data_dir or tmp_path / "data").mkdir(exist_ok=True)
        made.append(Workers(data_dir or tmp_path / "data", clickhouse, **settings))
        return made[-1]

    yield gunicorn
    for one in made:
        one.end()
