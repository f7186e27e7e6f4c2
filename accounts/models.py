"""People, teams, and the tokens that scripts carry."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.audit.models import AuditEntry as AuditEntry
from accounts.slugs import free_slug


class User(AbstractUser):
    """One person. Signs in with the username or, where one is given, the e-mail address."""

    class Meta:
        ordering: ClassVar = ["username"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("email"), condition=~models.Q(email=""), name="user_email_unique", violation_error_message="This e-mail address is taken."
            ),
        ]


class Role(models.TextChoices):
    """What a member may do, weakest first."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    ADMIN = "admin", "Admin"

    @property
    def rank(self) -> int:
        """0 for viewer, 1 for editor, 2 for admin."""
        return list(Role).index(self)

    def allows(self, needed: Role) -> bool:
        """Whether this role includes the right of `needed`."""
        return self.rank >= needed.rank


class Team(models.Model):
    """Owns projects; its members are viewer, editor or admin."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255)
    slug = models.SlugField(max_length=100, unique=True, allow_unicode=True, blank=True)
    members = models.ManyToManyField(User, through="Membership", related_name="teams")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, **options: object) -> None:
        """Save, with a slug made from the name where none is given."""
        if not self.slug:
            self.slug = free_slug(self.name, taken=Team.objects.all(), otherwise="team", spoken="name")
        super().save(**options)  # type: ignore[arg-type]


class Membership(models.Model):
    """One person's role in one team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["team", "user"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.team} ({self.role})"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Questions about tokens."""

    def usable(self, *, at: datetime) -> Self:
        """Neither revoked nor expired at `at`, and their owner still active."""
        alive = models.Q(expires_at=None) | models.Q(expires_at__gt=at)
        return self.filter(alive, revoked_at=None, user__is_active=True)


class ApiToken(models.Model):
    """A long-lived token of one user for one team. Only its SHA-256 is kept; the prefix tells people which is which."""

    PREFIX = "rp_"
    USED_RESOLUTION = timedelta(minutes=1)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="Where it is used, for example: gpu7.")
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"

    @staticmethod
    def hashed(secret: str) -> str:
        """The SHA-256 of a token's text, in hex: 64 characters."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def issue(cls, *, user: User, team: Team, name: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
        """A new token and its text, which is shown once and never stored."""
        secret = cls.PREFIX + secrets.token_urlsafe(32)
        token = cls.objects.create(user=user, team=team, name=name, expires_at=expires_at, prefix=secret[:10], digest=cls.hashed(secret))
        return token, secret

    def revoke(self) -> None:
        """End the token now. Every process has forgotten it within 30 s."""
        self.revoked_at = self.revoked_at or timezone.now()
        self.save(update_fields=["revoked_at"])

    def record_use(self, *, at: datetime) -> None:
        """Note that it was used, writing at most once a minute."""
        if self.last_used_at is None or at - self.last_used_at >= self.USED_RESOLUTION:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=at)
            self.last_used_at = at
