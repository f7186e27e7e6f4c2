"""Several web processes and hosts on one store: whoever dies, what was acknowledged is read, each point once."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from metrics.drain.host import GRACE_S, LOOK_S
from tests.clickhouse_server import ClickHouseServer
from tests.faults.ledger import Batch, Fate, account
from tests.faults.served import ROOT, START_S, Served, environment
from tests.faults.stored import stored
from tests.faults.test_failpoints import batch_of, write
from tests.faults.workers import Workers, is_held, is_waiting
from tests.faults.writing import ANSWERS_EXPECTED, PROJECT, Clients
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.server]
LOG = f"/metrics/log-batch/{PROJECT}/e"
KEEPS = {"METRICS_FLUSH_INTERVAL": "3600", "METRICS_BATCH_SIZE": "100000000"}


def write_to_several(server: Workers) -> list[Batch]:
    """Batches that wait in more than one worker's spool. Which worker takes a connection is the kernel's choice: it is asked until two have."""
    sent: list[Batch] = []
    with ThreadPoolExecutor(4) as pool:
        while len(server.left()) < 2:
            assert len(sent) < 400, "one worker took them all"
            numbers = range(len(sent), len(sent) + 20)
            sent += [batch for batches in pool.map(lambda number: write(server, range(number, number + 1)), numbers) for batch in batches]
    return sent


def assert_all_is_there(server: Workers, clients: Clients, *, at_least: int) -> None:
    """Every acknowledged point can be read once, and every summary is that of its points."""
    batches = list(clients.batches)
    result = account(batches, server.stored())
    print(result)
    assert not clients.problems, clients.problems[:10]
    answers = sum((client.answers for client in clients.all), Counter[int]())
    assert set(answers) <= ANSWERS_EXPECTED, answers
    assert result.is_clean, result
    assert result.acknowledged > at_least, "hardly anything was written: the test shows nothing"
    assert all(batch.fate is Fate.ACKNOWLEDGED for batch in batches if batch.key)


def test_workers_that_are_killed_under_load_lose_nothing_and_double_nothing(workers: Callable[..., Workers]) -> None:
    server, chance = workers(METRICS_FLUSH_INTERVAL="0.2"), random.Random(5)
    server.prepare()
    server.start()
    clients = Clients(server, seed=5)
    with clients.writing():
        for _ in range(8):
            time.sleep(chance.uniform(0.5, 3.0))
            os.kill(chance.choice(server.pids()), signal.SIGKILL)
        until(lambda: len(server.pids()) == 4)
    server.await_drained()
    assert server.stop() == 0
    assert_all_is_there(server, clients, at_least=5_000)
    assert sum(client.replayed for client in clients.all)
    assert "Traceback" not in server.printed()
    assert len(server.spools()) <= 8, "files became more with every death"


def test_the_master_is_killed_under_load_and_the_next_one_goes_on(workers: Callable[..., Workers]) -> None:
    server = workers(METRICS_FLUSH_INTERVAL="0.2")
    server.prepare()
    server.start()
    clients = Clients(server, seed=6)
    with clients.writing():
        for _ in range(2):
            time.sleep(2.0)
            server.kill()
            server.start_again()
    server.await_drained()
    assert server.stop() == 0
    assert_all_is_there(server, clients, at_least=1_000)


def test_a_dead_worker_s_spool_is_adopted_by_those_that_live(workers: Callable[..., Workers]) -> None:
    assert GRACE_S + 2 * LOOK_S < 5, "a file is adopted within 5 s"
    server = workers(**KEEPS)
    server.prepare()
    server.start()
    server.make_experiments(PROJECT, ["e"])
    sent = write_to_several(server)
    server.running.send_signal(signal.SIGSTOP)  # the master starts no other worker for the dead one
    try:
        waiting, began = server.left(), time.monotonic()
        for pid in server.pids()[1:]:
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(server.held()) == 1)
        orphans = [path for path in waiting if not is_held(path)]
        assert orphans, "the one that lives holds all points"
        until(lambda: not any(is_waiting(path) for path in orphans))
        print(f"adopted and drained after {time.monotonic() - began:.1f} s")
    finally:
        server.running.send_signal(signal.SIGCONT)
    server.await_workers()
    assert server.stop() == 0
    result = account(sent, server.stored())
    assert result.is_clean, result
    assert result.acknowledged == len(sent) * 100


def test_a_stop_stores_what_waits_in_every_worker(workers: Callable[..., Workers]) -> None:
    server = workers(**KEEPS)
    server.prepare()
    server.start()
    server.make_experiments(PROJECT, ["e"])
    sent = write_to_several(server)
    assert server.stop() == 0
    result = account(sent, server.stored())
    assert result.is_clean, result
    assert "Traceback" not in server.printed()


def test_a_stretch_that_was_logged_again_shows_what_came_last_whichever_worker_took_it(workers: Callable[..., Workers]) -> None:
    server = workers(METRICS_FLUSH_INTERVAL="0.2")
    server.prepare()
    server.start()
    for number in range(8):
        run = f"r{number}"
        server.make_experiments(PROJECT, [run])
        for body in (
            {"steps": list(range(150)), "metrics": {"loss": [1.0] * 100 + [9.0] * 50}},
            {"steps": list(range(100, 150)), "metrics": {"loss": [1.0] * 50}},
        ):
            assert server.call("POST", f"/metrics/log-batch/{PROJECT}/{run}?wait=visible", body)[0] == 200
        for most in (1000, 20):
            status, _, found = server.call("GET", f"/metrics/compare/{PROJECT}?metric=loss&experiments={run}&max_points={most}")
            series = found["series"][0]
            assert (status, series["repeated_steps"], {value for name in ("avg", "min", "max") for value in series[name]}) == (200, 50, {1.0})


def logged_and_waiting(server: Workers, steps: range) -> int:
    """Log a point for each step, none of which can be seen yet; how many wait in all spools then."""
    for step in steps:
        point = {"metric_name": "loss", "metric_value": 1.0, "step": step}
        assert server.call("POST", f"/metrics/log/{PROJECT}/other", point)[2]["visible"] is False
    told = server.ask("GET", "/ready", headers={"Authorization": f"Bearer {server.operators_token}"})
    return int(json.loads(told[2])["checks"]["spool"]["waiting_points"])


def test_whoever_waits_for_visible_points_waits_for_one_worker_alone(workers: Callable[..., Workers]) -> None:
    server = workers(**KEEPS)
    server.prepare()
    server.start()
    server.make_experiments(PROJECT, ["e", "other"])
    for step in range(24):
        point = {"metric_name": "loss", "metric_value": float(step), "step": step}
        status, _, answer = server.call("POST", f"/metrics/log/{PROJECT}/e?wait=visible", point)
        assert (status, answer["visible"]) == (200, True)
        assert server.call("GET", f"/metrics/timeseries/{PROJECT}/e/loss?from={step}&to={step}")[2]["count"] == 1
    # Once a minute a worker stores what waits, whatever the interval: of three times that 24 points come, that can be two.
    assert any(logged_and_waiting(server, range(first, first + 24)) >= 24 for first in (0, 24, 48))
    assert server.left()
    status, _, found = server.call("GET", f"/experiments?project={PROJECT}&search=other")
    other = next(row for row in found["results"] if row["name"] == "other")
    assert server.call("PATCH", f"/experiments/{other['id']}", {"status": "complete"})[0] == 200
    server.await_drained()  # not after the hour that they may keep points: the end of an experiment reaches every worker


def test_one_key_on_several_workers_is_one_batch(workers: Callable[..., Workers]) -> None:
    server = workers(METRICS_FLUSH_INTERVAL="0.2")
    server.prepare()
    server.start()
    server.make_experiments(PROJECT, ["e"])
    keys, at_once, told = 30, 6, Counter[str]()
    with ThreadPoolExecutor(at_once) as pool:
        for number in range(keys):
            body, start = batch_of(number)[1], threading.Barrier(at_once)

            def send(_: int, body: dict[str, object] = body, number: int = number, start: threading.Barrier = start) -> tuple[str, str]:
                start.wait()
                status, headers, answer = server.call("POST", LOG, body, {"Idempotency-Key": f"key {number}"})
                assert status == 200 or (status, answer["error"]["code"]) == (409, "in_flight"), answer
                return ("in flight", "") if status == 409 else ("replayed" if "Idempotent-Replayed" in headers else "first", answer["batch_id"])

            found = list(pool.map(send, range(at_once)))
            told.update(kind for kind, _ in found)
            assert [kind for kind, _ in found].count("first") == 1, found
            assert len({batch for _, batch in found if batch}) == 1
    with_receipts = [count for path in server.spools() if (count := receipts(path))]
    assert sum(with_receipts) == keys
    assert len(with_receipts) > 1, "one worker took them all: the test shows nothing"
    assert told["replayed"]
    server.await_drained()
    assert server.stop() == 0
    sent = [batch_of(number)[0] for number in range(keys)]
    for batch in sent:
        batch.fate = Fate.ACKNOWLEDGED
    result = account(sent, server.stored())
    assert result.is_clean, result


def receipts(path: Path) -> int:
    """Receipts in a spool file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM receipts").fetchone()[0])


