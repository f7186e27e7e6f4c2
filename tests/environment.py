"""Loaded before Django (`-p tests.environment`): every test run has a data directory of its own, gone afterwards."""

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
