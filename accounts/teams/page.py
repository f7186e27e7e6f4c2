"""What the pages of a team show: members, when each was last seen, invitations, the last lines of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.conf import settings
from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from accounts.access import Caller
from accounts.models import ApiToken, BrowserSession, Invitation, Membership, Role, Team
from accounts.teams import lines

MEMBERS_MOST = 500
LINES_SHOWN = 7
COMING_AND_GOING = ("sign_in.done", "sign_in.ended")
CAN = (
    ("See projects, runs and files", Role.VIEWER),
    ("Log runs, tag, note, state hypotheses", Role.EDITOR),
    ("Archive runs, set the baseline for all", Role.EDITOR),
    ("Delete runs and projects", Role.ADMIN),
    ("Invite people, change roles", Role.ADMIN),
    ("Read the audit list", Role.ADMIN),
)


@dataclass
class TeamPage:
    """One team, as one caller sees it."""

    team: Team
    caller: Caller
    q: str = ""

    @cached_property
    def role(self) -> Role:
        """What the caller may do here."""
        return self.caller.roles[self.team.pk]

    @cached_property
    def is_admin(self) -> bool:
        """Whether the caller manages the team."""
        return self.role.allows(Role.ADMIN)

    @cached_property
    def own(self) -> Membership | None:
        """The caller's own membership; None for an operator who is not in the team."""
        return Membership.objects.filter(team=self.team, user=self.caller.user).first()

    @cached_property
    def member_count(self) -> int:
        """How many are in the team."""
        return self.team.memberships.count()

    @cached_property
    def project_count(self) -> int:
        """How many projects it has."""
        return int(self.team.projects.count())

    @cached_property
    def members(self) -> list[Member]:
        """Those who are in it, by name; narrowed by `q`."""
        found = members_of(self.team)
        if self.q:
            typed = Q(user__username__icontains=self.q) | Q(user__first_name__icontains=self.q) | Q(user__last_name__icontains=self.q)
            found = found.filter(typed | Q(user__email__icontains=self.q))
        return [Member(membership, is_self=membership.user_id == self.caller.user.pk) for membership in found[:MEMBERS_MOST]]

    @cached_property
    def invitations(self) -> list[Invitation]:
        """Those that are open. Only admins see them."""
        return list(Invitation.objects.filter(team=self.team).open(at=timezone.now()).select_related("made_by")[:MEMBERS_MOST]) if self.is_admin else []

    @cached_property
    def lines(self) -> list[object]:
        """The last lines of the audit but for the coming and going of members. Only admins see them."""
        return list(lines.of_team(self.team).exclude(act__in=COMING_AND_GOING)[:LINES_SHOWN]) if self.is_admin else []

    @property
    def keep_days(self) -> int:
        """For how long lines are kept."""
        return int(settings.AUDIT_KEEP_DAYS)

    @property
    def can(self) -> list[tuple[str, list[bool]]]:
        """What each role can: admin, editor, viewer."""
        return [(words, [role.allows(needed) for role in (Role.ADMIN, Role.EDITOR, Role.VIEWER)]) for words, needed in CAN]


@dataclass(frozen=True)
class Member:
    """One member, and what is known of when it was last here."""

    membership: Membership
    is_self: bool

    @property
    def name(self) -> str:
        """What people call it."""
        return self.membership.user.get_full_name() or self.membership.user.username

    @property
    def initials(self) -> str:
        """Two letters of the name."""
        words = self.name.replace(".", " ").replace("_", " ").split() or ["?"]
        return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()

    @property
    def seen_at(self) -> datetime | None:
        """When a browser or a script of this member was last here."""
        known = (self.membership.browser_seen_at, self.membership.token_used_at, self.membership.user.last_login)  # type: ignore[attr-defined]  # annotated
        return max((at for at in known if at), default=None)


def members_of(team: Team) -> QuerySet[Membership]:
    """Memberships with what a row shows: `tokens` that work, `token_used_at`, `browser_seen_at`."""
    now = timezone.now()
    tokens = ApiToken.objects.usable(at=now).filter(team=team, user=OuterRef("user")).order_by().values("user")
    seen = BrowserSession.objects.filter(user=OuterRef("user")).order_by().values("user")
    return (
        team.memberships.select_related("user", "team")
        .annotate(
            tokens=Subquery(tokens.annotate(n=Count("pk")).values("n")),
            token_used_at=Subquery(tokens.annotate(at=Max("last_used_at")).values("at")),
            browser_seen_at=Subquery(seen.annotate(at=Max("seen_at")).values("at")),
        )
        .order_by("user__username")
    )
