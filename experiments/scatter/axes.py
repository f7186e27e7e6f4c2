"""Experiments as points over axes: what scatter and parallel coordinates draw. An axis is a param, or one number of a metric.

Two questions whatever is drawn: one to the record for params and names, one to the metric store for every metric among the axes.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from django.http import QueryDict

from config.errors import Invalid
from config.web.files import clean
from experiments.language.names import spelled
from experiments.language.parsing import parse
from experiments.language.terms import AGGREGATES, Expression, FilterError
from experiments.language.terms import Comparison as Condition
from experiments.notation.equality import floated, is_same
from experiments.notation.params import NAMES_MOST, distinct, flat
from experiments.readings.numbers import Numbers
from experiments.readings.selection import Selection
from experiments.table.columns import MENU_NAMES, NUMBERS
from experiments.table.filtering import Rows, decoded, fields_of, order_of, param_at
from experiments.table.query import TableQuery
from experiments.table.rows import ExperimentTable
from metrics.store.shapes import Place, Readings
from projects.models import Project, ProjectMetric
from projects.seeds import Seeds

DRAWN_MOST = 10_000
AXES_MOST = 15
LANES_MOST = 12
WORDS_MOST = 1_000
WORD_LONGEST = 250
KEY_LONGEST = 400
DEFAULT_LANES = 5
DEFAULT_METRICS = 3
ODD = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
Value = float | int | str | None


@dataclass(frozen=True)
class Points:
    """The experiments that are drawn, newest first or in the order of selection, and how many more there are."""

    ids: list[uuid.UUID]
    slugs: list[str]
    names: list[str]
    params: list[Any]  # Any: whatever JSON holds
    beyond: int = 0


def points_of(selection: Selection) -> Points:
    """The experiments that a link names."""
    rows = selection.experiments
    return Points([e.pk for e in rows], [e.slug for e in rows], [e.name for e in rows], [e.params for e in rows], selection.beyond)


def points_found(project: Project, query: TableQuery, numbers: Numbers) -> Points:
    """The experiments that the table's filter leaves, the newest DRAWN_MOST. Raises FilterError."""
    table = ExperimentTable(project, query, numbers)
    expression: Expression | None = table.expression
    rows = Rows(project, table.found, numbers, {"params", "name", "slug"} | fields_of(expression))
    ids = rows.ids if expression is None else rows.fitting(expression)
    at = [rows.places[pk] for pk in ids[:DRAWN_MOST]]
    slugs, names, params = rows.column("slug"), rows.column("name"), rows.column("params")
    return Points([rows.ids[i] for i in at], [slugs[i] for i in at], [names[i] for i in at], [decoded(params[i]) for i in at], max(0, len(ids) - DRAWN_MOST))


@dataclass(frozen=True)
class Axis:
    """One axis. A value is a number, a place among `words` where the axis is ordinal, a word of ODD, or None where there is none.

    `term` is what a filter calls it, `literals` how it spells each word; None where the language of filters cannot. `refusal` says why nothing is drawn.
    """

    key: str
    name: str
    how: str
    values: list[Value]
    words: list[str]
    literals: list[str | None]
    term: str | None
    refusal: str = ""

    @property
    def is_ordinal(self) -> bool:
        """Whether its values are places among words."""
        return bool(self.words)

    @property
    def missing(self) -> int:
        """How many have no value."""
        return sum(value is None for value in self.values)

    @property
    def odd(self) -> int:
        """How many are NaN or infinite."""
        return sum(isinstance(value, str) for value in self.values)

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """What the page's script reads."""
        names = ("key", "name", "how", "values", "words", "literals", "term", "refusal", "missing", "odd")
        return {name: getattr(self, name) for name in names}

    @property
    def exported(self) -> list[Any]:  # Any: numbers, or words
        """The values as a file has them."""
        if self.is_ordinal:
            return [self.words[value] if isinstance(value, int) else None for value in self.values]
        return [None if value is None else float(value) for value in self.values]


