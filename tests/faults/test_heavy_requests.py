"""One person asks for 24 large answers at once: two are made, a few wait, the others are told to come again, and everybody else is answered as ever."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.faults.served import Served

pytestmark = pytest.mark.faults
PROJECT, RUNS, PARAMS, ASKED = "wide", 20, 2_000, 24
# Each condition reads the params of every run.
FILTER = " and ".join(f"params.k{n} < 1e9" for n in range(60))
LARGE = f"/api/v1/experiments?project={PROJECT}&fields=id&where={quote(FILTER)}"
# Of the time that all of them take. Without the lane /health waits for nearly as long, on two cores for eight seconds.
QUICK = 0.5


def filled(server: Served) -> None:
    """Runs with many params, so that a filter over them takes a while."""
    params = {f"k{n}": n + 0.5 for n in range(PARAMS)}
    for n in range(RUNS):
        status, _, answer = server.call("POST", "/experiments", {"project": PROJECT, "create_project": True, "name": f"run {n}", "params": params})
        assert status == 201, answer


def answered(server: Served, statuses: list[int]) -> None:
    """One large question; its status, and of a refusal what it says."""
    status, headers, body = server.ask("GET", LARGE, headers={"Authorization": f"Bearer {server.token}"}, timeout_s=60)
    statuses.append(status)
    if status != 200:
        assert json.loads(body)["error"]["code"] == "too_many_heavy_requests", body
        assert int(headers["Retry-After"]) > 0


def slowest_health(server: Served, is_over: threading.Event) -> float:
    """How long /health took at most, asked again and again on connections of its own."""
    slowest = 0.0
    while not is_over.is_set():
        began = time.monotonic()
        assert server.ask("GET", "/health", timeout_s=30)[0] == 200
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.02)
    return slowest


def test_one_persons_heavy_requests_hold_nobody_else(served: Callable[..., Served]) -> None:
    server = served()
    server.start()
    filled(server)
    statuses: list[int] = []
    is_over, began = threading.Event(), time.monotonic()
    with ThreadPoolExecutor(ASKED + 1) as pool:
        health = pool.submit(slowest_health, server, is_over)
        asked = [pool.submit(answered, server, statuses) for _ in range(ASKED)]
        for each in asked:
            each.result()
        is_over.set()
        took = time.monotonic() - began
        slowest = health.result()
    found = Counter(statuses)
    assert set(found) == {200, 429}
    assert found[200] >= 6  # two that worked, and four that waited
    assert slowest < QUICK * took
    assert server.stop() == 0
