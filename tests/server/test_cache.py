"""The cache in Redis: nothing fails, nobody waits long, and nothing old is shown while Redis is away or comes back."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest
import redis
from django.core.cache import cache, caches

from config.databases.cache import CIRCUIT, TIMEOUT_S
from config.databases.circuit import REST_S
from metrics.drain.storing import Drain
from metrics.process import timing_of_settings
from metrics.store import freshness
from tests import waiting
from tests.servers import RedisServer

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.differs_on_servers("a Redis that is away, on servers of the tests' own")]
CHART = "/api/v1/metrics/compare/digits?metric=loss&experiments=baseline"


until = partial(waiting.until, within_s=30.0)


def is_back() -> bool:
    """Whether this process uses Redis again."""
    cache.set("are-you-there", 1)
    return cache.get("are-you-there") == 1


def test_values_are_kept_in_redis_and_found_again(shared: RedisServer):
    cache.set("word", {"a": [1]})
    assert cache.get("word") == {"a": [1]}
    assert cache.get_many(["word", "no"]) == {"word": {"a": [1]}}
    assert (cache.add("word", 2), cache.add("new", 3), cache.incr("new"), cache.has_key("new")) == (False, True, 4, True)
    assert cache.set_many({"x": 1, "y": 2}) == []
    assert cache.delete("x")
    caches["charts"].set("chart", b"{}", 60)
    assert caches["charts"].get("chart") == b"{}"
    with redis.Redis.from_url(shared.url) as client:
        assert client.dbsize() == 4


def test_every_call_is_a_miss_and_none_fails_while_redis_is_away(shared: RedisServer):
    cache.set("word", 1)
    shared.kill()
    assert cache.get("word", "nothing") == "nothing"
    assert cache.get_many(["word"]) == {}
    assert cache.set_many({"x": 1, "y": 2}) == ["x", "y"]
    assert (cache.add("word", 2), cache.incr("word"), cache.has_key("word"), cache.touch("word"), cache.delete("word")) == (False, 1, False, False, False)
    cache.set("word", 3)
    cache.delete_many(["word"])
    caches["charts"].set("chart", b"{}", 60)
    assert caches["charts"].get("chart") is None
    shared.start()
    until(is_back)


def test_a_hanging_redis_costs_one_caller_a_moment_and_the_others_nothing(shared: RedisServer):
    cache.set("word", 1)
    shared.pause()
    began = time.monotonic()
    for _ in range(200):
        assert cache.get("word") is None
    waited = time.monotonic() - began
    shared.go_on()
    # One try, and then one a second at the most: two hundred of them would be a hundred seconds.
    assert waited < 20 * (TIMEOUT_S + REST_S)
    until(lambda: cache.get("word") == 1)


def test_its_absence_is_said_once(shared: RedisServer, caplog: pytest.LogCaptureFixture):
    shared.kill()
    for _ in range(3):
        CIRCUIT.closed_until = 0.0
        assert cache.get("word") is None
    assert len([record for record in caplog.records if "away" in record.getMessage()]) == 1


def test_large_values_take_a_fixed_number_of_places(shared: RedisServer):
    for number in range(1000):
        caches["charts"].set(f"chart {number}", b"x" * 1000, 60)
    with redis.Redis.from_url(shared.url) as client:
        assert client.dbsize() <= 128
    kept = [number for number in range(1000) if caches["charts"].get(f"chart {number}") is not None]
    assert 50 < len(kept) <= 128
    assert kept[-1] == 999


@pytest.fixture
def api(store: Any, bob: Any, api_for: Any) -> Any:
    return api_for(bob)


def shown(api: Any) -> list[float]:
    """The values of the chart."""
    answer = api.get(CHART)
    assert answer.status_code == 200, answer.content
    values: list[float] = answer.json()["series"][0]["avg"]
    return values


def test_a_write_while_redis_hangs_is_seen_when_redis_comes_back_with_all_it_knew(shared, api, experiment, log):
    log(experiment, {"loss": [1.0]})
    assert shown(api) == [1.0]
    shared.pause()
    assert cache.get("word") is None
    CIRCUIT.closed_until = time.monotonic() + 3600  # nothing more is sent: what waits in the socket would be carried out later
    log(experiment, {"loss": [2.0]}, steps=[1])
    assert shown(api) == [1.0, 2.0]
    shared.go_on()
    CIRCUIT.closed_until = 0.0
    until(is_back)
    assert shown(api) == [1.0, 2.0]


def test_a_write_is_seen_when_redis_starts_again_from_an_older_copy_of_itself(shared, api, experiment, log):
    log(experiment, {"loss": [1.0]})
    assert shown(api) == [1.0]
    with redis.Redis.from_url(shared.url) as client:
        client.save()
    log(experiment, {"loss": [2.0]}, steps=[1])
    assert shown(api) == [1.0, 2.0]
    shared.kill()
    shared.start()
    until(is_back)
    with redis.Redis.from_url(shared.url) as client:
        assert client.exists(f"platform:1:{freshness.key(experiment.pk)}")
    assert shown(api) == [1.0, 2.0]


def test_writes_and_reads_go_on_while_redis_is_gone_and_after_it(shared, api, experiment, log):
    for number in range(6):
        if number == 2:
            shared.kill()
        if number == 4:
            shared.start()
        log(experiment, {"loss": [float(number)]}, steps=[number])
        assert shown(api) == [float(n) for n in range(number + 1)]
        assert shown(api) == [float(n) for n in range(number + 1)]


def test_a_drain_tells_the_caches_first_that_one_before_it_may_have_been_killed_before_it_told_them(shared, experiment, log, store):
    log(experiment, {"loss": [1.0]})
    before = freshness.version([experiment.pk])
    assert freshness.version([experiment.pk]) == before
    drain = Drain(store.spool, store.repository, timing=timing_of_settings())
    assert drain.visible_to == 0
    drain.show_stored()
    assert drain.visible_to == store.drain.visible_to
    assert freshness.version([experiment.pk]) != before
    drain.reading.close()


def test_a_page_is_answered_quickly_while_redis_hangs(shared, store, browser_for, bob, project, experiment):
    browser = browser_for(bob)
    shared.pause()
    began = time.monotonic()
    for _ in range(5):
        assert browser.get("/projects/vision-team/digits/").status_code == 200
    assert time.monotonic() - began < 30
    shared.go_on()
