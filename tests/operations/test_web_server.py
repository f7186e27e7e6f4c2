"""What the web server does with what comes over its sockets, before the product sees a request. The application here says what it was given."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from config.errors import Unauthenticated
from config.web.bodies.in_flight import FLIGHT, STRANGERS
from operations.web_server import channel, requests
from operations.web_server.gate import Gate
from operations.web_server.server import WebServer
from tests.waiting import until
from tests.web_servers import running

POST = "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{}\r\n"
LOG = "/api/v1/metrics/log/digits/e"


class Answering:
    """A WSGI application that answers what it read, or waits until it may."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.may_go_on = threading.Event()

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The method, the path and the length of the body."""
        body = environ["wsgi.input"].read()
        self.seen.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/waits":
            self.may_go_on.wait(20)
        said = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {len(body)}".encode()
        if environ["PATH_INFO"] == "/much":
            said = b"x" * 30_000_000
        if environ["PATH_INFO"] == "/broken":
            raise ConnectionRefusedError("a server of the application's own")
        if environ["PATH_INFO"] == "/none":
            start_response("204 No Content", [])
            return []
        if environ["PATH_INFO"] == "/file":
            said = str("wsgi.file_wrapper" in environ).encode()
        start_response("200 OK", [("Content-Length", str(len(said))), ("Content-Type", "text/plain")])
        return [said]


class Doorkeeper(Gate):
    """Lets in whoever has any token, and remembers nobody but those with the token `known`."""

    def __init__(self) -> None:
        self.asked = 0

    def remembers(self, environ: Mapping[str, str]) -> str:
        """Who it is."""
        return "known" if environ.get("HTTP_AUTHORIZATION") == "Bearer known" else ""

    def ask(self, environ: Mapping[str, str]) -> str:
        """Who it is. Raises Unauthenticated for a stranger."""
        self.asked += 1
        if "HTTP_AUTHORIZATION" not in environ:
            raise Unauthenticated("No token came.")
        return environ["HTTP_AUTHORIZATION"]


@pytest.fixture
def application() -> Answering:
    """The application behind the server."""
    return Answering()


@pytest.fixture
def server(application: Answering) -> Iterator[WebServer]:
    """A server with two threads that answer."""
    with running(application, Doorkeeper()) as made:
        yield made
        application.may_go_on.set()


@contextlib.contextmanager
def connected(server: WebServer, *, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A connection from an address of this host."""
    with socket.create_connection(server.bind_addr, timeout=20, source_address=(source, 0)) as made:
        yield made


def all_answers(connection: socket.socket) -> bytes:
    """Everything that comes until the server hangs up."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def answered(server: WebServer, sent: bytes) -> bytes:
    """What comes back for those bytes, until the server hangs up."""
    with connected(server) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return all_answers(connection)


def one_answer(connection: socket.socket) -> bytes:
    """One answer with a body of a known length, whole."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65_536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length : 4\r\n",
        "Content-Length: +4\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Content-Length: 4\nX: y\r\n",
        " Content-Length: 4\r\n",
    ],
)
def test_a_head_that_two_readers_could_read_differently_is_refused_and_the_connection_ends(server, application, head):
    answer = answered(server, f"POST /a HTTP/1.1\r\nHost: x\r\n{head}\r\nabcdGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 501"))
    assert answer.count(b"HTTP/1.") == 1
    assert application.seen == []


