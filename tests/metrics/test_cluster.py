"""What the tables become in a cluster. chDB runs no cluster, and parses its statements: what it cannot parse here no server could."""

from __future__ import annotations

import re

import pytest

from metrics.clickhouse import migrate
from metrics.clickhouse.cluster import clustered
from metrics.clickhouse.errors import Misuse
from metrics.store.statements import FORGET, POINT_TABLES

pytestmark = pytest.mark.django_db(transaction=True)
MIGRATIONS = migrate.migrations("metrics")
STATEMENTS = [statement for migration in MIGRATIONS for statement in migration.statements]
CREATED = [statement for statement in STATEMENTS if "CREATE TABLE" in statement]
ALTERED = [statement for statement in STATEMENTS if statement not in CREATED]
REMEMBER = migrate.REMEMBER.replace("{database}", "metrics")


def name_of(statement: str) -> str:
    """The table of a CREATE or ALTER TABLE."""
    return re.search(r"\w+\.(\w+)", statement)[1]


@pytest.fixture
def formatted(embedded_engine):
    """The statement as ClickHouse's own parser reads it; Misuse where it cannot."""
    return lambda statement: embedded_engine.query("SELECT formatQuery(%(sql)s) AS sql", {"sql": statement})["sql"][0]


def columns(created: str) -> list[str]:
    """The lines of a CREATE TABLE between its brackets."""
    return created[created.index("(\n") : created.index("\n)")].splitlines()


@pytest.mark.parametrize("statement", [*CREATED, REMEMBER], ids=[*map(name_of, CREATED), "migrations"])
def test_a_table_becomes_a_replicated_one_on_every_host_and_one_that_spans_them(formatted, statement):
    local, spanning = (formatted(part) for part in clustered(statement, "main"))
    alone = formatted(statement)
    assert columns(local) == columns(alone)
    name = re.search(r"EXISTS (\S+)", alone)[1]
    assert f"EXISTS {name}_local ON CLUSTER main\n" in local
    engine, arguments = re.search(r"ENGINE = (\w+)\((.*)\)", alone).groups()
    assert f"ENGINE = Replicated{engine}('/clickhouse/tables/{{shard}}/{{database}}/{{table}}', '{{replica}}', {arguments})" in local
    assert local.partition("ENGINE")[2].splitlines()[1:] == alone.partition("ENGINE")[2].splitlines()[1:]
    assert f"EXISTS {name} ON CLUSTER main AS {name}_local\n" in spanning
    shard = "cityHash64(experiment_id)" if "experiment_id" in alone else "rand()"
    assert spanning.endswith(f"ENGINE = Distributed('main', 'metrics', '{name.partition('.')[2]}_local', {shard})")


@pytest.mark.parametrize("statement", ALTERED, ids=map(name_of, ALTERED))
def test_columns_are_added_to_the_table_of_every_host_and_to_the_one_that_spans_them(formatted, statement):
    local, spanning = (formatted(part) for part in clustered(statement, "main"))
    name = name_of(statement)
    assert local.startswith(f"ALTER TABLE metrics.{name}_local ON CLUSTER main")
    assert spanning.startswith(f"ALTER TABLE metrics.{name} ON CLUSTER main")
    moves = "MODIFY ORDER BY" in statement
    added = [line.rstrip(",") for line in re.findall(r"ADD COLUMN .*", local)]
    assert added == [line.rstrip(",") for line in re.findall(r"ADD COLUMN .*", spanning)]
    assert len(added) == statement.count("ADD COLUMN")
    assert ("MODIFY ORDER BY" in local) == moves
    assert "MODIFY ORDER BY" not in spanning


def test_the_database_is_made_on_every_host(formatted):
    assert [formatted(part) for part in clustered("CREATE DATABASE IF NOT EXISTS metrics", "main")] == ["CREATE DATABASE IF NOT EXISTS metrics ON CLUSTER main"]


@pytest.mark.parametrize("table", POINT_TABLES)
def test_a_deletion_goes_to_the_local_tables_of_every_host(formatted, table):
    values = {"database": "metrics", "table": table}
    sql = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], FORGET) % {"team": "'t'", "project": "'p'", "experiments": "('e')"}
    (deletion,) = clustered(sql, "main")
    assert formatted(deletion).startswith(f"DELETE FROM metrics.{table}_local ON CLUSTER main WHERE ")


def test_rows_go_through_the_name_that_spans_all_hosts():
    for sql in ("INSERT INTO metrics.metrics_hourly (date) SELECT 1", migrate.RECORD.replace("{database}", "metrics")):
        assert clustered(sql, "main") == (sql,)


@pytest.mark.parametrize("sql", ["ALTER TABLE metrics.metrics DROP COLUMN host", "TRUNCATE TABLE metrics.metrics", "CREATE VIEW metrics.v AS SELECT 1"])
def test_what_has_no_rule_is_refused_since_it_would_reach_one_host_alone(sql):
    with pytest.raises(Misuse, match="No rule"):
        clustered(sql, "main")


def test_without_a_cluster_nothing_changes():
    assert [clustered(statement, "") for statement in STATEMENTS] == [(statement,) for statement in STATEMENTS]


@pytest.mark.parametrize("broken", ["ON CLUSTERS 'main'", "ON 'main'", "ON CLUSTER"])
def test_the_parser_would_notice_a_wrong_statement(formatted, broken):
    for part in clustered(CREATED[0], "main"):
        with pytest.raises(Misuse):
            formatted(part.replace("ON CLUSTER 'main'", broken))


def test_a_cluster_may_be_named_by_a_macro_or_with_a_dash(formatted):
    for name in ("{cluster}", "team-a.eu"):
        assert all(f"ON CLUSTER `{name}`" in formatted(part) or f"ON CLUSTER '{name}'" in formatted(part) for part in clustered(CREATED[0], name))
