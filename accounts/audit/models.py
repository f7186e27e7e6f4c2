"""The lines of the audit. They point at nothing: whatever they tell of may be deleted, and the line stays as it was written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from accounts.audit.acts import ACTS, Act, Said

NAME_MOST = 255
DELETED_AT_ONCE = 5_000


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Questions about lines, and the one way in which they go."""

    def expire(self, *, at: datetime) -> int:
        """Delete what is older than AUDIT_KEEP_DAYS, a part at a time; how many went."""
        gone, before = 0, at - timedelta(days=settings.AUDIT_KEEP_DAYS)
        while ids := list(self.filter(at__lt=before).order_by("at").values_list("pk", flat=True)[:DELETED_AT_ONCE]):
            gone += self.filter(pk__in=ids).delete()[0]
        return gone


class AuditEntry(models.Model):
    """One act: when, who, what, on what, from where. The database refuses to change a line."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)
    act = models.CharField(max_length=40)
    user_id = models.BigIntegerField(null=True, help_text="Who did it; empty for the server, and for whoever was not signed in.")
    who = models.CharField(max_length=NAME_MOST, db_default="", help_text="Its name at the time.")
    token = models.CharField(max_length=20, blank=True, db_default="", help_text="How the token begins, where it was done with one.")
    team_id = models.UUIDField(null=True, help_text="Whose admins read the line.")
    team = models.CharField(max_length=NAME_MOST, blank=True, db_default="")
    project_id = models.UUIDField(null=True)
    project = models.CharField(max_length=NAME_MOST, blank=True, db_default="")
    about_id = models.BigIntegerField(null=True, help_text="The person whom it is about: admins of that person's teams read the line where it has no team.")
    on_kind = models.CharField(max_length=40, blank=True, db_default="")
    on_id = models.CharField(max_length=64, blank=True, db_default="")
    on_name = models.CharField(max_length=NAME_MOST, blank=True, db_default="")
    details: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True, db_default={})  # Any: JSON
    address = models.CharField(max_length=64, blank=True, db_default="")
    request_id = models.CharField(max_length=64, blank=True, db_default="")

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        verbose_name = "audit line"
        indexes: ClassVar = [
            models.Index(fields=["team_id", "-at"], name="audit_of_team"),
            models.Index(fields=["about_id", "-at"], name="audit_about", condition=models.Q(team_id=None)),
        ]

    def __str__(self) -> str:
        return f"{self.who} {self.sentence}"

    @property
    def meant(self) -> Act:
        """The act by its name; one that only another version knows reads as its name."""
        return ACTS.get(self.act, Act("", f"{self.act} {{on}}"))

    @property
    def sentence(self) -> str:
        """What was done, in words."""
        return "".join(self.parts)

    @property
    def parts(self) -> tuple[str, str, str]:
        """The words before what it was done on, its name, and the words after."""
        before, on, after = self.meant.words.partition("{on}")
        said = Said(self.details)
        return before.format_map(said), self.on_name if on else "", after.format_map(said)
