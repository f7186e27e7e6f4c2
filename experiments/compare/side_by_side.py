"""The runs of a comparison side by side: params, what each changed against its parent, summaries, notes and tags, a row for each thing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from experiments.compare.comparison import Comparison
from experiments.compare.variation import Variation, variation
from experiments.models import Change
from experiments.models import changes as changes_of
from experiments.notation.numerals import NONE, decimals_of, exact, number
from experiments.notation.params import by_name, distinct, weighed, written_apart
from projects.models import ProjectMetric

ROWS_MOST = 200
WEIGHED_MOST = 20_000
TEXT_MOST = 2000


@dataclass(frozen=True)
class Cell:
    """One thing of one run, as text; `differs` where it departs from the baseline's. `full` is all of it, "" where the text is."""

    text: str
    differs: bool
    full: str = ""


@dataclass(frozen=True)
class Row:
    """One thing over all runs. `whole` says all of each value; `short` gives what is shown of them, worked out for rows that are shown alone."""

    name: str
    whole: Sequence[str]
    baseline: int
    variation: Variation
    is_prose: bool = False
    short: Callable[[], Sequence[str]] | None = None

    @cached_property
    def cells(self) -> list[Cell]:
        """One for each run, held against the baseline's."""
        texts, reference = self.short() if self.short else self.whole, self.whole[self.baseline]
        return [Cell(text, all_ != reference, all_ if all_ != text else "") for text, all_ in zip(texts, self.whole, strict=True)]

    @property
    def values(self) -> int:
        """How many different values it has."""
        return self.variation.values

    @property
    def is_different(self) -> bool:
        """Whether the runs do not all have one value."""
        return self.values > 1


@dataclass(frozen=True)
class Block:
    """The rows of one kind: all of them in the order of first mention, and those that the reader wants. `total` counts what was not weighed, too."""

    title: str
    rows: list[Row]
    wanted: list[Row]
    total: int

    @property
    def shown(self) -> list[Row]:
        """As many of those that are wanted as a page holds."""
        return self.wanted[:ROWS_MOST]

    @property
    def unweighed(self) -> int:
        """How many rows nobody looked at, because there are too many."""
        return self.total - len(self.rows)

    @property
    def differing(self) -> int:
        """How many rows differ."""
        return sum(row.is_different for row in self.rows)

    @property
    def beyond(self) -> int:
        """How many rows that were asked for are not shown."""
        return len(self.wanted) - len(self.shown)


class SideBySide:
    """A comparison as rows: those that differ or all of them, by how much they vary or in the order of first mention."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison, self.runs = comparison, comparison.runs
        self.look = comparison.look
        self.baseline = comparison.baseline.slot

    def row(
        self, name: str, values: Sequence[object], whole: Sequence[str], *, is_prose: bool = False, short: Callable[[], Sequence[str]] | None = None
    ) -> Row:
        """One row of a value for each run, None for none, and what is written of each."""
        return Row(name, whole, self.baseline, variation(values, whole), is_prose, short)

    def block(self, title: str, rows: Iterable[Row], total: int | None = None) -> Block:
        """The rows of one kind, chosen and ordered as the reader wants them."""
        known = list(rows)
        wanted = [row for row in known if self.look.shows_equal or row.is_different]
        ordered = wanted if self.look.is_by_mention else sorted(wanted, key=lambda row: row.variation.order)
        return Block(title, known, ordered, len(known) if total is None else total)

    @cached_property
    def params(self) -> Block:
        """Every param that any run has, nested ones opened: as many as are weighed."""
        opened = [by_name(run.experiment.params) for run in self.runs]
        names = dict.fromkeys(name for params in opened for name in params)
        return self.block("Params", (self.param(name, opened) for name in weighed(names, len(self.runs))), len(names))

    def param(self, name: str, opened: Sequence[Mapping[str, object]]) -> Row:
        """One param; null is none."""
        values = [params.get(name) for params in opened]
        return self.row(name, values, [*map(distinct, values)], short=lambda: written_apart(values))

    @cached_property
    def changes(self) -> Block:
        """What each run changed against its own parent, a row for each feature."""
        parents = [run.experiment.parent_experiment for run in self.runs]
        if not any(parents) and not any(run.experiment.features_diff for run in self.runs):
            return self.block("Changed against the parent", [])
        named = [parent.name if parent else "root" for parent in parents]
        named_in = [run.experiment.features_diff for run in self.runs]
        features = dict.fromkeys(feature for changes in named_in for feature in changes)
        chosen = weighed(features, len(self.runs))
        changed = [{change.feature: change for change in changes_of({name: each[name] for name in chosen if name in each})} for each in named_in]
        rows = (self.row(feature, [None] * len(self.runs), [said(row.get(feature)) for row in changed]) for feature in chosen)
        return self.block("Changed against the parent", [self.row("Parent", named, named), *rows], len(features) + 1)

    @cached_property
    def summaries(self) -> Block:
        """Each metric by its aggregation: as many of the first as make WEIGHED_MOST values."""
        read, metrics = self.comparison.measured, self.comparison.measured.metrics
        if read.is_store_away:
            return self.block("Summaries", [])
        weighed = metrics[: max(ROWS_MOST, WEIGHED_MOST // len(self.runs))]
        return self.block("Summaries", (self.summary(metric, [read.value(run.experiment, metric) for run in self.runs]) for metric in weighed), len(metrics))

    def summary(self, metric: ProjectMetric, values: list[float | None]) -> Row:
        """One metric."""
        whole = [NONE if value is None else exact(value) for value in values]
        return self.row(f"{metric.name}, {metric.aggregation}", values, whole, short=lambda: lined_up(values))

    @cached_property
    def words(self) -> Block:
        """Notes and tags."""
        notes = [run.experiment.notes.strip() or NONE for run in self.runs]
        named = [sorted(tag.name for tag in run.experiment.tags.all()) for run in self.runs]
        tags = [json.dumps(names, ensure_ascii=False) if names else NONE for names in named]
        rows = [
            ("Notes", notes, [text[:TEXT_MOST] + "…" * (len(text) > TEXT_MOST) for text in notes]),
            ("Tags", tags, [", ".join(names) or NONE for names in named]),
        ]
        return self.block("Words", (self.prose(*row) for row in rows if set(row[1]) != {NONE}))

    def prose(self, name: str, whole: Sequence[str], short: Sequence[str]) -> Row:
        """A row of texts."""
        return self.row(name, whole, whole, is_prose=True, short=lambda: short)

    @property
    def size(self) -> int:
        """How many cells are shown."""
        return len(self.runs) * sum(len(block.shown) for block in self.blocks)

    @property
    def blocks(self) -> list[Block]:
        """Those with a row."""
        return [block for block in (self.params, self.changes, self.summaries, self.words) if block.shown]


def lined_up(values: Sequence[float | None]) -> list[str]:
    """Numbers with the decimals that their row shares."""
    decimals = decimals_of(values)
    return [number(value, decimals) for value in values]


def said(change: Change | None) -> str:
    """A change as text: 2 → 4, or what was added."""
    if change is None:
        return NONE
    return change.now if change.was is None else f"{change.was} → {change.now}"
