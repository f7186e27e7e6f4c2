"""Which experiments of a project fit a filter, and in which order: columns of all of them at once, read in a constant number of queries."""

from __future__ import annotations

import json
import math
import operator
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from numpy.typing import NDArray

from config.limits.sizes import READ_MOST
from config.names import tidied
from experiments.language.names import check_names, with_known_names
from experiments.language.parsing import compiled, parse
from experiments.language.terms import Comparison, Expression, FilterError, Junction, Known, Negation, Subject, comparisons
from experiments.models import Experiment, Tag
from experiments.notation.equality import floated, is_nothing, is_same
from experiments.notation.params import distinct, shown
from experiments.readings.numbers import Numbers
from experiments.stalled import stalled
from experiments.table.columns import varying_params
from metrics import process
from metrics.store.shapes import Place, Readings
from projects.models import Project, ProjectMetric

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
COMPLETED_MOST = 200
READ_AT_ONCE = 500
NAN = "NaN"
STORE_AWAY = "The metric store is away: a filter by metrics works again when it is back."
FIELD_OF = {"params": ("params",), "name": ("name",), "notes": ("notes",), "host": ("host",), "group": ("replicate_group",), "seed": ("seed", "params"),
            "created": ("created_at",), "status": ("status", "failure_kind"), "tags": (), "metrics": ()}  # fmt: skip
COMPARE: dict[str, Callable[[Any, Any], Any]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}  # Any: numbers or moments


def expression_of(project: Project, text: str) -> Expression:
    """A filter of the project's experiments. Raises FilterError for what is not understood, and for names that the project does not have."""
    expression = parse(text)
    wanted = {comparison.subject.metric for comparison in comparisons(expression) if comparison.subject.root == "metrics"}
    mine = ProjectMetric.objects.filter(project=project).order_by()
    metrics = set(mine.filter(name__in=wanted | set(map(tidied, wanted))).values_list("name", flat=True)) if wanted else set()
    if any(metrics.isdisjoint((name, tidied(name))) for name in wanted):
        metrics = set(mine.values_list("name", flat=True))
    uses_params = any(comparison.subject.root == "params" for comparison in comparisons(expression))
    params = {*varying_params(project), *project.seeds.entries} if uses_params else set()
    names = Known(params, metrics)
    expression = with_known_names(expression, names)
    check_names(expression, names)
    return expression


def known(project: Project) -> Known:
    """The names that a filter of the project may use, COMPLETED_MOST of each kind."""
    metrics = ProjectMetric.objects.filter(project=project).values_list("name", flat=True)[:COMPLETED_MOST]
    tags = Tag.objects.filter(project=project).values_list("name", flat=True)[:COMPLETED_MOST]
    params = sorted(varying_params(project), key=project.seeds.has)
    return Known(params[:COMPLETED_MOST], list(metrics), list(tags))


def fitting(project: Project, text: str, found: QuerySet[Experiment]) -> list[uuid.UUID]:
    """The ids among `found`, in its order, that fit the filter. Raises FilterError, and a StoreError where it needs the metric store and that is away."""
    expression = expression_of(project, text)
    return Rows(project, found, None, fields_of(expression)).fitting(expression)


def fields_of(expression: Expression | None) -> set[str]:
    """The fields of the record that a filter reads."""
    return {field for comparison in comparisons(expression) for field in FIELD_OF[comparison.subject.root]} if expression else set()


