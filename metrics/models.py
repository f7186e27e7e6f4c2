"""What the record keeps about the spools, one row for each file that ever was."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from metrics.alert_models import Alert, Channel, Delivery, WebProcess

__all__ = ["Alert", "Channel", "Delivery", "Occurrence", "Spool", "WebProcess"]

FIRST_SPOOL_WRITER = 1 << 20
WRITER_LIMIT = 1 << 24


class Spool(models.Model):
    """A spool file, registered when it is made. Its number keeps its points apart from every other writer's."""

    path = models.CharField(max_length=500)
    host = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return self.path

    @property
    def writer(self) -> int:
        """The upper 24 bits of the point_id of every point that came without a writer number of its own."""
        return FIRST_SPOOL_WRITER + self.pk


class Occurrence(models.Model):
    """One time that a task of the schedule was due. It takes effect once, however often it is delivered."""

    task = models.CharField(max_length=200)
    slot = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering: ClassVar = ["-slot"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["task", "slot"], name="occurrence_once")]

    def __str__(self) -> str:
        return f"{self.task} {self.slot:%Y-%m-%d %H:%M}"
