"""Clients that send half of a request and then nothing hold no thread for long, and nothing of what they sent is written."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from operations.web_server.requests import GRACE_S
from tests.faults.workers import Workers

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.server]
THREADS = 4
POINT = {"metric_name": "loss", "metric_value": 1.0, "step": 7}


def half_a_head(server: Workers) -> bytes:
    """A request whose head does not end."""
    return b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "


def half_a_body(server: Workers, path: str = "/metrics/log/digits/e", body: bytes = json.dumps(POINT).encode()) -> bytes:
    """A request whose body is one byte short."""
    head = f"POST /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.token}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1]


@contextmanager
def stalled(server: Workers, sent: bytes) -> Iterator[socket.socket]:
    """A connection on which that was sent, and on which nothing more comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        connection.sendall(sent)
        yield connection


def whole_answer(connection: socket.socket) -> bytes:
    """What comes until the server hangs up: head and body may come apart."""
    pieces = iter(lambda: connection.recv(65_536), b"")
    return b"".join(pieces)


@pytest.fixture
def server(workers: Callable[..., Workers]) -> Workers:
    """One process of four threads, with an experiment to log to."""
    made = workers(workers=1, SERVER_THREADS=str(THREADS))
    made.prepare()
    made.start()
    made.make_experiments("digits", ["e"])
    return made


@pytest.mark.parametrize("half", [half_a_head, half_a_body])
def test_half_sent_requests_on_every_thread_are_hung_up_on_and_others_are_served(server: Workers, half: Callable[[Workers], bytes]) -> None:
    with ExitStack() as held:
        connections = [held.enter_context(stalled(server, half(server))) for _ in range(2 * THREADS)]
        began = time.monotonic()
        status, _, _ = server.ask("GET", "/health", timeout_s=GRACE_S)
        print(f"answered after {time.monotonic() - began:.1f} s")
        assert status == 200
        answers = [whole_answer(connection) for connection in connections]
    assert all(b" 408 " in answer.partition(b"\r\n")[0] for answer in answers), answers
    assert half is half_a_head or all(b"nothing was written" in answer for answer in answers), answers
    assert server.call("GET", "/metrics/timeseries/digits/e/loss")[0] == 404  # no point of it was ever written
    assert server.stop() == 0
    assert "Traceback" not in server.printed()


def test_a_record_whose_body_breaks_off_is_not_made(server: Workers) -> None:
    body = json.dumps({"project": "digits", "name": "half"}).encode()
    with stalled(server, half_a_body(server, "/experiments", body)) as connection:
        answer = whole_answer(connection)
    assert answer.startswith(b"HTTP/1.1 408"), answer
    assert b"nothing was written" in answer
    assert [row["name"] for row in server.call("GET", "/experiments?project=digits")[2]["results"]] == ["e"]
