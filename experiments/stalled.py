"""When a running experiment counts as stalled: nothing has been heard from it for longer than its own pace allows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Value
from django.utils import timezone

from experiments.models import LEAST_PATIENCE, Experiment

SIGNS_OF_LIFE = ("last_point_at", "heartbeat_at", "started_at", "created_at")
INTERVALS = 10
MOST_PATIENCE = timedelta(days=2)


def last_heard(experiment: Experiment) -> datetime:
    """The latest sign of life: a point, a heartbeat, the start, else the making of the record."""
    signs: list[datetime | None] = [getattr(experiment, name) for name in SIGNS_OF_LIFE]
    return max(at for at in signs if at is not None)


def patience_for(interval_s: float) -> timedelta:
    """How long a run may be silent that speaks every `interval_s`: ten times that, and LEAST_PATIENCE at least."""
    longest = MOST_PATIENCE.total_seconds()
    return max(LEAST_PATIENCE, timedelta(seconds=min(longest, INTERVALS * max(0.0, interval_s))))


def is_stalled(experiment: Experiment, *, at: datetime | None = None) -> bool:
    """Whether it runs by the record and has been silent for longer than its patience at `at` (now, where not given)."""
    return experiment.is_live and last_heard(experiment) < (at or timezone.now()) - experiment.patience


def stalled(*, at: datetime, of: str = "") -> Q:
    """The same as a condition on experiments, or on what leads to them by the lookup `of` ("experiments__")."""
    limit = ExpressionWrapper(Value(at, output_field=DateTimeField()) - F(f"{of}patience"), output_field=DateTimeField())
    silent = Q(**{f"{of}status": Experiment.Status.RUNNING})
    for name in SIGNS_OF_LIFE:
        silent &= Q(**{f"{of}{name}__lt": limit}) | Q(**{f"{of}{name}__isnull": True})
    return silent
