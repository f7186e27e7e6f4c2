"""SIGTERM: requests in flight are finished, what waits is stored, and the process ends well and soon."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from operations.web_server.requests import GRACE_S
from tests.faults.ledger import Fate, account
from tests.faults.served import Served
from tests.faults.stored import stored
from tests.faults.test_failpoints import write
from tests.faults.writing import PROJECT, Clients, drained
from tests.waiting import until

pytestmark = pytest.mark.faults
STOP_WITHIN_S = 10.0


def test_a_stop_under_load_loses_nothing_and_ends_well(served: Callable[..., Served]) -> None:
    server = served(METRICS_FLUSH_INTERVAL="0.2")
    server.start()
    clients = Clients(server, seed=1)
    with clients.writing():
        for _ in range(3):
            time.sleep(1.0)
            began = time.monotonic()
            assert server.stop() == 0, server.printed()
            assert time.monotonic() - began < STOP_WITHIN_S
            server.start()
    drained(server)
    assert server.stop() == 0
    found = stored(server.data_dir)
    del found.series["sentinel", "sentinel"]
    result = account(clients.batches, found)
    assert not clients.problems, clients.problems[:10]
    assert result.is_clean, result
    assert result.acknowledged > 1000
    assert "Traceback" not in server.printed()


@pytest.mark.slow
def test_a_request_that_is_half_sent_when_the_stop_comes_is_finished(served: Callable[..., Served]) -> None:
    server = served()
    server.start()
    server.make_experiments(PROJECT, ["e"])
    body = json.dumps({"metric_name": "loss", "metric_value": 0.5, "step": 1}).encode()
    connection = server.connection()
    connection.putrequest("POST", f"/api/v1/metrics/log/{PROJECT}/e")
    for name, value in {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[:10])
    time.sleep(0.3)
    server.running.send_signal(signal.SIGTERM)
    until(lambda: not server.is_ready(), "a server that takes no more requests")
    connection.send(body[10:])
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["accepted"]) == (200, 1)
    connection.close()
    assert server.running.wait(timeout=STOP_WITHIN_S) == 0
    assert len(stored(server.data_dir).series["e", "loss"]) == 1


def test_a_stop_stores_what_waits(served: Callable[..., Served]) -> None:
    server = served(METRICS_FLUSH_INTERVAL="3600", METRICS_BATCH_SIZE="1000000")
    server.start()
    server.make_experiments(PROJECT, ["e"])
    sent = write(server, range(5))
    assert all(batch.fate is Fate.ACKNOWLEDGED for batch in sent)
    assert server.stop() == 0
    result = account(sent, stored(server.data_dir))
    assert result.is_clean, result


def test_connections_that_say_nothing_do_not_hold_the_stop_up(served: Callable[..., Served]) -> None:
    server = served()
    server.start()
    with silent_connections(server):
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < STOP_WITHIN_S


@pytest.mark.slow
def test_connections_that_say_nothing_do_not_hold_others_up(served: Callable[..., Served]) -> None:
    server = served()
    server.start()
    with silent_connections(server):
        assert server.ask("GET", "/health", timeout_s=5)[0] == 200


@pytest.mark.slow
def test_requests_that_are_half_sent_hold_nobody_up(served: Callable[..., Served]) -> None:
    server = served(arguments=("--no-demo", "--threads", "4"))
    server.start()
    head = f"POST /api/v1/metrics/log/{PROJECT}/e HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\nContent-Length: 100\r\n\r\n{{"
    server.make_experiments(PROJECT, ["e"])
    opened = [server.connection() for _ in range(8)]
    for connection in opened:
        connection.connect()
        connection.sock.sendall(head.encode())
    assert server.ask("GET", "/health", timeout_s=GRACE_S)[0] == 200
    for connection in opened:
        connection.close()
    assert write(server, range(1))[0].fate is Fate.ACKNOWLEDGED


@contextmanager
def silent_connections(server: Served) -> Iterator[None]:
    """More connections than the server has threads, opened ahead as browsers do."""
    opened = [server.connection() for _ in range(40)]
    for connection in opened:
        connection.connect()
    time.sleep(0.5)
    yield
    for connection in opened:
        connection.close()
