"""Who a request comes from, and what that caller may do in which team."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from django.db import models

from accounts.models import ApiToken, Membership, Role, Team, User
from config.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from django.http import HttpRequest


@dataclass(frozen=True)
class Caller:
    """A user, by session or by token; a token speaks for its one team only."""

    user: User
    token: ApiToken | None = None

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

    def require(self, role: Role, team_id: uuid.UUID) -> None:
        """Raise NotFound where the caller has no part in the team, Forbidden where the role is too weak."""
        held = self.roles.get(team_id)
        if held is None:
            raise NotFound("Not there, or not yours.")
        if not held.allows(role):
            raise Forbidden(f"This takes the role {role.label.lower()} in the team; yours is {held.label.lower()}. An admin of the team can change it.")


def caller(request: HttpRequest) -> Caller:
    """The caller of an authenticated request, session or API."""
    known: Caller | None = getattr(request, "_caller", None)
    if known is None:
        token = getattr(request, "auth", None)
        known = Caller(user=request.user, token=token if isinstance(token, ApiToken) else None)  # type: ignore[arg-type]
        request._caller = known  # type: ignore[attr-defined]
    return known
