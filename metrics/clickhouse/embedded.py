"""The ClickHouse engine inside this process (chDB). One process owns a directory; each thread has a connection of its own."""

from __future__ import annotations

import fcntl
import html
import itertools
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import chdb

from config.errors import SetupError
from metrics.clickhouse.client import Coded, Columns, rendered
from metrics.clickhouse.errors import StoreUnavailable, store_error
from metrics.clickhouse.native import block, columns_of

MIB = 1 << 20
# Measured: with these the engine holds 280 MB idle and 630 MB at the peak of a load; its defaults grow with the machine.
SERVER_SETTINGS = {
    "mark_cache_size": 16 * MIB,
    "primary_index_cache_size": 16 * MIB,
    "index_mark_cache_size": 4 * MIB,
    "query_condition_cache_size": MIB,
    "compiled_expression_cache_size": 16 * MIB,
    "uncompressed_cache_size": 0,
    "index_uncompressed_cache_size": 0,
    "merges_mutations_memory_usage_soft_limit": 250_000_000,
    "background_pool_size": 1,
    "background_common_pool_size": 1,
    "background_schedule_pool_size": 2,
    "max_thread_pool_size": 200,
    "max_thread_pool_free_size": 0,
    "max_parts_cleaning_thread_pool_size": 2,
    "max_outdated_parts_loading_thread_pool_size": 2,
    "max_active_parts_loading_thread_pool_size": 2,
}
MERGE_TREE_SETTINGS = {
    "fsync_after_insert": 1,
    "fsync_part_directory": 1,
    "number_of_free_entries_in_pool_to_lower_max_size_of_merge": 1,
    "number_of_free_entries_in_pool_to_execute_mutation": 1,
    "number_of_free_entries_in_pool_to_execute_optimize_entire_partition": 1,
    "merge_max_block_size_bytes": 4 * MIB,
    "max_bytes_to_merge_at_max_space_in_pool": 10 * 1024 * MIB,
    "old_parts_lifetime": 30,
}


class EmbeddedEngine:
    """An Engine over chDB in `directory`. Open it after any fork. Raises SetupError where another process owns the directory."""

    def __init__(self, directory: Path, *, database: str, max_memory_bytes: int, max_threads: int, timeout_s: float) -> None:
        self.directory, self.database, self.timeout_s = directory, database, timeout_s
        self.lock = own(directory)
        self.inbox = directory / "inbox"
        self.inbox.mkdir(exist_ok=True)
        for leftover in self.inbox.iterdir():
            leftover.unlink()
        settings = directory / "engine.xml"
        settings.write_text(engine_xml(max_memory_bytes))
        self.address = f"{directory / 'store'}?config-file={settings}&max_threads={max_threads}"
        self.local = threading.local()
        self.connections: list[Any] = []
        self.types: dict[str, dict[str, str]] = {}
        self.numbers = itertools.count()
        self.is_closed = False

    def connection(self) -> Any:
        """This thread's connection. Raises StoreUnavailable after close()."""
        if self.is_closed:
            raise StoreUnavailable("The metric store is closed: the server is stopping.")
        known = getattr(self.local, "connection", None)
        if known is None:
            known = self.local.connection = chdb.connect(self.address)
            self.connections.append(known)
        return known

    def run(self, sql: str) -> bytes:
        """Run one statement; the result in Native format. Raises a StoreError."""
        try:
            answer = self.connection().query(sql, "Native")
        except (RuntimeError, chdb.ChdbError) as error:
            raise store_error(str(error)) from error
        return bytes(answer.bytes() or b"")

    def query(self, sql: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None) -> dict[str, Any]:
        """As Engine.query."""
        deadline = f" SETTINGS max_execution_time = {timeout_s or self.timeout_s}"
        return columns_of(self.run(rendered(sql, params) + deadline))

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """As Engine.execute."""
        self.run(rendered(sql, params))

    def insert(self, table: str, columns: Columns) -> None:
        """As Engine.insert: the block goes to a file, and one INSERT … SELECT reads it, since `send_insert` hides refusals."""
        path = self.inbox / f"{next(self.numbers)}.native"
        path.write_bytes(block(columns, short_types(columns, self.column_types(table))))
        names = ", ".join(columns)
        try:
            self.run(f"INSERT INTO {self.database}.{table} ({names}) SELECT {names} FROM file('{path}', 'Native') SETTINGS async_insert = 0")  # nosec B608  # made of our own words
        finally:
            path.unlink()

    def column_types(self, table: str) -> dict[str, str]:
        """The ClickHouse type of each column of a table, asked once."""
        if table not in self.types:
            found = self.query("SELECT name, type FROM system.columns WHERE database = %(d)s AND table = %(t)s", {"d": self.database, "t": table})
            if not found.get("name"):
                raise store_error(f"Code: 60. Table {self.database}.{table} is not there: run manage.py migrate_clickhouse.")
            self.types[table] = dict(zip(found["name"], found["type"], strict=True))
        return self.types[table]

    def close(self) -> None:
        """Close every connection and let the directory go."""
        self.is_closed = True
        for connection in self.connections:
            connection.close()
        self.connections.clear()
        os.close(self.lock)


def short_types(columns: Columns, types: Mapping[str, str]) -> dict[str, str]:
    """The types that a file's columns have: UUIDs go as a dictionary, which halves the file, and become the table's own in the SELECT."""
    return {name: "LowCardinality(UUID)" if types[name] == "UUID" and isinstance(column, Coded) else types[name] for name, column in columns.items()}


def make(directory: Path) -> None:
    """The directory, made if it is not there. Raises SetupError where something else is in the way."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{directory} cannot be made ({error.strerror}): move what is there away, or give another DATA_DIR.") from error


def own(directory: Path) -> int:
    """A descriptor that holds the lock of `directory`. Raises SetupError where another process has it."""
    make(directory)
    descriptor = os.open(directory / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SetupError(f"The data directory {directory.parent} is in use by another process: stop that server, or give another DATA_DIR.") from error
    return descriptor


def engine_xml(max_memory_bytes: int) -> str:
    """The engine's configuration file."""
    server = {"max_server_memory_usage": max_memory_bytes, **SERVER_SETTINGS}
    return f"<clickhouse>{elements(server)}<merge_tree>{elements(MERGE_TREE_SETTINGS)}</merge_tree></clickhouse>\n"


def elements(settings: Mapping[str, int]) -> str:
    """One XML element a setting."""
    return "".join(f"<{name}>{html.escape(str(value), quote=False)}</{name}>" for name, value in settings.items())
