"""Each service's own command, run as a process on real servers: set up once, points in and out, a worker that answers, a beat that sends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import waiting
from tests.clickhouse_server import ClickHouseServer
from tests.deploy.compose import ROOT, read_env, service
from tests.ports import free_port
from tests.servers import PostgresServer, RedisServer

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.server]
BIN = str(Path(sys.executable).parent)


@dataclass
class Deployment:
    """The services of docker-compose.yml as processes; `places` say where their servers are here instead of in Docker's network."""

    given: dict[str, str]
    places: dict[str, str]
    port: int
    folder: Path

    def environment(self, name: str) -> dict[str, str]:
        """What a service of the product is given."""
        return {**service(name, self.given).environment, **self.places, "PATH": f"{BIN}:{os.environ['PATH']}"}

    def command(self, name: str) -> list[str]:
        """Its command, on a free port of this machine."""
        return [word.replace("0.0.0.0:8000", f"127.0.0.1:{self.port}") for word in service(name, self.given).command]

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a service to its end."""
        return subprocess.run(self.command(name), cwd=ROOT, env=self.environment(name), capture_output=True, text=True, timeout=180)

    def spawn(self, name: str) -> subprocess.Popen[bytes]:
        """Start a service."""
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(self.command(name), cwd=ROOT, env=self.environment(name), stdout=log, stderr=log)

    def is_healthy(self, name: str) -> bool:
        """What the service's own health check says."""
        kind, *check = service(name, self.given).health
        words = [word.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}").replace("$HOSTNAME", socket.gethostname()) for word in check]
        command = ["sh", "-c", words[0]] if kind == "CMD-SHELL" else words
        return subprocess.run(command, cwd=ROOT, env=self.environment(name), capture_output=True, timeout=120).returncode == 0

    def call(self, method: str, path: str, body: Any = None, *, token: str = "") -> tuple[int, Any]:
        """One request to web."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            head = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
            connection.request(method, path, json.dumps(body) if body is not None else None, head)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """PostgreSQL, Redis and ClickHouse with the passwords of a fresh .env, and nothing of the product yet."""
    subprocess.run([sys.executable, "deploy/make_env.py", str(tmp_path / ".env")], cwd=ROOT, check=True, capture_output=True)
    given = read_env(tmp_path / ".env")
    environment = service("web", given).environment
    login = {"user": environment["CLICKHOUSE_USER"], "password": environment["CLICKHOUSE_PASSWORD"]}
    postgres, redis, clickhouse = PostgresServer(), RedisServer(password=given["REDIS_PASSWORD"]), ClickHouseServer(tmp_path / "clickhouse", **login)
    places = {"CLICKHOUSE_HOST": "127.0.0.1", "DATA_DIR": str(tmp_path / "data"), "DISK_FREE_MIN_BYTES": "1000000"}
    try:
        for server in (postgres, redis, clickhouse):
            server.start()
        places |= {"DATABASE_URL": postgres.url, "CLICKHOUSE_PORT": str(clickhouse.port)}
        places["REDIS_URL"] = environment["REDIS_URL"].replace(urlsplit(environment["REDIS_URL"]).netloc.rpartition("@")[2], f"127.0.0.1:{redis.port}")
        yield Deployment(given, places, free_port(), tmp_path)
    finally:
        postgres.remove()
        redis.remove()
        clickhouse.stop()


until = partial(waiting.until, within_s=180.0)


def test_the_services_of_the_compose_file_work_together(deployment: Deployment):
    first, again = deployment.run("migrate"), deployment.run("migrate")
    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    made = json.loads(first.stdout)
    assert set(made) == {"username", "password", "token"}
    assert json.loads(again.stdout) == {"username": made["username"], "already": True}
    running = {name: deployment.spawn(name) for name in ("web", "worker", "beat")}
    try:
        for name in running:
            until(lambda name=name: deployment.is_healthy(name))
        tokens = deployment.call("POST", "/api/v1/auth/token", {"username": made["username"], "password": made["password"]})[1]
        experiment = {"project": "digits", "create_project": True, "name": "first"}
        assert deployment.call("POST", "/api/v1/experiments", experiment, token=tokens["access"])[0] == 201
        point = {"metric_name": "loss", "metric_value": 0.5}
        status, answer = deployment.call("POST", "/api/v1/metrics/log/digits/first?wait=visible", point, token=made["token"])
        assert (status, answer["visible"]) == (200, True)
        assert deployment.call("GET", "/api/v1/metrics/compare/digits?metric=loss&experiments=first", token=made["token"])[1]["series"][0]["avg"] == [0.5]
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        codes = {name: process.wait(timeout=60) for name, process in running.items()}
    assert codes == dict.fromkeys(running, 0), [(deployment.folder / f"{name}.log").read_text()[-1000:] for name in running]
