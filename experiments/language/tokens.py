"""The words of a filter's text, and where each stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from experiments.language.terms import LONGEST, FilterError

TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<date>\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?(?!\w))
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<path>[^\W\d][\w/-]*(?:\.(?:[\w/-]+|`[^`]*`|"[^"]*"|'[^']*'))*)
    |(?P<symbol><=|>=|!=|==|=|<|>|~)
    |(?P<mark>[(),])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A piece of the text and where it begins."""

    kind: str
    text: str
    at: int


def lenient(text: str) -> Iterator[Token]:
    """The tokens of any text, spaces and what is no token left out."""
    for match in TOKEN.finditer(text[:LONGEST]):
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match.group(), match.start())


def tokens_of(text: str) -> list[Token]:
    """The tokens of a filter. Raises FilterError at what is none."""
    if len(text) > LONGEST:
        raise FilterError(f"A filter has at most {LONGEST:,} characters; this one has {len(text):,}.", LONGEST, len(text) - LONGEST)
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise unreadable(text, at)
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    return found


def unreadable(text: str, at: int) -> FilterError:
    """The error for a character that begins nothing."""
    if text[at] in "\"'":
        return FilterError("This quote is not closed.", at, len(text) - at)
    if text[at] == "`":
        return FilterError("Backticks hold a name behind a dot: metrics.`train/loss`.min.", at, 1)
    if text[at] == ".":
        return FilterError("A name is missing behind this dot.", at, 1)
    length = len(re.match(r"[\w.+-]*", text[at:]).group()) or 1  # type: ignore[union-attr]  # it matches nothing too
    return FilterError(f"{text[at : at + length]} is not understood here: text stands in quotes.", at, length)
