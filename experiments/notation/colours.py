"""Which colour and dash a run is drawn with: one rule for every chart and page. Pure.

A run's colour hangs on its number in the project alone (`Experiment.number`, given once and never again), so that it is the same in every
comparison, on the run's own page and in the table. Each of the ten colours has a dash of its own, which the run has too unless another of
the same comparison has both already: then the one made later takes the next free dash of the same colour, and where all ten are taken,
the next colour that has one left. A hundred runs are drawn in a hundred ways. The baseline is ink, whoever it is.
"""

from __future__ import annotations

from collections.abc import Sequence

COLOURS = 10


def colour_of(number: int) -> int:
    """The colour, 0 to 9, of the run of this number.

    Runs that are compared were often made one after another, or are every fifth or tenth one, seed by seed. The tens and hundreds shift the
    units, so that all of these have colours of their own, which neither the number modulo ten nor a hash would give them.
    """
    return (number - number // COLOURS + number // COLOURS**2) % COLOURS


def style(colour: int, dash: int) -> str:
    """The classes of a colour and a dash, each from 0 to 9; a colour alone has its own dash."""
    return f"r{colour + 1}" if colour == dash else f"r{colour + 1} dash{dash + 1}"


def style_of(number: int) -> str:
    """The classes of a run that no other stands beside."""
    return style(colour_of(number), colour_of(number))


def styles_of(numbers: Sequence[int]) -> list[str]:
    """The classes of runs that are drawn together. Whoever is asked for first, the one with the lower number has what it would have alone."""
    taken: set[tuple[int, int]] = set()
    styles = [""] * len(numbers)
    for place in sorted(range(len(numbers)), key=lambda place: numbers[place]):
        colour, dash = free(colour_of(numbers[place]), taken)
        taken.add((colour, dash))
        styles[place] = style(colour, dash)
    return styles


def free(colour: int, taken: set[tuple[int, int]]) -> tuple[int, int]:
    """The first colour and dash from `colour` on that nobody has; its own where nothing is left."""
    for further in range(COLOURS**2):
        turned = (colour + further // COLOURS) % COLOURS
        pair = (turned, (turned + further) % COLOURS)
        if pair not in taken:
            return pair
    return colour, colour