def test_a_request_inside_the_body_of_a_refused_one_is_never_answered(server, application):
    inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = answered(server, (POST.format("/sign-in", 20_000, "") + inner * 500).encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"close" in answer.lower()
    assert application.seen == []


@pytest.mark.parametrize(
    ("path", "most"), [("/sign-in", 16_000), ("/api/v1/auth/token", 16_000), ("/projects/new", 2_000_000), ("/api/v1/experiments", 4_000_000)]
)
def test_a_body_is_limited_by_what_its_address_is_for(server, path, most):
    answer = answered(server, POST.format(path, most + 1, "").encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert f"{most:,}".encode() in answer
    with connected(server) as connection:
        connection.sendall(POST.format(path, most, "Authorization: Bearer x\r\n").encode() + b"y" * most)
        assert one_answer(connection).endswith(f"POST {path} {most}".encode())


def test_points_may_be_a_hundred_megabytes_and_no_more(server):
    answer = answered(server, POST.format(LOG, 100_000_001, "").encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_large"


def test_a_large_body_of_a_stranger_is_refused_before_it_comes(server, application):
    with connected(server) as connection:
        connection.sendall(POST.format(LOG, 50_000_000, "").encode())
        answer = one_answer(connection)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"No token came." in answer
    assert application.seen == []


def test_somebody_who_waits_for_100_continue_is_told_who_is_no_stranger_and_refused_without_it(server):
    with connected(server) as connection:
        connection.sendall(POST.format(LOG, 100_000, "Expect: 100-continue\r\n").encode())
        assert all_answers(connection).startswith(b"HTTP/1.1 401")
    with connected(server) as connection:
        connection.sendall(POST.format(LOG, 100_000, "Expect: 100-continue\r\nAuthorization: Bearer x\r\n").encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"y" * 100_000)
        assert one_answer(connection).endswith(b"100000")


def test_a_known_senders_large_body_and_what_follows_it_are_answered_in_turn(server):
    one = (POST.format(LOG, 100_000, "Authorization: Bearer x\r\n")).encode() + b"y" * 100_000
    with connected(server) as connection:
        connection.sendall(one + b"GET /after HTTP/1.1\r\nHost: x\r\n\r\n" + one)
        connection.shutdown(socket.SHUT_WR)
        answers = all_answers(connection)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.index(b"GET /after 0") < answers.rindex(b"100000")


@pytest.mark.parametrize(("token", "asked"), [("known", 0), ("x", 1)])
def test_who_was_asked_for_just_now_is_not_asked_for_again(server, token, asked):
    with connected(server) as connection:
        connection.sendall(POST.format(LOG, 900_000, f"Authorization: Bearer {token}\r\n").encode() + b"y" * 900_000)
        assert one_answer(connection).endswith(b"900000")
    assert server.gate.asked == asked


def test_somebody_who_sends_on_after_a_refusal_can_still_read_it(server):
    with connected(server) as connection:
        connection.sendall(POST.format("/sign-in", 9_000_000, "").encode())
        connection.sendall(b"%41" * 3_000_000)
        assert all_answers(connection).startswith(b"HTTP/1.1 413")


def test_connections_that_drip_hold_nobody_up(server):
    with contextlib.ExitStack() as opened:
        for _ in range(100):
            opened.enter_context(connected(server)).sendall(b"GET /health HTTP/1.1\r\nX: ")
            opened.enter_context(connected(server)).sendall(POST.format("/api/v1/experiments", 100, "").encode() + b"{")
            opened.enter_context(connected(server))
        assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")


def test_a_head_and_a_body_that_do_not_come_are_hung_up_on(server, application, monkeypatch):
    monkeypatch.setattr(requests, "HEAD_S", 0.5)
    monkeypatch.setattr(requests, "GRACE_S", 0.5)
    with connected(server) as head, connected(server) as body:
        head.sendall(b"GET /health HTTP/1.1\r\nX: ")
        body.sendall(POST.format("/a", 100, "").encode() + b"{")
        assert b" 408 " in all_answers(head).partition(b"\r\n")[0]
        answer = all_answers(body)
    assert b"408" in answer
    assert b"nothing was written" in answer
    assert application.seen == []


def test_a_connection_that_says_nothing_is_closed_in_the_end(server, monkeypatch):
    monkeypatch.setattr(channel, "IDLE_S", 0.5)
    with connected(server) as connection:
        assert connection.recv(1) == b""


def test_an_answer_that_is_not_taken_is_broken_off_and_its_thread_is_free(server, monkeypatch):
    monkeypatch.setattr(channel, "SPAN_S", 0.5)
    with contextlib.ExitStack() as opened:
        for _ in range(4):
            opened.enter_context(connected(server)).sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")
        until(lambda: not server.active_channels, "no connection that is not read from")


def test_the_next_answer_on_a_connection_begins_once_the_one_before_is_taken(server, application):
    request = b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as opened:
        several = [opened.enter_context(connected(server)) for _ in range(3)]
        for connection in several:
            connection.sendall(request * 2 + POST.format("/after", 1, "").encode() + b"y")
        assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")
        until(lambda: application.seen.count("/much") == 3, "the first answer of each")
        assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")
        assert application.seen.count("/much") == 3
        several[0].shutdown(socket.SHUT_WR)
        answers = all_answers(several[0])
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert len(answers) > 60_000_000
    assert answers.endswith(b"POST /after 1")
    until(lambda: not server.active_channels and STRANGERS.held == 0, "the bodies that waited let go")


def test_answers_that_lie_ready_are_bounded_together(server, monkeypatch):
    monkeypatch.setattr("operations.web_server.server.LYING_MOST", 60_000_000)
    monkeypatch.setattr("operations.web_server.server.TICK_S", 0.1)
    with contextlib.ExitStack() as opened:
        for _ in range(4):
            opened.enter_context(connected(server)).sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: len(server.active_channels) == 2, "those that are left lying for longest broken off")


def test_what_the_system_holds_of_an_answer_does_not_count_as_taken(server):
    with connected(server) as connection:
        connection.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: [one for one in server.active_channels.values() if one.sent], "some of it sent")
        (one,) = server.active_channels.values()
        until(lambda: one.taken < one.sent < 30_000_000, "some that the system holds")


def test_bodies_that_are_too_many_together_are_sent_again_later(server, monkeypatch):
    monkeypatch.setattr(FLIGHT, "most", 150_000)
    head = POST.format(LOG, 100_000, "Authorization: Bearer x\r\n").encode()
    with connected(server) as first, connected(server) as second:
        first.sendall(head + b"y" * 99_999)
        until(lambda: FLIGHT.held == 99_999, "most of the first body")
        second.sendall(head + b"y" * 100_000)
        answer = all_answers(second)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After" in answer
        first.sendall(b"y")
        assert one_answer(first).endswith(b"100000")


def test_one_sender_leaves_room_for_the_others(server, monkeypatch):
    monkeypatch.setattr(FLIGHT, "of_one", 150_000)
    head = "Authorization: Bearer {}\r\n"
    with connected(server) as first, connected(server) as second, connected(server) as other:
        first.sendall(POST.format(LOG, 100_000, head.format("x")).encode() + b"y" * 99_999)
        until(lambda: FLIGHT.held == 99_999, "most of the first body")
        second.sendall(POST.format(LOG, 100_000, head.format("x")).encode() + b"y" * 100_000)
        answer = all_answers(second)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"of yours" in answer
        other.sendall(POST.format(LOG, 100_000, head.format("z")).encode() + b"y" * 100_000)
        assert one_answer(other).endswith(b"100000")
        first.sendall(b"y")
        assert one_answer(first).endswith(b"100000")


def test_one_network_leaves_room_for_other_strangers_and_for_small_bodies_of_those_who_are_known(server, monkeypatch):
    monkeypatch.setattr(STRANGERS, "of_one", 100_000)
    body = POST.format("/a", 60_000, "").encode() + b"y" * 60_000
    with connected(server) as first, connected(server) as second, connected(server, source="127.0.0.2") as other, connected(server) as known:
        first.sendall(body[:-1])
        until(lambda: STRANGERS.held == 59_999, "most of the first body")
        second.sendall(body)
        assert all_answers(second).startswith(b"HTTP/1.1 503")
        other.sendall(body)
        assert one_answer(other).endswith(b"60000")
        known.sendall(POST.format(LOG, 60_000, "Authorization: Bearer known\r\n").encode() + b"y" * 60_000)
        assert one_answer(known).endswith(b"60000")


def test_a_body_that_came_quickly_and_stands_still_is_hung_up_on(server, application, monkeypatch):
    monkeypatch.setattr(requests, "SPAN_S", 0.5)
    monkeypatch.setattr(requests, "GRACE_S", 0.5)
    monkeypatch.setattr("operations.web_server.server.TICK_S", 0.1)
    with connected(server) as connection:
        connection.sendall(POST.format(LOG, 2_000_000, "Authorization: Bearer x\r\n").encode() + b"y" * 1_999_999)
        assert all_answers(connection).startswith(b"HTTP/1.1 408")
    assert application.seen == []


def test_small_bodies_of_strangers_take_no_room_of_those_who_are_known(server, monkeypatch):
    monkeypatch.setattr(STRANGERS, "most", 100_000)
    with connected(server) as first, connected(server) as second, connected(server) as known:
        first.sendall(POST.format("/a", 60_000, "").encode() + b"y" * 59_999)
        until(lambda: STRANGERS.held == 59_999, "most of the first body")
        second.sendall(POST.format("/a", 60_000, "").encode() + b"y" * 60_000)
        assert all_answers(second).startswith(b"HTTP/1.1 503")
        known.sendall(POST.format(LOG, 100_000, "Authorization: Bearer x\r\n").encode() + b"y" * 100_000)
        assert one_answer(known).endswith(b"100000")


def test_too_many_connections_make_room_by_the_quietest(server):
    server.connections = 20
    with contextlib.ExitStack() as opened:
        oldest, *others = (opened.enter_context(connected(server)) for _ in range(20))
        until(lambda: len(server.active_channels) == 20, "twenty connections")
        for connection in (others[0], *others[10:]):  # the second of all and the last nine say something after the others
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            one_answer(connection)
        late = [opened.enter_context(connected(server)) for _ in range(5)]
        assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")
        assert len(server.active_channels) <= 20
        for quiet in (oldest, *others[1:6]):
            assert quiet.recv(1) == b""
        for lively in (others[0], *others[6:], *late):
            lively.sendall(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one_answer(lively).endswith(b"GET /b 0")


def test_an_address_with_many_connections_makes_room_for_one_with_few(server):
    server.connections = 20
    with connected(server, source="127.0.0.2") as quiet, contextlib.ExitStack() as opened:
        until(lambda: len(server.active_channels) == 1, "the quiet one")
        for _ in range(30):
            opened.enter_context(connected(server))
        assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")
        quiet.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one_answer(quiet).endswith(b"GET /health 0")


def test_a_head_without_end_is_refused(server):
    answer = answered(server, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
    assert b" 431 " in answer.partition(b"\r\n")[0]


def test_no_answer_names_the_server(server):
    for sent in (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", POST.format("/sign-in", 20_000, "").encode(), b"nonsense\r\n\r\n"):
        assert b"server:" not in answered(server, sent).lower()


def test_many_requests_over_one_connection_are_all_answered_while_threads_end_at_any_moment(server):
    with connected(server) as connection:
        for _ in range(300):
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            while b"GET /b 0" not in got:
                got += connection.recv(65_536)


def test_a_request_in_flight_is_finished_by_a_stop_and_an_idle_connection_is_not_waited_for(server, application):
    with connected(server) as idle, connected(server) as working:
        working.sendall(b"GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: application.seen == ["/waits"], "the request being answered")
        server.stop()
        assert idle.recv(1) == b""
        application.may_go_on.set()
        began = time.monotonic()
        answer = one_answer(working)
        assert answer.endswith(b"GET /waits 0")
        assert b"connection: close" in answer.lower()
        assert time.monotonic() - began < 4


def test_a_connection_that_breaks_while_it_is_asked_who_sends_ends_nobody_else(server, monkeypatch):
    may_answer = threading.Event()
    monkeypatch.setattr(server.gate, "ask", lambda environ: may_answer.wait(20))
    with connected(server) as connection:
        head = POST.format(LOG, 100_000, "Authorization: Bearer x\r\nExpect: 100-continue\r\n").encode()
        connection.sendall(head + b"y" * 100_000)
        until(lambda: FLIGHT.held >= 100_000, "the whole body")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends by RST
    may_answer.set()
    assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")


def test_whatever_breaks_on_one_connection_ends_that_one_alone(server, monkeypatch):
    def broken(itself: channel.Channel, data: bytes) -> bool:
        raise AttributeError("as a mistake would")

    with connected(server) as connection:
        with monkeypatch.context() as patch:
            patch.setattr(channel.Channel, "received", broken)
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1) == b""
        assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")


def test_what_waits_behind_an_answer_that_broke_off_is_let_go(server):
    for _ in range(3):
        with connected(server) as connection:
            connection.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n" + (POST.format("/a", 60_000, "").encode() + b"y" * 60_000) * 3)
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: not server.active_channels and STRANGERS.held == 0, "nothing held")


def test_no_ring_of_the_bell_is_lost(server):
    with connected(server) as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        one_answer(connection)
        (one,) = server.active_channels.values()
        ends = time.monotonic() + 1
        ringers = [threading.Thread(target=lambda: [server.wake(one) for _ in iter(lambda: time.monotonic() < ends, False)]) for _ in range(4)]
        for ringer in ringers:
            ringer.start()
        for ringer in ringers:
            ringer.join()
        until(lambda: not server.woken, "every ring heard")
        assert not server.is_rung or server.bell.recv(1)


def test_blank_lines_and_requests_without_end_hold_nobody_up(server, application):
    with connected(server) as blank, connected(server) as many:
        many.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)
        many.shutdown(socket.SHUT_WR)
        blank.sendall(b"\r\n" * 500_000)
        assert answered(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"GET /health 0")
        answers = all_answers(many)
    assert b"Too many requests came" in answers
    assert application.seen.count("/a") < 3000


@pytest.mark.parametrize("head", ["X: y\r\n" * 300, 'Cookie: a="' + '\\"' * 600 + "\r\n"])
def test_a_head_that_takes_long_to_read_is_not_read(server, application, head):
    assert answered(server, f"GET /a HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode()).partition(b"\r\n")[0].split()[1] == b"400"
    assert application.seen == []


@pytest.mark.parametrize("head", ["GET a://" + "1" * 60_000 + " HTTP/1.x\r\n", "GET /a HTTP/1.1\r\nX: " + " " * 60_000 + "a\0\r\n"])
def test_a_head_made_to_be_read_in_quadratic_time_stops_nobody(server, application, head):
    assert answered(server, f"{head}Host: x\r\n\r\n".encode()).partition(b"\r\n")[0].split()[1] == b"400"
    assert application.seen == []


@pytest.mark.parametrize("line", ["GET http://x/a HTTP/1.1", "OPTIONS * HTTP/1.1", "GET /a?x=http://y:1/ HTTP/1.0", "GET /a HTTP/1.1  "])
def test_every_proper_first_line_is_read(server, line):
    assert answered(server, f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()).partition(b"\r\n")[0].split()[1] == b"200"


def test_an_answer_that_begins_late_has_its_whole_span(server, application, monkeypatch):
    monkeypatch.setattr(channel, "SPAN_S", 3.0)
    monkeypatch.setattr("operations.web_server.server.TICK_S", 0.1)
    with connected(server) as connection:
        connection.sendall(b"GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: application.seen == ["/waits"], "the request being answered")
        (one,) = server.active_channels.values()
        began = one.span_began
        until(lambda: one.span_began > began, "a span that begins anew while nothing lies ready")
        application.may_go_on.set()
        assert one_answer(connection).endswith(b"GET /waits 0")


def test_the_answer_to_head_has_no_body_and_the_next_one_is_in_step(server):
    with connected(server) as connection:
        connection.sendall(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        first, _, rest = all_answers(connection).partition(b"\r\n\r\n")
    assert b"Content-Length: 9" in first
    assert rest.startswith(b"HTTP/1.1 200")


def test_an_answer_without_a_body_keeps_its_connection(server):
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 204")


def test_an_error_of_the_application_is_the_servers_fault_and_stands_in_the_log(server, caplog):
    answer = answered(server, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.partition(b"\r\n")[0].split()[1] == b"500"
    assert "a server of the application's own" in caplog.text


def test_no_file_stays_open_until_its_answer_is_taken(server):
    assert answered(server, b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"False")
