"""When a running experiment counts as stalled: nothing has been heard from it for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from experiments.models import Experiment

STALLED_AFTER = timedelta(minutes=10)
SIGNS_OF_LIFE = ("last_point_at", "heartbeat_at", "started_at", "created_at")


def last_heard(experiment: Experiment) -> datetime:
    """The latest sign of life: a point, a heartbeat, the start, else the making of the record."""
    signs: list[datetime | None] = [getattr(experiment, name) for name in SIGNS_OF_LIFE]
    return max(at for at in signs if at is not None)


def is_stalled(experiment: Experiment, *, at: datetime | None = None) -> bool:
    """Whether it runs by the record and has been silent for STALLED_AFTER at `at` (now, where not given)."""
    return experiment.is_live and last_heard(experiment) < (at or timezone.now()) - STALLED_AFTER


def stalled(*, at: datetime, of: str = "") -> Q:
    """The same as a condition on experiments, or on what leads to them by the lookup `of` ("experiments__")."""
    silent = Q(**{f"{of}status": Experiment.Status.RUNNING})
    for name in SIGNS_OF_LIFE:
        silent &= Q(**{f"{of}{name}__lt": at - STALLED_AFTER}) | Q(**{f"{of}{name}__isnull": True})
    return silent
