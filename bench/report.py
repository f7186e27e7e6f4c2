"""The result as a Markdown table."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One measurement, without value where it could not be taken. `budget` is a least value where `more_is_better`, else a most; None: nothing is promised."""

    job: str
    value: float | None
    unit: str
    budget: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured over budget."""
        return None if not self.budget or self.value is None else self.value / self.budget

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
        measured = "not measured" if self.value is None else f"{number(self.value)} {self.unit}"
        return [self.job, measured, budget, ratio, self.verdict, self.note]


def number(value: float) -> str:
    """At most three or so digits that matter."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


class Machine:
    """What it runs on, and how much of it others took meanwhile."""

    def __init__(self) -> None:
        self.began, self.busy_s, self.own_s = time.monotonic(), busy_s(), own_s()

    def __str__(self) -> str:
        others = (busy_s() - self.busy_s - own_s() + self.own_s) / (time.monotonic() - self.began)
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        share = f"{os.cpu_count()} cores, of which others kept {max(others, 0.0):.1f} busy meanwhile"
        return f"{now}, {share}, Python {platform.python_version()}, {platform.system()}"


def busy_s() -> float:
    """Seconds that the machine's cores were busy since it started; 0 where nobody tells."""
    try:
        parts = [int(part) for part in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, *interrupts = parts
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def own_s() -> float:
    """Seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def markdown(lines: Iterable[Line], title: str, *, beside: Iterable[Line] = ()) -> str:
    """One table; `beside` are measurements of the same jobs in the other form, as a column more."""
    others = {line.job: line.cells[1] for line in beside}
    head = ["job", "measured", "budget", "measured / budget", "", "beside it", *(["on a team's servers"] if others else [])]
    rows = [head, ["---"] * len(head), *([*line.cells, *([others.get(line.job, "")] if others else [])] for line in lines)]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
