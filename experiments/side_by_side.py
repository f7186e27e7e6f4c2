"""The runs of a comparison side by side: params, what each changed against its parent, summaries, notes and tags, a row for each thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from experiments.comparison import Comparison, flat
from experiments.models import Change
from experiments.templatetags.readings import NONE, as_param, decimals_of, exact, number
from experiments.variation import Variation, variation

ROWS_MOST = 200
WEIGHED_MOST = 2000
TEXT_MOST = 2000


@dataclass(frozen=True)
class Cell:
    """One thing of one run, as text; `differs` where it departs from the baseline's. `full` is all of it, "" where the text is."""

    text: str
    differs: bool
    full: str = ""


@dataclass(frozen=True)
class Row:
    """One thing over all runs."""

    name: str
    cells: list[Cell]
    variation: Variation
    is_prose: bool = False

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
    """The rows of one kind: all of them in the order of first mention, and those that are shown. `total` counts what was not weighed, too."""

    title: str
    rows: list[Row]
    shown: list[Row]
    total: int
    wanted: int

    @property
    def differing(self) -> int:
        """How many rows differ."""
        return sum(row.is_different for row in self.rows)

    @property
    def beyond(self) -> int:
        """How many rows that were asked for are not shown."""
        return self.wanted - len(self.shown)


class SideBySide:
    """A comparison as rows: those that differ or all of them, by how much they vary or in the order of first mention."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison, self.runs = comparison, comparison.runs
        self.look = comparison.look
        self.baseline = comparison.baseline.slot

    def row(self, name: str, values: Sequence[object], texts: Sequence[str], *, is_prose: bool = False, full: Sequence[str] | None = None) -> Row:
        """One row, its texts held against the baseline's."""
        whole = full or texts
        cells = [Cell(text, entire != whole[self.baseline], entire if entire != text else "") for text, entire in zip(texts, whole, strict=True)]
        return Row(name, cells, variation(values, whole), is_prose=is_prose)

    def block(self, title: str, rows: Iterable[Row], total: int | None = None) -> Block:
        """The rows of one kind, chosen and ordered as the reader wants them."""
        known = list(rows)
        wanted = [row for row in known if self.look.shows_equal or row.is_different]
        ordered = wanted if self.look.is_by_mention else sorted(wanted, key=lambda row: row.variation.order)
        return Block(title, known, ordered[:ROWS_MOST], len(known) if total is None else total, len(wanted))

    @cached_property
    def params(self) -> Block:
        """Every param that any run has, nested ones opened."""
        opened = [dict(flat(run.experiment.params)) for run in self.runs]
        names = dict.fromkeys(name for params in opened for name in params)
        return self.block("Params", (self.param(name, [params.get(name) for params in opened]) for name in names))

    def param(self, name: str, values: list[object]) -> Row:
        """One param."""
        return self.row(name, values, [as_param(value) for value in values])

    @cached_property
    def changes(self) -> Block:
        """What each run changed against its own parent, a row for each feature."""
        parents = [run.experiment.parent_experiment for run in self.runs]
        if not any(parents) and not any(run.experiment.features_diff for run in self.runs):
            return self.block("Changed against the parent", [])
        named = [parent.name if parent else "root" for parent in parents]
        changed = [{change.feature: change for change in run.experiment.changes} for run in self.runs]
        features = dict.fromkeys(feature for row in changed for feature in row)
        rows = (self.row(feature, [None] * len(self.runs), [said(row.get(feature)) for row in changed]) for feature in features)
        return self.block("Changed against the parent", [self.row("Parent", named, named), *rows])

    @cached_property
    def summaries(self) -> Block:
        """Each metric by its aggregation, the first WEIGHED_MOST of them."""
        read, metrics = self.comparison.measured, self.comparison.measured.metrics
        values = ([read.value(run.experiment, metric) for run in self.runs] for metric in metrics)
        rows = (self.summary(f"{metric.name}, {metric.aggregation}", row) for metric, row in zip(metrics, values, strict=False))
        return self.block("Summaries", islice(rows, WEIGHED_MOST) if not read.is_store_away else [], total=len(metrics))

    def summary(self, name: str, values: list[float | None]) -> Row:
        """One metric."""
        decimals = decimals_of(values)
        return self.row(name, values, [number(value, decimals) for value in values], full=[NONE if value is None else exact(value) for value in values])

    @cached_property
    def words(self) -> Block:
        """Notes and tags."""
        notes = [run.experiment.notes[:TEXT_MOST].strip() or NONE for run in self.runs]
        tags = [", ".join(sorted(tag.name for tag in run.experiment.tags.all())) or NONE for run in self.runs]
        rows = [(name, texts) for name, texts in (("Notes", notes), ("Tags", tags)) if set(texts) != {NONE}]
        return self.block("Words", (self.row(name, texts, texts, is_prose=True) for name, texts in rows))

    @property
    def blocks(self) -> list[Block]:
        """Those with a row."""
        return [block for block in (self.params, self.changes, self.summaries, self.words) if block.shown]


def said(change: Change | None) -> str:
    """A change as text: 2 → 4, or what was added."""
    if change is None:
        return NONE
    return change.now if change.was is None else f"{change.was} → {change.now}"
