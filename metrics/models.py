"""What the record keeps about the metric store: the spools, what ran by the clock, what was dropped, and what differed."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models

FIRST_SPOOL_WRITER = 1 << 20
WRITER_LIMIT = 1 << 24


class Spool(models.Model):
    """A spool file, registered when it is made. Its number keeps its points apart from every other writer's."""

    path = models.CharField(max_length=500)
    host = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)
    restore_asked_at = models.DateTimeField(null=True, blank=True, help_text="When its kept batches were asked for, to be stored again.")
    restored_at = models.DateTimeField(null=True, blank=True, help_text="When its owner last did so.")

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return self.path

    @property
    def writer(self) -> int:
        """The upper 24 bits of the point_id of every point that came without a writer number of its own."""
        return FIRST_SPOOL_WRITER + self.pk


class CacheEpoch(models.Model):
    """One row: how often a cache that was away could not be told that points changed. Part of the name of everything cached about points."""

    ONLY = 1

    number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)


class Occurrence(models.Model):
    """One time at which a task was due. Whoever has the row does the work: two beats, or a message delivered twice, change nothing."""

    task = models.CharField(max_length=200)
    slot = models.DateTimeField(help_text="When it was due.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True, help_text="What it did.")

    class Meta:
        ordering: ClassVar = ["-slot", "task"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["task", "slot"], name="occurrence_once")]

    def __str__(self) -> str:
        return f"{self.task} {self.slot:%Y-%m-%d %H:%M}"


class DropQuerySet(models.QuerySet["Drop"]):
    """Questions about what was dropped."""

    def under_way(self) -> Self:
        """Those that were begun and not finished."""
        return self.filter(finished_at=None)


class Drop(models.Model):
    """Raw points of a project from before `cut`, replaced by their hours: its key is the `part` of those hours. Each phase may be repeated."""

    team_id = models.UUIDField()
    project_id = models.UUIDField(db_index=True)
    cut = models.DateTimeField(help_text="Points measured before this go.")
    logged_until = models.DateTimeField(help_text="Points that came later stay until the next time, however old they are.")
    frozen_at = models.DateTimeField(null=True, blank=True, help_text="From here on the hours stand for the points, and the points go.")
    finished_at = models.DateTimeField(null=True, blank=True)
    points = models.PositiveBigIntegerField(default=0)

    objects = DropQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"before {self.cut:%Y-%m-%d}"


class DifferenceQuerySet(models.QuerySet["Difference"]):
    """Questions about differences."""

    def open(self) -> Self:
        """Those whose points are still hoped for."""
        return self.filter(outcome=Difference.Outcome.AWAITED)


class Difference(models.Model):
    """A series whose summary and points did not agree, and what was done about it."""

    class Outcome(models.TextChoices):
        """What became of it."""

        REPAIRED = "repaired", "The summary was corrected"
        AWAITED = "awaited", "Points are missing: the spools were asked for them"
        RESTORED = "restored", "The missing points came back from a spool"
        LOST = "lost", "Points are lost"

    team_id = models.UUIDField()
    project_id = models.UUIDField()
    experiment_id = models.UUIDField(db_index=True)
    metric_name = models.CharField(max_length=250)
    accepted = models.BigIntegerField(help_text="Points by the summary.")
    stored = models.BigIntegerField(help_text="Distinct points in the metric store.")
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    found_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = DifferenceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-found_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.metric_name} of {self.experiment_id}: {self.accepted} accepted, {self.stored} stored"
