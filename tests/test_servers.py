"""The ground that server tests stand on: what is killed comes back on its port, and keeps what it should."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from tests.deploy.compose import ROOT
from tests.servers import PostgresServer, RedisServer


def test_a_killed_postgresql_comes_back_on_its_port_with_its_rows():
    server = PostgresServer()
    try:
        server.start()
        server.psql("CREATE TABLE kept (n int)")
        server.psql("INSERT INTO kept VALUES (%s)", 7)
        server.kill()
        assert not server.answers()
        server.start()
        assert server.psql("SELECT n FROM kept") == [(7,)]
        assert server.psql("SELECT 'B' < 'a', lower('ÄÖ')") == [(True, "äö")]
    finally:
        server.remove()
    assert not server.directory.exists()


def test_a_killed_redis_comes_back_empty_and_a_paused_one_remembers():
    server = RedisServer()
    try:
        server.start()
        with redis.Redis.from_url(server.url) as client:
            client.set("word", "kept")
        server.pause()
        server.go_on()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("word") == b"kept"
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("word") is None
    finally:
        server.remove()


ORPHANS = """
import sys, time
from tests.servers import {kind}
server = {kind}()
server.start()
print(server.running.pid, server.directory, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a kernel's promise")
@pytest.mark.parametrize("kind", ["PostgresServer", "RedisServer"])
def test_a_test_run_that_is_killed_leaves_no_server_behind(kind):
    run = subprocess.Popen([sys.executable, "-c", ORPHANS.format(kind=kind)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pid, directory = run.stdout.readline().split()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    deadline = time.monotonic() + 30
    while is_alive(int(pid)):
        assert time.monotonic() < deadline, f"{kind} {pid} lives on"
        time.sleep(0.05)
    shutil.rmtree(directory)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
