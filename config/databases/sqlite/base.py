"""Django's SQLite, taught to find text as PostgreSQL does: SQLite's own LIKE knows the upper and lower case of ASCII alone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from django.db.backends.sqlite3 import base

WILD = {"%": ".*", "_": "."}


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose LIKE knows the case of every letter."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:  # Any: arguments of sqlite3.connect
        """Open it."""
        connection: sqlite3.Connection = super().get_new_connection(conn_params)
        for arguments in (2, 3):
            connection.create_function("like", arguments, like, deterministic=True)
        return connection


def like(pattern: object, text: object, escape: str = "") -> bool | None:
    """`text LIKE pattern`, whatever the case of its letters. None where either is NULL."""
    if pattern is None or text is None:
        return None
    return matcher(str(pattern), escape)(str(text).lower())


@lru_cache(maxsize=256)
def matcher(pattern: str, escape: str) -> Callable[[str], bool]:
    """What tells whether text in lower case fits a LIKE pattern: % is any text, _ one character, and what follows `escape` itself."""
    pieces = list(pieces_of(pattern.lower(), escape))
    literal = "".join(text for text, _ in pieces[1:-1])
    if len(pieces) > 1 and pieces[0][1] == pieces[-1][1] == ".*" and not any(wild for _, wild in pieces[1:-1]):
        return lambda text: literal in text
    compiled = re.compile("".join(wild or re.escape(text) for text, wild in pieces), re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def pieces_of(pattern: str, escape: str) -> Iterator[tuple[str, str]]:
    """A pattern's characters: (what stands there, the expression for it where it is wild)."""
    letters = iter(pattern)
    for letter in letters:
        yield (next(letters, ""), "") if escape and letter == escape else (letter, WILD.get(letter, ""))
