"""Who a request comes from, and what that caller may do in which team."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from django.db import models

from accounts.models import ApiToken, Membership, Role, Scope, Team, User
from accounts.scopes import refusal
from accounts.signing_in.proof import session_proved_at
from config.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from django.http import HttpRequest

NOT_MADE = "A token of the scope ingest (Log) reaches the runs that it made itself, and this is another: use one of the scope read (Read) or write (Edit)."


@dataclass(frozen=True)
class Caller:
    """A user, by session, by JWT or by token; a token speaks for its one team only, within its scope, and perhaps for one project.

    `proved_at` is when the password was last given for this session or JWT, None where nobody knows.
    """

    user: User
    token: ApiToken | None = None
    proved_at: datetime | None = None

    def teams(self) -> models.QuerySet[Team]:
        """The teams whose records the caller may read."""
        return Team.objects.filter(pk__in=list(self.roles))

    @cached_property
    def roles(self) -> dict[uuid.UUID, Role]:
        """Role by team id. A superuser is admin everywhere."""
        if self.user.is_superuser:
            roles = dict.fromkeys(Team.objects.values_list("pk", flat=True), Role.ADMIN)
        else:
            roles = {m.team_id: Role(m.role) for m in Membership.objects.filter(user=self.user)}
        return roles if self.token is None else {team: role for team, role in roles.items() if team == self.token.team_id}

    @property
    def is_operator(self) -> bool:
        """Whether the caller may do what concerns the whole server: a superuser, by a token only where that administers and is of no one project."""
        if not self.user.is_superuser or self.token is None:
            return self.user.is_superuser
        return Scope(self.token.scope).includes(Scope.ADMIN) and self.token.project_id is None

    @property
    def logs_alone(self) -> bool:
        """Whether the caller is a token that reaches only what it made itself."""
        return self.token is not None and self.token.scope == Scope.INGEST

    def within(self, project: str) -> models.Q:
        """What a token of one project sees of rows whose project stands at `project`; all where it is of the whole team."""
        limit = self.token.project_id if self.token else None
        return models.Q() if limit is None else models.Q(**{project: limit})

    def made(self, made_with: str) -> models.Q:
        """What a token that reaches only its own sees of rows that say at `made_with` which token made them."""
        return models.Q(**{made_with: self.token.pk}) if self.token is not None and self.logs_alone else models.Q()

    def require(self, role: Role, team_id: uuid.UUID) -> None:
        """Raise NotFound where the caller has no part in the team, Forbidden where the role or the token's scope is too weak."""
        held = self.roles.get(team_id)
        if held is None:
            raise NotFound("Not there, or not yours.")
        if not held.allows(role):
            raise Forbidden(f"This takes the role {role.label.lower()} in the team; yours is {held.label.lower()}. An admin of the team can change it.")
        if self.token is not None and not Scope(self.token.scope).role.allows(role):
            raise Forbidden(refusal(self.token, [Scope.ADMIN if role == Role.ADMIN else Scope.WRITE]))

    def require_made(self, made_with: uuid.UUID | None) -> None:
        """Raise Forbidden where the caller is a token that reaches only what it made, and this was made otherwise."""
        if self.token is not None and self.logs_alone and made_with != self.token.pk:
            raise Forbidden(NOT_MADE)


def caller(request: HttpRequest) -> Caller:
    """The caller of an authenticated request, session or API."""
    known: Caller | None = getattr(request, "_caller", None)
    if known is None:
        token, bearer = getattr(request, "auth", None), getattr(request, "bearer", None)
        proved_at = bearer.proved_at if bearer else session_proved_at(request)
        known = Caller(user=request.user, token=token if isinstance(token, ApiToken) else None, proved_at=proved_at)  # type: ignore[arg-type]
        request._caller = known  # type: ignore[attr-defined]
    return known
