"""The numbers: how much one value of the record may hold, how much a row of a list shows of it, and how much one question may name. Pure.

What is stored beyond a limit stays readable, and so do edits of other fields work: only a new value beyond it is refused.
"""

from __future__ import annotations

# What an experiment holds, in bytes of UTF-8; objects as compact JSON.
NOTES_BYTES = 100_000
COMMAND_BYTES = 8_000
PARAMS_BYTES = 1_000_000
LEAVES_MOST = 5_000  # values inside an object that are no objects or lists; those of lists count, too
TAGS_MOST = 100

# What others hold, in characters.
CLAIM_CHARACTERS = 20_000  # claim, rationale and description of a hypothesis, each
VIEW_CHARACTERS = 8_000  # the address of a saved view

# What a row of a list shows of them.
TEXT_SHOWN = 500  # characters
CLAIM_SHOWN = 2_000  # characters of each text of a hypothesis
PARAMS_SHOWN = 10_000  # characters of JSON

# What a form can send: its text may grow to three times as much on the way, and forms are 2 MB at most.
FORM_TEXT_BYTES = 600_000

# What a body may hold before its fields are looked at one by one.
LISTED_MOST = 1_000
NESTED_MOST = 200

# What one question may name.
SEARCH_MOST = 1_000  # characters of a text to search for
REPEATED_MOST = 500  # times that one word of a query may come
ORDERED_MOST = 20  # keys of an order
NAMED_MOST = 1_000  # metrics, or experiments of a page's address
READ_MOST = 256_000_000  # characters of notes and params that one filter or order reads
COMPARED_MOST = 500  # names that are looked through for the nearest
SPELLED_MOST = 100  # characters of a name that the nearest is looked for by


def size_of(text: str) -> int:
    """How many bytes a text takes. One that holds half a character counts as it would be replaced."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
