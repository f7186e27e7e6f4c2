"""The ground that server tests stand on: what is killed comes back on its port, and keeps what it should."""

from __future__ import annotations

import redis

from tests.servers import PostgresServer, RedisServer


def test_a_killed_postgresql_comes_back_on_its_port_with_its_rows():
    server = PostgresServer()
    try:
        server.start()
        server.psql("CREATE TABLE kept (n int)")
        server.psql("INSERT INTO kept VALUES (%s)", 7)
        server.kill()
        assert not server.answers()
        server.start()
        assert server.psql("SELECT n FROM kept") == [(7,)]
        assert server.psql("SELECT 'B' < 'a', lower('ÄÖ')") == [(True, "äö")]
    finally:
        server.remove()
    assert not server.directory.exists()


def test_a_killed_redis_comes_back_empty_and_a_paused_one_remembers():
    server = RedisServer()
    try:
        server.start()
        with redis.Redis.from_url(server.url) as client:
            client.set("word", "kept")
        server.pause()
        server.go_on()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("word") == b"kept"
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("word") is None
    finally:
        server.remove()
