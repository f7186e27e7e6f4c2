"""The script that writes a run: whether its token still holds, and which of its points did not arrive, as it says itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from django.db import models, transaction
from django.utils import timezone

from accounts.models import ApiToken, Role
from experiments.models import Experiment

KINDS_MOST = 50
WRITING = frozenset({Role.EDITOR, Role.ADMIN})
REASONS = {
    "too_many_names": "too many names",
    "name": "names that cannot be kept",
    "value": "values that are no numbers",
    "type": "values that are no numbers",
    "range": "numbers out of range",
    "step": "steps that are no whole numbers",
    "time": "times out of range",
    "too_large": "too large for one request",
    "archived": "the run was archived",
    "not_found": "the run was not found",
    "not_sent": "not sent in time",
    "unauthenticated": "the token was not taken",
    "forbidden": "the token may not write here",
    "waiting": "too many waited",
}


class How(models.TextChoices):
    """What became of points that did not arrive. Those that are kept can still be sent."""

    REFUSED = "refused", "refused"
    LEFT_OUT = "left_out", "left out by the script"
    DROPPED = "dropped", "dropped by the script"
    KEPT = "kept", "kept by the script"


class Told(TypedDict):
    """What a writer says of points that did not arrive: how many in all, so that it may be said again."""

    how: str
    reason: str
    points: int
    message: str


@dataclass(frozen=True)
class Missing:
    """Points of a run that did not arrive, as people read it."""

    how: str
    reason: str
    points: int
    message: str

    @property
    def sentence(self) -> str:
        """`332 points refused: too many names`."""
        points = f"{self.points:,} point{'' if self.points == 1 else 's'}"
        return f"{points} {How(self.how).label}: {REASONS.get(self.reason, self.reason.replace('_', ' '))}"


@dataclass(frozen=True)
class LostWriter:
    """Why the server takes nothing more of a run's writer, and since when where that is known."""

    why: str
    at: datetime | None

    @property
    def said(self) -> str:
        """The reason in words, a time left to whoever shows it."""
        words = {"revoked": "its token was revoked", "expired": "its token expired", "deactivated": "the user of its token was deactivated"}
        return words.get(self.why) or {"deleted": "its token was deleted", "removed": "the user of its token may not write to this team any more"}[self.why]


def missing(experiment: Experiment) -> list[Missing]:
    """What did not arrive, the most first."""
    told = [Missing(**each) for each in experiment.missing or ()]
    return sorted(told, key=lambda each: (-each.points, each.how, each.reason))


@transaction.atomic
def tell(experiment: Experiment, said: Sequence[Told]) -> None:
    """Note what a writer says: of each kind the last word holds, 0 points end it. Kinds beyond KINDS_MOST are left out. May be repeated."""
    before = Experiment.objects.select_for_update().values_list("missing", flat=True).get(pk=experiment.pk)
    kinds = {(each["how"], each["reason"]): each for each in [*(before or ()), *said]}
    experiment.missing = [dict(each) for each in kinds.values() if each["points"]][:KINDS_MOST]
    experiment.updated_at = timezone.now()
    Experiment.objects.filter(pk=experiment.pk).update(missing=experiment.missing, updated_at=experiment.updated_at)


def lost_writer(experiment: Experiment) -> LostWriter | None:
    """Why nothing more comes of a run that goes on; None where it may. Of rows of `with_writer` it asks nothing; of others the role is not looked at."""
    if not experiment.is_live or experiment.writer_token_id is None:
        return None
    token = experiment.writer_token
    return LostWriter("deleted", None) if token is None else loss_of(token, role=getattr(experiment, "writer_role", Role.EDITOR))


def loss_of(token: ApiToken, *, role: str | None) -> LostWriter | None:
    """Why this token writes no more, its user having this role in the run's team."""
    if token.revoked_at is not None:
        return LostWriter("revoked", token.revoked_at)
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return LostWriter("expired", token.expires_at)
    if not token.user.is_active:
        return LostWriter("deactivated", None)
    return None if token.user.is_superuser or role in WRITING else LostWriter("removed", None)
