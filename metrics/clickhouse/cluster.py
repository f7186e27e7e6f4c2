"""What a statement for one server becomes in a cluster: each host keeps its part in a local table, and the name that everyone reads spans them all.

Points are spread by experiment, so that a series lies on one shard and its repeats meet there.
"""

from __future__ import annotations

import re

from metrics.clickhouse.errors import Misuse

LOCAL = "_local"
# ClickHouse fills these in on each host, from its own `macros`.
REPLICATED = "Replicated{engine}('/clickhouse/tables/{{shard}}/{{database}}/{{table}}', '{{replica}}'{arguments})"
DATABASE = re.compile(r"CREATE DATABASE IF NOT EXISTS \w+")
TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (?P<database>\w+)\.(?P<table>\w+)")
ENGINE = re.compile(r"ENGINE = (?P<engine>\w*MergeTree)(?:\((?P<arguments>[^)]*)\))?")
DELETE = re.compile(r"DELETE FROM (?P<database>\w+)\.(?P<table>\w+)")
ALTER = re.compile(r"ALTER TABLE (?P<database>\w+)\.(?P<table>\w+)(?P<changes>\s+ADD COLUMN .*)", re.DOTALL)
# What spans the hosts has no order of its own.
ORDER = re.compile(r",\s*MODIFY ORDER BY \([^)]*\)")
INSERT = re.compile(r"INSERT INTO \w+\.\w+")
REMARKS = re.compile(r"^(?:\s*--[^\n]*\n)*\s*")


def clustered(statement: str, cluster: str) -> tuple[str, ...]:
    """The statements that do on `cluster` what `statement` does on one server; itself where `cluster` is empty.

    Raises Misuse for a statement that has no rule here: on one host alone it would leave the others behind.
    """
    if not cluster:
        return (statement,)
    bare = REMARKS.sub("", statement)
    if INSERT.match(bare):
        return (statement,)
    if DATABASE.fullmatch(bare.rstrip()):
        return (f"{bare.rstrip()} ON CLUSTER '{cluster}'",)
    if DELETE.match(bare):
        return (DELETE.sub(rf"DELETE FROM \g<database>.\g<table>{LOCAL} ON CLUSTER '{cluster}'", bare, count=1),)  # nosec B608  # made of our own words
    if found := ALTER.match(bare):
        return tuple(
            f"ALTER TABLE {found['database']}.{table} ON CLUSTER '{cluster}'{changes}"
            for table, changes in ((f"{found['table']}{LOCAL}", found["changes"]), (found["table"], ORDER.sub("", found["changes"])))
        )
    if TABLE.match(bare) and ENGINE.search(bare):
        return local_table(bare, cluster), spanning_table(bare, cluster)
    raise Misuse(f"No rule says what this becomes in a cluster: {bare[:80]}")


def local_table(statement: str, cluster: str) -> str:
    """The CREATE TABLE of each host's part, replicated within its shard."""
    named = TABLE.sub(rf"CREATE TABLE IF NOT EXISTS \g<database>.\g<table>{LOCAL} ON CLUSTER '{cluster}'", statement, count=1)
    return ENGINE.sub(lambda found: f"ENGINE = {replicated(found['engine'], found['arguments'])}", named, count=1)


def replicated(engine: str, arguments: str | None) -> str:
    """A MergeTree engine that keeps copies."""
    return REPLICATED.format(engine=engine, arguments=f", {arguments}" if arguments else "")


def spanning_table(statement: str, cluster: str) -> str:
    """The CREATE TABLE of the name that everyone reads and writes."""
    found = TABLE.match(statement)
    if found is None:
        raise ValueError(f"This makes no table: {statement[:200]}")
    database, table = found["database"], found["table"]
    shard = "cityHash64(experiment_id)" if re.search(r"^\s*experiment_id ", statement, re.MULTILINE) else "rand()"
    return (
        f"CREATE TABLE IF NOT EXISTS {database}.{table} ON CLUSTER '{cluster}' AS {database}.{table}{LOCAL}"
        f" ENGINE = Distributed('{cluster}', '{database}', '{table}{LOCAL}', {shard})"
    )
