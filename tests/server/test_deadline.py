"""A PostgreSQL that is suspended, or takes too long, keeps nobody waiting past DATABASE_TIMEOUT_S."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from config.databases.deadline import FOR_EVER, within
from config.databases.postgres.connection import PunctualConnection, Unanswered
from tests.faults.served import Served
from tests.servers import PostgresServer
from tests.waiting import until

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.differs_on_servers("a PostgreSQL that hangs, on servers of the tests' own")]
POINT = {"metric_name": "loss", "metric_value": 0.5}
LOG = "/metrics/log/digits/first"
LONG = 5.0


@pytest.fixture
def connection(postgres: PostgresServer) -> Iterator[PunctualConnection]:
    """A connection as the pool makes them."""
    made = PunctualConnection.connect(postgres.url, autocommit=True)
    yield made
    made.close()


def test_a_statement_that_takes_too_long_is_ended_here_and_at_the_server(connection: PunctualConnection, postgres: PostgresServer, settings: Any):
    settings.DATABASE_TIMEOUT_S = 0.3
    with pytest.raises(Unanswered, match=r"did not answer within 0\.3 s"):
        connection.execute("SELECT pg_sleep(3600)")
    assert connection.closed
    until(lambda: postgres.psql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%%' AND state = 'active'") == [])


def test_a_server_s_own_error_stays_what_it_is(connection: PunctualConnection):
    with pytest.raises(Exception, match="division by zero") as raised:
        connection.execute("SELECT 1/0")
    assert not isinstance(raised.value, Unanswered)
    assert connection.execute("SELECT 7").fetchone() == (7,)


def test_commands_may_take_as_long_as_they_have_to(connection: PunctualConnection, settings: Any):
    settings.DATABASE_TIMEOUT_S = 0.2
    with within(FOR_EVER):
        connection.execute("SELECT pg_sleep(1)")
    with pytest.raises(Unanswered):
        connection.execute("SELECT pg_sleep(60)")


def test_what_a_suspended_server_was_in_the_middle_of_is_not_half_saved(connection: PunctualConnection, postgres: PostgresServer, settings: Any):
    settings.DATABASE_TIMEOUT_S = 0.3
    connection.execute("CREATE TABLE saved (n int)")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO saved VALUES (1)")
    with postgres.paused():
        with pytest.raises(Unanswered):
            connection.execute("INSERT INTO saved VALUES (2)")
        assert connection.closed
    with PunctualConnection.connect(postgres.url) as other:
        other.execute("LOCK TABLE saved IN ACCESS EXCLUSIVE MODE")  # whoever held a row is gone once this is had
        assert other.execute("SELECT n FROM saved").fetchall() == []
        other.execute("DROP TABLE saved")


@pytest.fixture
def served(postgres: PostgresServer, tmp_path: Path) -> Iterator[Served]:
    """`serve` with its record in PostgreSQL, and two experiments to log to."""
    url = postgres.new_database(f"deadline_{uuid4().hex[:12]}")
    given = {"DATABASE_URL": url, "REDIS_URL": "", "CLICKHOUSE_HOST": "", "METRICS_ACCESS_CACHE_S": "600", "DATABASE_TIMEOUT_S": str(LONG)}
    server = Served(tmp_path, **given)
    try:
        server.start()
        server.make_experiments("digits", ["first", "second"])
        yield server
    finally:
        server.end()


def test_a_suspended_database_is_a_503_in_time_and_takes_nothing_that_was_refused(served: Served, postgres: PostgresServer):
    assert served.call("POST", f"{LOG}?wait=visible", POINT)[0] == 200
    with postgres.paused():
        began = time.monotonic()
        status, headers, body = served.call("POST", "/experiments", {"project": "digits", "name": "never"})
        assert (status, body["error"]["code"], "Retry-After" in headers) == (503, "record_unavailable", True)
        status, headers, page = served.ask("GET", "/", headers={"Cookie": "sessionid=some-session"})
        assert (status, "Retry-After" in headers) == (503, True)
        assert b"The record cannot be read just now" in page
        assert time.monotonic() - began < 20
        began = time.monotonic()
        assert [served.call("GET", "/experiments")[0] for _ in range(20)] == [503] * 20
        assert [served.call("POST", LOG, POINT)[0] for _ in range(20)] == [200] * 20
        assert time.monotonic() - began < 40  # one in a second waits, the others are refused at once
    until(lambda: served.call("GET", "/experiments?project=digits")[0] == 200)
    assert {row["name"] for row in served.call("GET", "/experiments?project=digits")[2]["results"]} == {"first", "second"}
    until(lambda: served.call("GET", "/metrics/timeseries/digits/first/loss")[2].get("count") == 21)
    assert served.stop() == 0
