"""Clients that write without pause, as scripts do, and keep account of what became of every point."""

from __future__ import annotations

import http.client
import json
import math
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.faults.ledger import Batch, Fate
from tests.faults.served import Served
from tests.faults.stored import points_of

PROJECT = "faults"
EXPERIMENTS = ("e0", "e1", "e2", "e3")
CLIENTS = 8
BEGAN_US = 1_763_900_000_000_000
ODD_VALUES = (math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 0.1, 1 / 3, 1e15)
WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
BROKEN = (OSError, http.client.HTTPException)
ANSWERS_EXPECTED = {200, 503}
GIVE_UP_S = 60.0


class Client(threading.Thread):
    """One script. Even numbers share the series `shared`; each has series of its own; no step is used twice in a series."""

    def __init__(self, served: Served, number: int, *, seed: int) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.served, self.number, self.random = served, number, random.Random(f"{seed} {number}")
        self.token = served.token
        self.experiment = EXPERIMENTS[number % len(EXPERIMENTS)]
        self.next_step = (number - CLIENTS // 2) * 100_000_000
        self.sent: list[Batch] = []
        self.kept_bodies: list[tuple[Batch, str, bytes]] = []
        self.answers = Counter[int]()
        self.problems: list[str] = []
        self.replayed = self.looked_up = self.broken = 0
        self.connection: http.client.HTTPConnection | None = None
        self.asked_to_stop = threading.Event()

    # What it writes

    def run(self) -> None:
        """Write until asked to stop."""
        while not self.asked_to_stop.is_set():
            try:
                self.write()
            except Exception as error:  # a thread's own failure has to reach the test
                self.problems.append(f"{self.name}: {error!r}")
                raise
            time.sleep(self.random.uniform(0, 0.02))

    def write(self) -> None:
        """One batch of some kind, to its end; sometimes an old one once more."""
        make = self.random.choice((self.rows, self.columns, self.columns, self.single))
        batch, path, body = make()
        if self.random.random() < 0.5:
            batch.key = uuid.uuid4().hex
        self.sent.append(batch)
        self.deliver(batch, path, body)
        if batch.key and batch.fate is Fate.ACKNOWLEDGED and self.random.random() < 0.2:
            self.kept_bodies.append((batch, path, body))
        if self.kept_bodies and self.random.random() < 0.1:
            self.repeat(*self.kept_bodies.pop(self.random.randrange(len(self.kept_bodies))))

    def rows(self) -> tuple[Batch, str, bytes]:
        """A batch in rows, of two metrics in turn."""
        steps, times, values = self.fresh(self.random.randint(1, 120))
        metrics = [self.metrics[i % 2] for i in range(len(steps))]
        rows = [self.row(*parts) for parts in zip(metrics, steps, times, values, strict=True)]
        batch = Batch(self.experiment, {metric: points_of(steps[i::2], times[i::2], values[i::2]) for i, metric in enumerate(self.metrics)})
        return batch, f"log-batch/{PROJECT}/{self.experiment}", json.dumps({"metrics": rows}).encode()

    def columns(self) -> tuple[Batch, str, bytes]:
        """A batch in columns; the second has gaps."""
        steps, times, values = self.fresh(self.random.randint(2, 300))
        own, other = self.metrics
        halves = [word(value) if i % 3 else None for i, value in enumerate(values)]
        body = {"steps": steps, "timestamps": [at / 1e6 for at in times], "metrics": {own: [word(value) for value in values], other: halves}}
        there = [i for i in range(len(steps)) if i % 3]
        some = points_of(*([column[i] for i in there] for column in (steps, times, values)))
        return Batch(self.experiment, {own: points_of(steps, times, values), other: some}), f"log-batch/{PROJECT}/{self.experiment}", json.dumps(body).encode()

    def single(self) -> tuple[Batch, str, bytes]:
        """One point; a value that is no number goes as the literal that Python's json writes."""
        steps, times, values = self.fresh(1)
        row = self.row(self.metrics[0], steps[0], times[0], values[0]) | {"metric_value": values[0]}
        return Batch(self.experiment, {self.metrics[0]: points_of(steps, times, values)}), f"log/{PROJECT}/{self.experiment}", json.dumps(row).encode()

    @property
    def metrics(self) -> tuple[str, str]:
        """Its two series."""
        return f"client {self.number}/потеря", f"client {self.number}/acc" if self.number % 2 else "shared"

    def fresh(self, count: int) -> tuple[list[int], list[int], list[float]]:
        """Steps, times and values that nobody sent before."""
        steps = list(range(self.next_step, self.next_step + count))
        self.next_step += count
        values = [self.random.choice(ODD_VALUES) if self.random.random() < 0.03 else self.random.gauss(1, 0.5) for _ in steps]
        return steps, [BEGAN_US + step * 1000 for step in steps], values

    def row(self, metric: str, step: int, time_us: int, value: float) -> dict[str, Any]:
        """A point as JSON."""
        return {"metric_name": metric, "metric_value": word(value), "step": step, "timestamp": time_us / 1e6, "host": f"gpu{self.number}"}

    # How it sends

    def deliver(self, batch: Batch, path: str, body: bytes) -> None:
        """Send until answered, where a key makes that safe; else once."""
        is_awaited = self.random.random() < 0.15
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            answer = self.attempt(path + "?wait=visible" * is_awaited, body, batch.key)
            if answer is not None:
                self.note(batch, *answer)
                if is_awaited and answer[0] == 200 and answer[2]["visible"]:
                    self.look_up(batch)
            if batch.fate is Fate.ACKNOWLEDGED or not batch.key:
                return
            time.sleep(0.05)
        self.problems.append(f"{self.name}: a batch with a key was not taken within {GIVE_UP_S} s")

    def note(self, batch: Batch, status: int, headers: Mapping[str, str], answer: Any) -> None:
        """What the server said of a batch."""
        self.answers[status] += 1
        if status == 200:
            batch.fate, batch.batch_id = Fate.ACKNOWLEDGED, answer["batch_id"]
            if answer["accepted"] != len(batch):
                self.problems.append(f"accepted {answer['accepted']} of {len(batch)}")
        elif status in ANSWERS_EXPECTED and "Retry-After" in headers:
            batch.fate = Fate.MAYBE if batch.key else Fate.REFUSED
        else:
            self.problems.append(f"{status} {dict(headers)} {answer}")

    def repeat(self, batch: Batch, path: str, body: bytes) -> None:
        """Send an acknowledged batch again: the first answer has to come again, across restarts too."""
        answer = self.attempt(path, body, batch.key)
        if answer is None or answer[0] == 503:
            return
        status, headers, content = answer
        if (status, headers.get("Idempotent-Replayed"), content.get("batch_id")) != (200, "true", batch.batch_id):
            self.problems.append(f"a repeat was answered {status} {headers} {content}, first {batch.batch_id}")
        self.replayed += 1

    def look_up(self, batch: Batch) -> None:
        """A batch that is said to be visible can be read."""
        metric, points = next(iter(batch.points.items()))
        step = int(points["step"][-1])
        answer = self.attempt(f"timeseries/{PROJECT}/{self.experiment}/{http_path(metric)}?from={step}&to={step}")
        if answer is None or answer[0] == 503:
            return
        if answer[0] != 200 or answer[2]["count"] != 1:
            self.problems.append(f"visible, and read as {answer[0]} {answer[2]}")
        self.looked_up += 1

    def attempt(self, path: str, body: bytes | None = None, key: str = "") -> tuple[int, Mapping[str, str], Any] | None:
        """One request on the kept connection: (status, headers, JSON), or None where it broke off."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        connection = self.connected()
        try:
            connection.request("GET" if body is None else "POST", f"/api/v1/metrics/{path}", body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), json.loads(response.read())
        except BROKEN:
            self.broken += 1
            self.disconnect()
            return None

    def connected(self) -> http.client.HTTPConnection:
        """The kept connection, made anew where it is gone: nothing is sent before the server listens."""
        deadline = time.monotonic() + GIVE_UP_S
        while self.connection is None or self.connection.sock is None:
            fresh = self.served.connection()
            try:
                fresh.connect()
                self.connection = fresh
            except OSError:
                fresh.close()
                assert time.monotonic() < deadline, f"nobody listened for {GIVE_UP_S} s"
                time.sleep(0.02)
        return self.connection

    def disconnect(self) -> None:
        """Let the connection go."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def word(value: float) -> Any:
    """A value as JSON has it."""
    return WORDS.get(repr(value), value)


def http_path(text: str) -> str:
    """Text within an address."""
    from urllib.parse import quote

    return quote(text)


class Clients:
    """All of them together."""

    def __init__(self, served: Served, *, seed: int) -> None:
        served.make_experiments(PROJECT, [*EXPERIMENTS, "sentinel"])
        self.all = [Client(served, number, seed=seed) for number in range(CLIENTS)]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write while the block runs."""
        for client in self.all:
            client.start()
        try:
            yield
        finally:
            for client in self.all:
                client.asked_to_stop.set()
            for client in self.all:
                client.join(timeout=GIVE_UP_S + 30)
                client.disconnect()

    @property
    def batches(self) -> Iterator[Batch]:
        """Everything that was sent."""
        return (batch for client in self.all for batch in client.sent)

    @property
    def problems(self) -> list[str]:
        """What no client should have seen."""
        unfinished = [f"{client.name} did not end" for client in self.all if client.is_alive()]
        return unfinished + [problem for client in self.all for problem in client.problems]

    def total(self, name: str) -> int:
        """A count over all clients."""
        return sum(getattr(client, name) for client in self.all)


def drained(served: Served) -> None:
    """Wait until everything acknowledged so far can be read."""
    point = {"metric_name": "sentinel", "metric_value": 1, "step": np.random.default_rng().integers(2**60).item()}
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        status, _, answer = served.call("POST", f"/metrics/log/{PROJECT}/sentinel?wait=visible", point, {"Idempotency-Key": f"sentinel {point['step']}"})
        if status == 200 and answer["visible"]:
            return
    raise AssertionError(f"not drained within {GIVE_UP_S} s: {status} {answer}")
