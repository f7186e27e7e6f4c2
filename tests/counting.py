"""An engine that tells what it was asked."""

from __future__ import annotations

from typing import Any

from metrics.clickhouse.client import Engine


class Counting:
    """Another engine, and the SQL of every question to it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.asked: list[str] = []

    def query(self, sql: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self.asked.append(sql)
        return self.engine.query(sql, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)