class Scatter:
    """Some experiments over some axes. `keys` are read by `keys_of`."""

    def __init__(self, project: Project, points: Points, numbers: Numbers, keys: Sequence[str]) -> None:
        self.project, self.points, self.numbers, self.keys = project, points, numbers, keys

    @cached_property
    def aggregations(self) -> dict[str, str]:
        """How each metric of the project becomes one number."""
        return dict(ProjectMetric.objects.filter(project=self.project).order_by().values_list("name", "aggregation"))

    @cached_property
    def readings(self) -> dict[str, Readings]:
        """All metrics among the axes, in one question."""
        metrics = sorted({name for kind, name in map(parted, self.keys) if kind in NUMBERS})
        nothing: dict[str, Readings] = {}
        few = self.points.ids if len(self.points.ids) <= MENU_NAMES else None
        place = Place(self.project.team_id, self.project.pk)
        return self.numbers.ask(lambda store: store.readings_of(place, metrics, experiments=few), nothing) if metrics and self.points.ids else nothing

    @cached_property
    def axes(self) -> list[Axis]:
        """The axes, in order."""
        return [self.axis(key) for key in self.keys]

    def axis(self, key: str) -> Axis:
        """One axis."""
        kind, name = parted(key)
        if kind == "param":
            return param_axis(key, name, self.points.params)
        how = kind if kind in AGGREGATES else self.aggregations.get(name, "last")
        term = checked(f"metrics.{spelled(name)}.{how}", (name, how))
        return Axis(key, clean(name), how, self.measured(name, how), [], [], term)

    def measured(self, name: str, how: str) -> list[Value]:
        """One number of a metric for each experiment."""
        found = self.readings.get(name)
        if found is None:
            return [None] * len(self.points.ids)
        by_id = dict(zip(found.experiments, found.numbers[how].tolist(), strict=True))
        return [spoken(by_id.get(pk)) for pk in self.points.ids]

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """What the page's script draws."""
        points = self.points
        return {
            "ids": [str(pk) for pk in points.ids] if len(points.ids) <= MENU_NAMES else [],
            "slugs": points.slugs,
            "names": [clean(name) for name in points.names],
            "beyond": points.beyond,
            "axes": [axis.as_json() for axis in self.axes],
            "isStoreAway": self.numbers.is_away,
        }

    @property
    def schema(self) -> pa.Schema:
        """The columns of the data as a file: numbers as numbers, ordinal axes as text."""
        axes = [pa.field(clean(axis.key), pa.string() if axis.is_ordinal else pa.float64()) for axis in self.axes]
        return pa.schema([pa.field(name, pa.string()) for name in ("id", "slug", "name")] + axes)

    @property
    def lines(self) -> Iterator[tuple[Any, ...]]:  # Any: numbers and text
        """The rows of the data as a file."""
        points = self.points
        return zip(map(str, points.ids), points.slugs, map(clean, points.names), *(axis.exported for axis in self.axes), strict=True)


def parted(key: str) -> tuple[str, str]:
    """Kind and name of an axis."""
    kind, _, name = key.partition(":")
    return kind, name


def keys_of(given: Iterable[str]) -> list[str]:
    """The keys of axes, each once. Raises Invalid for one that is none, or too many of them."""
    keys = list(dict.fromkeys(key.replace("\x00", "") for key in given))
    for key in keys:
        if not is_key(key):
            raise Invalid(f"axis is param:<name>, or metric:, last:, min:, max: or avg:<name>; got {clean(key[:60])!r}.")
    if len(keys) > AXES_MOST:
        raise Invalid(f"At most {AXES_MOST} axes are drawn at once; {len(keys)} were asked for: take some away.")
    return keys


def is_key(key: str) -> bool:
    """Whether it names an axis."""
    kind, name = parted(key)
    return kind in ("param", *NUMBERS) and bool(name) and len(key) <= KEY_LONGEST


def spoken(value: float | None) -> Value:
    """A number as JSON holds it: what is not finite by its word."""
    return value if value is None or math.isfinite(value) else ODD[repr(value)]


def param_axis(key: str, name: str, all_params: Sequence[Any]) -> Axis:
    """A param as an axis: of numbers where every value is one, else of words in their order."""
    path = tuple(name.split("."))
    found = [param_at(params, path) for params in all_params]
    term = param_term(name, path)
    if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in found):
        return Axis(key, clean(name), "param", [None if value is None else spoken(floated(value)) for value in found], [], [], term)
    return ordinal(key, name, found, term)


def ordinal(key: str, name: str, found: Sequence[Any], term: str | None) -> Axis:  # Any: whatever JSON holds
    """Values of any type by their order: numbers by size, then text, then the rest."""
    spelt = {distinct(value): value for value in found if value is not None}
    if len(spelt) > WORDS_MOST:
        refusal = f"{clean(name)[:60]} has {len(spelt):,} different values that are no numbers; an axis takes {WORDS_MOST:,} at most."
        return Axis(key, clean(name), "param", [None] * len(found), [], [], term, refusal)
    ordered = sorted(spelt, key=lambda each: (order_of(spelt[each]), each))
    places = {each: n for n, each in enumerate(ordered)}
    words = [clean(each)[:WORD_LONGEST] for each in ordered]
    values: list[Value] = [None if value is None else places[distinct(value)] for value in found]
    return Axis(key, clean(name), "param", values, words, [literal(spelt[each]) for each in ordered], term)


