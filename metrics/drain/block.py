"""A block: batches of the spool as the columns of one insert."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.clickhouse.client import Coded, Columns
from metrics.points.states import State, states
from metrics.points.valid import Points
from metrics.spool.batches import Batch, Series


@dataclass(frozen=True)
class Block:
    """Decoded batches as the columns of one insert. Codes of shape (points,) point into `batches` and `names`."""

    batches: list[Batch]
    decoded: list[Points]

    def __len__(self) -> int:
        return sum(map(len, self.decoded))

    @cached_property
    def batch_codes(self) -> NDArray[np.uint32]:
        """For each point, the place of its batch."""
        return np.repeat(np.arange(len(self.batches), dtype=np.uint32), [len(points) for points in self.decoded])

    @cached_property
    def names(self) -> Coded:
        """The metric name of each point."""
        return joined([(points.names, points.name_codes) for points in self.decoded])

    @cached_property
    def point_ids(self) -> NDArray[np.uint64]:
        """writer << 40 | ordinal for each point."""
        firsts = [(batch.writer << 40) + batch.ordinal for batch in self.batches]
        return np.concatenate([np.arange(first, first + len(points), dtype=np.uint64) for first, points in zip(firsts, self.decoded, strict=True)])

    @cached_property
    def columns(self) -> Columns:
        """The rows of the points table."""

        def per_batch(values: Sequence[Any]) -> Coded:
            return Coded(values, self.batch_codes)

        targets = [batch.target for batch in self.batches]
        return {
            "team_id": per_batch([target.team_id for target in targets]),
            "project_id": per_batch([target.project_id for target in targets]),
            "experiment_id": per_batch([target.experiment_id for target in targets]),
            "metric_name": self.names,
            "step": np.concatenate([points.steps for points in self.decoded]),
            "timestamp": np.concatenate([points.times for points in self.decoded]),
            "point_id": self.point_ids,
            "metric_value": np.concatenate([points.values for points in self.decoded]),
            "host": joined([(points.hosts, points.host_codes) for points in self.decoded]),
            "logged_at": np.array([batch.received_us for batch in self.batches], dtype=np.int64)[self.batch_codes],
            "created_month": np.array([target.month for target in targets], dtype=np.uint32)[self.batch_codes],
        }

    def states(self) -> dict[tuple[Series, str], State]:
        """What each series gains by this block."""
        targets = {target: place for place, target in enumerate(dict.fromkeys(batch.target for batch in self.batches))}
        target_codes = np.array([targets[batch.target] for batch in self.batches], dtype=np.int64)[self.batch_codes]
        names = self.names
        series = target_codes * len(names.values) + names.codes
        columns = self.columns
        found = states(series, columns["step"], columns["timestamp"], self.point_ids, columns["metric_value"], columns["logged_at"])  # type: ignore[arg-type]
        by_place = list(targets)
        return {(by_place[key // len(names.values)], names.values[key % len(names.values)]): state for key, state in found.items()}

    def repeated(self) -> set[tuple[Series, str]]:
        """The series in which a batch may bring points that are stored already."""
        return {(batch.target, name) for batch, points in zip(self.batches, self.decoded, strict=True) if batch.repeats for name in points.names}

    def halves(self) -> tuple[Block, Block]:
        """The block cut in two: between batches, or within the only one."""
        if len(self.batches) > 1:
            middle = len(self.batches) // 2
            return Block(self.batches[:middle], self.decoded[:middle]), Block(self.batches[middle:], self.decoded[middle:])
        middle = len(self.decoded[0]) // 2
        return self.part(0, middle), self.part(middle, len(self.decoded[0]))

    def part(self, first: int, last: int) -> Block:
        """The points from `first` to before `last` of a block of one batch, their identity kept."""
        batch, points = self.batches[0], self.decoded[0]
        rows = slice(first, last)
        cut = Points(points.names, points.name_codes[rows], points.steps[rows], points.times[rows], points.values[rows], points.hosts, points.host_codes[rows])
        return Block([replace(batch, points=len(cut), ordinal=batch.ordinal + first, payload=cut.encoded())], [cut])


def joined(parts: Sequence[tuple[Sequence[str], NDArray[np.uint32]]]) -> Coded:
    """Dictionary-coded columns one after the other, on one dictionary."""
    places: dict[str, int] = {}
    codes = []
    for values, part_codes in parts:
        own = np.array([places.setdefault(value, len(places)) for value in values], dtype=np.uint32)
        codes.append(own[part_codes])
    return Coded(list(places), np.concatenate(codes))


def to_batch(row: Sequence[Any]) -> Batch:
    """A row of OF_BLOCK."""
    number, team, project, experiment, month, points, writer, ordinal, received_us, repeats, request_id, payload = row
    target = Series(uuid.UUID(bytes=team), uuid.UUID(bytes=project), uuid.UUID(bytes=experiment), month)
    return Batch(number, target, points, writer, ordinal, received_us, payload, bool(repeats), request_id)


def key_of(series: Series, name: str) -> tuple[bytes, str]:
    """The key of a series in the spool."""
    return series.experiment_id.bytes, name


def dead_row(batch: Batch, reason: str, now_us: int) -> tuple[Any, ...]:
    """A row of the dead-letter table."""
    t = batch.target
    ids = (t.team_id.bytes, t.project_id.bytes, t.experiment_id.bytes, t.month)
    return (*ids, batch.points, batch.writer, batch.ordinal, batch.received_us, batch.payload, batch.request_id, reason, now_us)


def summary_columns(found: Sequence[Sequence[Any]], *, spool: int) -> Columns:
    """Rows of the spool's summaries as columns of the store's. The last two of each say whether no step comes twice, and when its last value came."""
    state = [State.unpacked(row[5], once=bool(row[6]), last_logged=row[7]) for row in found]
    own = np.arange(len(found), dtype=np.uint32)

    def column(name: str, kind: Any) -> NDArray[Any]:
        return np.array([getattr(s, name) for s in state], dtype=kind)

    return {
        "team_id": Coded([uuid.UUID(bytes=row[2]) for row in found], own),
        "project_id": Coded([uuid.UUID(bytes=row[3]) for row in found], own),
        "metric_name": Coded([row[1] for row in found], own),
        "experiment_id": Coded([uuid.UUID(bytes=row[0]) for row in found], own),
        "spool_id": np.full(len(found), spool, dtype=np.uint64),
        "version": np.array([row[4] for row in found], dtype=np.uint64),
        "count": column("count", np.uint64),
        "nonfinite": column("nonfinite", np.uint64),
        "sum": column("total", np.float64),
        "min": column("low", np.float64),
        "max": column("high", np.float64),
        "last": column("last", np.float64),
        "last_step": column("last_step", np.int64),
        "last_time": column("last_us", np.int64),
        "last_point_id": column("last_point", np.uint64),
        "first_step": column("first_step", np.int64),
        "first_time": column("first_us", np.int64),
        "once": column("once", np.uint8),
        "last_logged_at": column("last_logged", np.int64),
    }
