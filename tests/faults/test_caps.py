"""A full spool or a full disk: 503 with Retry-After before anything breaks, and what was taken is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.ledger import Batch, Fate, account
from tests.faults.served import Served
from tests.faults.stored import stored
from tests.faults.test_failpoints import batch_of, write
from tests.faults.writing import PROJECT, drained

pytestmark = pytest.mark.faults
LOG = f"/metrics/log-batch/{PROJECT}/e"


def assert_refused(server: Served, number: int, code: str = "spool_full") -> Batch:
    """Send a batch that has to be refused for now; the batch."""
    batch, body = batch_of(number)
    status, headers, answer = server.call("POST", LOG, body)
    assert (status, answer["error"]["code"]) == (503, code), answer
    assert int(headers["Retry-After"]) > 0
    batch.fate = Fate.REFUSED
    return batch


def kept(server: Served, batches: list[Batch]) -> Any:
    """The account after everything was drained and the server stopped."""
    drained(server)
    assert server.stop() == 0
    found = stored(server.data_dir)
    del found.series["sentinel", "sentinel"]
    return account(batches, found)


@pytest.mark.slow
def test_a_disk_that_is_nearly_full_takes_nothing_and_says_when_to_come_back(served: Callable[..., Served]) -> None:
    server = served()
    server.start()
    server.make_experiments(PROJECT, ["e", "sentinel"])
    sent = write(server, range(2))
    assert server.stop() == 0
    server.spawn(DISK_FREE_MIN_BYTES=str(10**18))
    server.await_answer("/health")
    refused = [assert_refused(server, 7)]
    status, _, answer = server.ask("GET", "/ready")
    assert status == 503, answer
    assert server.call("GET", f"/metrics/timeseries/{PROJECT}/e/loss")[2]["count"] == 100
    assert server.stop() == 0
    server.start()
    result = kept(server, sent + refused + write(server, range(8, 9)))
    assert result.is_clean, result
    assert result.acknowledged == 300


@pytest.mark.slow
def test_a_full_spool_takes_nothing_more_and_loses_nothing(served: Callable[..., Served]) -> None:
    slow = {"METRICS_FLUSH_INTERVAL": "3600", "METRICS_BATCH_SIZE": "100000000"}
    server = served()
    server.start(**slow)
    server.make_experiments(PROJECT, ["e", "sentinel"])
    assert server.stop() == 0
    server.start(**slow, SPOOL_MAX_BYTES="1000000")
    sent, refused, number = [], [], 0
    while not refused:
        batch, body = batch_of(number)
        status, headers, answer = server.call("POST", LOG, body)
        batch.fate = {200: Fate.ACKNOWLEDGED, 503: Fate.REFUSED}[status]
        (sent if status == 200 else refused).append(batch)
        number += 1
        assert number < 5000, "the cap was never reached"
    assert (answer["error"]["code"], "Retry-After" in headers) == ("spool_full", True)
    refused.append(assert_refused(server, number))
    server.kill()
    server.start()
    result = kept(server, sent + refused)
    assert result.is_clean, result
    assert result.acknowledged == sum(map(len, sent)) > 0
