"""Spans of time in words."""

from __future__ import annotations

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
TWICE = 2


def spoken(seconds: float) -> str:
    """A span in the largest unit that it holds twice: 94 s, 12 min, 26 h, 3 d."""
    for size, unit in UNITS:
        if seconds >= TWICE * size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.2g} s" if seconds < 1 else f"{int(seconds)} s"
