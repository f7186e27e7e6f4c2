"""A request with points, from its bytes to its acknowledgement. Needs no metric store, and the record only once in 30 s a caller."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from config.errors import Fault, Invalid, Unavailable
from config.web.bodies.reading import opened
from metrics import meters, process
from metrics.ingest.grants import Grant, granted
from metrics.ingest.quota import QUOTA
from metrics.points import decoding
from metrics.points.valid import Limits, Points
from metrics.spool.batches import Receipt, Series

VISIBLE_WAIT_S = 10.0
KEY_LENGTH = 200
# What a point in a row has at the most, with commas in its name and host: a body of more values is no points, and is not built.
VALUES_OF_A_POINT = 16
LEAST_POINTS = 10_000


@dataclass(frozen=True)
class Submission:
    """What a script sent. `project` and `experiment` are as in the path: UUID or slug."""

    authorization: str
    project: str
    experiment: str
    body: bytes
    encoding: str = ""
    idempotency_key: str = ""
    is_single: bool = False
    is_awaited: bool = False
    request_id: str = ""


@dataclass(frozen=True)
class Acknowledgement:
    """Every point of the submission is on disk; `visible` says whether it can be queried already."""

    receipt: Receipt
    visible: bool


def take(submission: Submission) -> Acknowledgement:
    """Authenticate, permit, decompress, validate the whole batch, put it on disk. Raises a Refused; then nothing was written."""
    return accept(granted(submission.authorization, submission.project, submission.experiment), submission)


def accept(grant: Grant, submission: Submission) -> Acknowledgement:
    """The same for a caller who may write, which is known before the body is read."""
    series, batch = grant.series, validated(submission, whose=grant.whose)
    QUOTA.spend(series.team_id, len(batch))
    key, hashed = scoped_key(submission, series), body_hash(submission, series)
    receipt = process.spools().append(series, batch, key=key, body_hash=hashed, request_id=submission.request_id)
    if not receipt.replayed:
        meters.note_points(receipt.accepted)
    return Acknowledgement(receipt, visible=is_visible(receipt, series) if submission.is_awaited else False)


def is_visible(receipt: Receipt, series: Series) -> bool:
    """Whether the batch can be queried, waiting up to 10 s. A repeat waits for all that is in its spool now, its first copy among it.

    The batch is on disk: a process that stops meanwhile must not answer as if it had been refused.
    """
    try:
        return process.spools().wait_visible(receipt, series, timeout_s=VISIBLE_WAIT_S)
    except Unavailable:
        return False


def validated(submission: Submission, *, whose: str) -> Points:
    """The body as points. Raises BadRequest, TooLarge, UnknownEncoding or Invalid."""
    now_us, limits = time.time_ns() // 1000, Limits(points=settings.METRICS_MAX_POINTS)
    values = VALUES_OF_A_POINT * max(limits.points, LEAST_POINTS)
    with opened(submission.body, submission.encoding, most=settings.METRICS_MAX_BODY_BYTES, values=values, whose=whose) as body:
        return decoding.one(body, now_us=now_us) if submission.is_single else decoding.many(body, now_us=now_us, limits=limits)


def scoped_key(submission: Submission, series: Series) -> str | None:
    """The idempotency key within its team. Raises Invalid for one that is too long."""
    key = submission.idempotency_key
    if not key:
        return None
    if len(key) > KEY_LENGTH or not key.isprintable():
        raise Invalid(
            f"An Idempotency-Key has at most {KEY_LENGTH} printable characters.", [Fault(None, "Idempotency-Key", "key", "Too long, or not printable.")]
        )
    return f"{series.team_id.hex}:{key}"


def body_hash(submission: Submission, series: Series) -> bytes:
    """What two repeats of one request share: where it goes and what it says, before any decoding."""
    if not submission.idempotency_key:
        return b""
    place = f"{series.experiment_id}\n{submission.is_single}\n".encode()
    return hashlib.blake2b(place + submission.body, digest_size=16).digest()


def answer(acknowledgement: Acknowledgement) -> dict[str, Any]:
    """The acknowledgement as its JSON."""
    receipt = acknowledgement.receipt
    return {"status": "success", "accepted": receipt.accepted, "visible": acknowledgement.visible, "batch_id": receipt.batch_id}
