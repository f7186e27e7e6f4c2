"""deploy/nginx.conf before the product's own web server: who may not send, and who is slow, is answered as without a proxy."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from config.errors import Unauthenticated
from operations.web_server import requests
from operations.web_server.gate import Gate
from operations.web_server.server import WebServer
from tests.deploy.nginx import Proxy, proxied
from tests.waiting import until
from tests.web_servers import running

LOG = "/api/v1/metrics/log-batch/digits/e"
PIECE = b" " * 100_000


class Application:
    """Answers how much it read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The length of the body."""
        said = str(len(environ["wsgi.input"].read())).encode()
        self.read.append(int(said))
        start_response("200 OK", [("Content-Length", str(len(said))), ("Content-Type", "text/plain")])
        return [said]


class TokensOnly(Gate):
    """Lets in whoever has any token."""

    def remembers(self, environ: Mapping[str, str]) -> str:
        """Everybody is asked for."""
        return ""

    def ask(self, environ: Mapping[str, str]) -> str:
        """Raise Unauthenticated for a stranger."""
        if "HTTP_AUTHORIZATION" not in environ:
            raise Unauthenticated("No token came.")
        return "somebody"


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def server(application: Application) -> Iterator[WebServer]:
    with running(application, TokensOnly()) as made:
        yield made


@pytest.fixture
def proxy(tmp_path: Path, server: WebServer) -> Iterator[Proxy]:
    with proxied(tmp_path, behind=server.bind_addr[1]) as made:
        yield made


def begun(connection: ssl.SSLSocket, path: str, length: int, *headers: str) -> None:
    """Send the head of a POST."""
    connection.sendall("\r\n".join([f"POST {path} HTTP/1.1", "Host: lab.example.org", f"Content-Length: {length}", *headers, "", ""]).encode())


def status(connection: ssl.SSLSocket) -> int:
    """That of the answer."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


@pytest.mark.parametrize("path", [LOG, "/api/v1/experiments", "/projects/new"])
def test_a_stranger_is_refused_while_the_rest_of_a_large_body_is_not_here_yet(proxy, application, path):
    with proxy.socket() as connection:
        begun(connection, path, 1_900_000)
        connection.sendall(PIECE)
        assert status(connection) == 401
    assert application.read == []


def test_a_stranger_who_sends_on_without_listening_reads_why_he_was_refused(proxy, application):
    for _ in range(10):
        with proxy.socket() as connection:
            begun(connection, LOG, 99_000_000)
            for _ in range(50):
                connection.sendall(PIECE)
            assert status(connection) == 401
    assert application.read == []
    assert proxy.post("/", 1)[0] == 200


def test_a_body_that_drips_is_ended_by_the_product(proxy, application, monkeypatch):
    monkeypatch.setattr(requests, "GRACE_S", 0.5)
    with proxy.socket() as connection:
        begun(connection, "/api/v1/experiments", 5_000)
        connection.sendall(b"1234")
        assert status(connection) == 408
    assert application.read == []


def test_a_chunked_body_that_is_not_here_with_its_head_is_refused_as_it_is_without_a_proxy(proxy, application):
    with proxy.socket() as connection:
        connection.sendall(f"POST {LOG} HTTP/1.1\r\nHost: lab.example.org\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n".encode())
        assert status(connection) == 400
    assert application.read == []


def test_slow_bodies_hold_no_thread_of_the_product(proxy, server, application):
    with proxy.socket() as slow, proxy.socket() as slower, proxy.socket() as slowest:
        for connection in (slow, slower, slowest):
            begun(connection, "/api/v1/experiments", 10)
            connection.sendall(b"1234")
        until(lambda: len(server.active_channels) == 3, "bodies that are under way")
        assert proxy.post("/", 1)[0] == 200
        slow.sendall(b"567890")
        assert status(slow) == 200
    assert application.read == [1, 10]


def test_a_large_body_of_somebody_known_comes_whole_and_its_connection_is_kept(proxy, application):
    with proxy.socket() as connection:
        for _ in range(2):
            begun(connection, LOG, 3_000_000, "Authorization: Bearer x")
            for _ in range(30):
                connection.sendall(PIECE)
            assert status(connection) == 200
    assert application.read == [3_000_000, 3_000_000]
