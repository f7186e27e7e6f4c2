"""Words that callers write: lists of them in an address, and what somebody who misspelt one may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice

from config.limits.sizes import COMPARED_MOST, SPELLED_MOST

__all__ = ["COMPARED_MOST", "NAMES_ARE_TOLD", "listed", "meant", "names_told", "nearest"]

NAMES_ARE_TOLD: ContextVar[bool] = ContextVar("names_are_told", default=True)

# A comma in backticks or quotes belongs to a name.
ITEM = re.compile(r"""(?:`[^`]*`|"[^"]*"|[^,])+""")


@contextmanager
def names_told(*, is_so: bool) -> Iterator[None]:
    """Whether `nearest` tells names meanwhile: whoever reaches only what it made itself would learn others' by guessing near them."""
    before = NAMES_ARE_TOLD.set(is_so)
    try:
        yield
    finally:
        NAMES_ARE_TOLD.reset(before)


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that looks most like this one among the first COMPARED_MOST, those of more than SPELLED_MOST characters left out.

    "" where none does, or where no names are told.
    """
    if not NAMES_ARE_TOLD.get():
        return ""
    by_lower = {each.lower(): each for each in islice(names, COMPARED_MOST) if len(each) <= SPELLED_MOST}
    near = difflib.get_close_matches(name.lower()[:SPELLED_MOST], by_lower, n=1)
    return by_lower[near[0]] if near else ""


def meant(near: str) -> str:
    """The question that a message ends with; nothing where no name is near."""
    return f" Did you mean {near!r}?" if near else ""


def listed(text: str) -> list[str]:
    """The items of a list in an address, each once: commas are between them, but for those in backticks or quotes."""
    return list(dict.fromkeys(item for part in ITEM.findall(text) if (item := part.strip())))
