"""What a page says of words in its address that it does not know. Pages are lenient where the API refuses: old links go on working, and nobody is misled."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from config.web.words import nearest

SHOWN_MOST = 40
WORDS_MOST = 5


def ignored(given: Iterable[str], words: Collection[str], odd: Iterable[str] = ()) -> str:
    """A sentence about the words that the page does not know, each with the nearest that it does, and about values that are `odd`; "" where it knows all."""
    unknown, values = [word for word in given if word not in words], list(odd)
    said = [*(described(word, words) for word in unknown[:WORDS_MOST]), *values][:WORDS_MOST]
    if not said:
        return ""
    beyond = len(unknown) + len(values) - len(said)
    return f"Ignored in the address: {', '.join(said)}{f', and {beyond} more' if beyond else ''}."


def odd(word: str, values: Iterable[str], known: Collection[str]) -> list[str]:
    """The values of one word that are none of those that the page knows, those with the nearest that are shown; blank ones say nothing."""
    found = [value for value in dict.fromkeys(values) if value.strip() and value not in known]
    return [described(value, known, f"{word}=", "") for value in found[:WORDS_MOST]] + found[WORDS_MOST:]


def described(text: str, known: Collection[str], before: str = "", after: str = "=") -> str:
    """One word or value, and what may have been meant."""
    near, shown = nearest_of_kind(text, known), text.replace("\x00", "")[:SHOWN_MOST]
    return f"{before}{shown}{after} (did you mean {before}{near}{after}?)" if near else f"{before}{shown}{after}"


def nearest_of_kind(text: str, known: Collection[str]) -> str:
    """The nearest of what is known; of `param:lr` and the like by the name alone, among their own kind."""
    kind, colon, name = text.partition(":")
    near = nearest(name, sorted(each.removeprefix(f"{kind}:") for each in known if each.startswith(f"{kind}:"))) if colon else ""
    return f"{kind}:{near}" if near else "" if colon else nearest(text, sorted(known))
