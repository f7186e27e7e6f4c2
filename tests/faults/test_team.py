"""A team's servers go away one after the other, under load: points are taken all the while, and none is lost."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clickhouse_server import suspended
from tests.faults.ledger import account
from tests.faults.team import Team
from tests.faults.workers import Workers
from tests.faults.writing import ANSWERS_EXPECTED, BROKEN, PROJECT, Clients

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.server]
OUTAGE_S = float(os.environ.get("OUTAGE_S", "60"))
CALM_S = 10.0
HANG_S = 45.0  # past the time for which a known token is remembered
DATABASE_TIMEOUT_S = 15.0


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """A team's servers, running."""
    found = Team(tmp_path, METRICS_FLUSH_INTERVAL="0.2", METRICS_ACCESS_CACHE_S="30")
    try:
        found.start()
        yield found
    finally:
        found.remove()


class Probe(threading.Thread):
    """One point after the other to a series of its own, each timed: what a script feels."""

    def __init__(self, web: Workers) -> None:
        super().__init__(daemon=True)
        self.web, self.token, self.latencies, self.statuses = web, web.token, list[float](), Counter[int]()
        self.asked_to_stop = threading.Event()

    def run(self) -> None:
        """Until asked to stop."""
        connection, step = self.web.connection(), 0
        while not self.asked_to_stop.is_set():
            body, step = json.dumps({"metric_name": "probe", "metric_value": step / 7, "step": step}), step + 1
            began = time.monotonic()
            try:
                connection.request("POST", f"/api/v1/metrics/log/{PROJECT}/sentinel", body, {"Authorization": f"Bearer {self.token}"})
                answer = connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
            except BROKEN:
                connection.close()
                self.statuses[0] += 1
            self.latencies.append(time.monotonic() - began)
            time.sleep(0.02)

    def statuses_of_the_last(self, seconds: float) -> set[int]:
        """Which answers there were in a stretch that just ran."""
        before = Counter(self.statuses)
        time.sleep(seconds)
        return set(Counter(self.statuses) - before)

    def of_the_last(self, seconds: float) -> str:
        """Median and p99 of a stretch that just ran."""
        before = len(self.latencies)
        time.sleep(seconds)
        taken = sorted(self.latencies[before:])
        return f"p50 {taken[len(taken) // 2] * 1000:.1f} ms, p99 {taken[int(len(taken) * 0.99)] * 1000:.1f} ms of {len(taken)}"


class Reader(threading.Thread):
    """One look at the list of experiments after the other, each timed."""

    def __init__(self, web: Workers) -> None:
        super().__init__(daemon=True)
        self.web, self.latencies, self.statuses = web, list[float](), Counter[int]()
        self.asked_to_stop = threading.Event()

    def run(self) -> None:
        """Until asked to stop."""
        while not self.asked_to_stop.is_set():
            began = time.monotonic()
            self.statuses[self.web.call("GET", f"/experiments?project={PROJECT}")[0]] += 1
            self.latencies.append(time.monotonic() - began)
            time.sleep(0.1)


def test_a_metric_store_that_is_away_for_a_minute_keeps_nobody_from_logging(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    clients, probe = Clients(team.web, seed=21), Probe(team.web)
    with clients.writing():
        probe.start()
        calm = probe.of_the_last(CALM_S)
        team.clickhouse.stop()
        away = probe.of_the_last(OUTAGE_S)
        assert team.web.call("GET", f"/metrics/summary/{PROJECT}")[0] == 503
        assert json.loads(team.web.ask("GET", "/ready")[2])["status"] == "degraded"
        team.clickhouse.start()
        probe.asked_to_stop.set()
    probe.join()
    began = time.monotonic()
    team.web.await_drained()
    drained_s = time.monotonic() - began
    with capsys.disabled():
        print(f"\nOne point at a time: {calm} with the store; {away} in {OUTAGE_S:.0f} s without it;", end=" ")
        print(f"drained {drained_s:.1f} s after the last point.")
    assert set(probe.statuses) == {200}
    account_is_clean(team, clients)


def test_redis_and_postgresql_and_a_hung_store_in_turn_lose_nothing(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    clients = Clients(team.web, seed=22)
    with clients.writing():
        time.sleep(2)
        team.redis.kill()
        time.sleep(4)
        team.redis.start()
        with team.redis.paused():
            time.sleep(4)
        team.postgres.stop()
        time.sleep(6)
        team.postgres.start()
        time.sleep(2)
        with suspended(team.clickhouse):
            time.sleep(8)
        team.postgres.kill()
        team.postgres.start()
        time.sleep(2)
    team.web.await_drained()
    with capsys.disabled():
        print(f"\nRedis killed and hung, PostgreSQL stopped for 6 s and killed, ClickHouse hung for 8 s: {account_is_clean(team, clients)}")


def test_a_database_that_hangs_under_load_holds_nobody_and_loses_nothing(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    clients, probe, reader = Clients(team.web, seed=23), Probe(team.web), Reader(team.web)
    with clients.writing():
        probe.start()
        reader.start()
        calm = probe.of_the_last(CALM_S)
        assert set(reader.statuses) == {200}, reader.statuses
        with team.postgres.paused():
            began = time.monotonic()
            while 503 not in reader.statuses:
                assert time.monotonic() - began < 2 * DATABASE_TIMEOUT_S, "no page said that the record is away"
                time.sleep(0.1)
            said_after_s = time.monotonic() - began
            hung = probe.of_the_last(HANG_S)
        came_back = Counter(reader.statuses)
        began = time.monotonic()
        while reader.statuses[200] == came_back[200] or probe.statuses_of_the_last(1.0) != {200}:
            assert time.monotonic() - began < 60, f"the record was not found again: {reader.statuses}, {probe.statuses}"
        back_s = time.monotonic() - began
        probe.asked_to_stop.set()
        reader.asked_to_stop.set()
    probe.join()
    reader.join()
    team.web.await_drained()
    with capsys.disabled():
        print(f"\nOne point at a time: {calm}; {hung} while PostgreSQL hung for {HANG_S:.0f} s and more; answers {dict(probe.statuses)}.", end=" ")
        print(f"Pages said so after {said_after_s:.1f} s (the longest took {max(reader.latencies):.1f} s), and were back {back_s:.1f} s after it.")
    assert set(probe.statuses) <= {200, 503}
    assert set(reader.statuses) == {200, 503}
    assert max(reader.latencies) < 2 * DATABASE_TIMEOUT_S
    account_is_clean(team, clients)


def account_is_clean(team: Team, clients: Clients) -> str:
    """Every acknowledged point is there once, with summaries that agree; what was accounted."""
    assert team.web.stop() == 0, team.web.printed()
    found = team.web.stored()
    for series in [series for series in found.series if series[0] == "sentinel"]:
        del found.series[series]
    result = account(list(clients.batches), found)
    assert not clients.problems, clients.problems[:10]
    answers = sum((client.answers for client in clients.all), Counter[int]())
    assert set(answers) <= ANSWERS_EXPECTED, answers
    assert result.is_clean, result
    assert result.acknowledged > 1_000, "hardly anything was written: the test shows nothing"
    return str(result)
