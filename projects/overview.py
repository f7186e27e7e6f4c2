"""What the first page says: every project in a line, what runs, what is stalled, what came last."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, F, Max, Q, QuerySet

from accounts.access import Caller
from experiments.models import Experiment, ExperimentQuerySet
from experiments.stalled import stalled
from hypotheses.models import Hypothesis
from projects.models import Project

SHOWN = 8
CURRENT = Q(experiments__archived=False)


def projects(caller: Caller, *, at: datetime) -> QuerySet[Project]:
    """The caller's projects, the one with the latest point first; each with experiment_count, running_count, stalled_count and latest_point."""
    silent = stalled(at=at, of="experiments__")
    running = Q(experiments__status=Experiment.Status.RUNNING)
    mine = Project.objects.visible_to(caller).current().select_related("team")
    counted = mine.annotate(
        experiment_count=Count("experiments", filter=CURRENT),
        running_count=Count("experiments", filter=CURRENT & running & ~silent),
        stalled_count=Count("experiments", filter=CURRENT & silent),
        latest_point=Max("experiments__last_point_at"),
    )
    return counted.order_by(F("latest_point").desc(nulls_last=True), "name")


def running(caller: Caller) -> QuerySet[Experiment]:
    """What runs now, the latest start first."""
    return experiments(caller).running().order_by(F("started_at").desc(nulls_last=True), "-created_at")[:SHOWN]


def recent(caller: Caller) -> QuerySet[Experiment]:
    """The experiments that ended last."""
    return experiments(caller).filter(status__in=Experiment.Status.ended()).order_by(F("finished_at").desc(nulls_last=True), "-created_at")[:SHOWN]


def decided(caller: Caller) -> QuerySet[Hypothesis]:
    """The claims that were decided last."""
    mine = Hypothesis.objects.visible_to(caller).filter(project__archived=False, decided_at__isnull=False)
    return mine.select_related("project__team").order_by("-decided_at")[:SHOWN]


def experiments(caller: Caller) -> ExperimentQuerySet:
    """The caller's experiments in projects that are not archived."""
    mine = Experiment.objects.visible_to(caller).current().filter(project__archived=False)
    return mine.select_related("project__team").defer("notes", "command", "params")
