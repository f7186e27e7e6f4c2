"""What a name is, as the server has it: no two that look alike. A batch with a name that it refuses would be lost whole."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

NAME_BYTES = 250
NAMES_REMEMBERED = 20_000
ZWNJ, ZWJ = "\u200c", "\u200d"
VIRAMA = 9  # the combining class of signs that join the letters around them
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control and format characters, halves of surrogate pairs, separators of lines
DRAWN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
UNJOINED = frozenset("آأؤإادذرزژوۀةۆۇۈۋ")
BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
IGNORABLE = ((0x34F, 0x34F), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF))


@lru_cache(maxsize=NAMES_REMEMBERED)
def kept(metric: str) -> str:
    """A metric's name as the server keeps it: stripped and composed (NFC). Raises ValueError for what it refuses. Asked once for each name."""
    bare = metric.strip()
    if not bare:
        raise ValueError(f"{metric!r:.80} is not a metric's name")
    if not (bare.isascii() and bare.isprintable()):
        refuse_unseen(metric, bare)
        bare = unicodedata.normalize("NFC", bare)
    if len(bare.encode()) > NAME_BYTES:
        raise ValueError(f"a metric's name has at most {NAME_BYTES} bytes of UTF-8")
    return bare


def refuse_unseen(metric: str, bare: str) -> None:
    """Raise ValueError, with its position, for a character that shows nowhere."""
    for place, character in enumerate(bare):
        if is_unseen(bare, place):
            said = f"{unicodedata.name(character, 'control character').lower()} (U+{ord(character):04X})"
            raise ValueError(f"a metric's name holds no invisible characters: leave out {said} at position {metric.find(bare) + place}")


def is_unseen(text: str, place: int) -> bool:
    """Whether the character there shows nowhere. A joiner that shapes the letters or the emoji around it does."""
    character = text[place]
    if character in (ZWNJ, ZWJ):
        return not is_shaping(text, place)
    if unicodedata.category(character) in UNSEEN:
        return character not in DRAWN
    return character in BLANK_LETTERS or any(first <= ord(character) <= last for first, last in IGNORABLE)


def is_shaping(text: str, place: int) -> bool:
    """Whether the joiner there changes how its neighbours are drawn: after a virama, between Arabic letters that would join, between emoji."""
    before, joiner, after = text[place - 1 : place], text[place], text[place + 1 : place + 2]
    if not before or not after:
        return False
    if unicodedata.combining(before) == VIRAMA:
        return after.isalpha()
    if joiner == ZWNJ:
        return unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL" and before not in UNJOINED
    return unicodedata.category(before) in ("So", "Sk") and unicodedata.category(after) == "So"
