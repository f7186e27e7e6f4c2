"""Loaded before Django (`-p tests.environment`): every test run has a data directory of its own, gone afterwards.

With `TEST_FORM=server` the run is on PostgreSQL, Redis and a ClickHouse server, as a team has them: on those that DATABASE_URL,
REDIS_URL and CLICKHOUSE_HOST name, and for each that is not named, on one of the run's own.
"""

import atexit
import os
import shutil
import tempfile

DATA_DIR = tempfile.mkdtemp(prefix="research-platform-test-")
os.environ.update(
    {"DATA_DIR": DATA_DIR, "ENVIRONMENT": "test", "METRICS_FLUSH_INTERVAL": "0.2", "DISK_FREE_MIN_BYTES": "1000000", "METRICS_ACCESS_CACHE_S": "0"}
)
OWNER = os.getpid()


@atexit.register
def remove() -> None:
    if os.getpid() == OWNER:
        shutil.rmtree(DATA_DIR, ignore_errors=True)


if os.environ.get("TEST_FORM") == "server":
    from tests import server_form

    server_form.start()
