"""The table of a project's experiments: what an address asks for, and the one page of rows that answers it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.core.cache import cache
from django.db.models import Case, Count, F, Max, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast
from django.http import QueryDict
from django.utils import timezone

from experiments.models import SEED_LIKE, Experiment, ExperimentQuerySet, Tag, shown
from experiments.numbers import Numbers
from experiments.stalled import stalled
from experiments.templatetags.readings import decimals_of
from metrics.repository import Place, Summary
from projects.models import Direction, Project, ProjectMetric

PAGE_ROWS = 50
DEFAULT_METRICS = 6
DEFAULT_PARAMS = 6
MENU_NAMES = 200
NEWEST_FIRST = "-created"
STATUSES = {
    "running": "Running",
    "stalled": "Stalled",
    "planned": "Planned",
    "complete": "Complete",
    "failed": "Failed",
    "diverged": "Diverged",
    "crashed": "Crashed",
    "interrupted": "Interrupted",
    "archived": "Archived",
}


@dataclass(frozen=True)
class Column:
    """One column. `key` is what the address calls it: `metric:<name>`, `param:<name>`, or a word of RECORD."""

    key: str
    label: str
    sub: str = ""
    is_number: bool = False
    best_first: str = ""
    starts_group: bool = False
    is_default: bool = True

    @property
    def kind(self) -> str:
        """metric, param, or the record column's own word."""
        return self.key.partition(":")[0]

    @property
    def name(self) -> str:
        """The name of the metric or param."""
        return self.key.partition(":")[2]


RECORD = {
    column.key: column
    for column in (
        Column("name", "Experiment"),
        Column("status", "Status"),
        Column("changed", "Changed", "against parent"),
        Column("seed", "Seed", is_number=True, starts_group=True),
        Column("took", "Took", is_number=True),
        Column("created", "Created", "UTC", is_number=True, best_first="-"),
        Column("last_point", "Last point", is_number=True, best_first="-"),
        Column("tags", "Tags"),
        Column("host", "Host", is_default=False),
        Column("git_commit", "Commit", is_default=False),
    )
}
SORTS = {"name": "name", "status": "status", "seed": "seed", "created": "created_at", "last_point": "last_point_at", "host": "host"}


