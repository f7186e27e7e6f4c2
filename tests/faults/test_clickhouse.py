"""A ClickHouse server that is away, killed or hung loses nothing that the product acknowledged, and doubles nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clickhouse_server import ClickHouseServer, suspended
from tests.faults.ledger import account
from tests.faults.served import ROOT, Served, environment
from tests.faults.stored import stored
from tests.faults.writing import ANSWERS_EXPECTED, Clients, drained
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.server]
KILLS = int(os.environ.get("CLICKHOUSE_KILLS", "10"))
SEED = int(os.environ.get("KILL_SEED", str(random.SystemRandom().randrange(10**6))))


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """A server that is not started yet."""
    server = ClickHouseServer(tmp_path / "clickhouse")
    yield server
    server.stop()


def kill_again_and_again(clickhouse: ClickHouseServer, chance: random.Random) -> None:
    """Kill it KILLS times, leave it away for a moment, start it again; in between it hangs once."""
    for number in range(KILLS):
        time.sleep(chance.uniform(0.2, 1.5))
        if number == KILLS // 2:
            with suspended(clickhouse):
                time.sleep(2)
        clickhouse.kill()
        time.sleep(chance.uniform(0.0, 0.5))
        clickhouse.start()


def test_points_are_taken_without_clickhouse_and_none_is_lost_while_it_is_killed(
    served: Callable[..., Served], clickhouse: ClickHouseServer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"CLICKHOUSE_HOST": clickhouse.host, "CLICKHOUSE_PORT": str(clickhouse.port)}
    server = served(METRICS_FLUSH_INTERVAL="0.2", METRICS_ACCESS_CACHE_S="30", **settings)
    server.start()
    assert json.loads(server.ask("GET", "/ready")[2])["status"] == "degraded"
    clients = Clients(server, seed=SEED)
    began = time.monotonic()
    with clients.writing():
        time.sleep(1)
        clickhouse.start()
        command = [sys.executable, "manage.py", "migrate_clickhouse"]
        subprocess.run(command, cwd=ROOT, env=environment({**settings, "DATA_DIR": str(server.data_dir)}), check=True, capture_output=True)
        kill_again_and_again(clickhouse, random.Random(SEED))
    drained(server)
    until(lambda: json.loads(server.ask("GET", "/ready")[2])["status"] == "ready", "a server that is ready again")  # each of its parts looks for itself
    batches = list(clients.batches)
    assert server.stop() == 0, server.printed()
    found = stored(server.data_dir, **settings)
    for series in [series for series in found.series if series[0] == "sentinel"]:
        del found.series[series]
    result = account(batches, found)
    with capsys.disabled():
        print(f"\n{KILLS} kills of ClickHouse, seed {SEED}, {time.monotonic() - began:.0f} s: {result}.")
    assert not clients.problems, f"seed {SEED}: {clients.problems[:10]}"
    answers = sum((client.answers for client in clients.all), Counter[int]())
    assert set(answers) <= ANSWERS_EXPECTED, answers
    assert result.is_clean, f"seed {SEED}: {result}"
    assert result.acknowledged > 1000 * KILLS, "hardly anything was written: the test shows nothing"


def test_serve_makes_the_tables_of_a_clickhouse_server_by_itself(served: Callable[..., Served], clickhouse: ClickHouseServer) -> None:
    clickhouse.start()
    server = served(CLICKHOUSE_HOST=clickhouse.host, CLICKHOUSE_PORT=str(clickhouse.port))
    server.start()
    assert json.loads(server.ask("GET", "/ready")[2])["status"] == "ready"
    assert server.stop() == 0, server.printed()
