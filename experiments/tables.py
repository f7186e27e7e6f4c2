"""The table of a project's experiments: what an address asks for, and the one page of rows that answers it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import QueryDict
from django.utils import timezone

from experiments.columns import MENU_NAMES, RECORD, Column, Columns
from experiments.models import Experiment, ExperimentQuerySet, Tag, shown
from experiments.numbers import Numbers
from experiments.stalled import stalled
from experiments.templatetags.readings import decimals_of
from metrics.repository import Place, Summaries
from projects.models import Project, ProjectMetric

PAGE_ROWS = 50
RUNNING_COUNTED = 1000
NEWEST_FIRST = "-created"
STATUSES = {word: word.capitalize() for word in ("running", "stalled", "planned", "complete", "failed", "diverged", "crashed", "interrupted", "archived")}
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
        """The shortest query string that asks for the same, with its question mark."""
        parts = [("q", self.text), ("status", self.status), ("tag", self.tag), ("sort", "" if self.sort == NEWEST_FIRST else self.sort)]
        parts += [("columns", name) for name in self.columns] + [("page", str(self.page) if self.page > 1 else "")]
        return "?" + urlencode([(name, value) for name, value in parts if value])


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
    """A column's head: the address that sorts by it, and how it is sorted now (`ascending`, `descending` or nothing)."""

    column: Column
    link: str
    sorted: str


class ExperimentTable:
    """The answer to a TableQuery: headings, rows of one page, and the counts beside them. A constant number of queries."""

    def __init__(self, project: Project, query: TableQuery, numbers: Numbers) -> None:
        self.project, self.numbers, self.asked = project, numbers, query
        self.columns = Columns(project, query.columns, sort_key=query.sort_key)
        self.place = Place(project.team_id, project.pk)
        self.now = timezone.now()

    @cached_property
    def query(self) -> TableQuery:
        """What was asked, with columns and page that there are."""
        is_default = self.columns.keys == self.columns.default_keys
        return replace(self.asked, columns=() if is_default else self.columns.keys, page=min(self.asked.page, self.pages))

    # Which experiments

    @cached_property
    def everything(self) -> ExperimentQuerySet:
        """The experiments of the project, archived ones only where asked for."""
        mine = Experiment.objects.filter(project=self.project)
        return mine.filter(archived=True) if self.asked.status == "archived" else mine.current()

    @cached_property
    def found(self) -> QuerySet[Experiment]:
        """What text, status and tag leave, newest first."""
        found: QuerySet[Experiment] = self.everything.filter(in_status(self.asked.status, self.now)).order_by("-created_at", "pk")
        if self.asked.text:
            found = found.alias(params_text=Cast("params", TextField())).filter(mentions(self.asked.text))
        if self.asked.tag:
            found = found.filter(pk__in=tagged(self.project, self.asked.tag))
        return found

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

    # What stands beside them

    @cached_property
    def running(self) -> list[uuid.UUID]:
        """The experiments of the project that run now, RUNNING_COUNTED at most."""
        mine = Experiment.objects.filter(project=self.project).current().running()
        return list(mine.order_by().values_list("pk", flat=True)[:RUNNING_COUNTED])

    @cached_property
    def pending(self) -> int:
        """Points of running experiments and of those on the page that cannot be shown yet."""
        return self.numbers.pending({*self.running, *(row.experiment.pk for row in self.rows)})

    @cached_property
    def tags(self) -> list[str]:
        """The words that experiments of the project carry."""
        return list(Tag.objects.filter(project=self.project).values_list("name", flat=True)[:MENU_NAMES])

    @cached_property
    def headings(self) -> list[Heading]:
        """The heads of all columns, the name first."""
        return [self.heading(column) for column in (RECORD["name"], *self.columns.shown)]

    def heading(self, column: Column) -> Heading:
        """A column's head. The first click shows the best or the newest first, a second one turns the order round."""
        is_sorted = self.query.sort_key == column.key
        turned = column.key if self.query.is_descending else f"-{column.key}"
        is_sortable = column.key in SORTS or column.kind in ("metric", "param")
        link = replace(self.query, sort=turned if is_sorted else column.best_first + column.key, page=1).string() if is_sortable else ""
        return Heading(column, link, ("descending" if self.query.is_descending else "ascending") if is_sorted else "")

    # The page

    @cached_property
    def rows(self) -> list[Row]:
        """The experiments of the page with their cells."""
        summaries = self.summaries([experiment.pk for experiment in self.experiments])
        columns = [self.cells(column, self.experiments, summaries) for column in self.columns.shown]
        return [Row(experiment, [cells[i] for cells in columns]) for i, experiment in enumerate(self.experiments)]

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The records of the page, in order."""
        first = (self.query.page - 1) * PAGE_ROWS
        ids = self.ordered(first, first + PAGE_ROWS)
        by_id = Experiment.objects.defer("notes", "command").prefetch_related("tags").in_bulk(ids)
        return [by_id[pk] for pk in ids if pk in by_id]

    def ordered(self, first: int, last: int) -> list[uuid.UUID]:
        """The ids of the rows from `first` to `last` in the order that was asked for; experiments without a value come last."""
        kind, _, name = self.asked.sort_key.partition(":")
        if kind == "metric" and name in self.columns.metrics:
            return self.by_metric(self.columns.metrics[name])[first:last]
        if kind == "param":
            return by_param(self.found, name, descending=self.asked.is_descending)[first:last]
        field = F(SORTS.get(kind, "created_at"))
        is_descending = self.asked.is_descending or kind not in SORTS
        order = field.desc(nulls_last=True) if is_descending else field.asc(nulls_last=True)
        return list(self.found.order_by(order, "-created_at", "pk").values_list("pk", flat=True)[first:last])

    def by_metric(self, metric: ProjectMetric) -> list[uuid.UUID]:
        """Every found id by its one number for the metric; NaN and none come last."""
        ids = list(self.found.values_list("pk", flat=True))
        nothing: dict[uuid.UUID, float] = {}
        values = self.numbers.ask(lambda store: store.values(self.place, metric.name, metric.aggregation), nothing)
        column = np.array([values.get(pk, np.nan) for pk in ids], dtype=np.float64)
        order = np.argsort(-column if self.asked.is_descending else column, kind="stable")
        return [ids[i] for i in order]

    def summaries(self, experiments: list[uuid.UUID]) -> Summaries:
        """The summaries of the page's experiments in the metrics shown."""
        names = [column.name for column in self.columns.shown if column.kind == "metric"]
        nothing: Summaries = {}
        if not names or not experiments:
            return nothing
        return self.numbers.ask(lambda store: store.summaries(self.place, experiments=experiments, metrics=names), nothing)

    def cells(self, column: Column, experiments: Sequence[Experiment], summaries: Summaries) -> list[Cell]:
        """One column of the page."""
        if column.kind == "param":
            return [Cell("param", column.style, experiment.params.get(column.name)) for experiment in experiments]
        if column.kind == "metric":
            return self.readings(column, experiments, summaries)
        return [Cell(column.kind, column.style)] * len(experiments)

    def readings(self, column: Column, experiments: Sequence[Experiment], summaries: Summaries) -> list[Cell]:
        """One column of numbers, all with the same decimals."""
        aggregation = self.columns.metrics[column.name].aggregation
        found = [summaries.get(experiment.pk, {}).get(column.name) for experiment in experiments]
        values = [None if summary is None else summary.by(aggregation) for summary in found]
        decimals, absent = decimals_of(values), f"{column.style} muted"
        return [
            Cell("metric", absent) if summary is None else Cell("metric", column.style, value, decimals, f"{value!r}, {aggregation} of {summary.count} points")
            for summary, value in zip(found, values, strict=True)
        ]