@dataclass(frozen=True)
class TableQuery:
    """What the address asks for. No columns means the default ones."""

    text: str = ""
    status: str = ""
    tag: str = ""
    sort: str = NEWEST_FIRST
    columns: tuple[str, ...] = ()
    page: int = 1
    page_rows = PAGE_ROWS

    @classmethod
    def read(cls, given: QueryDict) -> TableQuery:
        """From an address, whatever stands there: what makes no sense is left out."""
        wanted = [*given.getlist("columns"), *(f"add:{name.strip()}" for name in given.getlist("add") if name.strip())]
        page = given.get("page", "1")
        return cls(
            text=clean(given.get("q", "")),
            status=given.get("status", "") if given.get("status") in STATUSES else "",
            tag=clean(given.get("tag", "")),
            sort=clean(given.get("sort", "")) or NEWEST_FIRST,
            columns=tuple(dict.fromkeys(clean(name) for name in wanted)),
            page=max(1, int(page)) if page.isdecimal() and len(page) < 9 else 1,
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether it leaves any experiment out."""
        return bool(self.text or self.status or self.tag)

    @property
    def sort_key(self) -> str:
        """The column that it sorts by."""
        return self.sort.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.startswith("-")

    def string(self) -> str:
        """The shortest query string that asks for the same, with its question mark; empty for the default."""
        parts = [("q", self.text), ("status", self.status), ("tag", self.tag), ("sort", "" if self.sort == NEWEST_FIRST else self.sort)]
        parts += [("columns", name) for name in self.columns] + [("page", str(self.page) if self.page > 1 else "")]
        return "?" + urlencode([(name, value) for name, value in parts if value])


@dataclass(frozen=True)
class Cell:
    """One value of one experiment. `decimals` is what the column's numbers share."""

    column: Column
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
    """A column's head: the address that sorts by it, and how it is sorted now (`ascending`, `descending` or nothing)."""

    column: Column
    link: str
    sorted: str


class ExperimentTable:
    """The answer to a TableQuery: headings, rows of one page, and the counts beside them. A constant number of queries."""

    def __init__(self, project: Project, query: TableQuery, numbers: Numbers) -> None:
        self.project, self.numbers, self.asked = project, numbers, query
        self.now = timezone.now()

    @cached_property
    def query(self) -> TableQuery:
        """What was asked, with columns and page that there are."""
        known = tuple(column.key for column in self.columns)
        page = min(self.asked.page, self.pages)
        return replace(self.asked, columns=() if known == self.default_keys else known, page=page)

    @property
    def place(self) -> Place:
        """Where the project's series live."""
        return Place(self.project.team_id, self.project.pk)

    @cached_property
    def everything(self) -> ExperimentQuerySet:
        """The experiments of the project, archived ones only where asked for."""
        mine = Experiment.objects.filter(project=self.project)
        return mine.filter(archived=True) if self.asked.status == "archived" else mine.current()

    @cached_property
    def found(self) -> QuerySet[Experiment]:
        """What text, status and tag leave, newest first."""
        found: QuerySet[Experiment] = self.everything.order_by("-created_at", "pk")
        if self.asked.text:
            found = found.alias(params_text=Cast("params", TextField())).filter(mentions(self.asked.text))
        if self.asked.tag:
            found = found.filter(pk__in=Experiment.tags.through.objects.filter(tag__project=self.project, tag__name=self.asked.tag).values("experiment_id"))
        return found.filter(in_status(self.asked.status, self.now))

    @cached_property
    def total(self) -> int:
        """How many experiments were found."""
        return self.found.count()

    @property
    def pages(self) -> int:
        """How many pages they fill; 1 where there is none."""
        return max(1, -(-self.total // PAGE_ROWS))

    @property
    def first(self) -> int:
        """The number of the first row of the page, from 1."""
        return min(self.total, (self.query.page - 1) * PAGE_ROWS + 1)

    @property
    def last(self) -> int:
        """The number of its last row."""
        return min(self.total, self.query.page * PAGE_ROWS)

    @property
    def previous_link(self) -> str | None:
        """The query string of the page before, None on the first."""
        return replace(self.query, page=self.query.page - 1).string() if self.query.page > 1 else None

    @property
    def next_link(self) -> str | None:
        """The query string of the page after, None on the last."""
        return replace(self.query, page=self.query.page + 1).string() if self.query.page < self.pages else None

    @cached_property
    def running(self) -> list[uuid.UUID]:
        """The experiments of the project that run now, 1,000 at most."""
        return list(Experiment.objects.filter(project=self.project).current().running().values_list("pk", flat=True)[:1000])

    @cached_property
    def pending(self) -> int:
        """Points of running experiments and of those on the page that cannot be shown yet."""
        return self.numbers.pending({*self.running, *(row.experiment.pk for row in self.rows)})

    @cached_property
    def tags(self) -> list[str]:
        """The words that experiments of the project carry."""
        return list(Tag.objects.filter(project=self.project).values_list("name", flat=True)[:MENU_NAMES])

    # Columns

    @cached_property
    def metrics(self) -> dict[str, ProjectMetric]:
        """The metrics that the menu offers, those with a direction first, and any other that was asked for."""
        mine = ProjectMetric.objects.filter(project=self.project)
        undecided = Case(When(direction=Direction.UNSET, then=Value(1)), default=Value(0))
        offered = list(mine.order_by(undecided, "name")[:MENU_NAMES])
        asked = [key.partition(":")[2] for key in (*self.asked.columns, self.asked.sort_key)]
        more = mine.filter(name__in=asked).exclude(pk__in=[metric.pk for metric in offered])
        return {metric.name: metric for metric in (*offered, *more)}

    @cached_property
    def params(self) -> dict[str, bool]:
        """Every param of the project's experiments, and whether it varies between them."""
        return varying_params(self.project)

    @cached_property
    def menu(self) -> dict[str, Column]:
        """Every column that can be chosen, in the order of the table."""
        metrics = [metric_column(metric) for metric in self.metrics.values()]
        params = [Column(f"param:{name}", name, "param", is_number=True) for name in list(self.params)[:MENU_NAMES]]
        before, after = ("status",), ("seed", "took", "created", "last_point", "tags", "host", "git_commit")
        columns = [*(RECORD[key] for key in before), *metrics, RECORD["changed"], *params, *(RECORD[key] for key in after)]
        return {column.key: column for column in columns}

    @cached_property
    def default_keys(self) -> tuple[str, ...]:
        """Status, six metrics, what changed, six params that vary, and the rest of the record."""
        varying = [name for name, varies in self.params.items() if varies] or list(self.params)
        params = {f"param:{name}" for name in varying[:DEFAULT_PARAMS]}
        metrics = {f"metric:{name}" for name in list(self.metrics)[:DEFAULT_METRICS]}
        chosen = {key for key, column in RECORD.items() if column.is_default} | params | metrics
        return tuple(key for key in self.menu if key in chosen)

    @cached_property
    def columns(self) -> list[Column]:
        """The columns shown after the name, in the order of the menu."""
        asked = {self.resolved(key) for key in self.asked.columns} & self.offered(self.asked.columns)
        keys = [*(key for key in self.menu if key in asked), *sorted(asked - set(self.menu))] or self.default_keys
        columns = [self.menu.get(key) or Column(key, key.partition(":")[2], "param", is_number=True) for key in keys]
        return grouped(columns)

    def resolved(self, key: str) -> str:
        """The key of a column, where only its name was typed."""
        kind, _, name = key.partition(":")
        return key if kind != "add" else f"metric:{name}" if name in self.metrics else f"param:{name}"

    def offered(self, keys: Iterable[str]) -> set[str]:
        """Those keys that the project has."""
        return {key for key in map(self.resolved, keys) if key in self.menu or (key.startswith("param:") and key.partition(":")[2] in self.params)}

    @property
    def shown_keys(self) -> set[str]:
        """The keys of the columns shown."""
        return {column.key for column in self.columns}

    @property
    def choices(self) -> list[Column]:
        """What the menu lists: everything that can be chosen, and what was added by name."""
        return [*self.menu.values(), *(column for column in self.columns if column.key not in self.menu)]

    @cached_property
    def choice_count(self) -> int:
        """How many columns there are, those beyond the menu too."""
        return len(RECORD) - 1 + ProjectMetric.objects.filter(project=self.project).count() + len(self.params)

    @cached_property
    def headings(self) -> list[Heading]:
        """The heads of all columns, the name first."""
        return [self.heading(column) for column in (RECORD["name"], *self.columns)]

    def heading(self, column: Column) -> Heading:
        """A column's head. A second click turns the order round; the first one shows the best or the newest first."""
        is_sorted = self.query.sort_key == column.key
        turned = column.key if self.query.is_descending else f"-{column.key}"
        sortable = column.key in SORTS or column.kind in ("metric", "param")
        link = replace(self.query, sort=turned if is_sorted else column.best_first + column.key, page=1).string() if sortable else ""
        return Heading(column, link, ("descending" if self.query.is_descending else "ascending") if is_sorted else "")

    # Rows

    @cached_property
    def rows(self) -> list[Row]:
        """The page."""
        experiments = self.experiments
        summaries = self.summaries([experiment.pk for experiment in experiments])
        columns = [self.cells(column, experiments, summaries) for column in self.columns]
        return [Row(experiment, [cells[i] for cells in columns]) for i, experiment in enumerate(experiments)]

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The records of the page, in order."""
        first = (self.query.page - 1) * PAGE_ROWS
        full = Experiment.objects.defer("notes", "command").prefetch_related("tags")
        ids = self.ordered(first, first + PAGE_ROWS)
        by_id = full.in_bulk(ids)
        return [by_id[pk] for pk in ids if pk in by_id]

    def ordered(self, first: int, last: int) -> list[uuid.UUID]:
        """The ids of the rows from `first` to `last` in the order that was asked for; experiments without a value come last."""
        key, kind = self.asked.sort_key, self.asked.sort_key.partition(":")[0]
        if kind == "metric" and (metric := self.metrics.get(key.partition(":")[2])):
            return self.by_metric(metric)[first:last]
        if kind == "param":
            return by_param(self.found, key.partition(":")[2], descending=self.asked.is_descending)[first:last]
        field = F(SORTS.get(key, "created_at"))
        order = field.desc(nulls_last=True) if self.asked.is_descending or key not in SORTS else field.asc(nulls_last=True)
        return list(self.found.order_by(order, "-created_at", "pk").values_list("pk", flat=True)[first:last])

    def by_metric(self, metric: ProjectMetric) -> list[uuid.UUID]:
        """Every found id by its one number for the metric; NaN and none come last."""
        ids = list(self.found.values_list("pk", flat=True))
        values = self.numbers.ask(lambda store: store.values(self.place, metric.name, metric.aggregation), {})
        column = np.array([values.get(pk, np.nan) for pk in ids], dtype=np.float64)
        order = np.argsort(-column if self.asked.is_descending else column, kind="stable")
        return [ids[i] for i in order]

    def summaries(self, experiments: list[uuid.UUID]) -> dict[uuid.UUID, dict[str, Summary]]:
        """The summaries of the page's experiments in the metrics shown."""
        names = [column.name for column in self.columns if column.kind == "metric"]
        if not names or not experiments:
            return {}
        return self.numbers.ask(lambda store: store.summaries(self.place, experiments=experiments, metrics=names), {})

    def cells(self, column: Column, experiments: Sequence[Experiment], summaries: dict[uuid.UUID, dict[str, Summary]]) -> list[Cell]:
        """One column of the page."""
        if column.kind == "param":
            return [Cell(column, experiment.params.get(column.name)) for experiment in experiments]
        if column.kind != "metric":
            return [Cell(column) for _ in experiments]
        aggregation = self.metrics[column.name].aggregation
        found = [summaries.get(experiment.pk, {}).get(column.name) for experiment in experiments]
        values = [None if summary is None else summary.by(aggregation) for summary in found]
        decimals = decimals_of(values)
        titles = ["" if summary is None else f"{value!r}, {aggregation} of {summary.count} points" for summary, value in zip(found, values, strict=True)]
        return [Cell(column, value, decimals, title) for value, title in zip(values, titles, strict=True)]


def clean(text: str) -> str:
    """Text from an address, without what no database takes."""
    return text.replace("\x00", "").strip()


def mentions(text: str) -> Q:
    """The condition that name, slug, notes or params hold the text. Some databases keep JSON with its letters escaped."""
    escaped = json.dumps(text)[1:-1]
    in_record = Q(name__icontains=text) | Q(slug__icontains=text) | Q(notes__icontains=text)
    return in_record | Q(params_text__icontains=text) | Q(params_text__icontains=escaped)


def in_status(word: str, now: Any) -> Q:
    """The condition for a word of STATUSES."""
    if word == "stalled":
        return stalled(at=now)
    if word in Experiment.FailureKind.values:
        return Q(failure_kind=word) if word else Q()
    return Q(status=word) if word in Experiment.Status.values else Q()


def metric_column(metric: ProjectMetric) -> Column:
    """A metric's column: the first click on its head shows the best first."""
    return Column(f"metric:{metric.name}", metric.name, f"{metric.aggregation} {metric.better.arrow}".strip(), is_number=True, best_first="" if metric.better.sign < 0 else "-")


def grouped(columns: list[Column]) -> list[Column]:
    """The same columns, a rule where params begin and where they end."""
    previous, result = "", []
    for column in columns:
        begins = column.kind == "param" and previous != "param"
        result.append(replace(column, starts_group=begins or (previous == "param" and column.kind != "param")))
        previous = column.kind
    return result


def varying_params(project: Project) -> dict[str, bool]:
    """Every param name, in the order first seen, and whether its value differs between experiments. Kept until a record changes."""
    mine = Experiment.objects.filter(project=project)
    state = mine.aggregate(n=Count("pk"), at=Max("updated_at"))
    key = f"params:{project.pk.hex}:{state['n']}:{state['at'].timestamp()}" if state["at"] else ""
    known: dict[str, bool] | None = cache.get(key) if key else {}
    if known is None:
        known = variation(mine.current().values_list("params", flat=True).order_by("-created_at"))
        cache.set(key, known, timeout=3600)
    return known


def variation(all_params: Iterable[dict[str, Any]]) -> dict[str, bool]:
    """Name by name, the commonest first: whether more than one value was seen, absence counting as one. Seed-like names are left out."""
    values: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    total = 0
    for params in all_params:
        total += 1
        for name, value in params.items():
            counts[name] = counts.get(name, 0) + 1
            seen = values.setdefault(name, set())
            if len(seen) < 2:
                seen.add(shown(value))
    commonest = sorted((name for name in values if name not in SEED_LIKE), key=lambda name: -counts[name])
    return {name: len(values[name]) > 1 or counts[name] < total for name in commonest}


def by_param(found: QuerySet[Experiment], name: str, *, descending: bool) -> list[uuid.UUID]:
    """Every found id by a param: numbers by size, then text, then the rest; experiments without it come last."""
    pairs = list(found.values_list("pk", "params"))
    present = [(pk, order_of(params[name])) for pk, params in pairs if params.get(name) is not None]
    absent = [pk for pk, params in pairs if params.get(name) is None]
    return [pk for pk, _ in sorted(present, key=lambda pair: pair[1], reverse=descending)] + absent


def order_of(value: Any) -> tuple[int, float, str]:  # Any: a param is whatever JSON holds
    """Where a param's value stands among values of all types."""
    if isinstance(value, int | float):
        return (0, value, "")
    return (1, 0.0, value) if isinstance(value, str) else (2, 0.0, shown(value))
