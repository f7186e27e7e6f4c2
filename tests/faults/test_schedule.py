"""Killed in the middle of what runs by the clock: the next start goes on, and the tables are what they would have been."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests import waiting
from tests.faults.clocked import hours, keep_two_days, sweep_every_second
from tests.faults.served import Served

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.server]
PROJECTS = ("one", "two", "three")
POINTS = 3000
DAY_S = 86_400


def fill(server: Served) -> None:
    """Six days of points in each project."""
    began = time.time() // DAY_S * DAY_S - 6 * DAY_S
    times = began + np.arange(POINTS) * 6 * DAY_S / POINTS
    for number, project in enumerate(PROJECTS):
        server.make_experiments(project, ["e"])
        values = np.random.default_rng(number).normal(size=POINTS)
        body = {"steps": list(range(POINTS)), "timestamps": times.tolist(), "metrics": {"loss": values.tolist()}}
        assert server.call("POST", f"/metrics/log-batch/{project}/e?wait=visible", body)[2]["visible"]


def finished(data_dir: Path, task: str) -> int:
    """How many occurrences of a task are done, read beside the server."""
    record = sqlite3.connect(f"file:{data_dir / 'platform.sqlite3'}?mode=ro", uri=True, timeout=20)
    try:
        return int(record.execute("SELECT count(*) FROM metrics_occurrence WHERE task = ? AND finished_at IS NOT NULL", (task,)).fetchone()[0])
    finally:
        record.close()


until = partial(waiting.until, within_s=90.0)


def seeded(server: Served) -> bool:
    """Whether beat has made its entries."""
    record = sqlite3.connect(f"file:{server.data_dir / 'platform.sqlite3'}?mode=ro", uri=True, timeout=20)
    try:
        return bool(record.execute("SELECT count(*) FROM django_celery_beat_periodictask WHERE name = 'sweep'").fetchone()[0])
    finally:
        record.close()


def prepared(server: Served) -> None:
    """A server that was filled, stopped, and will sweep every second."""
    server.start()
    fill(server)
    until(lambda: seeded(server))
    assert server.stop() == 0
    sweep_every_second(server.data_dir)


def test_a_kill_in_the_middle_of_aggregation_changes_nothing_in_the_end(served: Callable[..., Served]) -> None:
    server = served()
    prepared(server)
    server.spawn(FAILPOINT="in-aggregation")
    assert server.wait_for_death() == -signal.SIGKILL
    half = hours(server.data_dir)
    assert 0 < len(half["rows"]) < 3 * 144
    assert "aggregate-daily-metrics" not in half["done"]
    server.start()
    until(lambda: finished(server.data_dir, "aggregate-daily-metrics"))
    assert server.stop() == 0
    found = hours(server.data_dir)
    assert (len(found["rows"]), {row[5] for row in found["rows"]} <= {20.0, 21.0}, found["points"]) == (3 * 144, True, 3 * POINTS)
    assert [row for row in found["rows"] if row[:4] in [other[:4] for other in half["rows"]]] == half["rows"]
    assert sum(row[5] for row in found["rows"]) == 3 * POINTS


def test_a_kill_in_the_middle_of_dropping_old_points_loses_no_hour(served: Callable[..., Served]) -> None:
    server = served()
    prepared(server)
    server.start()
    until(lambda: finished(server.data_dir, "aggregate-daily-metrics"))
    assert server.stop() == 0
    before = hours(server.data_dir)
    assert (before["points"], len(before["rows"])) == (3 * POINTS, 3 * 144)
    keep_two_days(server.data_dir)
    server.spawn(FAILPOINT="in-drop")
    assert server.wait_for_death() == -signal.SIGKILL
    assert hours(server.data_dir)["drops"] == 1
    server.start()
    until(lambda: finished(server.data_dir, "retention"))
    assert server.stop() == 0
    found = hours(server.data_dir)
    assert (found["points"], found["drops"]) == (3 * POINTS // 3, 0)
    assert [row[:4] + row[5:] for row in found["rows"]] == [row[:4] + row[5:] for row in before["rows"]]
    assert sum(row[4] for row in found["rows"]) == 3 * 96


@pytest.mark.slow
def test_the_clock_of_a_server_ticks_by_itself(served: Callable[..., Served]) -> None:
    server = served()
    server.start()
    until(lambda: finished(server.data_dir, "sweep") and finished(server.data_dir, "check-metrics-health"), within_s=150)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 10