def literal(value: Any) -> str | None:  # Any: whatever JSON holds
    """How a filter spells a value; None where it cannot."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(floated(value)) else None
    if not isinstance(value, str) or len(value) > WORD_LONGEST or "\x00" in value:
        return None
    return '"' + clean(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def param_term(name: str, path: tuple[str, ...]) -> str | None:
    """What a filter calls a param; None where it cannot."""
    nested = "params." + ".".join(map(spelled, path))
    return checked(nested, path) or checked(f"params.{spelled(name)}", (name,))


def checked(term: str, path: tuple[str, ...]) -> str | None:
    """The term where a filter reads it as this path, else None."""
    try:
        made = parse(f"{term} = 1")
    except FilterError:
        return None
    return term if isinstance(made, Condition) and made.subject.path == path and is_same(made.value, 1.0) else None


# Choosing axes


@dataclass(frozen=True)
class Choices:
    """The names that axes may have, and how many there are beyond what a menu lists; `telling` of the params, the first ones, vary and are no seeds."""

    params: list[str]
    metrics: list[str]
    beyond: int
    telling: int

    @property
    def keys(self) -> list[str]:
        """As keys: params, then metrics by their own aggregation."""
        return [*(f"param:{name}" for name in self.params), *(f"metric:{name}" for name in self.metrics)]


def choices_of(all_params: Iterable[Mapping[str, Any]], metrics: Sequence[str], seeds: Seeds) -> Choices:  # Any: whatever JSON holds
    """Every param, nested ones by dotted names, those that vary and are no seeds first, of NAMES_MOST that are looked at; and these metrics."""
    seen: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    left_out: set[str] = set()
    total = 0
    for params in all_params:
        total += 1
        for name, value in flat(params):
            if len(seen) >= NAMES_MOST and name not in seen:
                left_out.add(name)
                continue
            counts[name] = counts.get(name, 0) + 1
            values = seen.setdefault(name, set())
            if len(values) < 2:
                values.add(distinct(value))
    usable = [name for name in seen if is_key(f"param:{name}")]
    told = {name for name in usable if not seeds.has(name) and (len(seen[name]) > 1 or counts[name] < total)}
    ordered = sorted(usable, key=lambda name: (name not in told, -counts[name]))
    beyond = max(0, len(ordered) - MENU_NAMES) + max(0, len(metrics) - MENU_NAMES) + len(left_out)
    return Choices(ordered[:MENU_NAMES], list(metrics[:MENU_NAMES]), beyond, min(len(told), MENU_NAMES))


@dataclass(frozen=True)
class Chosen:
    """Which axes a page draws, as its address says; what it does not say, the project's names decide.

    `lanes` are the axes of the parallel coordinates; `logs` the axes on a log scale, wherever they stand; `beyond` how many axes are left out.
    """

    x: str
    y: str
    colour: str
    lanes: list[str]
    logs: list[str]
    is_open: bool
    is_drawn: bool
    beyond: int = 0

    @property
    def keys(self) -> list[str]:
        """Every axis once."""
        return list(dict.fromkeys(filter(None, [self.x, self.y, self.colour, *self.lanes])))


# What an address says of axes; `br` and `pcol` are read by the page's script.
WORDS = ("sx", "sy", "sc", "sxhow", "syhow", "schow", "pc", "lg", "axes", "br", "pcol", "draw")


def chosen(given: QueryDict, choices: Choices) -> Chosen:
    """The axes that an address asks for."""
    first_metric = [f"metric:{name}" for name in choices.metrics[:1]]
    keys = choices.keys or [""]
    x, y = read_key(given, "sx") or keys[0], read_key(given, "sy") or (first_metric or keys[1:2] or keys)[0]
    lanes = [key for key in dict.fromkeys(given.getlist("pc")) if is_key(key)]
    telling = choices.params[: choices.telling or len(choices.params)][:DEFAULT_LANES]
    default = [f"param:{name}" for name in telling] + [f"metric:{name}" for name in choices.metrics[: DEFAULT_LANES + 1 - len(telling)][:DEFAULT_METRICS]]
    logs = [key for key in dict.fromkeys(given.getlist("lg")) if is_key(key)][:AXES_MOST]
    is_open = given.get("axes") == "open" or "br" in given or "draw" in given
    return Chosen(x, y, read_key(given, "sc"), (lanes or default)[:LANES_MOST], logs, is_open, "draw" in given, max(0, len(lanes) - LANES_MOST))


def read_key(given: QueryDict, name: str) -> str:
    """One axis of an address; a form without a script sends its aggregate beside it. "" where there is none."""
    key, how = given.get(name, "").replace("\x00", ""), given.get(f"{name}how", "")
    kind, metric = parted(key)
    key = f"{how}:{metric}" if how in AGGREGATES and kind in NUMBERS else key
    return key if is_key(key) else ""
