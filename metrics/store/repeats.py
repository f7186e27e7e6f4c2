"""Steps that hold several values: which series have them, and how many. A chart shows the latest value of a step, so that only such series cost more.

What the drain noted says it of most series without a look at their points. The others (what is as old as an earlier version, what several processes
wrote by turns) are counted, once: afterwards only what came behind their last step.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
from django.core.cache import caches

from metrics.store import repeat_rows
from metrics.store.caching import cached
from metrics.store.repeat_rows import FIRST, LAST, Counted, Unsure
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, SeriesKey

KEPT_S = 7 * 24 * 3600
Repeats = dict[uuid.UUID, int]


def repeated_steps(repository: MetricRepository, place: Place, ids: Sequence[uuid.UUID], metric: str) -> Repeats:
    """In how many of its steps each series holds several values; those that never do are left out."""
    return told(repository, place, metric, unsure_of(repository, place, ids).get(metric, {}))


def repeated_now(repository: MetricRepository, place: Place, ids: Sequence[uuid.UUID], metrics: Sequence[str]) -> set[SeriesKey]:
    """The series of these metrics in which a step holds several values, without an answer that was kept."""
    unsure = repeat_rows.unsure(repository, place, ids)
    return {(one, metric) for metric in metrics for one in told(repository, place, metric, unsure.get(metric, {}))}


def told(repository: MetricRepository, place: Place, metric: str, unsure: Mapping[uuid.UUID, Unsure]) -> Repeats:
    """Of those that may, the series that do, counted where it is not known."""
    known = {one: series.repeats for one, series in unsure.items() if series.repeats is not None}
    return {one: count for one, count in (known | count_up(repository, place, metric, unsure)).items() if count}


def unsure_of(repository: MetricRepository, place: Place, ids: Sequence[uuid.UUID]) -> dict[str, dict[uuid.UUID, Unsure]]:
    """The series that may have such steps, by metric. It is asked once for all metrics of these experiments, however many charts a page has."""

    def make() -> bytes:
        return msgspec.json.encode(repeat_rows.unsure(repository, place, ids))

    return msgspec.json.decode(cached(["unsure", place.project_id, *ids], ids, make), type=dict[str, dict[uuid.UUID, Unsure]])


def count_up(repository: MetricRepository, place: Place, metric: str, unsure: Mapping[uuid.UUID, Unsure]) -> Repeats:
    """Count the series of which it is not known: those that were counted before from their last step on, where all that came since lies there."""
    shelf = caches["counts"]
    names = {one: key(place, metric, one) for one, series in unsure.items() if series.repeats is None}
    kept = shelf.get_many(names.values())
    before: dict[uuid.UUID, Counted] = {one: kept[name] for one, name in names.items() if name in kept}
    found = {one: count for one, count in before.items() if count.points == unsure[one].points}
    grown = {one: count for one, count in before.items() if count.points < unsure[one].points and count.last < LAST}
    tails = repeat_rows.counted(repository, place, metric, {one: count.last + 1 for one, count in grown.items()})
    joined = {one: grown[one].joined(tail) for one, tail in tails.items()}
    found |= {one: count for one, count in joined.items() if count.points >= unsure[one].points}
    rest = {one: FIRST for one in names if one not in found}
    whole = repeat_rows.counted(repository, place, metric, rest)
    # Points may be there before their summary, and those that were dropped are in the summary alone.
    found |= {one: replace(count, points=max(count.points, unsure[one].points)) for one, count in whole.items()}
    shelf.set_many({names[one]: count for one, count in found.items() if count is not before.get(one)}, KEPT_S)
    return {one: count.repeats for one, count in found.items()}


def key(place: Place, metric: str, experiment: uuid.UUID) -> str:
    """Where the last count of a series is kept."""
    return hashlib.blake2b(f"repeats {place} {metric!r} {experiment}".encode(), digest_size=16).hexdigest()
