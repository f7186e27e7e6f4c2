"""The columns that a project's table of experiments can have, and which of them it shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.core.cache import cache
from django.db.models import Case, Count, Max, Value, When

from experiments.models import SEED_LIKE, Experiment, shown
from projects.models import Direction, Project, ProjectMetric

DEFAULT_METRICS = 6
DEFAULT_PARAMS = 6
MENU_NAMES = 200
PARAMS_KEPT_S = 3600


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

    @property
    def style(self) -> str:
        """The classes of its cells."""
        return " ".join(("num" if self.is_number else "", "mono" if self.kind == "param" else "", "group" if self.starts_group else "")).strip()


RECORD = {
    column.key: column
    for column in (
        Column("name", "Experiment"),
        Column("status", "Status"),
        Column("changed", "Changed", "against parent"),
        Column("seed", "Seed", is_number=True),
        Column("took", "Took", is_number=True),
        Column("created", "Created", "UTC", is_number=True, best_first="-"),
        Column("last_point", "Last point", is_number=True, best_first="-"),
        Column("tags", "Tags"),
        Column("host", "Host", is_default=False),
        Column("git_commit", "Commit", is_default=False),
    )
}
BEFORE_PARAMS, AFTER_PARAMS = "changed", ("seed", "took", "created", "last_point", "tags", "host", "git_commit")


class Columns:
    """What can be chosen for one project, and what the keys of an address choose from it."""

    def __init__(self, project: Project, asked: tuple[str, ...], *, sort_key: str = "") -> None:
        self.project, self.asked, self.sort_key = project, asked, sort_key

    @cached_property
    def metrics(self) -> dict[str, ProjectMetric]:
        """The metrics that the menu offers, those with a direction first, and any other that was asked for."""
        mine = ProjectMetric.objects.filter(project=self.project)
        undecided = Case(When(direction=Direction.UNSET, then=Value(1)), default=Value(0))
        offered = list(mine.order_by(undecided, "name")[:MENU_NAMES])
        asked = [key.partition(":")[2] for key in (*self.asked, self.sort_key)]
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
    def shown(self) -> list[Column]:
        """The columns chosen, in the order of the menu; the default ones where none was."""
        asked = {key for key in map(self.resolved, self.asked) if self.has(key)}
        keys = [*(key for key in self.menu if key in asked), *sorted(asked - set(self.menu))] or self.default_keys
        return ruled([self.menu.get(key) or param_column(key.partition(":")[2]) for key in keys])

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of the columns shown."""
        return tuple(column.key for column in self.shown)

    @property
    def choices(self) -> list[Column]:
        """What the menu lists: everything that can be chosen, and what was added by name."""
        return [*self.menu.values(), *(column for column in self.shown if column.key not in self.menu)]

    @cached_property
    def count(self) -> int:
        """How many columns there are, those beyond the menu too."""
        return len(RECORD) - 1 + ProjectMetric.objects.filter(project=self.project).count() + len(self.params)

    def resolved(self, key: str) -> str:
        """The key of a column, where only its name was typed."""
        kind, _, name = key.partition(":")
        return key if kind != "add" else f"metric:{name}" if name in self.metrics else f"param:{name}"

    def has(self, key: str) -> bool:
        """Whether the project has such a column."""
        return key in self.menu or (key.startswith("param:") and key.partition(":")[2] in self.params)


def metric_column(metric: ProjectMetric) -> Column:
    """A metric's column: the first click on its head shows the best first."""
    best_first = "" if metric.better.sign < 0 else "-"
    return Column(f"metric:{metric.name}", metric.name, f"{metric.aggregation} {metric.better.arrow}".strip(), is_number=True, best_first=best_first)


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
    """Every param name, the commonest first, and whether its value differs between experiments. Kept until a record changes."""
    mine = Experiment.objects.filter(project=project)
    state = mine.aggregate(n=Count("pk"), at=Max("updated_at"))
    if not state["n"]:
        return {}
    key = f"params:{project.pk.hex}:{state['n']}:{state['at'].timestamp()}"
    known: dict[str, bool] | None = cache.get(key)
    if known is None:
        known = variation(mine.current().order_by("-created_at").values_list("params", flat=True))
        cache.set(key, known, timeout=PARAMS_KEPT_S)
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
