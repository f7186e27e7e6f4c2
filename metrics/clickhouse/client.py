"""The narrow interface of a metric engine: columns in, columns out. The embedded engine and a server both fit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from clickhouse_driver.context import Context
from clickhouse_driver.util.escape import escape_params
from numpy.typing import NDArray


@dataclass(frozen=True)
class Coded:
    """A column of few distinct values: `values[codes[i]]` is row i. Values are str or UUID; `codes` has shape (rows,)."""

    values: Sequence[Any]  # Any: str and UUID columns alike
    codes: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice) -> Coded:
        return Coded(self.values, self.codes[rows])


Column = NDArray[Any] | Coded
Columns = Mapping[str, Column]


class Engine(Protocol):
    """One metric store. Every call raises a class of `errors.py`, never the engine's own."""

    def insert(self, table: str, columns: Columns) -> None:
        """Append rows: all columns of one length, times as Int64 microseconds, NaN for NULL where the column is nullable.

        Returns once the rows are durable. Raises RejectedData and writes nothing where the table refuses any row.
        """

    def query(self, sql: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None) -> dict[str, Any]:
        """The result's columns by name, each a sequence of length rows. Placeholders are `%(name)s`."""

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement without a result: DDL, DELETE, INSERT … SELECT."""

    def close(self) -> None:
        """Let go of the store."""


def rendered(sql: str, params: Mapping[str, Any] | None) -> str:
    """SQL with its parameters escaped by clickhouse-driver and put in, alike for every engine."""
    return sql % escape_params(params, Context()) if params else sql
