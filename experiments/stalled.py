"""When a running experiment counts as stalled: nothing has been heard from it for longer than its own pace allows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Case, DateTimeField, DurationField, ExpressionWrapper, F, Q, Value, When
from django.utils import timezone

from experiments.models import LEAST_PATIENCE, Experiment

SIGNS_OF_LIFE = ("last_point_at", "heartbeat_at", "started_at", "created_at")
INTERVALS = 10
MOST_PATIENCE = timedelta(days=2)
STALLED = "stalled"
# Who beats once a minute at least promised to: two minutes without a beat are no quiet stretch of the training but its end, or a lost network.
REGULAR_GAP, REGULAR_PATIENCE = timedelta(minutes=1), timedelta(minutes=2)


def last_heard(experiment: Experiment) -> datetime:
    """The latest sign of life: a point, a heartbeat, the start, else the making of the record."""
    signs: list[datetime | None] = [getattr(experiment, name) for name in SIGNS_OF_LIFE]
    return max(at for at in signs if at is not None)


def patience_for(interval_s: float) -> timedelta:
    """How long a run may be silent that speaks every `interval_s`: ten times that, and LEAST_PATIENCE at least."""
    longest = MOST_PATIENCE.total_seconds()
    return max(LEAST_PATIENCE, timedelta(seconds=min(longest, INTERVALS * max(0.0, interval_s))))


def limit_of(experiment: Experiment) -> timedelta:
    """How long it may be silent now: its patience, and REGULAR_PATIENCE where its heartbeats came regularly."""
    is_regular = experiment.heartbeat_gap is not None and experiment.heartbeat_gap <= REGULAR_GAP
    return REGULAR_PATIENCE if is_regular else experiment.patience


def is_stalled(experiment: Experiment, *, at: datetime | None = None) -> bool:
    """Whether it runs by the record and has been silent for longer than it may at `at` (now, where not given)."""
    return experiment.is_live and last_heard(experiment) < (at or timezone.now()) - limit_of(experiment)


def state_of(experiment: Experiment) -> str:
    """The word that people and scripts read: `stalled` where it counts as such now, else the failure's kind or the status."""
    return STALLED if is_stalled(experiment) else experiment.state


def stalled(*, at: datetime, of: str = "") -> Q:
    """The same as a condition on experiments, or on what leads to them by the lookup `of` ("experiments__")."""
    regular = When(Q(**{f"{of}heartbeat_gap__lte": REGULAR_GAP}), then=Value(REGULAR_PATIENCE, output_field=DurationField()))
    patience = Case(regular, default=F(f"{of}patience"), output_field=DurationField())
    limit = ExpressionWrapper(Value(at, output_field=DateTimeField()) - patience, output_field=DateTimeField())
    silent = Q(**{f"{of}status": Experiment.Status.RUNNING})
    for name in SIGNS_OF_LIFE:
        silent &= Q(**{f"{of}{name}__lt": limit}) | Q(**{f"{of}{name}__isnull": True})
    return silent
