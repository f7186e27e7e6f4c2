"""Who is compared with whom: the runs that count, by side and block. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from hypotheses.weighing.cases import Case, Run


@dataclass(frozen=True, slots=True)
class Sides:
    """The runs of one comparison, by block: linked and baseline."""

    blocks: Mapping[Hashable, tuple[tuple[Run, ...], tuple[Run, ...]]]

    @property
    def linked(self) -> list[Run]:
        """All on the linked side."""
        return [run for linked, _ in self.blocks.values() for run in linked]

    @property
    def baseline(self) -> list[Run]:
        """All on the other."""
        return [run for _, baseline in self.blocks.values() for run in baseline]


def split(case: Case) -> tuple[list[Run], list[Run]]:
    """(runs that count, runs post hoc): those that ended and do not belong to a baseline arm themselves."""
    of_baseline = {run.arm for run in case.baseline}
    ended = [run for run in case.linked if run.is_ended and not run.is_interrupted and run.arm not in of_baseline]
    return [run for run in ended if not run.is_post_hoc], [run for run in ended if run.is_post_hoc]


def matched(case: Case, linked: Sequence[Run]) -> Sides:
    """Both sides by block: one; one for each root arm where linked runs descend from several; one for each seed of paired runs."""
    roots = {run.root_arm for run in linked}
    by_root = case.baseline_kind == "root"
    baseline = [run for run in case.baseline if run.is_ended and not run.is_interrupted and (not by_root or run.arm in roots)]
    several = by_root and len(roots) > 1
    blocks: dict[Hashable, tuple[list[Run], list[Run]]] = {}
    for side, runs in enumerate((linked, baseline)):
        for run in runs:
            root = (run.arm if side else run.root_arm) if several else ""
            blocks.setdefault((root, partner(run) if case.is_paired else None), ([], []))[side].append(run)
    return Sides({key: (tuple(ours), tuple(theirs)) for key, (ours, theirs) in blocks.items()})


def partner(run: Run) -> Hashable:
    """What pairs a run with one of the other side: its seed; without one it has no partner."""
    return run.id if run.seed is None else run.seed


def values_of(runs: Sequence[Run], metric: str) -> list[float]:
    """The numbers of those that ended well and have one."""
    found = (run.values.get(metric) for run in runs if run.state == "complete")
    return [value.value for value in found if value is not None and value.value is not None]


def failures(runs: Sequence[Run], metric: str) -> int:
    """How many failed, or diverged in this metric."""
    return sum(run.state != "complete" or (metric in run.values and run.values[metric].status == "non_finite") for run in runs)
