"""The engine over the native protocol: what it does while servers die, hang and come back. Its servers are the tests' own, since they are killed here."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metrics.clickhouse.client import Coded
from metrics.clickhouse.errors import RejectedData, StoreUnavailable, TooSlow
from metrics.clickhouse.server import ServerEngine
from metrics.clickhouse.wire import Address, Login
from tests import waiting
from tests.clickhouse_server import ClickHouseServer, suspended
from tests.metrics.conftest import engine_on
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.differs_on_servers("the engine over the native protocol, on servers that are killed here")]

ROOT = Path(__file__).resolve().parent.parent.parent
NUMBERS = "CREATE TABLE IF NOT EXISTS numbers (n Int64, name String, CONSTRAINT small CHECK n < 1000000) ENGINE = ReplacingMergeTree ORDER BY n"
# Far past every deadline of the engine (it sets 3 s to connect, 2 to ping), however busy the machine.
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with ClickHouseServer(tmp_path_factory.mktemp("killed")) as server:
        yield server


@pytest.fixture
def server(module_server: ClickHouseServer) -> ClickHouseServer:
    """A server that may be killed: whoever comes next finds it running."""
    if module_server.process is None:
        module_server.start()
    return module_server


@pytest.fixture
def engine(server: ClickHouseServer) -> Iterator[ServerEngine]:
    with contextlib.closing(engine_on(server, database="default", timeout_s=5.0)) as engine:
        engine.execute(NUMBERS)
        engine.execute("TRUNCATE TABLE numbers")
        yield engine


def rows(n: int) -> dict[str, Any]:
    return {"n": np.arange(n), "name": Coded(["a", "é"], np.arange(n, dtype="u4") % 2)}


def stored(engine: ServerEngine) -> list[int]:
    return list(engine.query("SELECT n FROM numbers FINAL ORDER BY n").get("n", ()))


def answering(engine: ServerEngine) -> int:
    """The port of the server that is asked now."""
    with engine.pool.wire() as wire:
        assert wire.is_alive()
        return wire.address.port


until = partial(waiting.until, within_s=PATIENCE_S)


class Meddled(dict):
    """Columns that do something at the moment in which they are encoded: the server has asked for the rows, and has none yet."""

    def __init__(self, columns: dict[str, Any], act: Callable[[], None]) -> None:
        super().__init__(columns)
        self.act = act

    def items(self):
        self.act()
        return super().items()


# How many -----------------------------------------------------------------------------------------------------------------------------------------


def test_no_more_connections_than_allowed_and_no_more_kept_than_the_pools_size(server):
    with contextlib.closing(engine_on(server, pool_size=2, max_overflow=1)) as engine:
        engine.pool.wait_s = 0.1
        with contextlib.ExitStack() as held:
            for _ in range(3):
                held.enter_context(engine.pool.wire())
            with pytest.raises(StoreUnavailable, match="All 3 connections"):
                engine.query("SELECT 1 AS n")
        assert len(engine.pool.nodes[0].idle) == 2
        assert engine.query("SELECT 1 AS n")["n"] == [1]


def test_who_waits_for_a_connection_gets_the_next_one(server):
    with contextlib.closing(engine_on(server, pool_size=1, max_overflow=0)) as engine:
        engine.pool.wait_s = PATIENCE_S
        answers: list[int] = []
        with engine.pool.wire():
            waiting = threading.Thread(target=lambda: answers.append(int(engine.query("SELECT 7 AS n")["n"][0])))
            waiting.start()
            assert answers == []
        waiting.join(PATIENCE_S)
        assert answers == [7]


def test_threads_get_their_own_answers(engine):
    wrong: list[Any] = []

    def ask(number: int) -> None:
        for turn in range(30):
            found = engine.query("SELECT %(n)s AS n, toString(%(n)s) AS name FROM numbers(%(turn)s)", {"n": number * 1000 + turn, "turn": turn + 1})
            if list(found["n"]) != [number * 1000 + turn] * (turn + 1) or found["name"] != [str(number * 1000 + turn)] * (turn + 1):
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert wrong == []
    assert len(engine.pool.nodes[0].idle) <= engine.pool.size


# What goes away, and comes back ---------------------------------------------------------------------------------------------------------------------


def test_after_a_restart_the_next_query_works(engine, server):
    assert engine.query("SELECT 1 AS n")["n"] == [1]
    server.kill()
    server.start()
    assert engine.query("SELECT 2 AS n")["n"] == [2]


def test_nobody_there_is_told_with_the_address():
    port = free_port()
    engine = ServerEngine([Address("127.0.0.1", port)], Login(), database="metrics", pool_size=1, max_overflow=0, timeout_s=1)
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port} cannot be reached \\(Connection refused\\)"):
        engine.query("SELECT 1 AS n")


def test_a_host_without_an_address_is_unavailable():
    engine = ServerEngine([Address("no-such-host.invalid", 9000)], Login(), database="metrics", pool_size=1, max_overflow=0, timeout_s=1)
    with pytest.raises(StoreUnavailable, match=r"no-such-host.invalid:9000 cannot be reached"):
        engine.query("SELECT 1 AS n")


def test_somebody_else_on_the_port_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def web() -> None:
            client, _ = listener.accept()
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.close()

        threading.Thread(target=web, daemon=True).start()
        engine = ServerEngine([Address(*listener.getsockname())], Login(), database="metrics", pool_size=1, max_overflow=0, timeout_s=1)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            engine.query("SELECT 1 AS n")


def test_a_server_that_went_away_is_tried_by_one_caller_at_a_time():
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        engine = ServerEngine([Address(*silent.getsockname())], Login(), database="metrics", pool_size=30, max_overflow=0, timeout_s=1)

        def ask() -> None:
            with pytest.raises(StoreUnavailable):
                engine.query("SELECT 1 AS n")

        ask()
        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        silent.settimeout(0)
        tried = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                tried += 1
        assert 1 <= tried <= 3


def test_callers_who_find_out_together_count_as_one_failure(server):
    node = engine_on(server).pool.nodes[0]
    for _ in range(20):
        node.rest(StoreUnavailable("gone"), known=0)
    assert (node.failures, node.is_worth_trying()) == (1, False)
    assert node.rests_until - time.monotonic() <= 0.5
    node.rest(StoreUnavailable("still gone"), known=1)
    assert node.failures == 2


def test_the_replica_answers_while_the_primary_is_away_and_no_longer(server, tmp_path):
    with ClickHouseServer(tmp_path / "replica") as replica, contextlib.closing(engine_on(server, replica)) as engine:
        assert answering(engine) == server.port
        server.kill()
        assert answering(engine) == replica.port
        assert answering(engine) == replica.port
        server.start()
        until(lambda: answering(engine) == server.port)
        assert [len(node.idle) for node in engine.pool.nodes] == [1, 0]
        replica.kill()
        assert answering(engine) == server.port
        server.kill()
        with pytest.raises(StoreUnavailable, match=f"{server.address}.*{replica.address}"):
            engine.query("SELECT 1 AS n")


def test_a_primary_that_hangs_is_left_for_the_replica(server, tmp_path):
    with ClickHouseServer(tmp_path / "replica") as replica, contextlib.closing(engine_on(server, replica)) as engine:
        assert answering(engine) == server.port
        with suspended(server):
            assert answering(engine) == replica.port
        until(lambda: answering(engine) == server.port)


def test_a_server_that_hangs_before_the_query_is_unavailable_in_time(engine, server):
    assert engine.query("SELECT 1 AS n")["n"] == [1]
    with suspended(server):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            engine.execute("TRUNCATE TABLE numbers")
        assert time.monotonic() - began < PATIENCE_S
    until(lambda: works(engine))


def test_a_server_that_hangs_in_the_query_is_unavailable_in_time(engine, server):
    with suspended(server), pytest.raises(StoreUnavailable, match="did not answer in time"), waiting_wire(engine, server) as wire:
        wire.ask("SELECT 1 AS n", {}, within_s=0.5)
    until(lambda: works(engine))
    assert engine.query("SELECT 2 AS n")["n"] == [2]


@contextlib.contextmanager
def waiting_wire(engine: ServerEngine, server: ClickHouseServer) -> Iterator[Any]:
    """A connection that answered before the server hung."""
    server.resume()
    with engine.pool.wire() as wire:
        server.suspend()
        yield wire


def works(engine: ServerEngine) -> bool:
    try:
        return list(engine.query("SELECT 1 AS n")["n"]) == [1]
    except StoreUnavailable:
        return False


def test_after_close_there_is_nothing(server):
    engine = engine_on(server)
    assert engine.query("SELECT 1 AS n")["n"] == [1]
    engine.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        engine.query("SELECT 1 AS n")


# What is sent ---------------------------------------------------------------------------------------------------------------------------------------


def test_a_server_killed_before_it_had_the_rows_is_unavailable_and_the_repeat_lands_once(engine, server):
    with pytest.raises(StoreUnavailable):
        engine.insert("numbers", Meddled(rows(5000), server.kill))
    server.start()
    assert stored(engine) == []
    engine.insert("numbers", rows(5000))
    assert stored(engine) == list(range(5000))


def test_a_server_killed_before_it_answered_is_unavailable_and_the_repeat_lands_once(engine, server):
    def hang_then_die() -> None:
        server.suspend()
        threading.Timer(0.5, server.kill).start()

    with pytest.raises(StoreUnavailable):
        engine.insert("numbers", Meddled(rows(5000), hang_then_die))
    until(lambda: server.process is None)
    server.start()
    for _ in range(2):
        engine.insert("numbers", rows(5000))
    assert stored(engine) == list(range(5000))


def test_a_repeat_after_a_deletion_is_stored_again(engine):
    engine.insert("numbers", rows(100))
    engine.execute("DELETE FROM numbers WHERE n >= 0")
    engine.insert("numbers", rows(100))
    assert stored(engine) == list(range(100))


def test_a_refused_block_is_told_with_the_tables_reason_and_nothing_is_written(engine):
    with pytest.raises(RejectedData, match="small") as refused:
        engine.insert("numbers", {"n": np.array([1, 1_000_000]), "name": Coded(["a"], np.zeros(2, "u4"))})
    assert refused.value.code == 469
    assert stored(engine) == []


def test_a_conversation_that_ended_in_an_error_is_never_gone_on_with(engine):
    with pytest.raises(RejectedData):
        engine.query("SELECT throwIf(number = 500000) AS n FROM numbers(1000000)")
    assert not engine.pool.nodes[0].idle
    with pytest.raises(TooSlow):
        engine.query("SELECT count() AS n FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))", timeout_s=0.2)
    assert not engine.pool.nodes[0].idle
    assert engine.query("SELECT 3 AS n")["n"] == [3]


def test_a_child_process_opens_connections_of_its_own(engine):
    assert engine.query("SELECT 1 AS n")["n"] == [1]
    kept = engine.pool.nodes[0].idle[0]
    child = os.fork()
    if not child:
        try:
            right = list(engine.query("SELECT 2 AS n")["n"]) == [2] and engine.pool.nodes[0].idle[0] is not kept
            os._exit(0 if right else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.query("SELECT 3 AS n")["n"] == [3]
    assert list(engine.pool.nodes[0].idle) == [kept]


class Relay:
    """Passes bytes between a client and a server, and keeps a copy."""

    def __init__(self, server: ClickHouseServer) -> None:
        self.server = server
        self.sent, self.received = bytearray(), bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                upstream = socket.create_connection((self.server.host, self.server.port))
                for source, target, copy in ((client, upstream, self.sent), (upstream, client, self.received)):
                    threading.Thread(target=self.copy, args=(source, target, copy), daemon=True).start()

    def copy(self, source: socket.socket, target: socket.socket, copy: bytearray) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(1 << 16):
                copy += part
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(server: ClickHouseServer) -> Iterator[Relay]:
    relay = Relay(server)
    yield relay
    relay.listener.close()


@pytest.fixture
def relayed(engine: ServerEngine, relay: Relay) -> Iterator[ServerEngine]:
    with contextlib.closing(
        ServerEngine([Address("127.0.0.1", relay.port)], Login(), database="default", pool_size=1, max_overflow=0, timeout_s=5)
    ) as through_relay:
        yield through_relay


def test_blocks_travel_compressed_both_ways(relayed, relay):
    relayed.insert("numbers", {"n": np.zeros(100_000, dtype=np.int64), "name": Coded([""], np.zeros(100_000, "u4"))})
    assert len(relay.sent) < 100_000  # 900,000 bytes as they are
    assert len(relayed.query("SELECT toInt64(0) AS n FROM numbers(1000000)")["n"]) == 1_000_000
    assert len(relay.received) < 1_000_000  # 8,000,000 bytes as they are


def test_what_an_acknowledgement_relies_on_is_said_by_name(relayed, relay):
    relayed.insert("numbers", rows(3))
    for name, value in (("async_insert", "0"), ("insert_deduplicate", "0"), ("distributed_foreground_insert", "1")):
        assert bytes([len(name)]) + name.encode() + b"\0" + bytes([len(value)]) + value.encode() in relay.sent
        assert str(int(relayed.query(f"SELECT toUInt64(getSetting('{name}')) AS v")["v"][0])) == value
    assert relayed.query("SELECT toFloat64(getSetting('max_execution_time')) AS v", timeout_s=2.5)["v"] == [2.5]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT number AS n, toInt64(number) - 5 AS i, toFloat64(number) / 3 AS f, toFloat32(number) / 3 AS g, toUInt32(number) AS u FROM numbers(200000)",
        "SELECT arrayJoin([nan, inf, -inf, -0., 5e-324, 0.1]) AS v",
        "SELECT toString(number) AS t, toLowCardinality(toString(number % 7)) AS l, 'é損🎯' AS e FROM numbers(100000)",
        "SELECT groupArray(number) AS a, groupArray(toFloat64(number)) AS b, emptyArrayInt64() AS c FROM numbers(100000) GROUP BY number % 3 ORDER BY a[1]",
        "SELECT toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS u, NULL AS x, toNullable(3) AS y, number = 1 AS z FROM numbers(3)",
        "SELECT fromUnixTimestamp64Micro(1763900000123456, 'UTC') AS t, toDate('2026-01-02') AS d",
        "SELECT 1 AS n WHERE 0",
    ],
)
def test_both_engines_give_the_same_columns_bit_for_bit(server_engine, embedded_engine, sql):
    one, other = server_engine.query(sql), embedded_engine.query(sql)
    assert one.keys() == other.keys()
    for name, column in one.items():
        assert type(column) is type(other[name])
        if isinstance(column, np.ndarray):
            assert (column.dtype, column.tobytes()) == (other[name].dtype, other[name].tobytes())
        else:
            assert [as_compared(value) for value in column] == [as_compared(value) for value in other[name]]


def as_compared(value: Any) -> Any:
    return (value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else (type(value), value)


# Who may connect ------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, signed by nobody else."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    key = file.with_suffix(".key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + key.read_text())
    return file


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[ClickHouseServer]:
    """A server with a user of its own, behind TLS."""
    with ClickHouseServer(tmp_path_factory.mktemp("guarded"), user="tracker", password="s3cret é", certificate=certificate) as server:
        yield server


def test_tls_is_spoken_where_the_certificate_is_trusted(guarded, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with contextlib.closing(engine_on(guarded)) as engine:
        assert engine.query("SELECT 'é' AS t")["t"] == ["é"]
        with engine.pool.wire() as wire:
            assert isinstance(wire.driver.socket, ssl.SSLSocket)


def test_a_certificate_that_is_not_trusted_is_refused(guarded):
    with contextlib.closing(engine_on(guarded)) as engine, pytest.raises(StoreUnavailable, match="certificate"):
        engine.query("SELECT 1 AS n")


def test_a_wrong_password_is_one_sentence(guarded, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    address = Address(guarded.host, guarded.port)
    engine = ServerEngine([address], Login("tracker", "guess", secure=True), database="metrics", pool_size=1, max_overflow=0, timeout_s=1)
    with pytest.raises(StoreUnavailable) as refused:
        engine.query("SELECT 1 AS n")
    assert str(refused.value) == f"ClickHouse at {address} refuses user 'tracker' or the password: check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD."
    assert refused.value.code == 516


# From the command line -------------------------------------------------------------------------------------------------------------------------------


def migrate_clickhouse(data_dir: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "DATA_DIR": str(data_dir), "ENVIRONMENT": "test", "CLICKHOUSE_HOST": "127.0.0.1"} | settings
    command = [sys.executable, "manage.py", "migrate_clickhouse", *arguments]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=PATIENCE_S)


def test_the_tables_are_planned_made_and_then_up_to_date(server, tmp_path):
    settings = {"CLICKHOUSE_PORT": str(server.port), "CLICKHOUSE_DATABASE": "commanded"}
    planned = migrate_clickhouse(tmp_path, "--plan", **settings)
    assert (planned.returncode, planned.stdout.count("CREATE TABLE IF NOT EXISTS commanded.")) == (0, 4)
    assert "Applied 0001_points" in migrate_clickhouse(tmp_path, **settings).stdout
    assert migrate_clickhouse(tmp_path, **settings).stdout == migrate_clickhouse(tmp_path, "--plan", **settings).stdout == "Nothing to apply.\n"
    assert not (tmp_path / "clickhouse").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"CLICKHOUSE_HOST": "no-such-host.invalid"}, "check CLICKHOUSE_HOST and CLICKHOUSE_PORT"),
        ({"CLICKHOUSE_PORT": "CLOSED"}, "check CLICKHOUSE_HOST and CLICKHOUSE_PORT"),
        ({"CLICKHOUSE_PASSWORD": "wrong"}, "check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD"),
        ({"CLICKHOUSE_REPLICA": "there:port"}, "CLICKHOUSE_REPLICA='there:port'"),
        ({"CLICKHOUSE_PORT": "many"}, "CLICKHOUSE_PORT='many'"),
        ({"CLICKHOUSE_POOL_SIZE": "0"}, "CLICKHOUSE_POOL_SIZE=0"),
        ({"CLICKHOUSE_SECURE": "perhaps"}, "CLICKHOUSE_SECURE='perhaps'"),
        ({"CLICKHOUSE_CLUSTER": "a'b"}, "CLICKHOUSE_CLUSTER"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_1(server, tmp_path, settings, said):
    given = {"CLICKHOUSE_PORT": str(server.port)} | {name: str(free_port()) if value == "CLOSED" else value for name, value in settings.items()}
    done = migrate_clickhouse(tmp_path, **given)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    assert said in done.stderr
    assert done.stderr.count("check CLICKHOUSE_") <= 1


def test_the_plan_for_a_cluster_names_every_hosts_table_and_the_one_that_spans_them(server, tmp_path):
    settings = {"CLICKHOUSE_PORT": str(server.port), "CLICKHOUSE_DATABASE": "planned", "CLICKHOUSE_CLUSTER": "main"}
    planned = migrate_clickhouse(tmp_path, "--plan", **settings).stdout
    assert planned.count("CREATE TABLE IF NOT EXISTS planned.metrics_local ON CLUSTER 'main'") == 1
    assert planned.count("CREATE TABLE IF NOT EXISTS planned.metrics ON CLUSTER 'main' AS planned.metrics_local ENGINE = Distributed(") == 1