def test_without_clickhouse_workers_start_and_take_points_which_are_stored_once_it_is_there(
    workers: Callable[..., Workers], clickhouse: ClickHouseServer
) -> None:
    server = workers(METRICS_FLUSH_INTERVAL="0.2")
    server.prepare()
    clickhouse.stop()
    server.start()
    server.make_experiments(PROJECT, ["e"])
    sent = write(server, range(8))
    assert all(batch.fate is Fate.ACKNOWLEDGED for batch in sent)
    assert json.loads(server.ask("GET", "/ready")[2])["status"] == "degraded"
    for pid in server.pids():
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(server.held()) >= 4)
    clickhouse.start()
    server.await_drained()
    assert server.stop() == 0
    result = account(sent, server.stored())
    assert result.is_clean, result
    assert len(server.spools()) <= 8


def test_a_batch_that_is_sent_again_to_another_host_lands_once(workers: Callable[..., Workers], tmp_path: Path) -> None:
    one, other = workers(workers=1), workers(tmp_path / "other", workers=1)
    one.prepare()
    for name in ("platform.sqlite3", "secret_key", "credentials.json"):  # two hosts, one record
        with suppress(FileExistsError):
            (other.data_dir / name).symlink_to(one.data_dir / name)
    one.start()
    other.start()
    one.make_experiments(PROJECT, ["e"])
    body = {"steps": [0, 1, 2], "metrics": {"loss": [3.0, 2.0, 1.0]}, "writer": 1, "ordinal": 0}
    for host in (one, other, one):
        status, _, answer = host.call("POST", LOG + "?wait=visible", body, {"Idempotency-Key": "batch 1"})
        assert (status, answer["visible"]) == (200, True)
    for host in (one, other):
        assert host.call("GET", f"/metrics/timeseries/{PROJECT}/e/loss")[2]["count"] == 3
    assert (other.data_dir / "spool" / "0.sqlite").exists()
    for host in (one, other):
        assert host.stop() == 0


