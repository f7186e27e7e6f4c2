"""How the runs of a comparison are put together: by params, tags or what replicates share, and what the runs of each group say together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

from experiments.compare.grouping import KEYS_MOST, PARAM, SEED, TAG, Grouping, Key, Value
from experiments.compare.runs import Column, Run
from experiments.models import Experiment
from experiments.notation.colours import COLOURS, style, styles_of
from experiments.notation.params import distinct, weighed
from experiments.readings.arm_names import arm_names, telling
from experiments.readings.spread import Spread, spread_of

CHOICES_MOST = 200
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Group:
    """Runs of a comparison that are told of as one. `id` is what the page calls it."""

    id: str
    name: str
    runs: list[Run]
    style: str

    @property
    def has_baseline(self) -> bool:
        """Whether the baseline is among them."""
        return any(run.is_baseline for run in self.runs)

    @cached_property
    def shown(self) -> list[Run]:
        """Those whose eye is open."""
        return [run for run in self.runs if not run.is_hidden]

    @cached_property
    def counted(self) -> list[Run]:
        """Those whose numbers count: shown, and not failed."""
        return [run for run in self.shown if not run.is_failed]

    def spread(self, column: Column, reference: float | None) -> Spread:
        """What they say of one metric, held against `reference`; the baseline's own group is held against nothing."""
        return spread_of([column.cells[run.slot].value for run in self.counted], None if self.has_baseline else reference)


def gathered(things: Iterable[Thing], by: Callable[[Thing], Any]) -> list[list[Thing]]:
    """The things that `by` gives one value, in the order of first mention. Any: whatever can be a key."""
    found: dict[Any, list[Thing]] = {}
    for thing in things:
        found.setdefault(by(thing), []).append(thing)
    return list(found.values())


def groups_of(runs: Sequence[Run], grouping: Grouping) -> list[Group]:
    """The runs by the grouping's keys, drawn as it says; empty where it has none."""
    if not grouping.keys:
        return []
    values = {run.slot: tuple(key.value(run.experiment) for key in grouping.keys) for run in runs}
    parts = gathered(runs, lambda run: values[run.slot])
    parts.sort(key=lambda part: [0 if key.text == SEED else value for key, value in zip(grouping.keys, values[part[0].slot], strict=True)])
    experiments = [[run.experiment for run in part] for part in parts]
    names = named_apart([" · ".join(each) for each in zip(*(key.names(experiments) for key in grouping.keys), strict=True)], experiments)
    styles = styles_for(parts, [values[part[0].slot] for part in parts], grouping)
    return [group_of(f"group-{n}", *each) for n, each in enumerate(zip(names, parts, styles, strict=True))]


def group_of(id_: str, name: str, part: Sequence[Run], style: str) -> Group:
    """One group, its runs drawn alike; the baseline's is ink."""
    own = "base" if any(run.is_baseline for run in part) else style
    return Group(id_, name, [replace(run, style=own, group=id_) for run in part], own)


def named_apart(names: Sequence[str], parts: Sequence[Sequence[Experiment]]) -> list[str]:
    """The names of groups, each once: those that several share say first which of their params differ, or are numbered."""
    apart = list(names)
    for shared in gathered(range(len(names)), names.__getitem__):
        if len(shared) > 1:
            for n, said in zip(shared, telling([parts[n] for n in shared]), strict=True):
                apart[n] = " · ".join([*said, names[n]])
    for same in gathered(range(len(apart)), list(apart).__getitem__):
        for count, n in enumerate(same[1:], start=2):
            apart[n] = f"{apart[n]} ({count})"
    return apart


def styles_for(parts: Sequence[Sequence[Run]], values: Sequence[tuple[Value, ...]], grouping: Grouping) -> list[str]:
    """The classes of groups: the colour of the run made first, or one dash each, or the first key as colour and the second as dash."""
    if grouping.shown != "dash":
        return styles_of([min(run.experiment.number for run in part) for part in parts])
    if len(grouping.keys) == 1:
        return [style(n // COLOURS % COLOURS, n % COLOURS) for n in range(len(parts))]
    first, second = (list(dict.fromkeys(value[at] for value in values)) for at in range(KEYS_MOST))
    return [style(first.index(value[0]) % COLOURS, second.index(value[1]) % COLOURS) for value in values]


def replicates_of(runs: Sequence[Run]) -> list[Group]:
    """The runs that did not fail as replicates of each change; empty where no two of them are replicates."""
    parts = gathered((run for run in runs if not run.is_failed), lambda run: run.experiment.replicate_key)
    if all(len(part) == 1 for part in parts):
        return []
    drawn = ["base" if any(run.is_baseline for run in part) else part[0].style for part in parts]
    experiments = [[run.experiment for run in part] for part in parts]
    names = named_apart(arm_names(experiments), experiments)
    return [Group(f"arm-{n}", *each) for n, each in enumerate(zip(names, parts, drawn, strict=True))]


@dataclass(frozen=True)
class Choices:
    """What the runs of a comparison can be grouped by: params and tags that tell them apart, and what is chosen already."""

    params: list[Key]
    tags: list[Key]
    has_replicate_groups: bool


def choices(runs: Sequence[Run], params_of: Sequence[Mapping[str, Any]], grouping: Grouping) -> Choices:  # Any: params hold whatever JSON holds
    """The params with the fewest values first, the tags by name; what all runs share is left out. `params_of`: nested params opened, those weighed."""
    names = weighed((name for params in params_of for name in params), len(runs))
    values = {name: len({distinct(params.get(name)) for params in params_of}) for name in names}
    varying = sorted((name for name in names if values[name] > 1), key=lambda name: values[name])
    tagged = [{tag.name for tag in run.experiment.tags.all()} for run in runs]
    telling = set().union(*(one ^ other for one, other in pairwise(tagged)))
    params, tags = [Key(PARAM + name) for name in varying[:CHOICES_MOST]], [Key(TAG + name) for name in sorted(telling)[:CHOICES_MOST]]
    params += [key for key in grouping.keys if key.text.startswith(PARAM) and key not in params]
    tags += [key for key in grouping.keys if key.text.startswith(TAG) and key not in tags]
    return Choices(params, tags, any(run.experiment.replicate_group for run in runs))


def by_reading(reading: float | None, sign: int) -> tuple[bool, float]:
    """Where a reading stands in a list by a metric: the best first, the largest where nobody said what is better; what has no number last."""
    if reading is None or not math.isfinite(reading):
        return (True, 0.0)
    return (False, -(sign or 1) * reading)
