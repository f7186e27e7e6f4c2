"""ClickHouse as a server of its own, or a cluster of them, over the native protocol. Safe for threads and after a fork; connects when first asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metrics.clickhouse.client import Columns, rendered
from metrics.clickhouse.cluster import clustered
from metrics.clickhouse.errors import StoreUnavailable
from metrics.clickhouse.pool import Pool
from metrics.clickhouse.wire import Address, Login

# What an acknowledgement relies on, by name, since servers' defaults differ: an insert is answered once its rows are stored, on every shard that gets
# some; and a repeat is never taken for known and dropped, since the table's key makes it harmless and the rows may have been deleted meanwhile.
SETTINGS = {"async_insert": 0, "insert_deduplicate": 0, "distributed_foreground_insert": 1}
# Past its own deadline the server should have said so; past this as well it is taken for dead.
GRACE_S = 5.0
# DDL and deletions, on every host of a cluster, take their time.
STATEMENT_S = 300.0


class ServerEngine:
    """An Engine over the first of `addresses` that can be reached. `timeout_s` ends queries; inserts that take longer than that and a bit count as lost."""

    def __init__(
        self, addresses: Sequence[Address], login: Login, *, database: str, pool_size: int, max_overflow: int, timeout_s: float, cluster: str = ""
    ) -> None:
        self.database, self.timeout_s, self.cluster = database, timeout_s, cluster
        self.pool = Pool(addresses, login, size=pool_size, overflow=max_overflow)
        self.is_closed = False

    def query(self, sql: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None) -> dict[str, Any]:
        """As Engine.query."""
        self.refuse_when_closed()
        limit = timeout_s or self.timeout_s
        with self.pool.wire() as wire:
            return wire.ask(rendered(sql, params), SETTINGS | {"max_execution_time": limit}, within_s=limit + GRACE_S)

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """As Engine.execute. In a cluster it runs on every host."""
        self.refuse_when_closed()
        for statement in clustered(rendered(sql, params), self.cluster):
            with self.pool.wire() as wire:
                wire.ask(statement, SETTINGS, within_s=STATEMENT_S)

    def insert(self, table: str, columns: Columns) -> None:
        """As Engine.insert. An insert whose answer was lost may have been stored: repeat it."""
        self.refuse_when_closed()
        with self.pool.wire() as wire:
            wire.insert(f"INSERT INTO {self.database}.{table} ({', '.join(columns)}) VALUES", columns, SETTINGS, within_s=self.timeout_s + GRACE_S)

    def refuse_when_closed(self) -> None:
        """Raise StoreUnavailable after close()."""
        if self.is_closed:
            raise StoreUnavailable("The metric store is closed: the server is stopping.")

    def close(self) -> None:
        """Hang up."""
        self.is_closed = True
        self.pool.close()
