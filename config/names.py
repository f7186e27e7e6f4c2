"""What a name is, wherever people or scripts give one: no two that look alike. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

ZWNJ, ZWJ = "\u200c", "\u200d"
VIRAMA = 9  # the combining class of signs that join the letters around them
# Marks of Arabic, Syriac and Kaithi numbers and verses: of the category of invisible characters, and drawn.
DRAWN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
UNJOINED = frozenset("آأؤإادذرزژوۀةۆۇۈۋ")  # letters of Arabic that join nothing after them: a non-joiner there shows nowhere
BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # Hangul fillers and the empty Braille cell: letters and symbols by category, drawn as nothing
IGNORABLE = ((0x34F, 0x34F), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF))


@dataclass(frozen=True)
class Flaw:
    """What a name cannot hold: the character at `position` (from 0) of the text as it was sent."""

    position: int
    character: str

    @property
    def message(self) -> str:
        """What is wrong, and what to do."""
        return f"A name holds no invisible characters: leave out {self.said}."

    @property
    def said(self) -> str:
        """The character and its place."""
        return f"{described(self.character)} at position {self.position}"


def tidied(name: str) -> str:
    """The name without blanks around it, in Unicode's composed form (NFC): what is kept of it, and what it is found by."""
    return name.strip() if name.isascii() else unicodedata.normalize("NFC", name.strip())


def known_spelling(name: str, is_known: Callable[[str], bool]) -> str:
    """The name as it is asked for where that is known (names from before they were tidied are), else as it would be kept."""
    tidy = tidied(name)
    return name if tidy == name or is_known(name) else tidy


def flaw_in_name(name: str) -> Flaw | None:
    """The first character that nobody could see: control characters, zero-width ones, marks of direction, fillers. Blanks around the name do not count."""
    if name.isascii() and name.isprintable():
        return None
    bare = name.strip()
    begin = name.find(bare)
    return next((Flaw(begin + place, c) for place, c in enumerate(bare) if is_invisible(bare, place)), None)


def is_invisible(text: str, place: int) -> bool:
    """Whether the character there shows nowhere. A joiner that shapes the letters or the emoji around it does."""
    character = text[place]
    if character in (ZWNJ, ZWJ):
        return not is_shaping(text, place)
    category, point = unicodedata.category(character), ord(character)
    if category in ("Cc", "Cf", "Zl", "Zp"):
        return character not in DRAWN
    return character in BLANK_LETTERS or any(first <= point <= last for first, last in IGNORABLE)


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


def pieces(name: str) -> list[tuple[str, str]]:
    """A name in pieces of (text, what it is): "" for text to show as it is, else a description of a blank or invisible character that would not show.

    A single space between two words shows by itself. Old names may have blanks around them, and invisible characters.
    """
    if name.isascii() and name.isprintable() and name == name.strip() and "  " not in name:
        return [(name, "")]
    found: list[tuple[str, str]] = []
    for place, character in enumerate(name):
        said = described(character) if is_hidden(name, place) else ""
        if found and not said and not found[-1][1]:
            found[-1] = (found[-1][0] + character, "")
        else:
            found.append((character, said))
    return found


def is_hidden(name: str, place: int) -> bool:
    """Whether a reader could miss the character there, or take it for another."""
    character = name[place]
    if character == " ":
        return not (0 < place < len(name) - 1 and name[place - 1] != " " and name[place + 1] != " ")
    return character.isspace() or is_invisible(name, place)


def described(character: str) -> str:
    """A character by its name in Unicode and its number: `no-break space (U+00A0)`."""
    return f"{unicodedata.name(character, 'control character').lower()} (U+{ord(character):04X})"
