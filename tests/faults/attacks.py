"""What a stranger, or somebody with a token, sends to stop a server: each attack bounded in bytes and time. Each returns what it was answered."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

FORM = "Content-Type: application/x-www-form-urlencoded\r\nCookie: csrftoken=" + "a" * 32 + "\r\n"
JSON = "Content-Type: application/json\r\n"
MULTIPART = "Content-Type: multipart/form-data; boundary=b\r\n"
PATIENCE_S = 60.0
Attacked, Said = TypeVar("Attacked"), TypeVar("Said")
# Longer than this no check of health waits, whatever else the machine does.
HEALTH_S = 10.0


@dataclass(frozen=True)
class Target:
    """A server to attack, and the token of one of its people."""

    port: int
    token: str
    log: str

    @property
    def bearer(self) -> str:
        """The header with the token."""
        return f"Authorization: Bearer {self.token}\r\n"

    def connect(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def statuses(self, head: str, body: bytes, *, declared: int | None = None, times: int = 1) -> list[int]:
        """Send a request on that many connections at once; the status of each answer. 0 where there was none."""
        length = len(body) if declared is None else declared
        request = f"{head}Host: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode() + body
        with ThreadPoolExecutor(times) as together:
            return list(together.map(lambda _: self.status(request), range(times)))

    def status(self, request: bytes) -> int:
        """The status of the one answer to a request."""
        with self.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while b"\r\n" not in answer and (piece := connection.recv(65_536)):
                    answer += piece
            return int(answer.split(b" ")[1]) if answer else 0


def percent_encoded_sign_in(target: Target) -> list[int]:
    """A form of which each byte becomes a string of its own."""
    return target.statuses(f"POST /sign-in HTTP/1.1\r\n{FORM}", b"csrfmiddlewaretoken=" + b"%41" * 3_000_000, times=2)


def percent_encoded_forms(target: Target) -> list[int]:
    """The same, as large as a form may be, where only members may write."""
    return target.statuses(f"POST /projects/new HTTP/1.1\r\n{FORM}", b"csrfmiddlewaretoken=" + b"%41" * 650_000, times=12)


def points_of_a_stranger(target: Target) -> list[int]:
    """A large body without a token."""
    return target.statuses(f"POST {target.log} HTTP/1.1\r\n{JSON}", b" " * 20_000_000, declared=90_000_000, times=4)


def files_of_a_stranger(target: Target) -> list[int]:
    """Files for the folder of temporary ones."""
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * 5_000_000 + b"\r\n--b--\r\n"
    return target.statuses(f"POST /sign-in HTTP/1.1\r\n{MULTIPART}", body, times=4)


def gzip_to_the_tokens(target: Target) -> list[int]:
    """A few bytes that become many, to an address that needs no token."""
    body = gzip.compress(b" " * 10_000_000)
    return target.statuses(f"POST /api/v1/auth/token HTTP/1.1\r\n{JSON}Content-Encoding: gzip\r\n", body, times=24)


def lists_for_points(target: Target) -> list[int]:
    """A few bytes that become millions of lists."""
    body = gzip.compress(b'{"metrics":[' + b"[]," * 3_300_000 + b"[]]}")
    return target.statuses(f"POST {target.log} HTTP/1.1\r\n{JSON}{target.bearer}Content-Encoding: gzip\r\n", body, times=24)


def lists_for_a_run(target: Target) -> list[int]:
    """The same in the params of a run."""
    body = gzip.compress(b'{"project":"p","name":"n","params":{"x":[' + b"[]," * 1_300_000 + b"[]]}}")
    return target.statuses(f"POST /api/v1/experiments HTTP/1.1\r\n{JSON}{target.bearer}Content-Encoding: gzip\r\n", body, times=24)


def wrong_passwords(target: Target) -> list[int]:
    """Guesses, all at once."""
    body = json.dumps({"username": "admin", "password": "not the password"}).encode()
    return target.statuses(f"POST /api/v1/auth/token HTTP/1.1\r\n{JSON}", body, times=24)


def heads_that_take_long(target: Target) -> list[int]:
    """Heads made for patterns that read them in quadratic time."""
    heads = (b"GET a://" + b"1" * 60_000 + b" HTTP/1.x\r\n", b"GET / HTTP/1.1\r\nX: " + b" " * 60_000 + b"a\0\r\n")
    return [target.status(head + b"Host: 127.0.0.1\r\n\r\n") for head in heads]


def answers_not_taken(target: Target) -> list[int]:
    """Large files asked for again and again on connections that read nothing but the first bytes."""
    request = b"GET /static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(target.connect()) for _ in range(26)]
        for connection in connections:
            connection.sendall(request * 12)
        return [int(connection.recv(64).split(b" ")[1]) for connection in connections]


def bodies_that_stand_still(target: Target) -> list[int]:
    """Small bodies that never end, which fill the room for such of strangers; then one that needs room."""
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 65000\r\n\r\n"
    with contextlib.ExitStack() as opened:
        for _ in range(250):
            opened.enter_context(target.connect()).sendall(head + b"x" * 63_900)
        return [target.status(head + b"x" * 65_000)]


def members_of_nothing(target: Target) -> list[int]:
    """A body of gzip of which nothing comes, but slowly."""
    body = gzip.compress(b"") * 50_000
    return target.statuses(f"POST {target.log} HTTP/1.1\r\n{JSON}{target.bearer}Content-Encoding: gzip\r\n", body, times=4)


def smuggled(target: Target) -> list[int]:
    """A request inside the body of one that is refused."""
    inner = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answers = []
    for head in ("Transfer-Encoding: chunked\r\n", "Content-Length: 40\r\nContent-Length: 41\r\n", "Content-Length : 40\r\n"):
        with target.connect() as connection:
            connection.sendall(f"POST {target.log} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode() + inner * 3)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
            answers += [int(part.split(b" ")[0]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    return answers


# What each attack may be answered: it is turned away, never served, and never left without an answer.
ATTACKS: Sequence[tuple[Callable[[Target], list[int]], set[int]]] = (
    (percent_encoded_sign_in, {413}),
    (percent_encoded_forms, {401}),
    (points_of_a_stranger, {401}),
    (files_of_a_stranger, {413}),
    (gzip_to_the_tokens, {413, 503}),
    (lists_for_points, {413, 503}),
    (lists_for_a_run, {413, 503}),
    (wrong_passwords, {401, 429, 503}),
    (smuggled, {400}),
    (heads_that_take_long, {400}),
    (answers_not_taken, {200}),
    (bodies_that_stand_still, {403, 404, 405, 503}),
    (members_of_nothing, {400, 503}),
)


@contextlib.contextmanager
def dripping(target: Target, *, slow: int = 300, idle: int = 300) -> Iterator[Callable[[], None]]:
    """Connections that send one byte now and then, and such that say nothing. Call what is given for the next bytes."""
    halves = (f"GET /health HTTP/1.1\r\nHost: {'x' * 200}", f"POST {target.log} HTTP/1.1\r\n{target.bearer}Content-Length: 5000\r\n\r\n{'[' * 200}")
    places = [0] * slow
    with contextlib.ExitStack() as opened:
        silent = [opened.enter_context(target.connect()) for _ in range(idle)]
        drips = [opened.enter_context(target.connect()) for _ in range(slow)]
        assert len(silent) + len(drips) == slow + idle

        def drip() -> None:
            for number, connection in enumerate(drips):
                half = halves[number % 2].encode()
                with contextlib.suppress(OSError):  # it was hung up on, as it should be
                    connection.sendall(half[:-150] if not places[number] else half[-1:])
                places[number] += 1

        yield drip


def keep_asking(port: int, seconds: float) -> list[float]:
    """How many seconds each GET /health took, one after the other."""
    waits, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=HEALTH_S) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        waits.append(time.monotonic() - began)
        time.sleep(0.02)
    return waits


def keep_attacking(target: Target, seconds: float) -> dict[str, list[int]]:
    """All attacks at once, again and again; what each was answered."""
    return all_at_once([attack for attack, _ in ATTACKS], target, seconds)


def all_at_once(attacks: Sequence[Callable[[Attacked], list[Said]]], target: Attacked, seconds: float) -> dict[str, list[Said]]:
    """Those attacks, again and again for so long; what each was answered."""
    answered: dict[str, list[Said]] = {attack.__name__: [] for attack in attacks}
    ends = time.monotonic() + seconds

    def again(attack: Callable[[Attacked], list[Said]]) -> None:
        while time.monotonic() < ends:
            answered[attack.__name__] += attack(target)
            time.sleep(0.2)

    with ThreadPoolExecutor(len(attacks)) as together:
        list(together.map(again, attacks))
    return answered
