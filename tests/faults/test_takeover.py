"""Celery's workers are killed in the middle of the night's work, with two beats beside them: another goes on, and each occurrence takes effect once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import redis
from numpy.typing import NDArray

from metrics.clock.schedule import AGGREGATE, SWEEP
from tests.faults.clocked import hours, sweep_every_second
from tests.faults.served import ROOT, STOP_S, environment
from tests.faults.team import Team
from tests.faults.test_schedule import DAY_S, POINTS, PROJECTS, fill, until
from tests.faults.workers import processes_of

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.server]
HOURS = 6 * 24
LIMIT_S = 10
DONE_ALREADY = "Done already, or being done."


class Celery:
    """A worker or a beat of its own process group, and what it printed."""

    def __init__(self, team: Team, name: str, *arguments: str, **settings: str) -> None:
        self.path = team.web.data_dir.parent / f"{name}.log"
        given = environment({**team.web.settings, "LOG_LEVEL": "INFO", **settings})
        command = [str(Path(sys.executable).parent / "celery"), "-A", "config", *arguments]
        with self.path.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=output, stderr=output, start_new_session=True)

    @property
    def printed(self) -> str:
        """Everything so far."""
        return self.path.read_text(errors="replace")

    def kill(self) -> None:
        """kill -9, all of it."""
        for pid in processes_of(self.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=STOP_S)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=STOP_S * 3)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """A team's servers, filled with six days of points, whose sweep runs every second."""
    found = Team(tmp_path, CELERY_TASK_TIME_LIMIT=str(LIMIT_S), METRICS_FLUSH_INTERVAL="0.2")
    try:
        found.start()
        fill(found.web)
        sweep_every_second(found.web.data_dir, **found.web.settings)
        yield found
    finally:
        found.remove()


def occurrences(team: Team, task: str) -> list[tuple[bool, str]]:
    """(whether it is done, its note) of each occurrence of a task."""
    with psycopg.connect(team.postgres.url) as record:
        found = record.execute("SELECT finished_at IS NOT NULL, note FROM metrics_occurrence WHERE task = %s ORDER BY slot", [task]).fetchall()
    return [(bool(is_done), str(note)) for is_done, note in found]


def results(team: Team) -> Counter[str]:
    """What workers answered to those who asked for an answer, as beats do."""
    with redis.Redis(port=team.redis.port, db=2) as store:
        answers = [store.get(key) for key in store.scan_iter("celery-task-meta-*")]
    return Counter(str(json.loads(answer)["result"]) for answer in answers if answer)


def of_points(number: int) -> Iterator[list[float]]:
    """[hour, count, min, max, avg, last] of the series that `fill` made of one project, by its points alone."""
    began = time.time() // DAY_S * DAY_S - HOURS * 3600
    times = began + np.arange(POINTS) * HOURS * 3600 / POINTS
    values = np.random.default_rng(number).normal(size=POINTS)
    for hour in np.unique(times // 3600):
        own = values[times // 3600 == hour]
        yield [hour * 3600, len(own), own.min(), own.max(), own.mean(), own[-1]]


def numbers(rows: list[list[Any]]) -> NDArray[np.float64]:
    """Rows as `of_points` has them, in an order of their own."""
    return np.array(sorted(rows), dtype=np.float64)


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_worker_that_is_killed_in_aggregation_is_taken_over_and_the_hours_are_as_if_it_had_lived(team: Team, tmp_path: Path, pool: str) -> None:
    processes = [Celery(team, f"beat{number}", "beat") for number in range(2)]
    worker = ["worker", "--pool", pool, "--concurrency", "2"]
    try:
        first = Celery(team, "first", *worker, "--hostname", "first@%h", FAILPOINT="in-aggregation")
        processes.append(first)
        until(lambda: first.process.poll() is not None or "SIGKILL" in first.printed)
        first.kill()
        half = hours(team.web.data_dir, **team.web.settings)["rows"]
        assert len(half) == HOURS, "it died after the first of three projects"
        assert occurrences(team, AGGREGATE.name) == [(False, "")]
        processes.append(Celery(team, "second", *worker, "--hostname", "second@%h"))
        until(lambda: all(is_done for is_done, _ in occurrences(team, AGGREGATE.name)))
        until(lambda: results(team)[DONE_ALREADY])
        assert [one.stop() for one in processes if one is not first] == [0, 0, 0], processes[-1].printed[-2000:]
    finally:
        for one in processes:
            one.kill()
    assert occurrences(team, AGGREGATE.name) == [(True, "Rebuilt the hours of 2 experiments.")]
    found = hours(team.web.data_dir, **team.web.settings)["rows"]
    assert [row for row in found if row[1] == half[0][1]] == half
    of_all = [row for number in range(len(PROJECTS)) for row in of_points(number)]
    np.testing.assert_allclose(numbers([[row[3], *row[5:]] for row in found]), numbers(of_all), rtol=1e-12)
    effects, swept = sum(count for said, count in results(team).items() if said.startswith("Purged")), occurrences(team, SWEEP.name)
    assert 0 < effects <= sum(is_done for is_done, _ in swept), "of two beats' messages for one time, one took effect"
