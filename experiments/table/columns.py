"""The columns that a project's table of experiments can have, and which of them it shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

from django.core.cache import cache
from django.db.models import Case, Count, Max, Value, When

from experiments.arms import digest
from experiments.language.terms import AGGREGATES
from experiments.models import Experiment
from experiments.notation.equality import is_nothing
from experiments.notation.params import distinct
from projects.models import Direction, Project, ProjectMetric
from projects.seeds import NOTHING, Seeds

DEFAULT_METRICS = 6
DEFAULT_PARAMS = 6
MENU_NAMES = 200
PARAMS_KEPT_S = 3600
PINNED_MOST = 3
READ_AT_ONCE = 500
NUMBERS = ("metric", *AGGREGATES)


@dataclass(frozen=True)
class Column:
    """One column. `key` is what the address calls it.

    `metric:<name>` is a metric by its own aggregation, `last:`, `min:`, `max:` and `avg:<name>` by another, `at:<name>@<best>` what a metric was
    where another was best, `param:<name>` a param; the others are the words of RECORD.
    """

    key: str
    label: str
    sub: str = ""
    is_number: bool = False
    best_first: str = ""
    starts_group: bool = False
    is_default: bool = True
    how: str = ""
    sign: int = 0
    pinned: int = 0

    @property
    def kind(self) -> str:
        """metric, an aggregate, at, param, or the record column's own word."""
        return self.key.partition(":")[0]

    @property
    def name(self) -> str:
        """The name of the metric or param."""
        return named_by(self.key)[0]

    @property
    def best(self) -> str:
        """Of `at` the metric that was best."""
        return named_by(self.key)[1]

    @property
    def is_sortable(self) -> bool:
        """Whether the whole table can be sorted by it; `at` reads points, which takes too long for all of a large project."""
        return self.kind in (*NUMBERS, "param", "name", "status", "seed", "created", "last_point", "host")

    @property
    def style(self) -> str:
        """The classes of its cells."""
        classes = ("num" if self.is_number else "", "mono" if self.kind == "param" else "", "group" if self.starts_group else "", self.pin_class)
        return " ".join(filter(None, classes))

    @property
    def pin_class(self) -> str:
        """What keeps a pinned column in sight."""
        return f"pinned pin-{self.pinned}" if self.pinned else ""


RECORD = {
    column.key: column
    for column in (
        Column("name", "Experiment"),
        Column("status", "Status"),
        Column("changed", "Changed", "against parent"),
        Column("seed", "Seed", is_number=True),
        Column("took", "Took", is_number=True),
        Column("created", "Created", is_number=True, best_first="-"),
        Column("last_point", "Last point", is_number=True, best_first="-"),
        Column("tags", "Tags"),
        Column("host", "Host", is_default=False),
        Column("git_commit", "Commit", is_default=False),
    )
}
BEFORE_PARAMS, AFTER_PARAMS = "changed", ("seed", "took", "created", "last_point", "tags", "host", "git_commit")


class Columns:
    """What can be chosen for one project, and what the keys of an address choose from it: columns in their order, and up to PINNED_MOST that stay in sight."""

    def __init__(self, project: Project, asked: tuple[str, ...], *, sort_keys: tuple[str, ...] = (), pins: tuple[str, ...] = ()) -> None:
        self.project, self.asked, self.sort_keys, self.asked_pins = project, asked, sort_keys, pins

    @cached_property
    def metrics(self) -> dict[str, ProjectMetric]:
        """The metrics that the menu offers, those with a direction first, and any other that was asked for."""
        mine = ProjectMetric.objects.filter(project=self.project)
        undecided = Case(When(direction=Direction.UNSET, then=Value(1)), default=Value(0))
        offered = list(mine.order_by(undecided, "name")[:MENU_NAMES])
        asked = {name for key in (*self.asked, *self.sort_keys) for name in named_by(key) if name}
        more = mine.filter(name__in=asked).exclude(pk__in=[metric.pk for metric in offered])
        return {metric.name: metric for metric in (*offered, *more)}

    @cached_property
    def params(self) -> dict[str, bool]:
        """Every param of the project's experiments but seeds, and whether it varies between them."""
        return {name: varies for name, varies in self.known_params.items() if not self.project.seeds.has(name)}

    @cached_property
    def known_params(self) -> dict[str, bool]:
        """The same with seeds, which are offered nowhere, and shown where an address asks for them."""
        return varying_params(self.project)

    @cached_property
    def menu(self) -> dict[str, Column]:
        """Every column that can be chosen, in the order of the table."""
        metrics = [metric_column(metric) for metric in self.metrics.values()]
        params = [param_column(name) for name in list(self.params)[:MENU_NAMES]]
        columns = [RECORD["status"], *metrics, RECORD[BEFORE_PARAMS], *params, *(RECORD[key] for key in AFTER_PARAMS)]
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
    def chosen(self) -> dict[str, Column]:
        """The columns chosen, in the order of the address; the default ones where none was."""
        asked = (self.column(self.resolved(key)) for key in self.asked)
        return {column.key: column for column in asked if column} or {key: self.menu[key] for key in self.default_keys}

    @cached_property
    def pins(self) -> tuple[str, ...]:
        """The keys of the columns that stay in sight."""
        return tuple(key for key in dict.fromkeys(self.asked_pins) if key in self.chosen)[:PINNED_MOST]

    @cached_property
    def shown(self) -> list[Column]:
        """The columns of the table: the pinned ones, then the others."""
        pinned = [replace(self.chosen[key], pinned=n) for n, key in enumerate(self.pins, 1)]
        return ruled([*pinned, *(column for key, column in self.chosen.items() if key not in self.pins)])

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of the columns chosen."""
        return tuple(self.chosen)

    @property
    def choices(self) -> list[Column]:
        """What the menu lists: what is chosen in its order, then everything else that can be."""
        return [*self.chosen.values(), *(column for key, column in self.menu.items() if key not in self.chosen)]

    @property
    def aggregates(self) -> list[Column]:
        """The other aggregates of the metrics that are shown, which can be chosen too."""
        names = dict.fromkeys(column.name for column in self.chosen.values() if column.kind in NUMBERS)
        offered = [self.column(f"{how}:{name}") for name in list(names)[:DEFAULT_METRICS] for how in AGGREGATES]
        return [column for column in offered if column and column.key not in self.chosen]

    @cached_property
    def count(self) -> int:
        """How many columns there are, those beyond the menu too."""
        return len(RECORD) - 1 + ProjectMetric.objects.filter(project=self.project).count() + len(self.params)

    def resolved(self, key: str) -> str:
        """The key of a column, where only its name was typed."""
        kind, _, name = key.partition(":")
        return key if kind != "add" else f"metric:{name}" if name in self.metrics else f"param:{name}"

    def column(self, key: str) -> Column | None:
        """The column of this key; None where the project has none."""
        kind, (name, best) = key.partition(":")[0], named_by(key)
        if key in self.menu:
            return self.menu[key]
        if kind == "param":
            return param_column(name) if name in self.known_params else None
        if name not in self.metrics:
            return None
        if kind == "at":
            return at_column(self.metrics[name], self.metrics[best]) if best in self.metrics and self.metrics[best].better.sign else None
        return aggregate_column(self.metrics[name], kind) if kind in AGGREGATES else None


def named_by(key: str) -> tuple[str, str]:
    """The names in a column's key: of the metric or param, and of the metric that was best."""
    kind, _, name = key.partition(":")
    if kind != "at":
        return name, ""
    first, _, best = name.partition("@")
    return unquote(first), unquote(best)


