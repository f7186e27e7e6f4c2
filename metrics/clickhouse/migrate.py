"""Numbered SQL files, each applied once, in order, with a table that remembers which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metrics.clickhouse.client import Engine
from metrics.clickhouse.errors import Misuse

FOLDER = Path(__file__).parent / "migrations"

REMEMBER = """
    CREATE TABLE IF NOT EXISTS {database}.migrations
    (
        name String COMMENT 'file name without its ending',
        applied_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'when it was applied'
    )
    ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
"""
APPLIED = "SELECT name FROM {database}.migrations FINAL"
# SELECT, since a server waits for rows to be sent after VALUES.
RECORD = "INSERT INTO {database}.migrations (name) SELECT %(name)s"


@dataclass(frozen=True)
class Migration:
    """One file: its name and its statements."""

    name: str
    statements: tuple[str, ...]


def migrations(database: str) -> list[Migration]:
    """All of them, in order, for `database`."""
    return [Migration(path.stem, statements(path.read_text(), database)) for path in sorted(FOLDER.glob("*.sql"))]


def statements(text: str, database: str) -> tuple[str, ...]:
    """The statements of a file: between semicolons that end a line."""
    return tuple(part.strip() for part in text.replace("{database}", database).split(";\n") if part.strip())


def applied(engine: Engine, database: str) -> set[str]:
    """Names of the migrations that the store has; none where the store is new."""
    try:
        return set(engine.query(APPLIED.replace("{database}", database)).get("name", []))
    except Misuse:
        return set()


def pending(engine: Engine, database: str) -> list[Migration]:
    """What is still to apply, in order."""
    done = applied(engine, database)
    return [migration for migration in migrations(database) if migration.name not in done]


def migrate(engine: Engine, database: str) -> list[str]:
    """Apply what is pending; the names applied. Each statement may be repeated: a kill between them is made good by the next run."""
    engine.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
    engine.execute(REMEMBER.replace("{database}", database))
    names = []
    for migration in pending(engine, database):
        for statement in migration.statements:
            engine.execute(statement)
        engine.execute(RECORD.replace("{database}", database), {"name": migration.name})
        names.append(migration.name)
    return names
