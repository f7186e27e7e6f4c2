"""What was sent and how each attempt ended, held against what a data directory holds afterwards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from tests.faults.stored import POINT, SeriesKey, Stored

Points = NDArray[np.void]


class Fate(Enum):
    """How the last attempt to send a batch ended."""

    ACKNOWLEDGED = "acknowledged"
    MAYBE = "maybe"
    REFUSED = "refused"


@dataclass
class Batch:
    """Points of one experiment, one request's worth. `points` has the fields of POINT; a (series, step) is never used twice in a test."""

    experiment: str
    points: dict[str, Points]
    fate: Fate = Fate.MAYBE
    key: str = ""
    batch_id: str = ""

    def __len__(self) -> int:
        return sum(map(len, self.points.values()))


@dataclass
class Account:
    """The numbers of a comparison; every one but the first three has to be 0."""

    acknowledged: int = 0
    maybe_kept: int = 0
    maybe_lost: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    refused_but_kept: int = 0
    never_sent: int = 0
    wrong_summaries: list[str] = field(default_factory=list)
    left_in_spool: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether the store holds what was acknowledged, each point once, and nothing that was refused or never sent."""
        wrong = (self.lost, self.doubled, self.changed, self.refused_but_kept, self.never_sent, self.left_in_spool)
        return not any(wrong) and not self.wrong_summaries

    def __str__(self) -> str:
        counts = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in vars(self).items() if isinstance(value, int))
        return f"{counts}, {len(self.wrong_summaries)} wrong summaries {self.wrong_summaries[:5] or ''}".strip()


def account(batches: Iterable[Batch], stored: Stored) -> Account:
    """Hold what was sent against what is stored."""
    found = Account(wrong_summaries=stored.wrong_summaries, left_in_spool=stored.left_in_spool)
    sent = by_series(batches)
    for series in sent.keys() | stored.series.keys():
        count_series(found, sent.get(series, {}), stored.series.get(series, np.empty(0, POINT)))
    return found


def by_series(batches: Iterable[Batch]) -> dict[SeriesKey, dict[Fate, Points]]:
    """The points sent, by series and fate."""
    parts: dict[SeriesKey, dict[Fate, list[Points]]] = defaultdict(lambda: defaultdict(list))
    for batch in batches:
        for metric, points in batch.points.items():
            parts[batch.experiment, metric][batch.fate].append(points)
    return {series: {fate: np.concatenate(found) for fate, found in fates.items()} for series, fates in parts.items()}


def count_series(found: Account, sent: dict[Fate, Points], stored: Points) -> None:
    """Add one series to the account."""
    acknowledged, maybe, refused = (sent.get(fate, np.empty(0, POINT)) for fate in Fate)
    steps, counts = np.unique(stored["step"], return_counts=True)
    found.acknowledged += len(acknowledged)
    found.doubled += int((counts - 1).sum())
    found.lost += int((~np.isin(acknowledged["step"], steps)).sum())
    kept = int(np.isin(maybe["step"], steps).sum())
    found.maybe_kept, found.maybe_lost = found.maybe_kept + kept, found.maybe_lost + len(maybe) - kept
    found.refused_but_kept += int(np.isin(refused["step"], steps).sum())
    everything = np.concatenate([acknowledged, maybe, refused])
    found.never_sent += int((~np.isin(stored["step"], everything["step"])).sum())
    known = np.isin(stored["step"], everything["step"])
    found.changed += int((~np.isin(stored[known], everything)).sum())


def fates(batches: Iterable[Batch]) -> Counter[Fate]:
    """Points by fate."""
    counted = Counter[Fate]()
    for batch in batches:
        counted[batch.fate] += len(batch)
    return counted
