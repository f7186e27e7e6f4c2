"""What a page says of words in its address that it does not know. Pages are lenient where the API refuses: old links go on working, and nobody is misled."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from config.web.words import nearest

SHOWN_MOST = 40
WORDS_MOST = 5


def ignored(given: Iterable[str], words: Collection[str]) -> str:
    """A sentence about the words that the page does not know, with the nearest that it does; "" where it knows all."""
    unknown = [word for word in given if word not in words]
    if not unknown:
        return ""
    more = f", and {len(unknown) - WORDS_MOST} more" if len(unknown) > WORDS_MOST else ""
    return f"Ignored in the address: {', '.join(described(word, words) for word in unknown[:WORDS_MOST])}{more}."


def described(word: str, words: Collection[str]) -> str:
    """One word, and what may have been meant."""
    near, shown = nearest(word, sorted(words)), word.replace("\x00", "")[:SHOWN_MOST]
    return f"{shown}= (did you mean {near}=?)" if near else f"{shown}="
