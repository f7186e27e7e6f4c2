"""A batch on its way: where it belongs, what waits for the writer, what lies in the spool, and what it was answered."""

from __future__ import annotations

import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import Fault, Invalid
from metrics.points.valid import Points


@dataclass(frozen=True)
class Series:
    """Where a batch belongs: the experiment, and the month that its points are partitioned by."""

    team_id: uuid.UUID
    project_id: uuid.UUID
    experiment_id: uuid.UUID
    month: int


@dataclass(frozen=True)
class Receipt:
    """What a batch was answered. `id` is its row, 0 for a repeat; `replayed` says that the answer is an old one.

    Where the first copy lies in another file, `file` is that, and `received_us` the batch's time there.
    """

    batch_id: str
    accepted: int
    id: int
    replayed: bool = False
    file: Path | None = None
    received_us: int = 0


@dataclass
class Entry:
    """A batch on its way to the writer thread."""

    target: Series
    points: Points
    payload: bytes
    received_us: int
    key: str | None
    body_hash: bytes
    request_id: str
    done: Future[Receipt] = field(default_factory=Future)


@dataclass(frozen=True)
class Batch:
    """A batch as it lies in the spool. `repeats` says that its writer had used some of its ordinals before: its points may be stored already."""

    id: int
    target: Series
    points: int
    writer: int
    ordinal: int
    received_us: int
    payload: bytes
    repeats: bool = False
    request_id: str = ""


def replay(found: tuple[bytes, str, int], body_hash: bytes) -> Receipt | Invalid:
    """What a receipt answers to a repeat with `body_hash`."""
    kept_hash, batch_id, accepted = found
    if kept_hash != body_hash:
        return Invalid(
            "This Idempotency-Key was used for another body: make a new key for a new batch.", [Fault(None, "Idempotency-Key", "key_reused", "Another body.")]
        )
    return Receipt(batch_id, accepted, 0, replayed=True)
