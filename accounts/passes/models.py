"""Invitations into a team, and browsers that are signed in.

Their keys to people and teams are without constraints in the database: a version that knows none of them may delete a person or a team.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.utils import timezone

FOR_MOST = 254
DEVICE_MOST = 60


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Questions about invitations."""

    def open(self, *, at: datetime) -> Self:
        """Neither accepted nor taken back, nor ended at `at`."""
        return self.filter(accepted_at=None, taken_back_at=None, ends_at__gt=at)

    def take_back(self, **whose: Any) -> int:  # Any: values of several fields
        """Let those that nobody accepted open nothing any more; how many."""
        return self.filter(accepted_at=None, taken_back_at=None, **whose).update(taken_back_at=timezone.now())


class Invitation(models.Model):
    """One place in a team, for whoever has the link. Only the SHA-256 of its key is kept: the link is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="invitations", db_constraint=False)
    name = models.CharField(max_length=FOR_MOST, help_text="For whom: an e-mail address or a name.")
    role = models.CharField(max_length=10)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False, db_constraint=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ends_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False, db_constraint=False)
    taken_back_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.role})"

    @staticmethod
    def hashed(key: str) -> str:
        """The SHA-256 of a key, in hex."""
        return hashlib.sha256(key.encode(errors="replace")).hexdigest()

    def new_key(self) -> str:
        """Another key for its link, not saved yet: the one before opens nothing any more."""
        key = secrets.token_urlsafe(32)
        self.digest = self.hashed(key)
        return key


class BrowserSessionQuerySet(models.QuerySet["BrowserSession"]):
    """Questions about browsers."""

    def alive(self, *, at: datetime) -> Self:
        """Those whose session has not ended or run out."""
        return self.filter(session_key__in=Session.objects.filter(expire_date__gt=at).values("session_key"))

    def forget_ended(self) -> int:
        """Delete those whose session is gone; how many."""
        return self.exclude(session_key__in=Session.objects.values("session_key")).delete()[0]


class BrowserSession(models.Model):
    """A browser in which somebody is signed in: what it is, where it was last seen from, and when."""

    session_key = models.CharField(max_length=40, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="browser_sessions", db_constraint=False)
    device = models.CharField(max_length=DEVICE_MOST, blank=True, db_default="")
    address = models.CharField(max_length=64, blank=True, db_default="")
    created_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    objects = BrowserSessionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-seen_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.device} of {self.user}"
