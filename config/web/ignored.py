"""What a page says of words in its address that it does not know. Pages are lenient where the API refuses: old links go on working, and nobody is misled."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from config.web.words import nearest

SHOWN_MOST = 40
WORDS_MOST = 5


def ignored(given: Iterable[str], words: Collection[str], odd: Iterable[str] = ()) -> str:
    """A sentence about the words that the page does not know, each with the nearest that it does, and about values that are `odd`; "" where it knows all."""
    said = [*(described(word, words) for word in given if word not in words), *odd]
    if not said:
        return ""
    more = f", and {len(said) - WORDS_MOST} more" if len(said) > WORDS_MOST else ""
    return f"Ignored in the address: {', '.join(said[:WORDS_MOST])}{more}."


def odd(word: str, values: Iterable[str], known: Collection[str]) -> list[str]:
    """The values of one word that are none of those that the page knows, each with the nearest; blank ones say nothing."""
    return [described(value, known, f"{word}=", "") for value in dict.fromkeys(values) if value.strip() and value not in known]


def described(text: str, known: Collection[str], before: str = "", after: str = "=") -> str:
    """One word or value, and what may have been meant."""
    near, shown = nearest_of_kind(text, known), text.replace("\x00", "")[:SHOWN_MOST]
    return f"{before}{shown}{after} (did you mean {before}{near}{after}?)" if near else f"{before}{shown}{after}"


def nearest_of_kind(text: str, known: Collection[str]) -> str:
    """The nearest of what is known; of `param:lr` and the like by the name alone, among their own kind."""
    kind, colon, name = text.partition(":")
    near = nearest(name, sorted(each.removeprefix(f"{kind}:") for each in known if each.startswith(f"{kind}:"))) if colon else ""
    return f"{kind}:{near}" if near else "" if colon else nearest(text, sorted(known))
