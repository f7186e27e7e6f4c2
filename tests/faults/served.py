"""A real `serve` in its own process, on a data directory and a port of the test's own: started, killed, stopped, started again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 180.0
STOP_S = 20.0
Headers = Mapping[str, str]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a served process: the test's own, and `settings` over it."""
    return {**os.environ, "ENVIRONMENT": "test", "LOG_LEVEL": "WARNING", "DISK_FREE_MIN_BYTES": "1000000", **settings}


class Served:
    """`serve` on `data_dir`. Every start is on the same port, so that clients find it again."""

    def __init__(self, data_dir: Path, *, arguments: tuple[str, ...] = ("--no-demo",), **settings: str) -> None:
        self.data_dir, self.arguments = data_dir, arguments
        # Stores of its own, also where the tests themselves are on servers: another test's admin is in theirs.
        self.settings = {"DATABASE_URL": "", "REDIS_URL": "", "CLICKHOUSE_HOST": "", **settings}
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # a pipe that nobody reads would stop the server

    def spawn(self, **settings: str) -> None:
        """Start the process and do not wait for it."""
        assert self.process is None or self.process.poll() is not None
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port), "--data-dir", str(self.data_dir), *self.arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment({**self.settings, **settings}), stdout=self.output, stderr=subprocess.STDOUT)

    def start(self, **settings: str) -> None:
        """Start and wait until it takes requests."""
        self.spawn(**settings)
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until it takes points. Fails with what it printed where it ends instead."""
        self.await_answer("/ready")

    def await_answer(self, path: str) -> None:
        """Wait until GET `path` is 200. Fails with what it printed where it ends instead."""
        deadline = time.monotonic() + START_S
        while not self.is_ready(path):
            assert self.running.poll() is None, f"serve ended with {self.running.returncode}:\n{self.printed()}"
            assert time.monotonic() < deadline, f"serve did not come up in {START_S} s:\n{self.printed()}"
            time.sleep(0.05)

    def comes_up(self) -> bool:
        """Wait until it takes points, or is dead."""
        while self.running.poll() is None:
            if self.is_ready():
                return True
            time.sleep(0.05)
        return False

    def is_ready(self, path: str = "/ready") -> bool:
        """Whether GET `path` is 200."""
        try:
            return self.ask("GET", path, timeout_s=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self.process is not None
        return self.process

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.running.kill()
        self.running.wait(timeout=STOP_S)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(timeout=STOP_S)

    def wait_for_death(self) -> int:
        """Wait until it dies by itself; the exit code."""
        return self.running.wait(timeout=START_S)

    def end(self) -> None:
        """Make sure that nothing runs on."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.output.close()

    @property
    def highest_memory(self) -> int:
        """The most bytes that the process ever held in memory."""
        lines = Path(f"/proc/{self.running.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def printed(self) -> str:
        """Everything that it wrote so far."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    @property
    def token(self) -> str:
        """The API token that the first start wrote down."""
        return str(json.loads((self.data_dir / "credentials.json").read_text())["token"])

    @cached_property
    def operators_token(self) -> str:
        """What the first admin is given for the password: it may do what the first token may not."""
        known = json.loads((self.data_dir / "credentials.json").read_text())
        status, _, answer = self.ask("POST", "/api/v1/auth/token", {"username": known["username"], "password": known["password"]})
        assert status == 200, answer
        return str(json.loads(answer)["access"])

    def connection(self, timeout_s: float = 20.0) -> http.client.HTTPConnection:
        """A connection of the caller's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def ask(self, method: str, path: str, body: Any = None, headers: Headers | None = None, *, timeout_s: float = 20.0) -> tuple[int, Headers, bytes]:
        """One request on a connection of its own: (status, headers, body). A dict is sent as JSON."""
        connection = self.connection(timeout_s)
        try:
            sent = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, path, sent, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None, headers: Headers | None = None) -> tuple[int, Headers, Any]:
        """One request to the API as the first admin; the answer's JSON."""
        status, found, content = self.ask(method, "/api/v1" + path, body, {"Authorization": f"Bearer {self.token}", **(headers or {})})
        return status, found, json.loads(content) if content else None

    def make_experiments(self, project: str, names: list[str]) -> None:
        """Experiments to log to."""
        for name in names:
            status, _, answer = self.call("POST", "/experiments", {"project": project, "create_project": True, "name": name})
            assert status == 201, answer
