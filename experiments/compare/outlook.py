"""How a page's charts are drawn: axis, range, smoothing, clipping, as the address says it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from django.http import QueryDict

from config.web.ignored import odd
from experiments.compare import grouping
from experiments.compare.grouping import BANDS, CENTRES, PLAIN, REPLICATE_GROUP, SEED, SHOWN, Grouping, Key
from experiments.readings import sections
from experiments.readings.sections import Sought, sought

X = ("step", "relative", "time")
METRIC = "metric"
NO_TIP = "."  # an address that says nothing would mean the usual
SMOOTHEST = 0.99


@dataclass(frozen=True)
class Outlook:
    """How the reader looks at it, as the address says. What cannot be read there counts as not said."""

    x: str = "step"
    x_metric: str = ""
    is_log: bool = False
    is_clipped: bool = False
    smoothing: float = 0.0
    first: str = ""
    last: str = ""
    order: str = ""
    grouping: Grouping = PLAIN
    shows_equal: bool = False
    hidden: frozenset[str] = frozenset()
    baseline: str = ""
    sought: Sought = field(default_factory=Sought)
    is_by_mention: bool = False
    tips: tuple[str, ...] | None = None


CHART_WORDS = ("x", "x_metric", "log", "clip", "smooth", "from", "to", *sections.WORDS)
WORDS = (*CHART_WORDS, *grouping.WORDS, "order", "params", "hide", "base", "rows", "tip")


def outlook(query: QueryDict) -> Outlook:
    """The outlook that a query string asks for."""
    zoomed = is_number(query.get("from", "")) and is_number(query.get("to", ""))
    return Outlook(
        x=axis(query),
        x_metric=query.get("x_metric", ""),
        is_log=query.get("log") == "1",
        is_clipped=query.get("clip") == "1",
        smoothing=smoothing(query.get("smooth", "")),
        first=query.get("from", "") if zoomed else "",
        last=query.get("to", "") if zoomed else "",
        order=query.get("order", ""),
        grouping=Grouping.read(query),
        shows_equal=query.get("params") == "all",
        hidden=frozenset(query.getlist("hide")),
        baseline=query.get("base", ""),
        sought=sought(query),
        is_by_mention=query.get("rows") == "mention",
        tips=tuple(name for name in query.getlist("tip") if name != NO_TIP) if "tip" in query else None,
    )


def odd_values(query: QueryDict) -> list[str]:
    """What the address gives to words of charts and groups, and that means nothing."""
    return [
        *odd("x", query.getlist("x"), (*X, METRIC)),
        *odd("smooth", [text for text in query.getlist("smooth") if not is_number(text)], ()),
        *odd("group", [text for text in query.getlist("group") if Key.read(text) is None], (SEED, REPLICATE_GROUP)),
        *odd("as", query.getlist("as"), SHOWN),
        *odd("centre", query.getlist("centre"), CENTRES),
        *odd("band", query.getlist("band"), BANDS),
    ]


def axis(query: QueryDict) -> str:
    """What x is: one of X, or METRIC where the query names the metric."""
    if query.get("x") == METRIC and query.get("x_metric"):
        return METRIC
    return next((x for x in X if x == query.get("x")), X[0])


def is_number(text: str) -> bool:
    """Whether `text` is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def smoothing(text: str) -> float:
    """A weight from 0 to SMOOTHEST; 0 where `text` is none."""
    return min(max(float(text), 0.0), SMOOTHEST) if is_number(text) else 0.0
