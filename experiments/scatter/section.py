"""What a page's section of scatter and parallel coordinates shows: its choosers, and without a script a still drawing."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from experiments.language.terms import AGGREGATES
from experiments.notation.numerals import number
from experiments.readings.numbers import Numbers
from experiments.scatter.axes import AXES_MOST, LANES_MOST, Axis, Choices, Chosen, Points, Scatter, Value
from projects.models import Project

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT, LANE = 640, 360, 76, 44, 12, 12, 22
TICK_CHARACTERS = 10


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the drawing's units, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class StillAxis:
    """One axis of the still drawing, `length` units long behind its lane for experiments without a value."""

    axis: Axis
    is_log: bool
    length: float

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value, in powers of ten on a log axis; apart where there is one value alone."""
        found = [turned for value in self.axis.values if (turned := self.turned(value)) is not None]
        low, high = (min(found), max(found)) if found else (0.0, 1.0)
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def turned(self, value: Value) -> float | None:
        """A value as the axis measures it; None for what stands in the lane."""
        if value is None or isinstance(value, str):
            return None
        if not self.is_log or self.axis.is_ordinal:
            return float(value)
        return math.log10(value) if value > 0 else None

    def place(self, value: Value) -> float:
        """How far from the axis' beginning a value stands."""
        turned = self.turned(value)
        return LANE / 2 if turned is None else self.along(turned)

    def along(self, turned: float) -> float:
        """The place of a measured value."""
        low, high = self.ends
        return LANE + (self.length - LANE) * (0.03 + 0.94 * (turned / 2 - low / 2) / (high / 2 - low / 2))

    @property
    def ticks(self) -> list[Tick]:
        """The ends and the middle; the words of an ordinal axis, as far as they have room."""
        low, high = self.ends
        if self.axis.is_ordinal:
            words, stride = self.axis.words, -(-len(self.axis.words) // 8)
            return [Tick(self.along(n), cut(words[n])) for n in range(0, len(words), stride)]
        places = [low, low / 2 + high / 2, high]
        return [Tick(self.along(each), number(10**each if self.is_log else each)) for each in places]

    @property
    def absent(self) -> int:
        """How many stand in the lane."""
        return sum(self.turned(value) is None for value in self.axis.values)


def cut(text: str) -> str:
    """A word that fits beside an axis."""
    return text if len(text) <= TICK_CHARACTERS else text[: TICK_CHARACTERS - 1] + "…"


@dataclass(frozen=True)
class Still:
    """A scatter that needs no script: one path, a dot an experiment."""

    x: StillAxis
    y: StillAxis

    width, height, left, bottom = WIDTH, HEIGHT, LEFT, HEIGHT - BOTTOM

    @property
    def axes(self) -> tuple[StillAxis, StillAxis]:
        """Both."""
        return self.x, self.y

    @property
    def path(self) -> str:
        """Every dot, as a line of no length with round ends."""
        pairs = zip(self.x.axis.values, self.y.axis.values, strict=True)
        return "".join(f"M{LEFT + self.x.place(x):.1f} {self.bottom - self.y.place(y):.1f}h0" for x, y in pairs)

    @property
    def x_ticks(self) -> list[Tick]:
        """The ticks of x from the drawing's left."""
        return [Tick(LEFT + tick.at, tick.text) for tick in self.x.ticks]

    @property
    def y_ticks(self) -> list[Tick]:
        """The ticks of y from the drawing's top."""
        return [Tick(self.bottom - tick.at, tick.text) for tick in self.y.ticks]


@dataclass(frozen=True)
class Option:
    """A name that an axis may have."""

    key: str
    name: str


@dataclass(frozen=True)
class Chooser:
    """The fields of one axis: `name` is what the address calls it, `key` which axis is chosen, "" for none."""

    name: str
    label: str
    key: str
    is_log: bool

    @property
    def own_key(self) -> str:
        """The key by which a menu lists the axis: a metric stands there once, whatever its aggregate."""
        return self.key if not self.key or self.key.startswith("param:") else "metric:" + self.key.partition(":")[2]

    @property
    def how(self) -> str:
        """The aggregate, "" for a metric's own and for a param."""
        kind = self.key.partition(":")[0]
        return kind if kind in AGGREGATES else ""


class ScatterSection:
    """The section of a page. Templates read it as `explored`."""

    axes_most, lanes_most, aggregates = AXES_MOST, LANES_MOST, AGGREGATES

    def __init__(self, project: Project, points: Points, numbers: Numbers, axes: Chosen, choices: Choices) -> None:
        self.project, self.points, self.numbers, self.axes, self.choices = project, points, numbers, axes, choices

    @property
    def setup(self) -> str:
        """What the page's script begins with, as JSON."""
        return json.dumps(asdict(self.axes) | {"most": AXES_MOST, "lanesMost": LANES_MOST})

    @property
    def params(self) -> list[Option]:
        """The params on offer."""
        return options("param", self.choices.params)

    @property
    def metrics(self) -> list[Option]:
        """The metrics on offer."""
        return options("metric", self.choices.metrics)

    @property
    def choosers(self) -> list[Chooser]:
        """What chooses the axes of the scatter."""
        fields = (("sx", "x", self.axes.x), ("sy", "y", self.axes.y), ("sc", "Colour", self.axes.colour))
        return [Chooser(name, label, key, key in self.axes.logs) for name, label, key in fields]

    @cached_property
    def still(self) -> Still | None:
        """The drawing where no script runs; None unless it was asked for and there is something to draw."""
        if not self.axes.is_drawn or not self.axes.x or not self.points.ids:
            return None
        keys = list(dict.fromkeys((self.axes.x, self.axes.y)))
        drawn = {axis.key: axis for axis in Scatter(self.project, self.points, self.numbers, keys).axes}
        x, y = drawn[self.axes.x], drawn[self.axes.y]
        return Still(StillAxis(x, x.key in self.axes.logs, WIDTH - LEFT - RIGHT), StillAxis(y, y.key in self.axes.logs, HEIGHT - BOTTOM - TOP))


def options(kind: str, names: Sequence[str]) -> list[Option]:
    """Names as a menu has them."""
    return [Option(f"{kind}:{name}", name) for name in names]