@pytest.mark.parametrize("failpoint", ["adopted", "adopted-before-insert", "adopted-after-insert", "adopted-after-mark"])
def test_a_kill_in_the_middle_of_an_adoption_leaves_each_point_once(served: Callable[..., Served], failpoint: str) -> None:
    server = served(**KEEPS)
    server.start()
    server.make_experiments(PROJECT, ["e"])
    sent = write(server, range(3))
    server.kill()
    folder = server.data_dir / "spool"
    for path in folder.glob("0.*"):
        path.rename(folder / f"7{path.suffix}")
    with (folder / "7.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        server.start()  # which so makes a file of its own
    sent += write(server, range(3, 5))
    server.kill()
    for _ in range(1 if failpoint == "adopted-after-mark" else 2):  # once marked, the block does not come again
        server.spawn(FAILPOINT=failpoint)
        assert server.wait_for_death() == -signal.SIGKILL
    server.start()
    until(lambda: not is_waiting(folder / "7.sqlite") and not is_held(folder / "7.sqlite"))
    assert server.stop() == 0
    result = account(sent, stored(server.data_dir))
    assert result.is_clean, result
    assert result.acknowledged == 5 * 100


# How they start


def test_several_workers_without_clickhouse_are_refused_in_one_sentence(tmp_path: Path) -> None:
    given = environment({"DATA_DIR": str(tmp_path / "data"), "CLICKHOUSE_HOST": ""})
    command = [str(Path(sys.executable).parent / "gunicorn"), "config.wsgi", "--bind", "127.0.0.1:0"]
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=START_S)
    assert done.returncode == 1
    assert "CLICKHOUSE_HOST" in done.stderr
    assert "WEB_CONCURRENCY=1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_was_never_migrated_is_told_of_with_the_command_and_points_wait_for_it(workers: Callable[..., Workers]) -> None:
    server = workers(METRICS_FLUSH_INTERVAL="0.2")
    server.prepare(with_metric_store=False)
    server.start()
    until(lambda: "run manage.py migrate_clickhouse" in server.printed())
    assert server.printed().count("run manage.py migrate_clickhouse") == 1, "one of the workers says it"
    assert json.loads(server.ask("GET", "/ready")[2])["status"] == "degraded"
    server.make_experiments(PROJECT, ["e"])
    assert server.call("POST", LOG, batch_of(1)[1])[0] == 200
    server.run([sys.executable, "manage.py", "migrate_clickhouse"])
    server.await_drained()
    assert server.call("GET", f"/metrics/timeseries/{PROJECT}/e/loss")[2]["count"]
    assert json.loads(server.ask("GET", "/ready", headers={"Authorization": f"Bearer {server.operators_token}"})[2])["checks"]["metric_store"]["ok"]
    assert server.stop() == 0


