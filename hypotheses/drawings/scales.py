"""Scales, their ticks, and numbers as the drawings of a hypothesis's page write them. Pure geometry.

Positions are texts in per cent ("37.50%") for SVG without a viewBox, so that a drawing is as sharp on a phone as on a desk. Better is always to the
right, whichever way the metric goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from experiments.notation.numerals import LARGE, MINUS, SMALL, decimals_of, exponent, number

TICKS_MOST = 6
REACH = 1.0  # how far intervals may stretch a scale beyond estimates and runs, in widths of these
# A scale has two ends, however small its values and however near to each other they are.
LEAST_ROOM, LEAST_SHARE = 1e-300, 1e-6
Span = tuple[str, str]


def per_cent(share: float) -> str:
    """A share of the width as SVG takes it."""
    return f"{100 * share:.2f}%"


def brief(value: float | None) -> str:
    """A number as people say it, 4 significant digits at most and no zeros at its end: 0.003, 0.5, 1.25e-7."""
    if value is None:
        return number(None)
    text = exponent(value) if value and not SMALL <= abs(value) < LARGE else f"{value:.4g}"
    return f"{MINUS}{text[1:]}" if text.startswith("-") else text


def score_text(score: float | None) -> str:
    """A score with its sign and two decimals; 0.00 has none."""
    if score is None:
        return number(None)
    text = f"{score:+.2f}"
    return "0.00" if text[1:] == "0.00" else text.replace("-", MINUS)


def reason(sentence: str, status: str) -> str:
    """A verdict's sentence without the status that it begins with, for where that stands beside it."""
    rest = sentence[len(status) + 2 :] if sentence.lower().startswith(f"{status}: ") else sentence
    return rest[:1].upper() + rest[1:]


def decimals_for_effects(errors: Iterable[float | None]) -> int | None:
    """The decimals that effects share: those that give their middle standard error two digits. None where nothing is known."""
    found = decimals_of(errors)
    return None if found is None else max(0, found - 2)


def signed(value: float | None, decimals: int | None = None) -> str:
    """A number with its sign, + too."""
    is_plain = value is None or decimals is None or not math.isfinite(value)
    text = number(value) if is_plain else f"{value:.{decimals}f}".replace("-", MINUS)
    return f"+{text}" if value is not None and value > 0 else text


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark of an axis. `is_wide`: only where there is room."""

    at: str
    text: str
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places; `is_flipped` where less is better and the axis shows values themselves."""

    low: float
    high: float
    is_flipped: bool = False

    def share(self, value: float) -> float:
        """0 at the left end, 1 at the right; what lies beyond stays at the edge."""
        part = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return 1 - part if self.is_flipped else part

    def at(self, value: float) -> str:
        """The place of a value."""
        return per_cent(self.share(value))

    def span(self, interval: tuple[float, float]) -> Span:
        """Both ends of an interval, left first."""
        first, last = sorted(self.share(end) for end in interval)
        return per_cent(first), per_cent(last)

    def ticks(self, *, has_signs: bool = False, most: int = TICKS_MOST) -> list[Tick]:
        """Round values inside; every second one, 0 never, leaves where the width is small."""
        step = round_step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        kept = 0 if first <= 0 <= last else first
        return [Tick(self.at(n * step), tick_text(n * step, decimals, has_signs=has_signs), (n - kept) % 2 == 1) for n in range(first, last + 1)]


def tick_text(value: float, decimals: int, *, has_signs: bool) -> str:
    """A round value; very small and very large ones with an exponent."""
    if value == 0:
        return "0"
    text = exponent(value) if not SMALL <= abs(value) < LARGE else f"{value:.{decimals}f}"
    sign = "+" if has_signs and value > 0 else ""
    return sign + text.replace("-", MINUS, 1) if text.startswith("-") else sign + text


def round_step(raw: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is no smaller than `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))


def scale_over(values: Iterable[float], *, intervals: Iterable[tuple[float, float] | None] = (), is_flipped: bool = False) -> Scale:
    """A scale that holds all values, and intervals as far as they do not dwarf these."""
    held = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(held), max(held)
    width = (high - low) or abs(high) or 1.0
    ends = [end for interval in intervals if interval for end in interval]
    low = min(low, max(min(ends, default=low), low - REACH * width))
    high = max(high, min(max(ends, default=high), high + REACH * width))
    room = max(0.06 * (high - low or width), LEAST_SHARE * max(abs(low), abs(high)), LEAST_ROOM)
    return Scale(low - room, high + room, is_flipped)
