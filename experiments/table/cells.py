"""What a table is made of: heads, rows, cells, and what is wrong with its filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.language.terms import FilterError
from experiments.models import Experiment
from experiments.notation.numerals import decimals_of
from experiments.table.columns import Column
from experiments.table.query import TableQuery
from metrics.store.shapes import Summaries


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a filter, and where: `before`, `word` and `after` make up the text."""

    query: TableQuery
    error: FilterError

    @property
    def before(self) -> str:
        """What stands before the word."""
        return self.query.text[: self.error.position]

    @property
    def word(self) -> str:
        """The word, a space where something is missing at the end."""
        return self.query.text[self.error.position : self.error.position + self.error.length] or " "

    @property
    def after(self) -> str:
        """What stands behind the word."""
        return self.query.text[self.error.position + self.error.length :]

    @property
    def mended(self) -> str:
        """The query string with the suggestion in the word's place."""
        return replace(self.query, text=self.before + self.error.suggestion + self.after, page=1).string()


@dataclass(frozen=True)
class Cell:
    """One value of one experiment. `decimals` is what the column's numbers share, `style` the classes."""

    kind: str
    style: str
    value: Any = None  # Any: params hold whatever JSON holds
    decimals: int | None = None
    title: str = ""


@dataclass(frozen=True)
class Row:
    """One experiment on the page."""

    experiment: Experiment
    cells: list[Cell]


@dataclass(frozen=True)
class Heading:
    """A column's head: the addresses that sort by it, alone and among others, and how it is sorted now (`ascending`, `descending` or nothing).

    `place` is its number among several sort keys, 0 for none; `moves` are the addresses that arrange it, by what they do.
    """

    column: Column
    link: str
    also: str
    sorted: str
    place: int
    moves: dict[str, str]


def readings(column: Column, experiments: Sequence[Experiment], summaries: Summaries) -> list[Cell]:
    """One column of numbers, all with the same decimals."""
    found = [summaries.get(experiment.pk, {}).get(column.name) for experiment in experiments]
    values = [None if summary is None else summary.shown(column.how) for summary in found]
    decimals, absent = decimals_of(values), f"{column.style} muted"
    return [
        Cell("metric", absent) if summary is None else Cell("metric", column.style, value, decimals, f"{value!r}, {column.how} of {summary.count} points")
        for summary, value in zip(found, values, strict=True)
    ]
