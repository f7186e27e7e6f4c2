"""A request with points, from its bytes to its acknowledgement. Needs no metric store, and the record only once in 30 s a caller."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from accounts.access import Caller
from accounts.authentication import UNKNOWN, bearer, bearer_of
from accounts.models import ApiToken, Role
from config.errors import Archived, Fault, Invalid, TooManyRequests, Unauthenticated, Unavailable
from config.web.bodies import decompressed
from experiments.models import Experiment
from metrics import decoding, meters, process
from metrics.batches import Receipt, Series
from metrics.points import Limits, Points
from projects.models import Project

VISIBLE_WAIT_S = 10.0
KEY_LENGTH = 200
GRANTS_REMEMBERED = 20_000


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
    return accept(writable_series(submission.authorization, submission.project, submission.experiment), submission)


def accept(series: Series, submission: Submission) -> Acknowledgement:
    """The same for a caller who may write to `series`, which is known before the body is read."""
    batch = validated(submission)
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


def validated(submission: Submission) -> Points:
    """The body as points. Raises BadRequest, TooLarge, UnknownEncoding or Invalid."""
    body = decompressed(submission.body, submission.encoding)
    now_us = time.time_ns() // 1000
    if submission.is_single:
        return decoding.one(body, now_us=now_us)
    return decoding.many(body, now_us=now_us, limits=Limits(points=settings.METRICS_MAX_POINTS))


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


# Access ------------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    """That one caller may write to one series, until `until` (monotonic seconds)."""

    series: Series
    until: float


class Grants:
    """Decisions remembered for at most METRICS_ACCESS_CACHE_S, so that no point waits for the record, and a revocation holds everywhere soon."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], Grant] = {}

    def forget(self) -> None:
        """Decide everything anew from here on: something about access changed in this process."""
        self.known = {}

    def of(self, secret: str, project: str, experiment: str) -> Series:
        """The series that this token may write to. Raises the refusal."""
        asked = (ApiToken.hashed(secret), project, experiment)
        known = self.known  # a forget() meanwhile starts another one, and what is decided here is lost with this
        grant = known.get(asked)
        if grant is None or grant.until < time.monotonic():
            if len(known) >= GRANTS_REMEMBERED:
                self.forget()
            try:
                grant = Grant(decided(secret, project, experiment), time.monotonic() + settings.METRICS_ACCESS_CACHE_S)
            finally:
                close_old_connections()  # the short way has no request that ends, and so nobody else who does it
            known[asked] = grant
        return grant.series


GRANTS = Grants()


def writable_series(authorization: str, project: str, experiment: str) -> Series:
    """The series that the bearer of `authorization` may write to. Raises Unauthenticated, NotFound, Forbidden, Archived, Conflict or Unavailable."""
    secret = bearer(authorization)
    if secret is None:
        raise Unauthenticated("No token came with the request: send Authorization: Bearer <token>. The Account page makes one.")
    return GRANTS.of(secret, project, experiment)


def decided(secret: str, project: str, experiment: str) -> Series:
    """The decision from the record. A refusal is raised, not remembered, so that what is mended works at once."""
    try:
        known = bearer_of(secret)
        if known is None:
            raise Unauthenticated(UNKNOWN)
        caller = Caller(user=known.user, token=known.token)
        owner = Project.objects.visible_to(caller).named(project)
        found = Experiment.objects.filter(project=owner).only("id", "created_at", "archived", "name").named(experiment)
    except DatabaseError as error:
        raise Unavailable("The record cannot be read just now: send again in a moment.", code="record_unavailable") from error
    caller.require(Role.EDITOR, owner.team_id)
    if found.archived or owner.archived:
        raise Archived(f"{found.name} is archived: restore it to log to it.")
    return Series(owner.team_id, owner.pk, found.pk, found.created_month)


class Quota:
    """Points a team may log in a minute; 0 is no limit. Counted in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.minute, self.spent = 0, Counter[uuid.UUID]()

    def spend(self, team: uuid.UUID, amount: int) -> None:
        """Count points of a team. Raises TooManyRequests where they go past the quota."""
        allowed = settings.METRICS_QUOTA_POINTS_PER_MINUTE
        if not allowed:
            return
        now = time.time()
        with self.lock:
            if int(now // 60) != self.minute:
                self.minute, self.spent = int(now // 60), Counter()
            if self.spent[team] + amount > allowed:
                raise TooManyRequests(f"Your team may log {allowed} points a minute: wait, then send again.", retry_after_s=60 - int(now % 60))
            self.spent[team] += amount


QUOTA = Quota()


def answer(acknowledgement: Acknowledgement) -> dict[str, Any]:
    """The acknowledgement as its JSON."""
    receipt = acknowledgement.receipt
    return {"status": "success", "accepted": receipt.accepted, "visible": acknowledgement.visible, "batch_id": receipt.batch_id}
