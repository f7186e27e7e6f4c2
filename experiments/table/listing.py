"""What a script's list of experiments asks of metrics: to be ordered by their numbers, and to have those beside each row.

A number is written as in filters, `accuracy.max`, or `accuracy` alone for the metric's own aggregation; a name that ends like an aggregate, or holds
a comma, stands in backticks or quotes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import QuerySet

from config.errors import Fault, Invalid, NotFound
from config.names import known_spelling, tidied
from config.web.words import listed, meant, nearest
from experiments.language.names import spelled
from experiments.language.terms import AGGREGATES
from experiments.models import Experiment
from experiments.table.filtering import Floats, Rows, expression_of, fields_of, in_order, ranked
from metrics import process
from metrics.store.shapes import Place
from projects.models import Project

METRICS = "metrics."
NUMBERS_MOST = 100
QUOTED = re.compile(rf"""([`"])(?P<name>.*)\1(?:\.(?P<how>{"|".join(AGGREGATES)}))?""", re.DOTALL)


@dataclass(frozen=True)
class Number:
    """One number of a metric, and the word that asked for it."""

    word: str
    metric: str
    how: str


@dataclass(frozen=True)
class Key:
    """One key of an order: a field of the record, or a number of a metric."""

    field: str
    number: Number | None
    is_descending: bool


def numbers_asked(project: Project, text: str) -> list[Number]:
    """The numbers of a list such as `accuracy,loss.min`. Raises NotFound for a metric that the project does not have, Invalid for too many."""
    words = listed(text)
    if len(words) > NUMBERS_MOST:
        raise Invalid(f"metrics names at most {NUMBERS_MOST}; got {len(words)}.", [Fault(None, "metrics", "too_many", f"At most {NUMBERS_MOST}.")])
    how = dict(project.metrics.values_list("name", "aggregation"))
    return [number_of(project, word, how) for word in words]


def number_of(project: Project, word: str, aggregations: Mapping[str, str]) -> Number:
    """The number that a word names. Raises NotFound."""
    found = number_named(word, aggregations)
    if found is None:
        near = nearest(tidied(word.strip('`"')), aggregations)
        message = f"{project} has no metric {word[:250]!r}.{meant(near)} GET /api/v1/projects/{project.slug}/metrics lists them."
        raise NotFound(message, [Fault(None, "metrics", "unknown", message, suggestion=spelled(near) if near else None)])
    return found


def number_named(word: str, aggregations: Mapping[str, str]) -> Number | None:
    """The number that a word names, however its letters are composed; None where there is no such metric."""
    quoted = QUOTED.fullmatch(word)
    if quoted:
        name, how = known_spelling(quoted["name"], aggregations.__contains__), quoted["how"] or ""
        return Number(word, name, how or aggregations[name]) if name in aggregations else None
    name, _, how = word.rpartition(".")
    name, whole = (known_spelling(each, aggregations.__contains__) for each in (name, word))
    if how in AGGREGATES and name in aggregations:
        return Number(word, name, how)
    return Number(word, whole, aggregations[whole]) if whole in aggregations else None


def is_by_metrics(text: str) -> bool:
    """Whether an order has a key that only the metric store knows."""
    return any(word.removeprefix("-").startswith(METRICS) for word in listed(text))


def keys_of(project: Project, text: str) -> list[Key]:
    """The keys of an order, the first of most weight; fields are known to be such. Raises Invalid for a metric that the project does not have."""
    how = dict(project.metrics.values_list("name", "aggregation"))
    return [key_of(project, word, how) for word in listed(text)]


def key_of(project: Project, word: str, aggregations: Mapping[str, str]) -> Key:
    """One key of an order."""
    plain, is_descending = word.removeprefix("-"), word.startswith("-")
    if not plain.startswith(METRICS):
        return Key(plain, None, is_descending)
    try:
        return Key("", number_of(project, plain.removeprefix(METRICS), aggregations), is_descending)
    except NotFound as error:
        near = error.faults[0].suggestion
        suggestion = f"{'-' if is_descending else ''}{METRICS}{near}" if near else None
        raise Invalid(str(error), [Fault(None, "ordering", "unknown_key", str(error), suggestion=suggestion)]) from error


def chosen(project: Project, found: QuerySet[Experiment], *, where: str, keys: Sequence[Key]) -> list[uuid.UUID]:
    """The ids among `found` that fit a filter, in the order of the keys; what has no number comes last, and equals stay in the order of `found`.

    Raises FilterError, and a StoreError where the metric store is needed and away.
    """
    expression = expression_of(project, where) if where.strip() else None
    rows = Rows(project, found, None, fields_of(expression) | {key.field for key in keys if key.field})
    fitting = rows.ids if expression is None else rows.fitting(expression)
    if not keys:
        return fitting
    at = np.array([rows.places[pk] for pk in fitting], dtype=np.intp)
    return [rows.ids[at[i]] for i in in_order(len(at), [(column(rows, key)[at], key.is_descending) for key in keys])]


def column(rows: Rows, key: Key) -> Floats:
    """One key of all rows as numbers to sort by, NaN for none."""
    if key.number is None:
        return ranked(rows.column(key.field))
    return rows.readings(key.number.metric, key.number.how)[0]


def numbers_of(project: Project, numbers: Sequence[Number], experiments: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    """For each experiment its numbers by the words that asked for them; None where it has none. Any: a number, or a word for NaN and infinities."""
    if not experiments or not numbers:
        return {pk: {} for pk in experiments}
    metrics = list(dict.fromkeys(number.metric for number in numbers))
    found = process.repository().summaries(Place(project.team_id, project.pk), experiments=list(experiments), metrics=metrics)
    return {pk: {number.word: reading(found.get(pk, {}), number) for number in numbers} for pk in experiments}


def reading(summaries: Mapping[str, Any], number: Number) -> Any:  # Any: a number or a word
    """One number as JSON has it: null where there is none, words for a last value that is not finite."""
    if number.metric not in summaries:
        return None
    value = summaries[number.metric].by(number.how)
    if value != value and number.how != "last":
        return None
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(repr(value), value)
