"""People, teams, and the tokens that scripts carry."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.audit.models import AuditEntry as AuditEntry
from accounts.passes.models import BrowserSession as BrowserSession
from accounts.passes.models import Invitation as Invitation
from accounts.slugs import free_slug

GENERATIONS_MOST = 3  # of tokens that stand above one: each is looked at whenever it is used


class User(AbstractUser):
    """One person. Signs in with the username or, where one is given, the e-mail address."""

    # Counted, not dated: clocks of several hosts differ, and a JWT says in whole seconds when it was made.
    times_signed_out = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text="How often it was signed out everywhere: JWTs and links for a new password of before open nothing."
    )

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


class Scope(models.TextChoices):
    """What a token may do at most; its owner's role bounds it further. Pages say the second word."""

    INGEST = "ingest", "Log"
    READ = "read", "Read"
    WRITE = "write", "Edit"
    ADMIN = "admin", "Administer"
    BEFORE = "before", "as before"  # made before there were scopes: all that its owner may do, until somebody narrows it

    def includes(self, other: Scope) -> bool:
        """Whether a token of this scope may do all that one of `other` may. Only a token from before includes `before`."""
        return self == other or other in INCLUDED[self]

    @property
    def role(self) -> Role:
        """The strongest role that a token of this scope acts in."""
        return ROLE_AT_MOST.get(self, Role.ADMIN)


INCLUDED: dict[Scope, frozenset[Scope]] = {
    Scope.INGEST: frozenset(),
    Scope.READ: frozenset(),
    Scope.WRITE: frozenset({Scope.INGEST, Scope.READ}),
    Scope.ADMIN: frozenset({Scope.INGEST, Scope.READ, Scope.WRITE}),
    Scope.BEFORE: frozenset({Scope.INGEST, Scope.READ, Scope.WRITE, Scope.ADMIN}),
}
ROLE_AT_MOST = {Scope.INGEST: Role.EDITOR, Scope.READ: Role.VIEWER, Scope.WRITE: Role.EDITOR}


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


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Several memberships."""

    @transaction.atomic
    def delete(self) -> tuple[int, dict[str, int]]:
        """End them, and for good the tokens that spoke for them."""
        for team_id, user_id in self.values_list("team_id", "user_id"):
            ApiToken.objects.filter(team=team_id, user=user_id).revoke()
        return super().delete()

    delete.queryset_only = True  # type: ignore[attr-defined]  # Django's own mark: never of a manager, which has all of them
    delete.alters_data = True  # type: ignore[attr-defined]  # Django's own mark: no template calls it


class Membership(models.Model):
    """One person's role in one team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["team", "user"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.team} ({self.role})"

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:  # Any: Django's own signature
        """End it, and for good the tokens that spoke for it: who comes back makes new ones."""
        with transaction.atomic():
            ApiToken.objects.filter(team=self.team_id, user=self.user_id).revoke()
            return super().delete(*args, **options)


def unended(above: str, generations: int) -> models.Q:
    """That none of the tokens above one has ended: the one at `above`, that one's maker, and so on. One whose row is gone had ended."""
    nobody, holds = models.Q(**{above: None}), models.Q(**{f"{above}__digest__gt": "", f"{above}__revoked_at": None})
    return nobody | (holds & unended(f"{above}__parent", generations - 1) if generations > 1 else holds)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Questions about tokens."""

    def usable(self, *, at: datetime) -> Self:
        """Neither revoked nor expired at `at`, nor below a token that is; and their owner still active."""
        alive = models.Q(expires_at=None) | models.Q(expires_at__gt=at)
        return self.filter(alive, unended("parent", GENERATIONS_MOST), revoked_at=None, user__is_active=True)

    def made_by(self, tokens: Iterable[ApiToken]) -> Self:
        """All that these tokens made, and those made, and so on: a token ends with the one that made it."""
        found, grown = set[uuid.UUID](), {token.pk for token in tokens}
        while grown:
            found |= grown
            grown = set(self.model.objects.filter(parent__in=grown).values_list("pk", flat=True)) - found
        return self.filter(pk__in=found).exclude(pk__in=[token.pk for token in tokens])

    @transaction.atomic
    def revoke(self) -> int:
        """End them now, with every token that they made; how many had not ended. Every process has forgotten them within 30 s."""
        ending = list(self.select_for_update(of=("self",)).only("pk"))
        made = ApiToken.objects.made_by(ending).values_list("pk", flat=True)
        ids = [token.pk for token in ending] + list(made)
        return ApiToken.objects.filter(pk__in=ids, revoked_at=None).update(revoked_at=timezone.now())

    revoke.queryset_only = True  # type: ignore[attr-defined]  # as above
    revoke.alters_data = True  # type: ignore[attr-defined]


class ApiToken(models.Model):
    """A long-lived token of one user for one team, or one project of it. Only its SHA-256 is kept; the prefix tells people which is which."""

    PREFIX = "rp_"
    USED_RESOLUTION = timedelta(minutes=1)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="Where it is used, for example: gpu7.")
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.BEFORE, db_default=Scope.BEFORE, help_text="What it may do at most.")
    # Without constraints: a version that knows neither column may delete a project or a token.
    project = models.ForeignKey(
        "projects.Project", null=True, blank=True, on_delete=models.CASCADE, db_constraint=False, related_name="+", help_text="Empty for all of the team."
    )
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, db_constraint=False, related_name="children", editable=False)
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
    def issue(
        cls,
        *,
        user: User,
        team: Team,
        name: str,
        scope: str = Scope.ADMIN,
        expires_at: datetime | None = None,
        **limits: Any,  # Any: two rows
    ) -> tuple[ApiToken, str]:
        """A new token and its text, which is shown once and never stored. `limits` are its `project` and the `parent` that made it."""
        secret = cls.PREFIX + secrets.token_urlsafe(32)
        kept = {"prefix": secret[:10], "digest": cls.hashed(secret), **limits}
        token = cls.objects.create(user=user, team=team, name=name, scope=scope, expires_at=expires_at, **kept)
        return token, secret

    def revoke(self) -> None:
        """End the token now, and those that it made. Every process has forgotten them within 30 s."""
        ApiToken.objects.filter(pk=self.pk).revoke()
        self.refresh_from_db(fields=["revoked_at"])

    def record_use(self, *, at: datetime) -> None:
        """Note that it was used, writing at most once a minute."""
        if self.last_used_at is None or at - self.last_used_at >= self.USED_RESOLUTION:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=at)
            self.last_used_at = at


class SignInCount(models.Model):
    """How many sign-ins were tried under one key in the present span: of an account, of an address, of a device. Written by accounts.signing_in.brake."""

    counted = models.CharField(primary_key=True, max_length=64)
    tried = models.PositiveIntegerField()
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.tried} until {self.ends_at:%H:%M:%S}"
