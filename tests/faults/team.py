"""The product as a team has it: gunicorn with four workers on a PostgreSQL, a Redis and a ClickHouse process, each of which can go away."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.clickhouse_server import ClickHouseServer
from tests.faults.workers import Workers
from tests.servers import PostgresServer, RedisServer

DEMO = """
import os, sys, django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
from operations.demo import claims
from metrics import process
process.start()
claims.load_demo(token=sys.argv[1])
process.stop(within_s=60)
"""


class Team:
    """All of it. `start` brings everything up, `remove` ends what still runs."""

    def __init__(self, folder: Path, *, syncs: bool = False, **settings: str) -> None:
        self.postgres, self.redis = PostgresServer(syncs=syncs), RedisServer()
        self.clickhouse = ClickHouseServer(folder / "clickhouse")
        places = {"DATABASE_URL": self.postgres.url, "REDIS_URL": self.redis.url, "SECRET_KEY": "a team's own secret, long enough for every host: 0123456789"}
        (folder / "data").mkdir()
        self.web = Workers(folder / "data", self.clickhouse, **places, **settings)

    def start(self, *, with_demo: bool = False) -> None:
        """Servers first, then the first account, then the web."""
        for server in (self.postgres, self.redis, self.clickhouse):
            server.start()
        self.web.prepare()
        if with_demo:
            self.web.run([sys.executable, "-c", DEMO, self.web.token])
        self.web.start()

    def remove(self) -> None:
        """End everything."""
        self.web.end()
        self.clickhouse.stop()
        self.postgres.remove()
        self.redis.remove()
