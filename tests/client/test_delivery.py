"""What happens to points while the network, or the server, does not behave."""

import socket
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate

import pytest
import research_platform as rp
from research_platform.connection import Connection

from .conftest import QUICK, RECEIPT, TOKEN, until


def refused(status):
    return status, {"error": {"code": "some", "message": "Not so."}, "request_id": "r"}, {}


@pytest.mark.parametrize("failure", ["hang up", refused(500), refused(502), refused(503), refused(429), refused(409), (200, b"<html>a proxy</html>", {})])
def test_a_batch_is_sent_again_with_the_same_key_and_bytes_until_acknowledged(far, start, failure):
    far.plan_for_batches(failure, failure, failure)
    run = start()
    for _ in range(500):
        run.log({"loss": 0.123456789})
    run.finish()
    first = [batch for batch in far.batches if batch.headers["idempotency-key"] == far.batches[0].headers["idempotency-key"]]
    assert len(first) == 4
    assert len({batch.raw for batch in first}) == 1
    assert len(first[0].headers["idempotency-key"]) == 32
    received = {batch.headers["idempotency-key"]: len(batch.json["steps"]) for batch in far.batches}
    assert sum(received.values()) == 500
    assert far.endings == [{"status": "complete"}]


def test_two_batches_never_share_a_key(far, start):
    run = start()
    run.log({"loss": 1})
    until(lambda: len(far.batches) == 1)
    run.log({"loss": 1})
    until(lambda: len(far.batches) == 2)
    assert len({batch.headers["idempotency-key"] for batch in far.batches}) == 2


@pytest.mark.parametrize("header", ["1", lambda: formatdate(time.time() + 2, usegmt=True)])
def test_the_server_says_when_to_come_back(far, start, header):
    far.plan_for_batches((503, None, {"Retry-After": header() if callable(header) else header}))
    run = start()
    run.log({"loss": 1})
    run.finish()
    first, second = far.batches
    assert 0.9 <= second.at - first.at < 3.5


def test_pauses_grow_up_to_a_limit():
    pace = rp.Pace(backoff_s=0.5, backoff_most_s=8)
    assert all(0.25 <= pace.pause_s(0, None) <= 0.5 for _ in range(100))
    assert all(4 <= pace.pause_s(1_000_000, None) <= 8 for _ in range(100))
    assert len({pace.pause_s(3, None) for _ in range(10)}) > 1
    assert 600 <= pace.pause_s(0, 86_400) <= 660


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refused_batch_is_told_once_and_logging_goes_on(far, start, caplog, status):
    far.plan_for_batches(refused(status), refused(status), RECEIPT)
    run = start()
    for expected in (1, 2, 3):
        run.log({"loss": expected})
        until(lambda expected=expected: len(far.batches) == expected)
    run.finish()
    assert [batch.json["ordinal"] for batch in far.batches] == [0, 1, 2]
    assert [record.message for record in caplog.records if "refused 1 point" in record.message] == [caplog.records[0].message]
    assert "2 points were refused by the server" in caplog.records[-1].message
    assert far.endings == [{"status": "complete"}]


def test_a_conflict_that_stays_does_not_hold_up_the_run_for_ever(far, start, caplog):
    far.plan_for_batches(*[refused(409)] * 13)
    run = start()
    run.log({"loss": 1})
    run.finish()
    assert len(far.batches) == 13
    assert "1 point was refused by the server" in caplog.text


def test_an_outage_is_told_once_and_again_only_when_it_returns(far, start, caplog):
    far.plan_for_batches(*[refused(503)] * 4, RECEIPT, *[refused(503)] * 4)
    run = start()
    run.log({"loss": 1})
    until(lambda: len(far.batches) == 5)
    run.log({"loss": 1})
    run.finish()
    assert ["does not take points now" in record.message for record in caplog.records] == [True, True]


@pytest.fixture
def outage(far, start):
    """A run whose server goes away after the start; `far` comes back when told, and keeps what it takes from then on in `taken`."""
    run = start(pace=rp.Pace(flush_s=0.01, request_s=0.5, backoff_s=0.05, backoff_most_s=0.1, flush_timeout_s=0.5))
    good = far.answer
    far.answer = lambda request: "hang up"
    run.taken = []

    def answer(request):
        run.taken.append(request)
        return good(request)

    run.recover = lambda: setattr(far, "answer", answer)
    return run


def test_ten_thousand_calls_are_quick_while_the_server_is_away(outage):
    begin = time.perf_counter()
    for step in range(10_000):
        outage.log({"loss": 0.5, "acc": 0.5}, step=step)
    assert time.perf_counter() - begin < 1.0


def test_no_call_waits_while_the_server_is_slow(far, start):
    run = start(pace=rp.Pace(flush_s=0.001, flush_timeout_s=10))
    far.delay_s = 0.5
    slowest = 0.0
    for _ in range(200):
        begin = time.perf_counter()
        run.log({"loss": 1})
        slowest = max(slowest, time.perf_counter() - begin)
        time.sleep(0.002)
    far.delay_s = 0.0
    assert slowest < 0.2


def test_all_points_arrive_once_the_server_is_back(far, outage):
    for step in range(20_000):
        outage.log({"loss": 0.5}, step=step)
    outage.recover()
    outage.finish(timeout_s=10)
    received = {batch.headers["idempotency-key"]: batch.json for batch in outage.taken if "/log-batch/" in batch.path}
    assert sorted(step for body in received.values() for step in body["steps"]) == list(range(20_000))
    assert far.endings == [{"status": "complete"}]


