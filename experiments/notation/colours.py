"""Which colour, mark and dash a run is drawn with: one rule for every chart and page. Pure.

A run's colour hangs on its number in the project alone (`Experiment.number`, given once and never again), so that it is the same in every
comparison, on the run's own page and in the table, unless another in view has it already: then the one made later takes the next colour that
nobody has. Up to ten are solid, each with its colour's mark. With the eleventh, colours come again, with a dash and another mark: a hundred
runs are drawn in a hundred ways. The baseline is ink with a mark of its own, whoever it is.
"""

from __future__ import annotations

from collections.abc import Sequence

COLOURS = 10
BASE = "base"


def colour_of(number: int) -> int:
    """The colour, 0 to 9, of the run of this number.

    Runs that are compared were often made one after another, or are every fifth or tenth one, seed by seed. The tens and hundreds shift the
    units, so that all of these have colours of their own, which neither the number modulo ten nor a hash would give them.
    """
    return (number - number // COLOURS + number // COLOURS**2) % COLOURS


def style(colour: int, dash: int = 0) -> str:
    """The classes of a colour and a dash, each from 0 to 9; dash 0 is solid."""
    return f"r{colour + 1} dash{dash + 1}" if dash else f"r{colour + 1}"


def mark_of(classes: str) -> str:
    """The symbol that stands beside the colour: k0 for the baseline, k1 to k10 by colour, turned by the dash."""
    colour, _, dash = classes.partition(" dash")
    if colour == BASE:
        return "k0"
    return f"k{(int(colour.removeprefix('r')) - 1 + (int(dash) - 1 if dash else 0)) % COLOURS + 1}"


def style_of(number: int) -> str:
    """The classes of a run that no other stands beside."""
    return style(colour_of(number))


def styles_of(numbers: Sequence[int]) -> list[str]:
    """The classes of runs that are drawn together. Whoever is asked for first, a run gives its own colour up to one made earlier alone."""
    styles = [""] * len(numbers)
    taken: set[tuple[int, int]] = set()
    later = []
    for place in sorted(range(len(numbers)), key=lambda place: numbers[place]):
        own = (colour_of(numbers[place]), 0)
        if own in taken:
            later.append(place)
            continue
        taken.add(own)
        styles[place] = style(*own)
    for place in later:
        pair = free(colour_of(numbers[place]), taken)
        taken.add(pair)
        styles[place] = style(*pair)
    return styles


def free(colour: int, taken: set[tuple[int, int]]) -> tuple[int, int]:
    """The first colour and dash that nobody has: solid ones from `colour` on, then its own colour dashed; itself where nothing is left."""
    solid = [((colour + further) % COLOURS, 0) for further in range(COLOURS)]
    dashed = [((colour + further) % COLOURS, dash) for further in range(COLOURS) for dash in range(1, COLOURS)]
    return next((pair for pair in [*solid, *dashed] if pair not in taken), (colour, 0))