class Rows:
    """All experiments of `found`, column by column. `numbers` answers for a page; without it the metric store's absence is raised."""

    def __init__(self, project: Project, found: QuerySet[Experiment], numbers: Numbers | None, fields: Iterable[str]) -> None:
        self.project, self.found, self.numbers = project, found, numbers or Insistent()
        self.fields = sorted(set(fields))
        self.asked: dict[str, Readings] = {}

    @cached_property
    def table(self) -> list[tuple[Any, ...]]:
        """Ids and fields, a row each. Any: a field's own type. Raises FilterError where they are too much to read."""
        columns = [Cast("params", TextField()) if field == "params" else field for field in self.fields]
        rows, size = [], 0
        for row in self.found.values_list("pk", *columns).iterator(chunk_size=READ_AT_ONCE):
            rows.append(row)
            size += sum(len(value) for value in row if isinstance(value, str))
            if size > READ_MOST:
                raise FilterError(f"These experiments hold more than {READ_MOST:,} characters of params and notes: narrow them by a status or a tag.", 0, 0)
        return rows

    @cached_property
    def ids(self) -> list[uuid.UUID]:
        """Their ids, in the order of `found`."""
        return [row[0] for row in self.table]

    @cached_property
    def places(self) -> dict[uuid.UUID, int]:
        """Where in the columns each id stands."""
        return {pk: n for n, pk in enumerate(self.ids)}

    def column(self, field: str) -> list[Any]:
        """One field of all, params as their text. Any: the field's own type."""
        at = self.fields.index(field) + 1
        return [row[at] for row in self.table]

    def params(self) -> Iterator[Any]:
        """The params of all, one after the other: together they may be more than memory holds. Any: whatever JSON holds."""
        return map(decoded, self.column("params"))

    @cached_property
    def seeds(self) -> list[int | None]:
        """The seed of each: the one it was given, else the one that its params tell of."""
        at, params, names = self.fields.index("seed") + 1, self.fields.index("params") + 1, self.project.seeds
        return [row[at] if row[at] is not None else names.told(decoded(row[params])) for row in self.table]

    def readings(self, metric: str, how: str) -> tuple[Floats, Mask]:
        """One number of a metric for all, NaN where it has none, and which have the metric. One question to the store for a metric."""
        if metric not in self.asked:
            place, nothing = Place(self.project.team_id, self.project.pk), Readings([], {})
            self.asked[metric] = self.numbers.ask(lambda store: store.readings(place, metric), nothing)
        found = self.asked[metric]
        column, has = np.full(len(self.ids), np.nan), np.zeros(len(self.ids), dtype=np.bool_)
        pairs = np.array([(self.places.get(pk, -1), n) for n, pk in enumerate(found.experiments)], dtype=np.intp).reshape(-1, 2)
        inside = pairs[pairs[:, 0] >= 0]
        if len(inside):
            column[inside[:, 0]], has[inside[:, 0]] = found.numbers[how][inside[:, 1]], True
        return column, has

    @cached_property
    def aggregations(self) -> dict[str, str]:
        """How each metric of the project becomes one number."""
        return dict(ProjectMetric.objects.filter(project=self.project).order_by().values_list("name", "aggregation"))

    @cached_property
    def stalled(self) -> set[uuid.UUID]:
        """The ids of those that count as stalled now."""
        return set(self.found.filter(stalled(at=timezone.now())).values_list("pk", flat=True))

    # Filtering

    def fitting(self, expression: Expression) -> list[uuid.UUID]:
        """The ids that fit, in the order of `found`. Raises FilterError where a page has no metric store to ask."""
        mask = self.mask(expression)
        self.refuse_without_store(expression)
        return [pk for pk, fits in zip(self.ids, mask, strict=True) if fits]

    def refuse_without_store(self, expression: Expression) -> None:
        """Raise FilterError at the first metric where the store did not answer."""
        for comparison in comparisons(expression):
            if self.numbers.is_away and comparison.subject.root == "metrics":
                raise FilterError(STORE_AWAY, comparison.subject.at, comparison.subject.length)

    def mask(self, expression: Expression) -> Mask:
        """Which fit."""
        if isinstance(expression, Negation):
            return ~self.mask(expression.term)
        if isinstance(expression, Junction):
            join = np.logical_and if expression.word == "and" else np.logical_or
            return join.reduce([self.mask(term) for term in expression.terms])  # type: ignore[no-any-return]
        return self.compared(expression)

    def compared(self, comparison: Comparison) -> Mask:
        """Which fit one comparison. What has no value fits `!=` alone."""
        subject = comparison.subject
        if subject.root == "metrics":
            return numeric(comparison, *self.readings(subject.metric, subject.how or self.aggregations[subject.metric]))
        if subject.root == "tags":
            tagged = set(
                Experiment.tags.through.objects.filter(tag__project=self.project, tag__name=shown(comparison.value)).values_list("experiment_id", flat=True)
            )
            return self.are(tagged)
        if subject.root == "status":
            return self.in_status(comparison)
        fits = predicate(comparison)
        return np.fromiter((fits(value) for value in self.values(subject)), dtype=np.bool_, count=len(self.ids))

    def values(self, subject: Subject) -> Iterable[Any]:
        """What the record holds of a subject. Any: params hold whatever JSON holds."""
        if subject.root == "seed":
            return self.seeds
        if subject.root == "params":
            return (param_at(params, subject.path) for params in self.params())
        return self.column(FIELD_OF[subject.root][0])

    def are(self, chosen: set[uuid.UUID]) -> Mask:
        """Which are among these."""
        return np.fromiter((pk in chosen for pk in self.ids), dtype=np.bool_, count=len(self.ids))

    def in_status(self, comparison: Comparison) -> Mask:
        """Which are in one of the statuses; a failure's kind and `stalled` count as such."""
        words = set(comparison.values)
        pairs = zip(self.column("status"), self.column("failure_kind"), strict=True)
        found = np.fromiter((status in words or kind in words for status, kind in pairs), dtype=np.bool_, count=len(self.ids))
        if "stalled" in words:
            found |= self.are(self.stalled)
        return ~found if comparison.operator == "!=" else found


