"""What several runs are called together: always something that is true of each of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from experiments.models import Change, Experiment
from experiments.notation.params import by_name, distinct, weighed, written_apart

# A word of a name. The signs of a number end none: 1e-3, 0.1 and 0,1 are whole.
WORD = re.compile(r"(?:\d[eE][-+]\d+|\d,(?=\d)|[^\s·\-_/#:(\[,])+")
COUNTING = frozenset({"seed", "run", "s", "rep", "replicate", "experiment"})
TELLING_MOST, TELLING_CHARACTERS, BEFORE = 2, 40, 10


def arm_name(runs: Sequence[Experiment]) -> str:
    """What runs are called where nobody knows of others: what their names share, else what all of them changed, else how many they are."""
    return shared_name(runs) or " · ".join(shared_changes(runs)) or counted(runs)


def arm_names(parts: Sequence[Sequence[Experiment]]) -> list[str]:
    """What groups of runs are called beside each other: those whose names share nothing by what tells them apart, as far as all of their runs share it."""
    names = [shared_name(part) for part in parts]
    said = [[]] * len(parts) if all(names) else telling(parts)
    return [name or " · ".join(words) or arm_name(part) for name, words, part in zip(names, said, parts, strict=True)]


def shared_name(runs: Sequence[Experiment]) -> str:
    """The replicate group that runs share, else the whole words that their names begin with, without what counts them; "" where there are none.

    `wider · s1`, `wider · s2` give `wider`; `lr1 · s1`, `lr2 · s1` give "".
    """
    groups, names = {run.replicate_group for run in runs}, list(dict.fromkeys(run.name for run in runs))
    if groups == {runs[0].replicate_group} and runs[0].replicate_group:
        return runs[0].replicate_group
    if len(names) == 1:
        return names[0]
    ends = set.intersection(*({word.end() for word in WORD.finditer(name)} for name in names))
    whole = max((end for end in ends if end <= begun_alike(names)), default=0)
    words = list(WORD.finditer(names[0][:whole]))
    while words and words[-1][0].casefold() in COUNTING:
        words.pop()
    return names[0][: words[-1].end()] if words else ""


def shared_changes(runs: Sequence[Experiment]) -> list[str]:
    """The first changes that all of them made, in words."""
    made = [{(change.feature, change.now) for change in run.changes} for run in runs]
    return [in_words(change) for change in runs[0].changes if all((change.feature, change.now) in own for own in made)][:TELLING_MOST]


def in_words(change: Change) -> str:
    """One change: `lr 0.1`."""
    return f"{change.feature} {cut_apart([change.now])[0]}"


def counted(runs: Sequence[Experiment]) -> str:
    """How many runs there are, and what one of them is called."""
    return runs[0].name if len(runs) == 1 else f"{len(runs)} runs: {runs[0].name} …"


def telling(parts: Sequence[Sequence[Experiment]]) -> list[list[str]]:
    """What tells groups apart, for each in words: the first params that all runs of a group have with one value, and other runs with another. No seeds.

    Params that do so in every group, where there are such; else those of each.
    """
    seeds = parts[0][0].project.seeds
    all_params = [[by_name(run.params) for run in part] for part in parts]
    names = [name for name in weighed((name for own in all_params for params in own for name in params), sum(map(len, parts))) if not seeds.has(name)]
    texts = {name: [{distinct(params.get(name)) for params in own} for own in all_params] for name in names}
    varying = {name: found for name, found in texts.items() if len(set[str]().union(*found)) > 1}
    sure = [name for name, found in varying.items() if all(len(each) == 1 for each in found)]
    said: list[list[str]] = [[] for _ in parts]
    for name in sure or varying:
        told = [n for n, each in enumerate(varying[name]) if len(each) == 1 and len(said[n]) < TELLING_MOST]
        for n, text in zip(told, cut_apart(written_apart([all_params[n][0].get(name) for n in told])), strict=True):
            said[n].append(f"{name} {text}")
    return said


def cut_apart(texts: Sequence[str]) -> list[str]:
    """Texts in TELLING_CHARACTERS each, cut with a mark; those that would be cut to the same show where they differ."""
    brief = [text if len(text) <= TELLING_CHARACTERS else f"{text[: TELLING_CHARACTERS - 1]}…" for text in texts]
    alike = {text: {other for other, cut in zip(texts, brief, strict=True) if cut == shown and other != text} for text, shown in zip(texts, brief, strict=True)}
    return [window(text, max(begun_alike([text, other]) for other in alike[text])) if alike[text] else shown for text, shown in zip(texts, brief, strict=True)]


def window(text: str, at: int) -> str:
    """What stands around one place of a text."""
    start = max(at - BEFORE, 0)
    end = start + TELLING_CHARACTERS - 2
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def begun_alike(texts: Sequence[str]) -> int:
    """How many characters all of them begin with."""
    return next((n for n, letters in enumerate(zip(*texts, strict=False)) if len(set(letters)) > 1), min(map(len, texts)))
