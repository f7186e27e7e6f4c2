"""The number of each run for each target, whether it is one, and the floor that the noise of its tail sets."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypotheses.judging.comparison import LARGEST
from hypotheses.judging.series import LAST_POINTS, NON_FINITE_SHARE, TAIL_POINTS, aggregate, tail_length, tail_noise
from hypotheses.weighing.cases import Value
from metrics.store.repeats import repeated_now
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, SeriesKey, Summaries, Summary

CHUNK = 500
FIRST_STEP = -(2**63)
Values = dict[uuid.UUID, dict[str, Value]]


def read_values(repository: MetricRepository, place: Place, runs: Sequence[uuid.UUID], wanted: Mapping[str, str]) -> Values:
    """The number of each run for each metric, its status and what its tail says. `wanted`: metric to aggregation. A few questions for every 500 runs."""
    metrics, found = list(wanted), {}
    for first in range(0, len(runs), CHUNK):
        ids = runs[first : first + CHUNK]
        summaries = repository.summaries(place, experiments=ids, metrics=metrics)
        tails = read_tails(repository, place, summaries, metrics)
        for run in ids:
            known = summaries.get(run, {})
            found[run] = {metric: value_of(known.get(metric), tails.get((run, metric), NO_END), how) for metric, how in wanted.items()}
    return found


def noise_of(repository: MetricRepository, place: Place, summaries: Summaries, metric: str, how: str) -> float:
    """The floor that runs with these summaries would set in a judgement, the metric's unit squared: the mean of what each says that has a number."""
    if how != "last" or not summaries:
        return 0.0
    ends = read_tails(repository, place, summaries, [metric])
    found = [value_of(of_run.get(metric), ends.get((run, metric), NO_END), how) for run, of_run in summaries.items()]
    floors = [value.noise_var for value in found if value.status == "ok"]
    return math.fsum(floors) / len(floors) if floors else 0.0


@dataclass(frozen=True, slots=True)
class End:
    """The end of a series, one value a step; `is_whole` where it reaches back to the first."""

    values: Sequence[float]
    is_whole: bool


NO_END = End((), is_whole=False)


def read_tails(repository: MetricRepository, place: Place, summaries: Summaries, metrics: Sequence[str]) -> dict[SeriesKey, End]:
    """The tail of every series at least: from the last quarter of its steps on, whole where a quarter is too short.

    It is where steps lie unevenly, and for series with several values in a step: their summary counts points, the tail steps. Runs of about one length
    are asked together, so that a short one does not make long ones be read from their beginning.
    """
    by_length: dict[int, list[tuple[int, uuid.UUID]]] = {}
    for run, of_run in summaries.items():
        low = min(map(quarter, of_run.values()))
        by_length.setdefault(max(low, 0).bit_length(), []).append((low, run))
    known = {(run, metric): one for run, of_run in summaries.items() for metric, one in of_run.items()}  # points may be there before their summary
    ends: dict[SeriesKey, End] = {}
    for group in by_length.values():
        since = min(low for low, _ in group)
        found = repository.tails(place, [run for _, run in group], metrics, since=since)
        ends |= {key: End(values.tolist(), is_whole=since <= known[key].first_step) for key, values in found.items() if key in known}
    several = repeated_now(repository, place, list(summaries), metrics)
    short = {key[0]: None for key, one in known.items() if is_short(ends.get(key, NO_END), one, is_repeated=key in several)}
    whole = repository.tails(place, list(short), metrics, since=FIRST_STEP) if short else {}
    return ends | {key: End(values.tolist(), is_whole=True) for key, values in whole.items()}


def quarter(one: Summary) -> int:
    """The step from which on about a quarter of a series lies; its first one where it is short."""
    return one.first_step if one.count <= 4 * TAIL_POINTS else one.last_step - (one.last_step - one.first_step) // 4


def is_short(end: End, one: Summary, *, is_repeated: bool) -> bool:
    """Whether what was read may lack a part of the tail, or of what tells how long the series is in steps."""
    needed = min(one.count, max(tail_length(one.count), LAST_POINTS) + one.nonfinite)
    return not end.is_whole and (is_repeated or 0 < len(end.values) < needed)


def value_of(summary: Summary | None, end: End, how: str) -> Value:
    """One run's number for one metric; what `aggregate` says of the whole series, from its summary and its end."""
    if summary is None:
        return Value(None, "missing", 0, 0.0)
    _, status = aggregate(end.values[-LAST_POINTS:], "last") if end.values else (None, "ok")
    if status == "non_finite" or summary.nonfinite > NON_FINITE_SHARE * summary.count:
        return Value(None, "non_finite", summary.count, 0.0)
    value = summary.by(how)
    if not abs(value) <= LARGEST:
        return Value(None, "non_finite", summary.count, 0.0)
    points = None if end.is_whole else summary.count - summary.nonfinite
    return Value(value, "ok", summary.count, tail_noise(end.values, how, of=points))
