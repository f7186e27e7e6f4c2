"""What endpoints of one team share."""

from __future__ import annotations

from accounts import services
from accounts.endpoints import RecordView
from accounts.models import Role, Team


class OfTeam(RecordView):
    """An endpoint below the address of one team, for its admins."""

    def team(self) -> Team:
        """The team in the address. Raises NotFound, or Forbidden for everybody but its admins."""
        team = services.team_named(self.caller, self.kwargs["team"])
        self.require(Role.ADMIN, team.pk)
        return team
