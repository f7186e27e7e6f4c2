"""A real gunicorn with several workers on a ClickHouse process, for tests that kill the one or the other."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from tests.clickhouse_server import ClickHouseServer
from tests.faults.served import ROOT, START_S, STOP_S, Served, environment
from tests.faults.stored import Stored, stored

# In one process: to start each command alone takes longer than what they do.
PREPARE = """
import os, sys, django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
from pathlib import Path
from django.core.management import call_command
from accounts.first_start import first_credentials
for command in sys.argv[3:]:
    call_command(command, verbosity=0)
first_credentials(Path(sys.argv[1]), url=sys.argv[2])
"""
WAITING = """
    SELECT EXISTS (SELECT 1 FROM batches WHERE id > coalesce((SELECT value FROM meta WHERE name = 'drained_to'), 0))
        OR EXISTS (SELECT 1 FROM summaries WHERE stored < version)
"""


class Workers(Served):
    """`gunicorn config.wsgi` on `data_dir` and a ClickHouse server. Every start is on the same port."""

    def __init__(self, data_dir: Path, clickhouse: ClickHouseServer, *, workers: int = 4, **settings: str) -> None:
        super().__init__(data_dir, arguments=(), **settings)
        self.clickhouse = clickhouse
        self.settings |= {
            "DATA_DIR": str(data_dir), "WEB_CONCURRENCY": str(workers), "PORT": str(self.port),
            "CLICKHOUSE_HOST": clickhouse.host, "CLICKHOUSE_PORT": str(clickhouse.port),
        }  # fmt: skip

    def prepare(self, *, with_metric_store: bool = True) -> None:
        """Both stores migrated, or the record alone, and a first admin with a token."""
        commands = ["migrate", "migrate_clickhouse"] if with_metric_store else ["migrate"]
        self.run([sys.executable, "-c", PREPARE, str(self.data_dir / "credentials.json"), f"http://127.0.0.1:{self.port}", *commands])

    def run(self, command: list[str]) -> None:
        """A command in the server's environment, to its end. Fails with what it said."""
        done = subprocess.run(command, cwd=ROOT, env=environment(self.settings), check=False, timeout=START_S * 2, stdout=self.output, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"{command[-2:]} ended with {done.returncode}:\n{self.printed()}"

    def spawn(self, **settings: str) -> None:
        """Start the master and do not wait for it."""
        assert self.process is None or self.process.poll() is not None
        command = [str(Path(sys.executable).parent / "gunicorn"), "config.wsgi"]
        given = environment({**self.settings, **settings})
        # A group of its own, so that all of it can be ended where a test breaks.
        self.process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)

    def start(self, **settings: str) -> None:
        """Start and wait until every worker is up and has its spool."""
        super().start(**settings)
        self.await_workers()

    def start_again(self) -> None:
        """Start until it stays, as systemd does: the port is taken as long as workers of the master before finish their requests."""
        deadline = time.monotonic() + START_S
        while len(self.pids()) < int(self.settings["WEB_CONCURRENCY"]):
            if self.running.poll() is not None:
                self.spawn()
            assert time.monotonic() < deadline, f"the master did not come up in {START_S} s:\n{self.printed()}"
            time.sleep(0.05)
        self.await_ready()
        self.await_workers()

    def await_workers(self) -> None:
        """Wait until every worker holds a spool."""
        deadline = time.monotonic() + START_S
        while len(self.held()) < int(self.settings["WEB_CONCURRENCY"]):
            assert time.monotonic() < deadline, f"the workers did not come up in {START_S} s:\n{self.printed()}"
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """The workers' process ids; none where there is no master."""
        children = Path(f"/proc/{self.running.pid}/task/{self.running.pid}/children")
        with suppress(OSError):
            return [int(pid) for pid in children.read_text().split()]
        return []

    def spools(self) -> list[Path]:
        """Every spool file."""
        return sorted((self.data_dir / "spool").glob("*.sqlite"))

    def held(self) -> list[Path]:
        """The spool files that some process holds."""
        return [path for path in self.spools() if is_held(path)]

    def left(self) -> list[Path]:
        """The spool files with something that is not stored."""
        return [path for path in self.spools() if is_waiting(path)]

    def await_drained(self) -> None:
        """Wait until all that the spool files hold is stored."""
        deadline = time.monotonic() + START_S
        while self.left():
            assert time.monotonic() < deadline, f"{self.left()} were not drained in {START_S} s:\n{self.printed()}"
            time.sleep(0.1)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(timeout=STOP_S * 2)

    def end(self) -> None:
        """Make sure that no process of the group runs on."""
        if self.process is not None:
            for pid in processes_of(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.wait(timeout=STOP_S)
        self.output.close()

    def stored(self) -> Stored:
        """What the store holds."""
        return stored(self.data_dir, **self.settings)


def processes_of(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and os.getpgid(int(entry.name)) == group:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def is_held(path: Path) -> bool:
    """Whether a process holds a spool file."""
    with path.with_suffix(".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def is_waiting(path: Path) -> bool:
    """Whether points or states lie in a spool file that are not stored."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        return bool(connection.execute(WAITING).fetchone()[0])