def clean(text: str) -> str:
    """Text from an address, without what no database takes."""
    return text.replace("\x00", "").strip()


def mentions(text: str) -> Q:
    """The condition that name, slug, notes or params hold the text. Some databases keep JSON with its letters escaped."""
    escaped = json.dumps(text)[1:-1]
    in_record = Q(name__icontains=text) | Q(slug__icontains=text) | Q(notes__icontains=text)
    return in_record | Q(params_text__icontains=text) | Q(params_text__icontains=escaped)


def in_status(word: str, now: datetime) -> Q:
    """The condition for a word of STATUSES; everything for none."""
    if word == "stalled":
        return stalled(at=now)
    if word in Experiment.Status.values:
        return Q(status=word)
    return Q(failure_kind=word) if word and word in Experiment.FailureKind.values else Q()


def tagged(project: Project, tag: str) -> QuerySet[Any]:
    """The ids of the project's experiments with this tag. Any: a row of values."""
    return Experiment.tags.through.objects.filter(tag__project=project, tag__name=tag).values("experiment_id")


def by_param(found: QuerySet[Experiment], name: str, *, descending: bool) -> list[uuid.UUID]:
    """Every found id by a param: numbers by size, then text, then the rest; experiments without it come last."""
    pairs = list(found.values_list("pk", "params"))
    present = [(pk, order_of(params[name])) for pk, params in pairs if params.get(name) is not None]
    absent = [pk for pk, params in pairs if params.get(name) is None]
    return [pk for pk, _ in sorted(present, key=lambda pair: pair[1], reverse=descending)] + absent


def order_of(value: object) -> tuple[int, float, str]:
    """Where a param's value stands among values of all types."""
    if isinstance(value, int | float):
        return (0, value, "")
    return (1, 0.0, value) if isinstance(value, str) else (2, 0.0, shown(value))