def test_an_end_without_a_server_says_how_many_points_were_not_sent(outage, caplog):
    outage.log({"loss": 1, "acc": 2})
    outage.log({"loss": 3})
    begin = time.monotonic()
    outage.finish()
    assert time.monotonic() - begin < 5
    assert "3 points were not sent in time" in caplog.text
    assert "could not be marked as complete" in caplog.text


def test_what_waits_is_bounded_and_the_newest_is_dropped_loudly(far, start, caplog):
    run = start(pace=rp.Pace(flush_s=60, flush_points=10**9, waiting_points=100))
    for step in range(215):
        run.log({"loss": step})
    run.finish()
    assert [step for batch in far.batches for step in batch.json["steps"]] == list(range(100))
    assert [record.message.split(" POINTS")[0].split()[-1] for record in caplog.records if "LOST" in record.message] == ["1", "10", "100"]
    assert "115 points were dropped" in caplog.records[-1].message


def test_an_update_that_fails_warns_and_does_not_raise(far, start, caplog):
    run = start()
    good, far.answer = far.answer, lambda request: refused(403)
    run.update(tags=["x"])
    far.answer = good
    assert "is not updated (403 Not so.)" in caplog.text


def test_a_run_beats_while_it_lives_and_not_after(far, start):
    run = start(pace=rp.Pace(heartbeat_s=0.05))
    until(lambda: len(far.of("POST", "/heartbeat")) >= 3)
    run.finish()
    beats = far.of("POST", "/heartbeat")
    assert beats[0].json == {"every_s": 0.05}
    assert beats[0].path == f"/api/v1/experiments/{run.id}/heartbeat"
    time.sleep(0.2)
    assert len(far.of("POST", "/heartbeat")) <= len(beats) + 1


def test_every_request_carries_the_token(far, start):
    run = start()
    run.log({"loss": 1})
    run.finish()
    assert len(far.requests) == 3
    assert {request.headers["authorization"] for request in far.requests} == {f"Bearer {TOKEN}"}


def test_the_address_may_have_a_path_in_front(far):
    seen = []
    far.answer = lambda request: (seen.append(request.path), (500, None, {}))[1]
    with pytest.raises(rp.Refused):
        rp.init("digits", url=f"{far.url}/tracker/", token=TOKEN, pace=QUICK)
    assert seen == ["/tracker/api/v1/experiments"]


@pytest.fixture
def silence(far):
    """Makes the server take every request and answer none."""
    over, good = threading.Event(), far.answer

    def answer(request):
        over.wait(60)
        return good(request)

    yield lambda: setattr(far, "answer", answer)
    over.set()


@contextmanager
def takes_at_most(seconds):
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


@pytest.mark.parametrize("points", [0, 1])
def test_an_end_takes_no_longer_than_it_may_though_the_server_never_answers(far, start, silence, caplog, points):
    run = start(pace=rp.Pace(flush_s=0.01))
    silence()
    for _ in range(points):
        run.log({"loss": 1})
    until(lambda: len(far.batches) == points)
    with takes_at_most(1.5):
        run.finish(timeout_s=1)
    assert ("1 point was not sent in time" in caplog.text) is bool(points)
    assert "could not be marked as complete" in caplog.text
    assert len(far.of("PATCH")) == 1


def test_all_runs_of_a_process_end_within_one_deadline_though_the_server_never_answers(far, script, silence):
    process = script(
        'import sys\nruns = [rp.init("digits", name=name) for name in "abc"]\nprint("ready", flush=True)\nsys.stdin.readline()\n', RP_FLUSH_TIMEOUT="2"
    )
    assert process.stdout.readline() == "ready\n"
    silence()
    with takes_at_most(4):
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(20) == 0
    assert len(far.of("PATCH")) == 3
    assert process.stderr.read().count("could not be marked as complete") == 3


def test_the_time_that_one_run_cannot_use_is_left_to_the_others(far, script):
    source = 'runs = [rp.init("digits", name=name) for name in "ab"]\nfor run in runs: run.log({"loss": 1})\n'
    good = far.answer
    far.answer = lambda request: (503, None, {"Retry-After": "1"}) if not over.is_set() and "/log-batch/" in request.path else good(request)
    over = threading.Event()
    process = script(source, RP_FLUSH_TIMEOUT="20")
    until(lambda: len(far.batches) >= 2)
    over.set()
    assert process.wait(20) == 0
    assert far.endings == [{"status": "complete"}] * 2


@pytest.mark.parametrize("trickle", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
def test_an_answer_that_trickles_takes_no_longer_than_it_may(trickle):
    over = threading.Event()

    def serve():
        line, _ = server.accept()
        with line:
            line.recv(65536)
            line.sendall(trickle)
            while not over.wait(0.02):
                line.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        with takes_at_most(1.0):
            answer = Connection(f"http://127.0.0.1:{server.getsockname()[1]}", TOKEN).ask("GET", "/", within_s=0.3)
        over.set()
        thread.join()
    assert answer.status == 0
    assert "timed out" in answer.reason


def test_an_update_takes_no_longer_than_it_may_though_the_server_never_answers(start, silence, caplog, monkeypatch):
    monkeypatch.setattr("research_platform.run.UPDATE_WITHIN_S", 0.3)
    run = start()
    silence()
    with takes_at_most(1.0):
        run.update(tags=["x"])
    assert "is not updated" in caplog.text
