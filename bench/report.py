"""The result as a Markdown table."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Line:
    """One measurement. `budget` is a least value where `more_is_better`, else a most; None where nothing is promised."""

    job: str
    value: float
    unit: str
    budget: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured over budget."""
        return None if not self.budget else self.value / self.budget

    @property
    def verdict(self) -> str:
        """Whether the budget is met, or nothing."""
        if self.ratio is None:
            return ""
        return "met" if (self.ratio >= 1 if self.more_is_better else self.ratio <= 1) else "**missed**"

    @property
    def cells(self) -> list[str]:
        """The row of the table."""
        sign = "≥" if self.more_is_better else "≤"
        budget = "" if self.budget is None else f"{sign} {number(self.budget)}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return [self.job, f"{number(self.value)} {self.unit}", budget, ratio, self.verdict, self.note]


def number(value: float) -> str:
    """At most three or so digits that matter."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine() -> str:
    """What it ran on, and how busy that was."""
    load = " ".join(f"{part:.1f}" for part in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{now}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}, load average {load} (1, 5, 15 min; the run itself is in it)"
    )


def markdown(lines: Iterable[Line], title: str) -> str:
    """One table."""
    head = ["job", "measured", "budget", "measured / budget", "", "beside it"]
    rows = [head, ["---"] * len(head), *(line.cells for line in lines)]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
