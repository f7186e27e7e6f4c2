"""Numbers as people read them: digits that matter, thin spaces, a real minus."""

from __future__ import annotations

import math
from collections.abc import Iterable

NONE = "–"
THIN = "\u202f"
MINUS = "−"
DIGITS = 4
SMALL, LARGE = 1e-4, 1e7


def decimals_of(values: Iterable[float | None]) -> int | None:
    """How many decimals a column of values shares: those that give its middle value 4 significant digits. None where nothing is finite."""
    sizes = sorted(abs(v) for v in values if v is not None and math.isfinite(v) and v != 0)
    return decimals_for(sizes[len(sizes) // 2]) if sizes else None


def decimals_for(size: float) -> int | None:
    """The decimals that show `size` with 4 significant digits; None where it takes an exponent."""
    if not SMALL <= size < LARGE:
        return None
    return max(0, DIGITS - 1 - math.floor(math.log10(size)))


def number(value: float | None, decimals: int | None = None) -> str:
    """A number with 4 significant digits, or with `decimals` where these do it justice."""
    if value is None:
        return NONE
    if not math.isfinite(value):
        return spelled(value)
    if isinstance(value, int) or (value == 0 and not decimals):
        return grouped(value)
    text = fixed(value, decimals)
    return MINUS + text[1:] if text.startswith("-") else text


def fixed(value: float, decimals: int | None) -> str:
    """A finite number in digits. A column's decimals are left where they would hide it, or where it takes an exponent."""
    own = decimals_for(abs(value))
    if value != 0 and own is None:
        return exponent(value)
    hides = decimals is None or (value != 0 and own is not None and own > decimals + DIGITS - 2)
    text = f"{value:,.{(own or 0) if hides else decimals}f}"
    return text.replace(",", THIN) if abs(value) >= 10_000 else text.replace(",", "")


def exponent(value: float) -> str:
    """Scientific, 4 significant digits, without zeros that say nothing: 1.2e-7."""
    mantissa, power = f"{value:.{DIGITS - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


def spelled(value: float) -> str:
    """NaN or an infinity in a word."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else f"{MINUS}Infinity"


def exact(value: float | None) -> str:
    """Every digit of a number, as a script would write it."""
    return "no value" if value is None else repr(value)


def grouped(value: float | None) -> str:
    """A whole number with thin spaces between thousands."""
    return NONE if value is None else f"{int(value):,}".replace(",", THIN).replace("-", MINUS)