def at_key(name: str, best: str) -> str:
    """The key of "what `name` was where `best` was best"."""
    return f"at:{quote(name, safe='/')}@{quote(best, safe='/')}"


def aggregate_column(metric: ProjectMetric, how: str) -> Column:
    """A metric by one of AGGREGATES."""
    return Column(f"{how}:{metric.name}", metric.name, how, is_number=True, best_first=metric_column(metric).best_first, how=how)


def at_column(metric: ProjectMetric, best: ProjectMetric) -> Column:
    """What a metric was where another was best."""
    return Column(at_key(metric.name, best.name), metric.name, f"where {best.name[:24]} was best", is_number=True, sign=best.better.sign)


def metric_column(metric: ProjectMetric) -> Column:
    """A metric's column: the first click on its head shows the best first."""
    best_first = "" if metric.better.sign < 0 else "-"
    return Column(
        f"metric:{metric.name}",
        metric.name,
        f"{metric.aggregation} {metric.better.arrow}".strip(),
        is_number=True,
        best_first=best_first,
        how=metric.aggregation,
    )


def param_column(name: str) -> Column:
    """A param's column."""
    return Column(f"param:{name}", name, "param", is_number=True)


def ruled(columns: list[Column]) -> list[Column]:
    """The same columns, a rule where params begin and where they end."""
    previous, result = "", []
    for column in columns:
        begins, ends = column.kind == "param" and previous != "param", previous == "param" and column.kind != "param"
        result.append(replace(column, starts_group=begins or ends))
        previous = column.kind
    return result


def varying_params(project: Project) -> dict[str, bool]:
    """Every param name, the commonest first, and whether its value differs between experiments, seeds aside. Kept until a record changes."""
    mine = Experiment.objects.filter(project=project)
    state = mine.aggregate(n=Count("pk"), at=Max("updated_at"))
    if not state["n"]:
        return {}
    setting = digest(*project.seeds.entries)
    key = f"params:2:{project.pk.hex}:{state['n']}:{state['at'].timestamp()}:{setting}"
    known: dict[str, bool] | None = cache.get(key)
    if known is None:
        known = variation(mine.current().order_by("-created_at").values_list("params", flat=True).iterator(chunk_size=READ_AT_ONCE), project.seeds)
        cache.set(key, known, timeout=PARAMS_KEPT_S)
    return known


def variation(all_params: Iterable[dict[str, Any]], seeds: Seeds) -> dict[str, bool]:
    """Name by name, the commonest first: whether more than one value was seen, absence counting as one. What is a seed, or one inside of it, never varies."""
    values: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    total = 0
    for params in all_params:
        total += 1
        for name, value in params.items():
            if is_nothing(value):
                continue
            counts[name] = counts.get(name, 0) + 1
            seen = values.setdefault(name, set())
            if len(seen) < 2:
                left = seeds.rest(value, name)
                seen.add("" if left is NOTHING else distinct(left))
    commonest = sorted(values, key=lambda name: -counts[name])
    return {name: len(values[name]) > 1 or (counts[name] < total and values[name] != {""}) for name in commonest}
