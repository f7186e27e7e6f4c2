"""Names that look alike are one name; a character that shows nowhere is in none."""

import sys
import unicodedata

import pytest
from research_platform import names as client

from config.names import flaw_in_name, known_spelling, pieces, tidied

INVISIBLE = {
    "zero width space": "\u200b",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "word joiner": "\u2060",
    "mark of direction": "\u200e",
    "override of direction": "\u202e",
    "isolate of direction": "\u2066",
    "joiner between letters that do not join": "\u200d",
    "non-joiner between letters that do not join": "\u200c",
    "grapheme joiner": "\u034f",
    "Hangul filler": "\u3164",
    "empty Braille cell": "\u2800",
    "variation selector": "\ufe0f",
    "tag": "\U000e0041",
    "separator of lines": "\u2028",
    "tabulator": "\t",
    "new line": "\n",
}


@pytest.mark.parametrize("name", ["train/loss ", "  train/loss", "\u00a0train/loss", "train/loss\u3000", "\ttrain/loss\n"])
def test_blanks_around_a_name_are_not_of_it(name):
    assert flaw_in_name(name) is None
    assert tidied(name) == client.kept(name) == "train/loss"


@pytest.mark.parametrize(("sent", "kept"), [("e\u0301", "é"), ("\u212b", "Å"), ("ﬁ", "ﬁ"), ("a\u00a0b", "a\u00a0b"), ("a  b", "a  b"), ("🚀", "🚀")])
def test_a_name_is_kept_composed_and_else_as_it_is(sent, kept):
    assert flaw_in_name(sent) is None
    assert tidied(sent) == client.kept(sent) == kept


@pytest.mark.parametrize("character", INVISIBLE.values(), ids=INVISIBLE)
def test_a_character_that_shows_nowhere_is_refused_with_its_position(character):
    flaw = flaw_in_name(f"  lo{character}ss")
    assert flaw is not None
    assert (flaw.position, flaw.character) == (4, character)
    assert f"(U+{ord(character):04X}) at position 4" in flaw.message
    with pytest.raises(ValueError, match="at position 4"):
        client.kept(f"  lo{character}ss")


@pytest.mark.parametrize("name", ["می‌خواهم", "ශ්‍රී", "क्‍ष", "👩‍🔬", "👩🏽‍🔬", "؀١٢"])
def test_joiners_that_shape_a_word_and_marks_that_are_drawn_stay(name):
    assert flaw_in_name(name) is None
    assert client.kept(name) == tidied(name)


@pytest.mark.parametrize("name", ["\u200dක", "ශ්\u200d", "دا\u200cد", "🚀\u200d", "\u200c"])
def test_joiners_that_shape_nothing_are_refused(name):
    assert flaw_in_name(name) is not None


def test_the_client_refuses_what_the_server_refuses():
    """Every character there is, inside a name: a batch with one that only the server refuses would be lost whole."""
    for point in range(sys.maxunicode + 1):
        name = f"a{chr(point)}b"
        if unicodedata.category(chr(point)) == "Cs":
            continue  # no text: neither can send it
        assert client.is_unseen(name, 1) == (flaw_in_name(name) is not None), f"U+{point:04X}"


def test_a_name_from_before_is_found_as_it_is_and_any_other_as_it_is_kept():
    old = {" loss"}
    assert known_spelling(" loss", old.__contains__) == " loss"
    assert known_spelling(" acc", old.__contains__) == "acc"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("val loss", []),
        ("val  loss", ["space (U+0020)", "space (U+0020)"]),
        (" val loss", ["space (U+0020)"]),
        ("val\u00a0loss", ["no-break space (U+00A0)"]),
        ("val\u200bloss", ["zero width space (U+200B)"]),
        ("Größe/損失", []),
    ],
)
def test_what_a_reader_could_miss_in_a_name_is_told(name, hidden):
    found = pieces(name)
    assert "".join(text for text, _ in found) == name
    assert [said for _, said in found if said] == hidden
