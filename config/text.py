"""What text a database can keep."""

from __future__ import annotations


def flaw_in_text(text: str) -> str:
    """What is wrong with text, as a sentence; "" where nothing is."""
    if "\x00" in text:
        return "Text cannot hold the character NUL (\\u0000): leave it out."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "Text cannot hold half of a surrogate pair: send it as proper Unicode."
    return ""