def decoded(text: str) -> Any:  # Any: whatever JSON holds
    """Params from their text, by msgspec; the field's own way reads what is not quite JSON, such as a bare NaN."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


class Insistent(Numbers):
    """The metric store as a script asks it: its absence is an error."""

    def ask(self, question: Callable[..., Any], otherwise: object) -> Any:  # Any: what the question gives
        """The answer. Raises a StoreError."""
        return question(process.repository())


def numeric(comparison: Comparison, column: Floats, has: Mask) -> Mask:
    """Which numbers of a metric fit."""
    if comparison.operator in COMPARE:
        return has & np.asarray(COMPARE[comparison.operator](column, as_measured(comparison.value)), dtype=np.bool_)
    equal = np.zeros(len(column), dtype=np.bool_)
    for value in map(as_measured, comparison.values):
        equal |= ~has if value is None else has & (np.isnan(column) if value != value else column == value)
    return ~equal if comparison.operator == "!=" else equal


def as_measured(value: Any) -> float | None:  # Any: a number or nothing, as `check_value` saw to
    """A value of a filter as metrics hold numbers."""
    return None if value is None else floated(value)


def predicate(comparison: Comparison) -> Callable[[Any], bool]:
    """Whether one value of the record fits. Any: params hold whatever JSON holds."""
    word, value, values = comparison.operator, comparison.value, comparison.values
    if word in COMPARE:
        compare = COMPARE[word]
        kinds: tuple[type, ...] = (datetime,) if isinstance(value, datetime) else (int, float)
        return lambda found: isinstance(found, kinds) and not isinstance(found, bool) and bool(compare(found, value))
    if word == "~":
        pattern = compiled(shown(value))
        return lambda found: found is not None and pattern.search(clean_text(found)) is not None
    if word == "contains":
        part = shown(value).casefold()
        return lambda found: found is not None and part in shown(found).casefold()
    if word == "has":
        return lambda found: isinstance(found, list | dict) and any(is_same(item, value) for item in found)
    if word == "!=":
        return lambda found: not is_same(found, value)
    return lambda found: any(is_same(found, each) for each in values)


def clean_text(value: object) -> str:
    """A value as text that has an encoding."""
    return shown(value).encode(errors="replace").decode()


def param_at(params: Any, path: Sequence[str]) -> Any:  # Any: params hold whatever JSON holds
    """The param under a dotted name, the longest literal name first; None where there is none."""
    for n in range(len(path), 0, -1):
        name = path[0] if n == 1 else ".".join(path[:n])
        if isinstance(params, dict) and not is_nothing(params.get(name)):
            return params[name] if n == len(path) else param_at(params[name], path[n:])
    return None


def in_status(word: str, now: datetime) -> Q:
    """The condition for one word of the statuses that people choose; everything for none."""
    if word == "stalled":
        return stalled(at=now)
    if word in Experiment.Status.values:
        return Q(status=word)
    return Q(failure_kind=word) if word and word in Experiment.FailureKind.values else Q()


def ranked(values: Sequence[Any]) -> Floats:
    """Where each value stands among values of all types: numbers by size, then text, then the rest; NaN for none. Any: a field's own type."""
    keys = [None if is_nothing(value) or value != value else order_of(value) for value in values]
    ranks = {key: float(n) for n, key in enumerate(sorted({key for key in keys if key is not None}))}
    return np.array([np.nan if key is None else ranks[key] for key in keys], dtype=np.float64)


def order_of(value: object) -> tuple[int, float, str]:
    """Where a value stands among values of all types, equal for equal ones alone: numbers by size, NaN after them, text, then the rest."""
    if isinstance(value, datetime):
        return (0, value.timestamp(), "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, value, "") if value == value else (0, math.inf, NAN)
    return (1, 0.0, value) if isinstance(value, str) else (2, 0.0, distinct(value))


def in_order(count: int, columns: Sequence[tuple[Floats, bool]]) -> NDArray[np.intp]:
    """The order of `count` rows by several columns, the first of most weight, each descending where True. Absent values come last; equals keep their order."""
    keys = [np.where(np.isnan(column), np.inf, -column if is_descending else column) for column, is_descending in columns]
    return np.lexsort(keys[::-1]) if keys else np.arange(count, dtype=np.intp)
