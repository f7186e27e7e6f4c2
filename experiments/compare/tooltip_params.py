"""Which params stand beside a run's name in the charts' tooltip: those that the address names, else the two that vary most."""

from __future__ import annotations

import json
from functools import cached_property

from experiments.compare.side_by_side import Row, SideBySide

CHOICES_MOST = 12
UNASKED = 2
CHARACTERS = 40


class TooltipParams:
    """The params that may be chosen, and those that are."""

    def __init__(self, side: SideBySide) -> None:
        self.runs, self.asked = side.runs, side.look.tips
        self.rows = {row.name: row for row in sorted(side.params.rows, key=lambda row: row.variation.order)}

    @cached_property
    def chosen(self) -> list[str]:
        """The names that the address has, as far as a run has the param; where it has none, those that vary most."""
        if self.asked is not None:
            return [name for name in dict.fromkeys(self.asked) if name in self.rows][:CHOICES_MOST]
        return [row.name for row in self.rows.values() if row.is_different][:UNASKED]

    @cached_property
    def choices(self) -> list[Row]:
        """At most CHOICES_MOST: the chosen, and those that vary most."""
        names = list(dict.fromkeys([*self.chosen, *self.rows]))[:CHOICES_MOST]
        return [self.rows[name] for name in self.rows if name in set(names)]

    @property
    def beyond(self) -> int:
        """How many params cannot be chosen here."""
        return len(self.rows) - len(self.choices)

    @property
    def as_json(self) -> str:
        """{"names": […], "runs": {id: [text, …]}} for the page's scripts, each text cut at CHARACTERS."""
        texts = {str(run.experiment.pk): [cut(row.cells[run.slot].text) for row in self.choices] for run in self.runs}
        return json.dumps({"names": [row.name for row in self.choices], "runs": texts}, ensure_ascii=False, separators=(",", ":"))


def cut(text: str) -> str:
    """As much of a value as a tooltip holds."""
    return text if len(text) <= CHARACTERS else f"{text[: CHARACTERS - 1]}…"
