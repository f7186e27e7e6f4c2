"""Rows as they are logged, and the columns that are sent."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import NamedTuple

from research_platform.pace import Pace
from research_platform.parts import Batch, batch_of
from research_platform.values import spelled

Column = list["float | str | None"]


class Row(NamedTuple):
    """One call of `log`: `values[i]` belongs to `names[i]`; `at_s` is Unix time in seconds."""

    step: int
    at_s: float
    names: tuple[str, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Origin:
    """Whose points they are: the writer's number that the server gave, and the machine's name."""

    writer: int
    host: str

    def batch(self, rows: list[Row], *, ordinal: int) -> Batch:
        """`rows` as a batch whose first point is the run's point number `ordinal`."""
        return batch_of({**columns(rows), "writer": self.writer, "ordinal": ordinal, "host": self.host})


def columns(rows: list[Row]) -> dict[str, object]:
    """`{"steps": [..], "timestamps": [..], "metrics": {name: [..]}}`, all of one length; None where a row lacks the metric."""
    metrics: dict[str, Column] = defaultdict(lambda: [None] * len(rows))
    for position, row in enumerate(rows):
        for metric, value in zip(row.names, row.values):
            metrics[metric][position] = spelled(value)
    return {"steps": [row.step for row in rows], "timestamps": [row.at_s for row in rows], "metrics": metrics}


def taken(waiting: deque[Row], pace: Pace) -> list[Row]:
    """Remove from the front of `waiting` the rows of one batch: at least one, and no more than `pace` allows.

    Only one thread may take; others may append meanwhile.
    """
    rows: list[Row] = []
    names: set[str] = set()
    points = 0
    while waiting:
        names.update(waiting[0].names)
        points += len(waiting[0].names)
        if rows and (points > pace.batch_points or len(names) * (len(rows) + 1) > pace.batch_cells):
            break
        rows.append(waiting.popleft())
    return rows
