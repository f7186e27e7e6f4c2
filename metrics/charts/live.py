"""Charts of runs that go on: a whole chart with its mark, and then only what is new since a mark.

A chart's buckets are counted from a fixed x and have a fixed width, a power of two that would have to double once the chart is full. What is told
of a series that goes on is its last bucket and those after it, as they are now: told twice, it is still right. That no point fell into what is not told
again is known by counting. A mark holds how many points a series had by its summaries (`known`) and how many of them lay in what is told again (`tail`);
if the first grows by more than the second, a point came late and the chart is asked anew. Summaries may come a moment after their points: then
the second is ahead, the tail is told all the same, and the mark remembers by how many (`drift`), so that no late point hides behind them.

Asked anew are charts: that are full; that got a point below their first x or before the last bucket of its series; whose x counts from an
experiment's first moment, where this moved; that had no point yet; that read hours (a wall-clock axis with buckets of half an hour or more, a project
that drops old points); those with an x beyond 2^53, which a browser cannot tell from its neighbours; and those over time in which a series that goes on has
steps with several values, as a point may take the place of an earlier one anywhere. The last four have no mark.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
from django.db.models import QuerySet
from django.utils import timezone

from experiments.models import Experiment
from metrics import process
from metrics.charts import hours
from metrics.charts.series import Asked, Run, X, bucket_width, comparison, odd_words, reach_of, series_json, significant, wrong, x_json
from metrics.store import freshness
from metrics.store.caching import cached
from metrics.store.columns import grid
from metrics.store.live_rows import NOTHING, End, Frame, Key, Part, ends, kinds
from metrics.store.repeats import Repeats, repeated_steps
from metrics.store.repository import MetricRepository, parted
from metrics.store.shapes import Extent, Place

LARGEST_X = 2**53
WAITS_MOST = 3
LEAST, MOST = -(2**63), 2**63 - 1
FRAME_PARTS, TRACK_PARTS = 6, 10
SERIES_MOST = 500  # of one question, so that its text stays under the store's limit
LINGERS = timedelta(seconds=60)
NUMBER = re.compile(r"-?\d{1,19}|")


@dataclass(frozen=True)
class Track:
    """One series that goes on, as its reader has it. `since`: the x from which it is told again, the start of its last bucket.

    `odd` counts the values below `since` that are not finite, `odd_at` is the first of them, `kinds` which they are; `began` is what a relative x counts from.
    `repeats` counts the steps below `since` that hold several values.
    """

    since: int
    known: int
    tail: int
    odd: int
    odd_at: int | None
    began: int
    drift: int = 0
    waits: int = 0
    kinds: int = 0
    repeats: int = 0

    def __str__(self) -> str:
        odd_at = "" if self.odd_at is None else self.odd_at
        numbers = (self.since, self.known, self.tail, self.odd, odd_at, self.began, self.drift, self.waits, self.kinds, self.repeats)
        return ".".join(map(str, numbers))


UNTRACKED = Track(LEAST, 0, 0, 0, None, 0)


@dataclass(frozen=True)
class Sheet:
    """What of a chart stays while it grows. `is_cut` says of each end of x whether the reader chose it: beyond a chosen end nothing is missed."""

    kind: str
    frame: Frame
    most: int
    is_cut: tuple[bool, bool]

    def __str__(self) -> str:
        return ".".join(map(str, (self.kind, self.frame.first, self.frame.width, self.frame.last, self.most, *map(int, self.is_cut))))


@dataclass(frozen=True)
class Mark:
    """How much of a chart its reader has: the sheet, and the tracks by experiment."""

    sheet: Sheet
    tracks: Mapping[uuid.UUID, Track]


def sheet_of(metric: str, asked: Asked, reach: Extent) -> Sheet:
    """The grid of a chart that may grow. A chart that ends where the reader said keeps the least width."""
    window = asked.window(reach)
    width = bucket_width(window.first, window.last, asked.max_points)
    if asked.last is not None:
        return Sheet(asked.x, Frame(metric, window.first, window.last, width), asked.max_points, (asked.first is not None, True))
    return Sheet(asked.x, Frame(metric, window.first, MOST, 1 << (width - 1).bit_length()), asked.max_points, (asked.first is not None, False))


def chart(repository: MetricRepository, place: Place, runs: Sequence[Run], metric: str, asked: Asked, running: Collection[uuid.UUID]) -> bytes:
    """The JSON of GET /metrics/compare with `frame` and `marks` for what goes on; without them where it is to be asked anew each time."""
    ids = [run.id for run in runs]
    going = [one for one in ids if one in set(running)]
    if not going:
        return comparison(repository, place, runs, metric, asked)

    def make() -> bytes:
        reach = reach_of(repository, place, ids, metric, asked.x)
        sheet = sheet_of(metric, asked, reach)
        several = repeated_steps(repository, place, ids, metric)
        if not is_markable(place, asked, reach, sheet) or (asked.x != "step" and any(one in several for one in going)):
            return b""
        found: dict[Key, End] = {}
        for are_latest, some in enumerate(parted(ids, several)):
            on = [one for one in some if one in going]
            parts = [*window_parts(sheet, some), *beyond_parts(repository, place, sheet, on)]
            found |= ends(repository, place, asked.x, [sheet.frame], parts, are_latest=bool(are_latest))
        return encoded(runs, sheet, found, going, several)

    who = [(run.id, run.name, run.slug, run.id in set(going)) for run in runs]
    body = cached(["live", place.project_id, metric, asked, who], ids, make)
    return body or comparison(repository, place, runs, metric, asked)


def is_markable(place: Place, asked: Asked, reach: Extent, sheet: Sheet) -> bool:
    """Whether what is new can be told of this chart."""
    reads_hours = asked.x == "time" and 2 * sheet.frame.width > hours.HOUR_US
    is_told_exactly = max(abs(sheet.frame.first), abs(reach.last), abs(reach.first), sheet.frame.width) <= LARGEST_X
    return reach.points > 0 and is_told_exactly and not reads_hours and not hours.has_dropped(place)


def window_parts(sheet: Sheet, ids: Sequence[uuid.UUID]) -> list[Part]:
    """All that a chart draws."""
    return [Part(sheet.frame.metric, tuple(ids), sheet.frame.first, is_window=True)] if ids else []


def beyond_parts(repository: MetricRepository, place: Place, sheet: Sheet, going: Sequence[uuid.UUID]) -> list[Part]:
    """Where the reader chose an end: the last point of each series that goes on, which may lie beyond it, and what came after."""
    if not any(sheet.is_cut) or not going:
        return []
    found = repository.summaries(place, experiments=going, metrics=None if sheet.kind == "relative" else [sheet.frame.metric])
    parts = []
    for one in going:
        if (summary := found.get(one, {}).get(sheet.frame.metric)) is not None:
            began = min(each.first_time for each in found[one].values())
            reached = {"step": summary.last_step, "time": summary.last_time, "relative": summary.last_time - began}[sheet.kind]
            parts.append(Part(sheet.frame.metric, (one,), reached))
    return parts


def encoded(runs: Sequence[Run], sheet: Sheet, found: Mapping[Key, End], going: Sequence[uuid.UUID], several: Repeats) -> bytes:
    """A whole chart."""
    x = sheet.kind
    of_run = {run.id: found[sheet.frame.metric, run.id] for run in runs if (sheet.frame.metric, run.id) in found}
    shown = grid({one: end.sparse() for one, end in of_run.items() if end.insides.any()}, sheet.frame.width)
    tracks = {one: begun(sheet.frame, of_run[one], several.get(one, 0)) for one in going if one in of_run and len(of_run[one].spots)}
    return msgspec.json.encode(
        {
            "metric": sheet.frame.metric,
            "x": x_json(shown.x, x),
            "width": x_json(np.array([shown.width]), x)[0],
            "count": sum(end.known for end in of_run.values()),
            "series": [series_json(run, shown.rows[run.id], x, repeats=several.get(run.id, 0)) for run in runs if run.id in shown.rows],
            "frame": str(sheet),
            "marks": {str(one): str(track) for one, track in tracks.items()},
        }
    )


def begun(frame: Frame, end: End, repeats: int) -> Track:
    """The track of a series of which all is told. `repeats` counts the steps of all that was told that hold several values."""
    starts = end.starts(frame)
    since = int(starts.max())
    below = end.insides & (starts < since) & (end.odds > 0)
    odd_at = int(end.odd_ats[below].min()) if below.any() else None
    before = max(0, repeats - int(end.repeats[starts >= since].sum()))
    tail, odd = int(end.counts[starts >= since].sum()), int(end.odds[below].sum())
    return Track(since, end.known, tail, odd, odd_at, end.began, kinds=kinds(end.odd_kinds[below]), repeats=before)


def advanced(sheet: Sheet, track: Track, end: End) -> Track | None:
    """The track after what came since; None where the chart must be asked anew."""
    ahead = (end.known - int(end.counts.sum())) - (track.known - track.tail - track.drift)
    waits = track.waits + 1 if ahead < 0 else 0
    is_moved = track.since != LEAST and len(end.spots) > 0 and end.began != track.began
    if ahead > 0 or waits > WAITS_MOST or is_moved or overflows(sheet, end):
        return None
    repeats = track.repeats + int(end.repeats.sum())
    now = begun(sheet.frame, end, repeats) if len(end.spots) else replace(track, known=end.known, tail=0)
    return replace(
        now, odd=track.odd + now.odd, odd_at=now.odd_at if track.odd_at is None else track.odd_at, drift=ahead, waits=waits, kinds=track.kinds | now.kinds
    )


def overflows(sheet: Sheet, end: End) -> bool:
    """Whether points lie where the chart has no bucket, at an end of x that the reader did not choose."""
    is_below = not end.insides.all() and bool((end.spots[~end.insides] < sheet.frame.first).any())
    is_over = not sheet.is_cut[1] and bool((end.spots[end.insides] >= sheet.most).any())
    return (is_below and not sheet.is_cut[0]) or is_over or bool((np.abs(end.places) > LARGEST_X).any())


def news(repository: MetricRepository, place: Place, marks: Sequence[Mark], runs: Mapping[uuid.UUID, Run]) -> list[dict[str, Any]]:
    """What changed in each chart that did: `chart` (its number among the marks) with `anew`, or with `added` points and `series` with their new marks."""
    if marks and hours.has_dropped(place):
        return [{"chart": n, "anew": True} for n in range(len(marks))]
    told = []
    for batch in batches(marks, runs):
        kind = next(iter(batch.values())).sheet.kind
        frames, parts = [mark.sheet.frame for mark in batch.values()], [part for mark in batch.values() for part in parts_of(mark, runs)]
        found = ends(repository, place, kind, frames, parts, are_latest=kind == "step")
        for n, mark in batch.items():
            several = repeated_steps(repository, place, list(runs), mark.sheet.frame.metric) if kind != "step" else {}
            told.append(chart_news(n, mark, found, runs, several))
    return [one for one in told if len(one) > 1]


def batches(marks: Sequence[Mark], runs: Mapping[uuid.UUID, Run]) -> list[dict[int, Mark]]:
    """The marks by number in as few questions as may be: one, but where a metric or another x comes twice or the question would be too long."""
    made: list[dict[int, Mark]] = [{}]
    size = 0
    for n, mark in enumerate(marks):
        if size + len(runs) > SERIES_MOST or any(is_unlike(mark.sheet, other.sheet) for other in made[-1].values()):
            made.append({})
            size = 0
        made[-1][n] = mark
        size += len(runs)
    return [batch for batch in made if batch]


def is_unlike(sheet: Sheet, other: Sheet) -> bool:
    """Whether two charts cannot be asked for in one question."""
    return sheet.kind != other.kind or sheet.frame.metric == other.frame.metric


def parts_of(mark: Mark, runs: Mapping[uuid.UUID, Run]) -> list[Part]:
    """What is to be told again of a chart's series, and the whole of those that it did not have."""
    metric = mark.sheet.frame.metric
    known = [Part(metric, (one,), track.since) for one, track in mark.tracks.items() if one in runs]
    unknown = tuple(one for one in runs if one not in mark.tracks)
    return [*known, Part(metric, unknown, LEAST)] if unknown else known


