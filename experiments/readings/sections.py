"""Metrics found by name and folded into sections by their prefix: which of hundreds have a chart, and what is said of the rest.

The prefix of `train/loss` is `train`. A page holds CHARTS_MOST charts at most and names SECTIONS_MOST sections; what it leaves out is counted. A folded
section has no charts: they come when it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from django.http import QueryDict

from experiments.language.parsing import compiled
from experiments.language.terms import FilterError
from projects.models import ProjectMetric

CHARTS_MOST = 500
SECTIONS_MOST = 200
FINDER_FROM = 12
NO_PREFIX = "/"  # no prefix holds a slash
REASONS = {
    "missing )": "this ( is never closed",
    "unexpected )": "this ) closes nothing",
    "missing ]": "this [ is never closed",
    "bad repetition operator": "this repeats a repetition",
    "no argument for repetition operator": "there is nothing before this to repeat",
    "invalid repetition size": "this repeats more often than 1000 times",
    "invalid escape sequence": "this escape means nothing here",
    "invalid character class range": "this is no range of characters",
    "invalid perl operator": "groups of this kind are not known here",
    "invalid named capture group": "this name of a group is not finished",
    "trailing \\": "a \\ at the end escapes nothing",
}


@dataclass(frozen=True)
class Sought:
    """What the address says of the metrics that are looked for: text in their names or an expression, and the sections opened and folded by hand."""

    text: str = ""
    is_regex: bool = False
    opened: frozenset[str] = frozenset()
    folded: frozenset[str] = frozenset()


WORDS = ("metric", "regex", "open", "fold")


def sought(query: QueryDict) -> Sought:
    """What a query string asks for: metric, regex=1, open and fold."""
    return Sought(query.get("metric", "").strip(), query.get("regex") == "1", frozenset(query.getlist("open")), frozenset(query.getlist("fold")))


@dataclass(frozen=True)
class Trouble:
    """What is wrong with an expression: a sentence, and the expression cut at the part that it speaks of."""

    message: str
    before: str
    part: str
    after: str


def trouble(text: str, error: FilterError) -> Trouble:
    """What RE2 found wrong with `text`."""
    said = error.__cause__.args[0] if error.__cause__ and error.__cause__.args else ""
    said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    reason, _, part = said.partition(": ")
    if reason not in REASONS:
        return Trouble(f"{error} Correct it, or turn Regex off to look for it as text.", "", text, "")
    at = unmatched(text) if reason.endswith((")", "]")) else text.find(part)
    at, length = (0, len(text)) if at < 0 or not part else (at, 1 if reason.endswith((")", "]")) else len(part))
    message = f"This is no regular expression: {REASONS[reason]}. Correct it, or turn Regex off to look for it as text."
    return Trouble(message, text[:at], text[at : at + length], text[at + length :])


def unmatched(pattern: str) -> int:
    """Where the first bracket without its fellow stands; -1 where there is none. Brackets that are escaped or in a class count as text."""
    opened: list[int] = []
    in_class = -1
    is_escaped = False
    for at, letter in enumerate(pattern):
        if is_escaped or letter == "\\":
            is_escaped = not is_escaped
        elif in_class >= 0:
            in_class = -1 if letter == "]" and at > in_class + 1 else in_class
        elif letter == "[":
            in_class = at
        elif letter == "(":
            opened.append(at)
        elif letter == ")":
            if not opened:
                return at
            opened.pop()
    return in_class if in_class >= 0 else opened[-1] if opened else -1


@dataclass(frozen=True)
class Section:
    """The metrics of one prefix. `drawn` are those with a chart: none where it is folded. `is_open_by_itself` is its state while nobody changes it."""

    prefix: str
    metrics: list[ProjectMetric]
    drawn: list[ProjectMetric]
    is_open: bool
    is_open_by_itself: bool

    @property
    def key(self) -> str:
        """Its name in the address."""
        return self.prefix or NO_PREFIX

    @property
    def beyond(self) -> int:
        """How many of its metrics have no chart although it is open."""
        return len(self.metrics) - len(self.drawn) if self.is_open else 0


def prefix_of(name: str) -> str:
    """What stands before the first slash; "" where nothing does."""
    first, slash, _ = name.partition("/")
    return first if slash else ""


@dataclass(frozen=True)
class Found:
    """The metrics that were asked for, of all that there are. A bad expression finds all of them, and says what is wrong with it."""

    all: Sequence[ProjectMetric]
    sought: Sought = field(default_factory=Sought)

    @cached_property
    def trouble(self) -> Trouble | None:
        """What is wrong with the expression."""
        try:
            self.test()
        except FilterError as error:
            return trouble(self.sought.text, error)
        return None

    def test(self) -> Callable[[str], bool]:
        """Whether a name fits. Raises FilterError."""
        text = self.sought.text
        if not self.sought.is_regex:
            return lambda name: text.lower() in name.lower()
        pattern = compiled(text, length=len(text))
        return lambda name: pattern.search(name) is not None

    @cached_property
    def metrics(self) -> list[ProjectMetric]:
        """Those whose name fits, in the order of `all`."""
        if not self.sought.text or self.trouble:
            return list(self.all)
        fits = self.test()
        return [metric for metric in self.all if fits(metric.name)]

    @property
    def has_finder(self) -> bool:
        """Whether looking for a name is worth its place."""
        return len(self.all) > FINDER_FROM or bool(self.sought.text)

    @cached_property
    def groups(self) -> dict[str, list[ProjectMetric]]:
        """The metrics by prefix: those without one first, then by the alphabet."""
        groups: dict[str, list[ProjectMetric]] = {}
        for metric in self.metrics:
            groups.setdefault(prefix_of(metric.name), []).append(metric)
        return dict(sorted(groups.items()))

    @cached_property
    def listed(self) -> list[str]:
        """The prefixes that the page names: the first SECTIONS_MOST, and those that were opened by hand."""
        return [prefix for place, prefix in enumerate(self.groups) if place < SECTIONS_MOST or self.is_opened(prefix)]

    @cached_property
    def open_by_themselves(self) -> set[str]:
        """The prefixes whose charts a page holds together, the first of them always."""
        room, chosen = CHARTS_MOST, set[str]()
        for prefix in self.listed:
            if len(self.groups[prefix]) <= room or not chosen:
                chosen.add(prefix)
                room -= len(self.groups[prefix])
        return chosen

    @cached_property
    def shares(self) -> dict[str, int]:
        """How many charts each open section has: those opened by hand come first."""
        folded = self.sought.folded
        is_open = [p for p in self.listed if self.is_opened(p) or (p in self.open_by_themselves and (p or NO_PREFIX) not in folded)]
        room, shares = CHARTS_MOST, dict[str, int]()
        for prefix in sorted(is_open, key=lambda p: not self.is_opened(p)):
            shares[prefix] = min(room, len(self.groups[prefix]))
            room -= shares[prefix]
        return shares

    def is_opened(self, prefix: str) -> bool:
        """Whether the section was opened by hand."""
        return (prefix or NO_PREFIX) in self.sought.opened

    @cached_property
    def sections(self) -> list[Section]:
        """The sections that the page names."""
        return [self.section(prefix) for prefix in self.listed]

    def section(self, prefix: str) -> Section:
        """One section."""
        metrics = self.groups[prefix]
        return Section(prefix, metrics, metrics[: self.shares.get(prefix, 0)], prefix in self.shares, prefix in self.open_by_themselves)

    @property
    def is_flat(self) -> bool:
        """Whether no metric has a prefix, so that nothing is worth folding."""
        return list(self.groups) in ([], [""])

    @property
    def drawn(self) -> list[ProjectMetric]:
        """The metrics with a chart, in the order of the page."""
        return [metric for section in self.sections for metric in section.drawn]

    @property
    def unlisted(self) -> int:
        """How many sections the page does not name."""
        return len(self.groups) - len(self.listed)
