"""A spool's file: its tables, the lock that one process holds, and how it is opened, read beside its holder, and measured."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from config.errors import SetupError

SCHEMA = """
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS batches (
        id INTEGER PRIMARY KEY AUTOINCREMENT, team BLOB NOT NULL, project BLOB NOT NULL, experiment BLOB NOT NULL, month INTEGER NOT NULL,
        points INTEGER NOT NULL, writer INTEGER NOT NULL, ordinal INTEGER NOT NULL, received_us INTEGER NOT NULL,
        repeats INTEGER NOT NULL DEFAULT 0, request_id TEXT NOT NULL DEFAULT '', payload BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS writers (
        experiment BLOB, writer INTEGER, next INTEGER NOT NULL, PRIMARY KEY (experiment, writer)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS receipts (
        key TEXT PRIMARY KEY, body_hash BLOB NOT NULL, batch_id TEXT NOT NULL, accepted INTEGER NOT NULL, at_us INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS receipts_age ON receipts (at_us);
    CREATE TABLE IF NOT EXISTS blocks (
        id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, size_bytes INTEGER NOT NULL, drained_us INTEGER
    );
    CREATE TABLE IF NOT EXISTS names (
        experiment BLOB, name TEXT, project BLOB NOT NULL, defined INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (experiment, name)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS names_undefined ON names (project, name) WHERE defined = 0;
    CREATE TABLE IF NOT EXISTS summaries (
        experiment BLOB, name TEXT, team BLOB NOT NULL, project BLOB NOT NULL, version INTEGER NOT NULL, stored INTEGER NOT NULL DEFAULT 0,
        state BLOB NOT NULL, once_at INTEGER NOT NULL DEFAULT 0, last_logged INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (experiment, name)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS summaries_unstored ON summaries (experiment, name) WHERE stored < version;
    CREATE TABLE IF NOT EXISTS dead (
        id INTEGER PRIMARY KEY, team BLOB NOT NULL, project BLOB NOT NULL, experiment BLOB NOT NULL, month INTEGER NOT NULL, points INTEGER NOT NULL,
        writer INTEGER NOT NULL, ordinal INTEGER NOT NULL, received_us INTEGER NOT NULL, payload BLOB NOT NULL, reason TEXT NOT NULL, at_us INTEGER NOT NULL,
        request_id TEXT NOT NULL DEFAULT ''
    );
"""
# Columns that files of earlier versions lack: (table, column, declaration).
ADDED = (
    ("batches", "request_id", "TEXT NOT NULL DEFAULT ''"),
    ("dead", "request_id", "TEXT NOT NULL DEFAULT ''"),
    # The version of the state in which no step came twice, so that an earlier version of the program, which leaves it as it is, makes it void.
    ("summaries", "once_at", "INTEGER NOT NULL DEFAULT 0"),
    ("summaries", "last_logged", "INTEGER NOT NULL DEFAULT 0"),
)
PRAGMAS = """
    PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -8000;
    PRAGMA journal_size_limit = 67108864;
"""


class InUse(SetupError):
    """Another process holds the file."""


class Damaged(SetupError):
    """The file is no database any more."""


def reader(path: Path) -> sqlite3.Connection:
    """A connection that reads a spool file beside the process that holds it. The caller closes it."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=30)


def meta(connection: sqlite3.Connection, name: str) -> int:
    """A number of the file's own, 0 where it is not set."""
    found = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return int(found[0]) if found else 0


def set_meta(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Keep a number of the file's own."""
    connection.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value))


def own(path: Path) -> int:
    """A descriptor that holds the spool file's lock. Raises InUse where another process has it."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise InUse(f"The spool {path} is in use by another process: stop that server, or give another DATA_DIR.") from error
    return descriptor


def is_free(path: Path) -> bool:
    """Whether no process holds the file."""
    try:
        os.close(own(path))
    except InUse:
        return False
    return True


def connected(path: Path) -> sqlite3.Connection:
    """A connection in autocommit, durable at every commit, to a file with all its tables. Raises Damaged or another SetupError."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=256)
    try:
        connection.executescript(PRAGMAS + SCHEMA)
        add_columns(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        kind = Damaged if is_damage(error) else SetupError
        raise kind(f"The spool {path} cannot be used ({error}): put it back from a backup, or move it away and lose what it held.") from error
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is broken for good; anything else may pass."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def add_columns(connection: sqlite3.Connection) -> None:
    """Give a file of an earlier version the columns that it lacks."""
    for table, column, declaration in ADDED:
        if column not in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declaration}")


def live_bytes(connection: sqlite3.Connection) -> int:
    """What the file holds, free pages left out."""
    pages, free, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size