def test_a_damaged_spool_is_named_and_gunicorn_does_not_start_again_and_again(workers: Callable[..., Workers]) -> None:
    server = workers()
    server.prepare()
    (server.data_dir / "spool").mkdir()
    (server.data_dir / "spool" / "0.sqlite").write_bytes(b"this is no database" * 1000)
    server.spawn()
    assert server.wait_for_death() != 0
    assert str(server.data_dir / "spool" / "0.sqlite") in server.printed()
    assert "Traceback" not in server.printed()


SERVE = """
import signal, sys, threading
from wsgiref.simple_server import WSGIRequestHandler, make_server
from config.wsgi import application
from metrics import process
assert process.Running.parts is None, "parts were opened before any request"
WSGIRequestHandler.log_message = lambda *_: None
server = make_server("127.0.0.1", int(sys.argv[1]), application)
# Not KeyboardInterrupt: wsgiref takes one that comes while an answer is closed for a fault of that answer, and serves on.
signal.signal(signal.SIGINT, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""


def test_another_wsgi_server_opens_the_parts_at_the_first_request(served: Callable[..., Served]) -> None:
    server = served()
    server.start()
    server.make_experiments(PROJECT, ["e"])
    assert server.stop() == 0
    command = [sys.executable, "-c", SERVE, str(server.port)]
    given = environment({"DATA_DIR": str(server.data_dir)})
    server.process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=server.output, stderr=subprocess.STDOUT)
    server.await_answer("/health")
    status, _, answer = server.call("POST", LOG + "?wait=visible", batch_of(1)[1])
    assert (status, answer["visible"]) == (200, True)
    server.running.send_signal(signal.SIGINT)
    assert server.running.wait(timeout=START_S) == 0
