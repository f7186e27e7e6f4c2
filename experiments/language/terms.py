"""The language that filters experiments: `params.lr < 1e-3 and metrics.accuracy.max > 0.9 and tags has "final"`. Pure text to typed terms.

terms      not, and, or, parentheses; `not` binds closest, then `and`
subjects   params.lr, params.optimizer.name, metrics.accuracy.max (last, min, max, avg; without one the metric's own aggregation), tags, status,
           name, notes, host, group, seed, created; a name with other characters than letters, digits, _, - and / stands in backticks or quotes
operators  = != < <= > >=   ~ (a regular expression)   contains   has   in (a, b)
values     numbers, "text", true, false, none, dates (2026-11-24, 2026-11-24T10:00Z); one word needs no quotes
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from config.errors import Fault, Invalid

LONGEST = 2000
PARTS_MOST = 100  # of a name, between dots
AGGREGATES = ("last", "min", "max", "avg")
TEXT_FIELDS = ("name", "notes", "host", "group", "status")
FIELDS = (*TEXT_FIELDS, "seed", "created", "tags")
ROOTS = ("params", "metrics", *FIELDS)
STATUS_WORDS = ("planned", "running", "complete", "failed", "diverged", "crashed", "interrupted", "stalled")
SYMBOLS = ("=", "!=", "<", "<=", ">", ">=", "~")
WORDS = ("has", "contains", "in")
ORDERS = ("<", "<=", ">", ">=")
JOINTS = ("and", "or", "not")
Value = float | str | bool | datetime | None


class FilterError(Invalid):
    """A filter that is not understood. `position` and `length` say where in the text; `suggestion` may stand there instead."""

    def __init__(self, message: str, position: int, length: int, suggestion: str = "") -> None:
        self.position, self.length, self.suggestion = position, length, suggestion
        meant = f" Did you mean {suggestion}?" if suggestion else ""
        fault = Fault(None, "where", "filter", message + meant, position=position, length=length, suggestion=suggestion or None)
        super().__init__(f"{message}{meant} (at character {position + 1})", [fault])
        self.message = message


@dataclass(frozen=True)
class Subject:
    """What is compared: `root` is one of ROOTS; `path` the segments of a param's name, or a metric's name and its aggregate (perhaps "")."""

    root: str
    path: tuple[str, ...]
    at: int
    length: int

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return self.path[0]

    @property
    def how(self) -> str:
        """The aggregate of the metric, "" for its own aggregation."""
        return self.path[1]


@dataclass(frozen=True)
class Comparison:
    """One condition. `values` has one entry, or for `in` any number."""

    subject: Subject
    operator: str
    values: tuple[Value, ...]
    at: int

    @property
    def value(self) -> Value:
        """The one value."""
        return self.values[0]


@dataclass(frozen=True)
class Negation:
    """What does not fit `term`."""

    term: Expression


@dataclass(frozen=True)
class Junction:
    """All of the terms (`and`) or any of them (`or`)."""

    word: str
    terms: tuple[Expression, ...]


Expression = Comparison | Negation | Junction


@dataclass(frozen=True)
class Known:
    """The names that a project has, for checks, suggestions and completion."""

    params: Collection[str] = ()
    metrics: Collection[str] = ()
    tags: Collection[str] = ()


def operators_for(subject: Subject) -> tuple[str, ...]:
    """The operators that a subject takes, the commonest first."""
    if subject.root == "tags":
        return ("has",)
    if subject.root in ("metrics", "seed"):
        return ("<", "<=", ">", ">=", "=", "!=", "in")
    if subject.root == "created":
        return (">", ">=", "<", "<=")
    if subject.root == "status":
        return ("=", "!=", "in")
    if subject.root in TEXT_FIELDS:
        return ("contains", "=", "!=", "~", "in")
    return ("=", "!=", "<", "<=", ">", ">=", "~", "contains", "has", "in")


def comparisons(expression: Expression) -> Iterator[Comparison]:
    """Every comparison, from left to right."""
    if isinstance(expression, Comparison):
        yield expression
        return
    for term in (expression.term,) if isinstance(expression, Negation) else expression.terms:
        yield from comparisons(term)
