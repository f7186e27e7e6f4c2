"""One arm where it is drawn, and what is written on it and on the edge that leads to it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from experiments.lineage.arms import Arm
from experiments.lineage.layout import Spot
from experiments.models import Change
from experiments.notation.numerals import number

WIDTH, HEIGHT, COLUMN, ROW, MARGIN = 236, 62, 444, 78, 12
NAME_CELLS, EDGE_CELLS = 22, 25
MARKS = {"better": "▲ ", "worse": "▽ ", "same": ""}


@dataclass(frozen=True)
class Placed:
    """What stands at a spot of the tree; `closes` lists of the nested list end after it."""

    spot: Spot
    closes: int

    @property
    def x(self) -> int:
        """Pixels from the left."""
        return MARGIN + self.spot.column * COLUMN

    @property
    def y(self) -> int:
        """Pixels from the top."""
        return MARGIN + self.spot.row * ROW

    @property
    def closing(self) -> range:
        """One step for each list that ends after it."""
        return range(self.closes)


@dataclass(frozen=True)
class Node(Placed):
    """One arm where it is drawn. `change` is its mean less its root's, None where either is missing."""

    arm: Arm
    change: float | None
    verdict: str
    level: str
    decimals: int | None
    is_best: bool
    is_here: bool
    is_picked: bool
    is_foldable: bool
    fold_link: str

    @property
    def has_list(self) -> bool:
        """Whether its children are drawn."""
        return self.is_foldable and not self.spot.folded

    @property
    def style(self) -> str:
        """The classes of its box."""
        says = {"on-path": self.is_best, "here": self.is_here, "picked": self.is_picked, "gone": self.arm.is_gone}
        return " ".join(name for name, holds in says.items() if holds)

    @property
    def short_name(self) -> str:
        """The name as far as it fits."""
        return isolated(clipped(self.arm.name, NAME_CELLS))

    @property
    def counted(self) -> str:
        """How many runs the mean is over, and of how many."""
        return f"n {self.arm.spread.n}" if self.arm.spread.n in (0, len(self.arm.runs)) else f"n {self.arm.spread.n} of {len(self.arm.runs)}"

    @property
    def reading(self) -> str:
        """The mean, or that there is none."""
        mean = self.arm.spread.mean
        return "no value" if mean is None else number(mean, self.decimals)

    @property
    def deviation(self) -> str:
        """The deviation of the replicates, nothing for a single run."""
        sd = self.arm.spread.sd
        return "" if sd is None else f" ±{number(sd, self.decimals)}"

    @property
    def said_change(self) -> str:
        """The change against the root with its sign and, where a direction is set, a mark: filled better, hollow worse."""
        if self.change is None:
            return ""
        return MARKS[self.verdict] + signed(self.change, self.decimals)

    @property
    def is_confounded(self) -> bool:
        """Whether several features changed at once."""
        return len(self.arm.changes) > 1

    @property
    def edge(self) -> str:
        """What changed on the way here, as far as it fits."""
        changes = self.arm.changes
        if not changes:
            return "same"
        if self.is_confounded:
            return isolated(clipped(" + ".join(change.feature for change in changes), EDGE_CELLS))
        return isolated(clipped(written(changes[0]), EDGE_CELLS))

    @property
    def full_edge(self) -> str:
        """All that changed."""
        said = "; ".join(written(change) for change in self.arm.changes[:20]) or "same"
        return f"{len(self.arm.changes)} changes at once, confounded: {said}" if self.is_confounded else said


@dataclass(frozen=True)
class Rest(Placed):
    """Further children that are not drawn, and where they are."""

    link: str
    is_rest: bool = True


def signed(value: float, decimals: int | None) -> str:
    """A difference with its sign."""
    return ("+" if value > 0 else "") + number(value, decimals)


def written(change: Change) -> str:
    """One change on one line."""
    return f"{change.feature} {change.now}" if change.was is None else f"{change.feature} {change.was}→{change.now}"


def clipped(text: str, cells: int) -> str:
    """As much of a text as fits; a wide letter takes two cells."""
    room = cells
    for index, letter in enumerate(text):
        room -= 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if room < 0:
            return f"{text[: max(1, index - 1)]}…"
    return text


def isolated(text: str) -> str:
    """A text whose direction touches nothing around it: SVG text has no <bdi>."""
    return f"\u2068{text}\u2069"


def line(parent: Node, child: Node | Rest) -> str:
    """The path of an edge: straight in one row, else down and around."""
    x1, y1, x2, y2 = parent.x + WIDTH + 8, parent.y + HEIGHT // 2, child.x, child.y + HEIGHT // 2
    if y1 == y2:
        return f"M{x1} {y1}H{x2}"
    return f"M{x1} {y1}H{x1 + 10}Q{x1 + 20} {y1} {x1 + 20} {y1 + 10}V{y2 - 10}Q{x1 + 20} {y2} {x1 + 30} {y2}H{x2}"


def edge_style(child: Node | Rest) -> str:
    """The classes of an edge."""
    if isinstance(child, Rest):
        return "link"
    return "link" + (" confounded" if child.is_confounded else "") + (" path" if child.is_best else "")
