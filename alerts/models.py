"""What the record keeps about the watch: alerts, where they are sent, what waits to be sent, and which web processes are alive."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.access import Caller

# Made when alerts were a part of metrics: tables, permissions and the admin's addresses keep that name.
LABEL = "metrics"
KEY_LENGTH = 32


class Severity(models.TextChoices):
    """How much it matters, the most first."""

    HIGH = "high", "High"
    MID = "mid", "Medium"
    LOW = "low", "Low"

    @property
    def rank(self) -> int:
        """2 for high, 1 for mid, 0 for low."""
        return 2 - list(Severity).index(self)

    @classmethod
    def at_most(cls, severity: str) -> list[Severity]:
        """Those that `severity` reaches: itself and all below."""
        return [one for one in cls if one.rank <= cls(severity).rank]


class Kind(models.TextChoices):
    """What was seen."""

    STALLED = "stalled", "Stalled"
    NO_DATA = "no_data", "No data"
    NOT_FINITE = "not_finite", "NaN or infinity"
    DIVERGED = "diverged", "Diverged"
    STORE_AWAY = "store_away", "Store away"
    DRAIN_LAG = "drain_lag", "Store lag"
    SPOOL_FULL = "spool_full", "Spool full"
    DEAD_LETTERS = "dead_letters", "Dead letters"
    PARTS = "parts", "Too many parts"
    DISK = "disk", "Disk"
    TASK_LATE = "task_late", "Task late"
    BEAT_SILENT = "beat_silent", "Schedule silent"
    WORKER_SILENT = "worker_silent", "Worker silent"
    WEB_SILENT = "web_silent", "Web silent"
    RECONCILE = "reconcile", "Points differ"
    VERDICT = "verdict", "Verdict"


@dataclass(frozen=True)
class Subject:
    """What an alert is about. Without a team it is the server itself; `part` names which part of it."""

    team_id: uuid.UUID | None = None
    project_id: uuid.UUID | None = None
    experiment_id: uuid.UUID | None = None
    metric: str = ""
    part: str = ""

    @property
    def key(self) -> str:
        """KEY_LENGTH characters that stand for all of it."""
        whole = "\x1f".join(map(str, (self.team_id, self.project_id, self.experiment_id, self.metric, self.part)))
        return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=KEY_LENGTH // 2).hexdigest()


class AlertQuerySet(models.QuerySet["Alert"]):
    """Questions about alerts."""

    def visible_to(self, caller: Caller) -> Self:
        """Those of the caller's teams, or of the one project that a token is limited to; those of the server for operators."""
        theirs = models.Q(team__in=list(caller.roles)) & (caller.within("project") | caller.within("experiment__project"))
        return self.filter(theirs | models.Q(team=None)) if caller.is_operator else self.filter(theirs)

    def open(self) -> Self:
        """Those whose condition holds."""
        return self.filter(resolved_at=None)

    def resolved(self) -> Self:
        """Those that are over."""
        return self.filter(resolved_at__isnull=False)

    def waiting(self, *, at: datetime) -> Self:
        """Open ones that nobody has acknowledged and that are not silenced."""
        return self.open().filter(models.Q(silenced_until=None) | models.Q(silenced_until__lte=at), acknowledged_at=None)


class Alert(models.Model):
    """Something that a person may have to see to. One is open for a kind and a subject; it is never deleted while its subject is there."""

    kind = models.CharField(max_length=20, choices=Kind.choices)
    severity = models.CharField(max_length=4, choices=Severity.choices)
    team = models.ForeignKey("accounts.Team", null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    project = models.ForeignKey("projects.Project", null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    experiment = models.ForeignKey("experiments.Experiment", null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    metric = models.CharField(max_length=250, blank=True)
    part = models.CharField(max_length=255, blank=True, help_text="Which part of the server, where it is about the server itself.")
    subject = models.CharField(max_length=KEY_LENGTH, editable=False)
    message = models.CharField(max_length=1000)
    opened_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    count = models.PositiveIntegerField(default=1, help_text="How many checks in a row have seen it.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=300, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    silenced_until = models.DateTimeField(null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        app_label = LABEL
        ordering: ClassVar = ["-opened_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "subject"], condition=models.Q(resolved_at=None), name="alert_open_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["team", "resolved_at"], name="alert_of_team"), models.Index(fields=["kind", "subject"], name="alert_subject")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.where}"

    @property
    def where(self) -> str:
        """What it is about, in words."""
        if self.experiment is not None:
            return f"{self.experiment.project.name} / {self.experiment.name}"
        return self.project.name if self.project is not None else self.part or "the server"

    @property
    def is_open(self) -> bool:
        """Whether the condition holds."""
        return self.resolved_at is None

    @property
    def is_silenced(self) -> bool:
        """Whether nobody wants to hear of it just now."""
        return self.silenced_until is not None and self.silenced_until > timezone.now()


def new_secret() -> str:
    """A secret to sign with."""
    return secrets.token_urlsafe(32)


class Channel(models.Model):
    """Where a team's alerts are sent; without a team, where those of the server are."""

    class Kind(models.TextChoices):
        """How."""

        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(
        "accounts.Team", null=True, blank=True, on_delete=models.CASCADE, related_name="channels", help_text="Empty: alerts about the server itself."
    )
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.CharField(max_length=1000, blank=True, help_text="A webhook's URL; an e-mail address, or nothing for the team's admins.")
    secret = models.CharField(max_length=200, blank=True, default=new_secret, help_text="Signs what a webhook is sent.")
    least_severity = models.CharField(max_length=4, choices=Severity.choices, default=Severity.LOW)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = LABEL
        ordering: ClassVar = ["name", "created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_kind_display()})"


class Delivery(models.Model):
    """One message to one channel. Written in the transaction that opens or resolves the alert, so that none is forgotten; a test has no alert."""

    class Event(models.TextChoices):
        """What the message says."""

        OPENED = "opened", "Opened"
        RESOLVED = "resolved", "Resolved"
        TEST = "test", "Test"

    class State(models.TextChoices):
        """Where it is."""

        WAITING = "waiting", "Waiting"
        DONE = "done", "Delivered"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey(Alert, null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=10, choices=Event.choices)
    body = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        app_label = LABEL
        verbose_name_plural = "deliveries"
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["alert", "channel", "event"], name="delivery_once")]
        indexes: ClassVar = [models.Index(fields=["state", "next_at"], name="delivery_due")]

    def __str__(self) -> str:
        return f"{self.event} to {self.channel}"


class WebProcess(models.Model):
    """A web process that takes points, and what it last said of itself. Gone from here once it has stopped well."""

    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    well_since = models.DateTimeField(null=True, blank=True, help_text="Since when it takes and stores points without trouble.")
    trouble = models.CharField(max_length=500, blank=True)
    full_reason = models.CharField(max_length=500, blank=True, help_text="Why it takes no points.")
    store_error = models.CharField(max_length=500, blank=True, help_text="What the metric store said last, where it takes nothing.")
    waiting_points = models.PositiveBigIntegerField(default=0)
    oldest_at = models.DateTimeField(null=True, blank=True, help_text="When the oldest point that is not stored yet came.")
    spool_bytes = models.PositiveBigIntegerField(default=0)
    dead_letters = models.PositiveBigIntegerField(default=0)
    discarded_points = models.PositiveBigIntegerField(default=0)
    disk_free_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        app_label = LABEL
        verbose_name_plural = "web processes"
        ordering: ClassVar = ["host", "pid"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["host", "pid", "started_at"], name="web_process_once")]

    def __str__(self) -> str:
        return f"{self.host} {self.pid}"
