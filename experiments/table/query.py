"""What the address of a table of experiments asks for: words, status, tag, order, columns, page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urlencode

from django.http import QueryDict

from experiments.language.parsing import is_filter, plain_words
from experiments.language.terms import AGGREGATES, LONGEST
from experiments.table.columns import at_key

PAGE_ROWS = 50
SORTED_MOST = 5
NEWEST_FIRST = "-created"
WORDS = ("q", "status", "tag", "sort", "columns", "pin", "arrange", "page", "add", "how", "best")
STATUSES = {word: word.capitalize() for word in ("running", "stalled", "planned", "complete", "failed", "diverged", "crashed", "interrupted", "archived")}


@dataclass(frozen=True)
class SortKey:
    """One column to sort by."""

    key: str
    is_descending: bool = False

    @classmethod
    def read(cls, text: str) -> SortKey:
        """From its place in an address: a minus for the largest first; a comma of a name stands there as %2C."""
        return cls(text.removeprefix("-").replace("%2C", ",").replace("%25", "%"), text.startswith("-"))

    def __str__(self) -> str:
        return ("-" if self.is_descending else "") + self.key.replace("%", "%25").replace(",", "%2C")


@dataclass(frozen=True)
class TableQuery:
    """What the address asks for. No columns means the default ones."""

    text: str = ""
    status: str = ""
    tag: str = ""
    sort: str = NEWEST_FIRST
    columns: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    is_arranging: bool = False
    page: int = 1
    page_rows = PAGE_ROWS

    @classmethod
    def read(cls, given: QueryDict) -> TableQuery:
        """From an address, whatever stands there: what makes no sense is left out."""
        page = given.get("page", "1")
        return cls(
            text=clean(given.get("q", "")),
            status=given.get("status", "") if given.get("status") in STATUSES else "",
            tag=clean(given.get("tag", "")),
            sort=clean(given.get("sort", "")) or NEWEST_FIRST,
            columns=distinct([*given.getlist("columns"), *added(given)]),
            pins=distinct(given.getlist("pin")),
            is_arranging=given.get("arrange") == "1",
            page=max(1, int(page)) if page.isdecimal() and len(page) < 9 else 1,
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether it leaves any experiment out."""
        return bool(self.text or self.status or self.tag)

    @cached_property
    def sort_keys(self) -> tuple[SortKey, ...]:
        """What it sorts by, the first of most weight."""
        found = {key.key: key for key in reversed([*map(SortKey.read, self.sort.split(","))][:SORTED_MOST])}
        return tuple(reversed(found.values()))

    @property
    def where(self) -> str:
        """The text, where it is in the language of filters, or too long for words: the language says so."""
        return self.text if len(self.text) > LONGEST or is_filter(self.text) else ""

    @property
    def words(self) -> str:
        """The text, where it is words to search for."""
        return "" if self.where else plain_words(self.text)

    def sorted_by(self, keys: Iterable[SortKey]) -> TableQuery:
        """The same sorted otherwise, from the first page."""
        return replace(self, sort=",".join(map(str, keys)) or NEWEST_FIRST, page=1)

    def string(self) -> str:
        """The shortest query string that asks for the same, with its question mark."""
        parts = [("q", self.text), ("status", self.status), ("tag", self.tag), ("sort", "" if self.sort == NEWEST_FIRST else self.sort)]
        parts += [("columns", name) for name in self.columns] + [("pin", name) for name in self.pins]
        parts += [("arrange", "1" if self.is_arranging else ""), ("page", str(self.page) if self.page > 1 else "")]
        return "?" + urlencode([(name, value) for name, value in parts if value])


def added(given: QueryDict) -> list[str]:
    """The keys of columns that were added by name: as such, by an aggregate, or where another metric was best."""
    how, best = given.get("how", ""), given.get("best", "").strip()
    names = [name.strip() for name in given.getlist("add") if name.strip()]
    if best:
        return [at_key(name, best) for name in names]
    return [f"{how if how in AGGREGATES else 'add'}:{name}" for name in names]


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(clean(name) for name in names))


def clean(text: str) -> str:
    """Text from an address, without what no database takes."""
    return text.replace("\x00", "").strip()
