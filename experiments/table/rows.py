"""The table of a project's experiments: the one page of rows that answers what an address asks for."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from experiments.language.terms import Expression, FilterError
from experiments.models import Experiment, ExperimentQuerySet, Tag
from experiments.notation.numerals import decimals_of
from experiments.readings.numbers import Numbers
from experiments.table.cells import Cell, Heading, Row, Trouble, readings
from experiments.table.columns import MENU_NAMES, NUMBERS, PINNED_MOST, RECORD, Column, Columns
from experiments.table.filtering import FIELD_OF, Rows, expression_of, fields_of, in_order, in_status, ranked
from experiments.table.query import NEWEST_FIRST, PAGE_ROWS, SortKey, TableQuery
from experiments.table.records import page_records
from metrics.store.repeats import repeated_steps
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, Summaries
from projects.models import Project

FILES = {"shown columns": "", "everything": "of=everything&"}
FIRST = (5, 10, 25, 50, 100)
REFERENCE_MOST = 36
RUNNING_COUNTED = 1000
SORTS = {"name": "name", "status": "status", "created": "created_at", "last_point": "last_point_at", "host": "host"}


class ExperimentTable:
    """The answer to a TableQuery: headings, rows of one page, and the counts beside them. A constant number of queries."""

    def __init__(self, project: Project, query: TableQuery, numbers: Numbers) -> None:
        self.project, self.numbers, self.asked = project, numbers, query
        sort_keys = tuple(key.key for key in query.sort_keys)
        self.columns = Columns(project, query.columns, sort_keys=sort_keys, pins=query.pins)
        self.place = Place(project.team_id, project.pk)
        self.now = timezone.now()

    @cached_property
    def query(self) -> TableQuery:
        """What was asked, with columns and page that there are."""
        is_default = self.columns.keys == self.columns.default_keys
        columns = () if is_default else self.columns.keys
        sort = ",".join(map(str, self.sort_keys))
        return replace(self.asked, sort=sort, columns=columns, pins=self.columns.pins, page=min(self.asked.page, self.pages))

    # Which experiments

    @cached_property
    def everything(self) -> ExperimentQuerySet:
        """The experiments of the project, archived ones only where asked for."""
        mine = Experiment.objects.filter(project=self.project)
        return mine.filter(archived=True) if self.asked.status == "archived" else mine.current()

    @cached_property
    def found(self) -> QuerySet[Experiment]:
        """What words, status and tag leave, newest first."""
        found: QuerySet[Experiment] = self.everything.filter(in_status(self.asked.status, self.now)).order_by("-created_at", "pk")
        if self.asked.words:
            found = found.alias(params_text=Cast("params", TextField())).filter(mentions(self.asked.words))
        if self.asked.tag:
            found = found.filter(pk__in=tagged(self.project, self.asked.tag))
        return found

    @cached_property
    def expression(self) -> Expression | None:
        """The filter, None where there is none. Raises FilterError."""
        return expression_of(self.project, self.asked.where) if self.asked.where else None

    @cached_property
    def trouble(self) -> Trouble | None:
        """What is wrong with the filter, None where nothing is. A table with trouble has no rows."""
        try:
            if self.expression is not None:
                self.fitting  # noqa: B018  # asks the metric store too
        except FilterError as error:
            return Trouble(self.asked, error)
        return None

    @cached_property
    def all_rows(self) -> Rows:
        """Every experiment found, with the fields that filter and sorting read."""
        fields = {field for key in self.sort_keys for field in read_by(key.key)}
        return Rows(self.project, self.found, self.numbers, fields | fields_of(self.expression))

    @cached_property
    def fitting(self) -> list[uuid.UUID]:
        """The ids that fit the filter, newest first. Raises FilterError."""
        return self.all_rows.ids if self.expression is None else self.all_rows.fitting(self.expression)

    @cached_property
    def total(self) -> int:
        """How many experiments were found."""
        if self.trouble:
            return 0
        return self.found.count() if self.expression is None else len(self.fitting)

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

    @property
    def arrange_link(self) -> str:
        """The query string that shows, or hides, what arranges the columns."""
        return replace(self.query, is_arranging=not self.query.is_arranging).string()

    @property
    def export_links(self) -> dict[str, dict[str, str]]:
        """The query strings that give every row as a file, by what of it and by format."""
        whole = replace(self.query, page=1, is_arranging=False).string()
        first = f"{whole}{'&' if len(whole) > 1 else ''}"
        return {of: {kind: f"{first}{word}format={kind}" for kind in ("csv", "parquet")} for of, word in FILES.items()}

    @property
    def first_links(self) -> list[tuple[int, str]]:
        """How many of the first rows can be compared, and the query string that leads there."""
        whole = replace(self.query, page=1, is_arranging=False, columns=(), pins=()).string()
        enough = [count for before, count in zip((1, *FIRST), FIRST, strict=False) if before < self.total]
        return [(count, f"{whole}{'&' if len(whole) > 1 else ''}compare={count}") for count in enough]

    def first_references(self, count: int) -> list[str]:
        """What an address calls the first `count` rows in the order that was asked for: slugs, a UUID where that is shorter."""
        if self.trouble:
            return []
        ids = self.ordered(0, count)
        slugs = dict(Experiment.objects.filter(pk__in=ids).values_list("pk", "slug"))
        return [slugs[pk] if len(quote(slugs[pk])) <= REFERENCE_MOST else str(pk) for pk in ids if pk in slugs]

    @property
    def newest_link(self) -> str:
        """The query string of the same table in its own order."""
        return replace(self.query, sort=NEWEST_FIRST, page=1).string()

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
        keys = list(self.query.sort_keys)
        places = [key.key for key in keys]
        at = places.index(column.key) if column.key in places else -1
        wanted = SortKey(column.key, not keys[at].is_descending if at >= 0 else column.best_first == "-")
        is_fresh = self.query.sort == NEWEST_FIRST
        several = [wanted if n == at else key for n, key in enumerate(keys)] if at >= 0 else [*([] if is_fresh else keys), wanted]
        link, also = (self.query.sorted_by(chosen).string() if column.is_sortable else "" for chosen in ([wanted], several))
        is_sorted = ("descending" if keys[at].is_descending else "ascending") if at >= 0 else ""
        moves = self.moves(column) if self.query.is_arranging and column.key != "name" else {}
        return Heading(column, link, also, is_sorted, at + 1 if at >= 0 and len(keys) > 1 else 0, moves)

    def moves(self, column: Column) -> dict[str, str]:
        """The query strings that move a column to the left and the right, pin and hide it; those that change nothing are left out."""
        keys, pins = list(self.columns.keys), list(self.columns.pins)
        line = pins if column.pinned else [key for key in keys if key not in pins]
        rest = [key for key in keys if key not in line]
        moved = {word: shifted(line, column.key, by) for word, by in (("left", -1), ("right", 1))}
        links = {word: self.arranged(rest + order, order if column.pinned else pins) for word, order in moved.items() if order != line}
        if column.pinned:
            links["unpin"] = self.arranged(keys, [key for key in pins if key != column.key])
        elif len(pins) < PINNED_MOST:
            links["pin"] = self.arranged(keys, [*pins, column.key])
        if len(keys) > 1:
            links["hide"] = self.arranged([key for key in keys if key != column.key], [key for key in pins if key != column.key])
        return links

    def arranged(self, keys: Sequence[str], pins: Sequence[str]) -> str:
        """The query string of the same rows with these columns."""
        columns = () if tuple(keys) == self.columns.default_keys else tuple(keys)
        return replace(self.query, columns=columns, pins=tuple(pins)).string()

    # The page

    @cached_property
    def rows(self) -> list[Row]:
        """The experiments of the page with their cells."""
        return self.rows_of(self.experiments, self.columns.shown)

    def rows_of(self, experiments: Sequence[Experiment], columns: Sequence[Column]) -> list[Row]:
        """These experiments with their cells in these columns."""
        summaries = self.summaries([experiment.pk for experiment in experiments], columns)
        found = [self.cells(column, experiments, summaries) for column in columns]
        return [Row(experiment, [cells[i] for cells in found]) for i, experiment in enumerate(experiments)]

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The records of the page, in order."""
        first = (self.query.page - 1) * PAGE_ROWS
        names = {column.name for column in self.columns.shown if column.kind == "param"}
        return [] if self.trouble else page_records(self.ordered(first, first + PAGE_ROWS), names, self.project.seeds)

    @cached_property
    def sort_keys(self) -> list[SortKey]:
        """The sort keys that the project has a column for."""
        keys = [key for key in self.asked.sort_keys if key.key == "name" or ((column := self.columns.column(key.key)) and column.is_sortable)]
        return keys or [SortKey("created", is_descending=True)]

    def ordered(self, first: int, last: int) -> list[uuid.UUID]:
        """The ids of the rows from `first` to `last` in the order that was asked for; experiments without a value come last."""
        key = self.sort_keys[0]
        if self.expression is not None or len(self.sort_keys) > 1 or key.key not in SORTS:
            return self.every_id[first:last]
        field = F(SORTS[key.key])
        order = field.desc(nulls_last=True) if key.is_descending else field.asc(nulls_last=True)
        return list(self.found.order_by(order, "-created_at", "pk").values_list("pk", flat=True)[first:last])

    @cached_property
    def every_id(self) -> list[uuid.UUID]:
        """The ids of all rows in the order that was asked for. Raises FilterError."""
        rows, chosen = self.all_rows, [self.all_rows.places[pk] for pk in self.fitting]
        at = np.array(chosen, dtype=np.intp)
        columns = [(self.sort_column(key.key)[at], key.is_descending) for key in self.sort_keys]
        return [rows.ids[at[i]] for i in in_order(len(at), columns)]

    def sort_column(self, key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """One column of all rows as numbers to sort by, NaN for none. Any: its shape."""
        kind, _, name = key.partition(":")
        if kind in NUMBERS:
            return self.all_rows.readings(name, self.columns.metrics[name].aggregation if kind == "metric" else kind)[0]
        if kind == "seed":
            return ranked(self.all_rows.seeds)
        if kind == "param":
            return ranked([params.get(name) for params in self.all_rows.params()])
        return ranked([value or None if kind == "host" else value for value in self.all_rows.column(SORTS[kind])])

    def summaries(self, experiments: list[uuid.UUID], columns: Sequence[Column]) -> Summaries:
        """The summaries of these experiments in the metrics of these columns, in all where naming them would make too long a question."""
        names = list(dict.fromkeys(column.name for column in columns if column.kind in NUMBERS))
        nothing: Summaries = {}
        if not names or not experiments:
            return nothing
        asked = names if len(names) <= MENU_NAMES else None
        return self.numbers.ask(lambda store: store.summaries(self.place, experiments=experiments, metrics=asked), nothing)

    def cells(self, column: Column, experiments: Sequence[Experiment], summaries: Summaries) -> list[Cell]:
        """One column of the page."""
        if column.kind == "param":
            return [Cell("param", column.style, experiment.params.get(column.name)) for experiment in experiments]
        if column.kind == "seed":
            seeds = self.project.seeds
            return [Cell("seed", column.style, experiment.seed_by(seeds)) for experiment in experiments]
        if column.kind == "at":
            return self.at_best(column, experiments)
        if column.kind in NUMBERS:
            return readings(column, experiments, summaries)
        return [Cell(column.kind, column.style)] * len(experiments)

    def at_best(self, column: Column, experiments: Sequence[Experiment]) -> list[Cell]:
        """What a metric was where another was best: one question for all rows."""
        nothing: dict[uuid.UUID, float] = {}
        ids = [experiment.pk for experiment in experiments]

        def asked(store: MetricRepository) -> dict[uuid.UUID, float]:
            several = repeated_steps(store, self.place, ids, column.best)
            return store.at_best(self.place, ids, column.name, best=column.best, sign=column.sign, repeated=several)

        found = self.numbers.ask(asked, nothing) if ids else nothing
        values = [found.get(pk) for pk in ids]
        decimals = decimals_of(values)
        title = f"{column.name} where {column.best} was best"
        return [Cell("metric", column.style, value, decimals, "" if value is None else f"{value!r}, {title}") for value in values]


def read_by(key: str) -> Sequence[str]:
    """The fields that a sort key reads; none for what the metric store knows."""
    if key == "seed":
        return FIELD_OF["seed"]
    return ("params",) if key.startswith("param:") else [SORTS[key]] if key in SORTS else ()


def shifted(line: Sequence[str], key: str, by: int) -> list[str]:
    """The same with one key moved by one place, as far as there is room."""
    order, at = list(line), line.index(key)
    other = min(max(at + by, 0), len(order) - 1)
    order[at], order[other] = order[other], order[at]
    return order


def mentions(text: str) -> Q:
    """The condition that name, slug, notes or params hold the text. Some databases keep JSON with its letters escaped."""
    escaped = json.dumps(text)[1:-1]
    in_record = Q(name__icontains=text) | Q(slug__icontains=text) | Q(notes__icontains=text)
    return in_record | Q(params_text__icontains=text) | Q(params_text__icontains=escaped)


def tagged(project: Project, tag: str) -> QuerySet[Any]:
    """The ids of the project's experiments with this tag. Any: a row of values."""
    return Experiment.tags.through.objects.filter(tag__project=project, tag__name=tag).values("experiment_id")
