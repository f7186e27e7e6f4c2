"""Loaded before Django (`-p tests.environment`): every test process has a data directory of its own, gone afterwards.

With `TEST_FORM=server` the run is on PostgreSQL, Redis and a ClickHouse server, as a team has them: on those that DATABASE_URL,
REDIS_URL and CLICKHOUSE_HOST name, and for each that is not named, on one of the process's own. With `-n` each worker has its own; the
process that only hands out the tests has none.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DATA_DIR = tempfile.mkdtemp(prefix="research-platform-test-")
os.environ.update(
    {"DATA_DIR": DATA_DIR, "ENVIRONMENT": "test", "METRICS_FLUSH_INTERVAL": "0.2", "DISK_FREE_MIN_BYTES": "1000000", "METRICS_ACCESS_CACHE_S": "0"}
)
OWNER = os.getpid()
# Each test process empties the caches, and has the metric store's tables to itself. PostgreSQL has a database for each.
NOT_SHARED = ("REDIS_URL", "CLICKHOUSE_HOST")


@atexit.register
def remove() -> None:
    if os.getpid() == OWNER:
        shutil.rmtree(DATA_DIR, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Before anything reads the settings: the servers of this process."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ  # which is told of -n too
    processes = not is_worker and getattr(early_config.known_args_namespace, "numprocesses", None)
    named = [name for name in NOT_SHARED if os.environ.get(name)]
    if processes and named:
        raise pytest.UsageError(f"Several test processes cannot share one server: run without -n, or without {' and '.join(named)}.")
    if os.environ.get("TEST_FORM") == "server" and not processes:
        from tests import server_form

        server_form.start()
    return (yield)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where kills or the browser alone are asked for, a file that names neither is not even imported: all of them take longer than many a test."""
    asked = re.match(r"(browser|faults) and (?!.*\bor\b)", config.option.markexpr)
    if asked and collection_path.suffix == ".py" and collection_path.name.startswith("test_"):
        return f"mark.{asked[1]}" not in collection_path.read_text() or None
    return None