def chart_news(n: int, mark: Mark, found: Mapping[Key, End], runs: Mapping[uuid.UUID, Run], several: Repeats) -> dict[str, Any]:
    """What is new in one chart; its number alone where nothing is. Those with `several` values in a step cannot be told by their end."""
    added, told = 0, []
    for run in runs.values():
        track, end = mark.tracks.get(run.id, UNTRACKED), found.get((mark.sheet.frame.metric, run.id), NOTHING)
        if is_unchanged(track, end):
            continue
        now = None if run.id in several else advanced(mark.sheet, track, end)
        if now is None:
            return {"chart": n, "anew": True}
        added += end.known - track.known
        told.append(series_news(run, track, now, end, mark.sheet))
    return {"chart": n, "added": added, "series": told} if told else {"chart": n}


def is_unchanged(track: Track, end: End) -> bool:
    """Whether a series has the points that its reader has."""
    return (end.known, int(end.counts.sum())) == (track.known, track.tail) and (track.since == LEAST or end.began == track.began)


def series_news(run: Run, track: Track, now: Track, end: End, sheet: Sheet) -> dict[str, Any]:
    """The last buckets of one series. `min` and `max` are left out where they are as `avg`; who it is, where the reader has drawn it."""
    told: dict[str, Any] = {"experiment": str(run.id), "mark": str(now)}
    if track.since < sheet.frame.first:
        told |= {"name": run.name, "slug": run.slug}
    if not end.insides.any():
        return told
    row = end.sparse()
    average, low, high = (significant(values).tolist() for values in (row.centre, row.low, row.high))
    told |= {"x": x_json(row.places, sheet.kind), "avg": average}
    if msgspec.json.encode([average, average]) != msgspec.json.encode([low, high]):
        told |= {"min": low, "max": high}
    at = track.odd_at if track.odd_at is not None else row.nonfinite_at
    if at is not None:
        told |= {"nonfinite": track.odd + row.nonfinite, "nonfinite_at": x_json(np.array([at]), sheet.kind)[0]}
        told["nonfinite_words"] = odd_words(track.kinds | row.nonfinite_kinds)
    repeats = track.repeats + int(end.repeats.sum())
    return told | {"repeated_steps": repeats} if repeats else told


