"""What the record keeps about the spools, one row for each file that ever was."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

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


class CacheEpoch(models.Model):
    """One row: how often a cache that was away could not be told that points changed. Part of the name of everything cached about points."""

    ONLY = 1

    number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)
