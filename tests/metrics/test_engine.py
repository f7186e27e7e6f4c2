"""What every engine refuses, and how it says so."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from config.errors import SetupError
from metrics.clickhouse import migrate
from metrics.clickhouse.client import Coded, Engine
from metrics.clickhouse.embedded import EmbeddedEngine
from metrics.clickhouse.errors import Misuse, RejectedData, StoreUnavailable, TooSlow, store_error

# The session's process registers its spool in the record.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def checked_table(engine):
    engine.execute("CREATE TABLE metrics.checked (n Int64, name String, CONSTRAINT small CHECK n < 100) ENGINE = MergeTree ORDER BY n")
    yield "checked"
    engine.execute("DROP TABLE metrics.checked SYNC")


def rows(engine: Engine, table: str) -> int:
    return engine.query(f"SELECT count() AS n FROM metrics.{table}")["n"][0]


def test_a_refused_block_is_an_error_and_writes_nothing(engine, checked_table):
    numbers = np.arange(5000)
    with pytest.raises(RejectedData, match="small"):
        engine.insert(checked_table, {"n": numbers, "name": Coded(["a"], np.zeros(5000, np.uint32))})
    assert rows(engine, checked_table) == 0
    engine.insert(checked_table, {"n": numbers[:100], "name": Coded(["a"], np.zeros(100, np.uint32))})
    assert rows(engine, checked_table) == 100


def test_a_query_past_its_deadline_is_too_slow(engine):
    with pytest.raises(TooSlow):
        engine.query("SELECT count() AS n FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))", timeout_s=0.2)


def test_a_wrong_statement_is_misuse(engine):
    with pytest.raises(Misuse):
        engine.query("SELECT * FROM metrics.no_such_table")
    with pytest.raises(Misuse):
        engine.insert("no_such_table", {"n": np.arange(3)})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (469, RejectedData),
        (159, TooSlow),
        (62, Misuse),
        (210, StoreUnavailable),
        (241, StoreUnavailable),
        (286, StoreUnavailable),
        (164, Misuse),
        (12345, RejectedData),
    ],
)
def test_a_code_decides_the_kind_of_error(code, kind):
    assert type(store_error(f"Code: {code}. DB::Exception: something")) is kind


def test_an_error_without_a_code_means_that_the_store_is_away():
    assert type(store_error("connection lost")) is StoreUnavailable


def test_parameters_are_bound_never_pasted(engine):
    evil = "'; DROP TABLE metrics.metrics; -- \\ %s {x:String}"
    assert engine.query("SELECT %(text)s AS text", {"text": evil})["text"] == [evil]
    assert engine.query("SELECT %(text)s AS text", {"text": "损失\n\t\0"})["text"] == ["损失\n\t\0"]


def test_an_empty_result_has_no_rows(engine):
    assert list(engine.query("SELECT 1 AS n WHERE 0").get("n", ())) == []


def open_elsewhere(directory: Path, answer) -> None:
    try:
        EmbeddedEngine(directory, database="metrics", max_memory_bytes=200_000_000, max_threads=1, timeout_s=1)
    except SetupError as error:
        answer.put(str(error))
    else:
        answer.put("opened")


def test_a_second_process_is_told_who_has_the_directory(embedded_engine):
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    other = context.Process(target=open_elsewhere, args=(embedded_engine.directory, answer))
    other.start()
    assert "in use by another process" in answer.get(timeout=60)
    other.join()


def test_migrations_are_applied_once_and_in_order(engine):
    names = [migration.name for migration in migrate.migrations("metrics")]
    assert names == sorted(names)
    assert migrate.applied(engine, "metrics") >= set(names)
    assert migrate.pending(engine, "metrics") == []
    assert migrate.migrate(engine, "metrics") == []


def test_a_new_store_has_every_migration_pending(engine):
    assert [m.name for m in migrate.pending(engine, "nowhere")] == [m.name for m in migrate.migrations("nowhere")]


def test_every_column_of_every_table_says_what_it_holds(engine):
    silent = engine.query("SELECT concat(table, '.', name) AS name FROM system.columns WHERE database = 'metrics' AND comment = ''")
    assert list(silent.get("name", ())) == []
