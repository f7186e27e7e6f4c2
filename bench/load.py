"""Clients that cost the server's machine as little as can be: a process each, a plain socket, every request made before the clock starts."""

from __future__ import annotations

import json
import math
import multiprocessing
import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CLIENTS = 4
BEGAN_S = 1_763_900_000.25
Maker = Callable[[int], list[bytes]]
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Taken:
    """What a round took: seconds from the first request to the last answer, and each request's own seconds, sorted."""

    seconds: float
    latencies: list[float]

    def quantile(self, share: float) -> float:
        """The latency that `share` of the requests stayed under."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


def post(path: str, body: Any, token: str) -> bytes:
    """A whole POST request."""
    content = json.dumps(body).encode()
    head = (
        f"POST /api/v1/metrics/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def curve(count: int, *, seed: object) -> list[float]:
    """A loss as training makes it: it falls, and it is noisy in every bit."""
    chance = random.Random(str(seed))
    return [2.5 * math.exp(-i / 3000) + 0.1 + chance.gauss(0, 0.02) for i in range(count)]


def steps_and_times(first: int, count: int, *, seed: object) -> tuple[list[int], list[float]]:
    """Steps from `first`, and a moment for each, some 0.1 s apart."""
    chance = random.Random(f"times {seed}")
    return list(range(first, first + count)), [round(BEGAN_S + 0.1 * i + chance.uniform(0, 0.02), 6) for i in range(first, first + count)]


def rows(first: int, count: int, *, seed: object) -> dict[str, Any]:
    """A batch in rows."""
    steps, times = steps_and_times(first, count, seed=seed)
    parts = zip(curve(count, seed=seed), steps, times, strict=True)
    return {"metrics": [{"metric_name": "loss", "metric_value": value, "step": step, "timestamp": at} for value, step, at in parts]}


def columns(first: int, count: int, *, seed: object) -> dict[str, Any]:
    """A batch in columns."""
    steps, times = steps_and_times(first, count, seed=seed)
    return {"steps": steps, "timestamps": times, "metrics": {"loss": curve(count, seed=seed)}}


def sent(port: int, make: Maker, *, clients: int = CLIENTS) -> Taken:
    """Let each client send what `make(client)` gives it, one request after the other. Fails on any answer but 200."""
    start, answers = FORK.Barrier(clients), FORK.Queue()
    processes = [FORK.Process(target=client, args=(port, make, number, start, answers)) for number in range(clients)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=240) for _ in processes]
    for process in processes:
        process.join()
    failed = [latencies for _, _, latencies in found if isinstance(latencies, str)]
    if failed:
        raise RuntimeError(failed[0])
    seconds = max(end for _, end, _ in found) - min(begin for begin, _, _ in found)
    return Taken(seconds, sorted(latency for _, _, latencies in found for latency in latencies))


def client(port: int, make: Maker, number: int, start: Any, answers: Any) -> None:  # Any: multiprocessing's own types
    """One client's process: (begin, end, latencies or what went wrong) into `answers`."""
    try:
        requests = make(number)
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start.wait(timeout=120)
        begin = time.monotonic()
        answers.put((begin, *timed(connection, requests)))
    except Exception as error:  # the parent waits for an answer
        answers.put((0.0, 0.0, repr(error)))


def timed(connection: socket.socket, requests: Sequence[bytes]) -> tuple[float, list[float]]:
    """(when the last answer came, seconds of each request)."""
    latencies = []
    for request in requests:
        before = time.monotonic()
        connection.sendall(request)
        head, body = answered(connection)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head[:100]!r} {body[:300]!r}")
        latencies.append(time.monotonic() - before)
    return time.monotonic(), latencies


def answered(connection: socket.socket) -> tuple[bytes, bytes]:
    """(head, body) of one answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")).split(b":")[1])
    while len(body) < length:
        body += more(connection)
    return head, body


def more(connection: socket.socket) -> bytes:
    """The next bytes. Raises ConnectionError at the end."""
    part = connection.recv(1 << 20)
    if not part:
        raise ConnectionError("The server closed the connection.")
    return part