def read_mark(text: str, experiments: Sequence[uuid.UUID]) -> Mark:
    """A mark as a page sends it back: `frame:track_track:metric`, the tracks in the order of `experiments`, empty for none. Raises Invalid."""
    sheet_text, _, rest = text.partition(":")
    tracks_text, _, metric = rest.partition(":")
    tracks = [(bool(part), numbers(part, TRACK_PARTS)) for part in tracks_text.split("_")]
    kind, _, sheet_numbers = sheet_text.partition(".")
    sheet = numbers(sheet_numbers, FRAME_PARTS)
    are_tracks = len(tracks) == len(experiments) and all(found or not is_told for is_told, found in tracks)
    if not metric or kind not in X or sheet is None or None in sheet or not are_tracks or not 0 < (sheet[1] or 0) <= LARGEST_X:
        raise wrong("mark", f"mark is not one that GET /metrics/compare?live=1 gave, with a track for each experiment; got {text[:60]!r}.")
    first, width, last, most, *cuts = (one or 0 for one in sheet)
    known = {one: track_of(found) for one, (_, found) in zip(experiments, tracks, strict=True) if found}
    return Mark(Sheet(kind, Frame(metric, first, last, width), most, (bool(cuts[0]), bool(cuts[1]))), known)


def track_of(found: Sequence[int | None]) -> Track:
    """A track from its numbers."""
    since, known, tail, odd, _, began, drift, waits, odd_kinds, repeats = (one or 0 for one in found)
    return Track(since, known, tail, odd, found[4], began, drift, waits, odd_kinds, repeats)


def numbers(text: str, count: int) -> list[int | None] | None:
    """Whole numbers with dots between, None for an empty place; None for an empty text or what is none of a mark."""
    parts = text.split(".")
    if len(parts) != count or not all(NUMBER.fullmatch(part) for part in parts):
        return None
    found = [int(part) if part else None for part in parts]
    return found if all(one is None or LEAST <= one <= MOST for one in found) else None


def going(experiments: QuerySet[Experiment]) -> set[uuid.UUID]:
    """Which of them may get points: those that run, that ended moments ago, and those whose points wait on this host to be stored."""
    just_now = timezone.now() - LINGERS
    rows = experiments.values_list("pk", "status", "finished_at")
    found = {one for one, status, finished in rows if status == Experiment.Status.RUNNING or (finished and finished >= just_now)}
    rest = [one for one, _, _ in rows if one not in found]
    return found | {one for one in rest if process.pending([one])} if process.pending(rest) else found


def seen(experiments: Sequence[uuid.UUID]) -> str:
    """A short word for the present points of these experiments."""
    return hashlib.blake2b(freshness.version(experiments).encode(), digest_size=8).hexdigest()
