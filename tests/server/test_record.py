"""The record in PostgreSQL: set up once by whoever comes first, its absence a quick 503, its return noticed at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.faults.served import ROOT, Served, environment
from tests.servers import PostgresServer
from tests.waiting import until

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.differs_on_servers("a PostgreSQL that is set up and goes away, on servers of the tests' own")]
POINT = {"metric_name": "loss", "metric_value": 0.5}
LOG = "/metrics/log/digits/first"


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """The address of a database that is empty."""
    return postgres.new_database(f"record_{uuid4().hex[:12]}")


def manage(data_dir: Path, url: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a management command on this database, with a data directory of its own, as a host has."""
    given = environment({"DATA_DIR": str(data_dir), "DATABASE_URL": url, "CLICKHOUSE_HOST": "", "REDIS_URL": ""})
    return subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=given, capture_output=True, text=True, timeout=120)


def rows(url: str, statement: str) -> list[Any]:
    """Rows of one statement."""
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload]


def test_setup_makes_the_first_account_once_and_says_so_once(database: str, tmp_path: Path):
    first = manage(tmp_path, database, "setup", "--username", "root@lab")
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    assert set(made) == {"username", "password", "token"}
    assert made["username"] == "root@lab"
    again = manage(tmp_path, database, "setup")
    assert json.loads(again.stdout) == {"username": "root@lab", "already": True}
    assert not (tmp_path / "credentials.json").exists()
    assert rows(database, "SELECT username, is_superuser FROM accounts_user") == [("root@lab", True)]
    assert rows(database, "SELECT count(*) FROM accounts_apitoken") == [(1,)]


def test_hosts_that_are_set_up_at_once_make_one_admin(database: str, tmp_path: Path):
    with ThreadPoolExecutor(3) as hosts:
        done = list(hosts.map(lambda n: manage(tmp_path / f"host{n}", database, "setup", "--username", f"admin{n}"), range(3)))
    assert [host.returncode for host in done] == [0, 0, 0], [host.stderr for host in done]
    said = [json.loads(host.stdout) for host in done]
    assert sorted("password" in one for one in said) == [False, False, True]
    assert len({one["username"] for one in said}) == 1
    assert rows(database, "SELECT count(*) FROM accounts_user") == [(1,)]


@pytest.mark.parametrize("name", ["", "two words", "x" * 200])
def test_setup_refuses_a_name_that_no_user_can_have(name: str, database: str, tmp_path: Path):
    done = manage(tmp_path, database, "setup", f"--username={name}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--username" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("setup",), ("migrate",), ("serve", "--port", "0", "--no-demo")])
def test_a_wrong_password_is_one_sentence(command: tuple[str, ...], postgres: PostgresServer, tmp_path: Path):
    done = manage(tmp_path, postgres.url.replace(postgres.password, "a-guess"), *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "password authentication failed" in done.stderr
    assert "a-guess" not in done.stderr


@pytest.fixture
def served(database: str, tmp_path: Path) -> Iterator[Served]:
    """`serve` with its record in PostgreSQL, and a project to log to."""
    server = Served(tmp_path, DATABASE_URL=database, REDIS_URL="", CLICKHOUSE_HOST="", METRICS_ACCESS_CACHE_S="30", DATABASE_POOL_TIMEOUT_S="5")
    try:
        server.start()
        server.make_experiments("digits", ["first", "second"])
        yield server
    finally:
        server.end()


def test_a_database_that_is_away_is_a_quick_503_and_points_of_known_tokens_are_taken(served: Served, postgres: PostgresServer):
    assert served.call("POST", f"{LOG}?wait=visible", POINT)[0] == 200
    postgres.kill()
    began = time.monotonic()
    status, headers, body = served.call("GET", "/experiments")
    assert (status, body["error"]["code"]) == (503, "record_unavailable")
    assert "Retry-After" in headers
    status, headers, page = served.ask("GET", "/sign-in")
    assert status == 200  # nobody has to be looked up for it
    status, headers, page = served.ask("GET", "/", headers={"Cookie": "sessionid=some-session"})
    assert (status, "Retry-After" in headers) == (503, True)
    assert b"The record cannot be read just now" in page
    assert time.monotonic() - began < 30
    began = time.monotonic()
    assert [served.call("GET", "/experiments")[0] for _ in range(20)] == [503] * 20
    assert time.monotonic() - began < 20  # one in a second waits, the others are refused at once
    assert served.call("POST", LOG, POINT)[0] == 200
    assert served.call("POST", "/metrics/log/digits/second", POINT)[2]["error"]["code"] == "record_unavailable"
    assert served.ask("GET", "/health")[0] == 200
    postgres.start()
    until(lambda: served.call("GET", "/experiments")[0] == 200)
    until(lambda: served.call("GET", "/metrics/timeseries/digits/first/loss")[2].get("count") == 2)


def test_a_database_that_was_away_for_long_is_found_again_within_moments(served: Served, postgres: PostgresServer):
    postgres.stop()
    until(lambda: served.call("GET", "/experiments")[0] == 503)
    end = time.monotonic() + 12
    while time.monotonic() < end:
        assert served.call("GET", "/experiments")[0] == 503
    postgres.start()
    began = time.monotonic()
    until(lambda: served.call("GET", "/experiments")[0] == 200)
    assert time.monotonic() - began < 20


def test_connections_that_the_database_closed_are_replaced_before_a_request_sees_them(served: Served, postgres: PostgresServer, database: str):
    assert served.call("GET", "/experiments")[0] == 200
    name = database.rpartition("/")[2]
    assert postgres.psql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", name)[0][0] > 0
    assert [served.call("GET", "/experiments")[0] for _ in range(5)] == [200] * 5


def test_many_threads_share_the_pool_and_leave_none_of_it_behind(served: Served, postgres: PostgresServer, database: str):
    with ThreadPoolExecutor(24) as callers:
        assert set(callers.map(lambda _: served.call("GET", "/experiments")[0], range(200))) == {200}
    open_now = postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", database.rpartition("/")[2])[0][0]
    assert 1 <= open_now <= 30
    assert postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state = 'idle in transaction'", database.rpartition("/")[2]) == [(0,)]


def test_writer_numbers_are_never_given_twice(served: Served):
    with ThreadPoolExecutor(16) as callers:
        made = list(callers.map(lambda n: served.call("POST", "/experiments", {"project": "digits", "name": "same name"}), range(32)))
    assert {status for status, _, _ in made} == {201}
    assert len({body["slug"] for _, _, body in made}) == 32
