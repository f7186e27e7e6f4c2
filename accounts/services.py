"""The verbs of teams and members."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.access import Caller
from accounts.audit.recording import record
from accounts.models import Invitation, Membership, Role, Team, User
from accounts.slugs import is_uuid, meant, only, spellings
from config.errors import Conflict, Fault, Invalid, NotFound
from config.web.words import COMPARED_MOST, nearest
from config.web.words import meant as perhaps
from metrics.ingest.grants import GRANTS


def team_named(caller: Caller, reference: str) -> Team:
    """The caller's team with this UUID, else of this exact name, else with this slug. Raises NotFound, or Conflict where several have the name."""
    teams, words = caller.teams(), spellings(reference)
    found = list(teams.filter(pk=reference)) if is_uuid(reference) else meant(teams.filter(Q(name__in=words) | Q(slug__in=words)), reference)
    team = only(found, reference, whose="Several of your teams have the name")
    if team is None:
        near = "" if is_uuid(reference) else nearest(reference, teams.values_list("slug", flat=True)[:COMPARED_MOST])
        raise NotFound(f"There is no team {reference!r}, or it is not yours.{perhaps(near)} GET /api/v1/teams lists yours.")
    return team


def default_team(caller: Caller) -> Team:
    """The token's team, or the caller's only one. Raises Invalid, naming the choices, where there is none or more."""
    teams = list(caller.teams()[:20])
    if len(teams) == 1:
        return teams[0]
    if not teams:
        raise Invalid("You are in no team: an admin can invite you to one, or make one of your own.")
    choices = f"Say which team: {', '.join(team.slug for team in teams)}."
    raise Invalid(f"You are in more than one team. {choices}", [Fault(None, "team", "required", choices)])


def user_named(reference: str) -> User:
    """The active user with this username or e-mail address. Raises Invalid."""
    by = {"email__iexact": reference} if "@" in reference else {"username": reference}
    user = User.objects.filter(is_active=True, **by).first() or User.objects.filter(is_active=True, username=reference).first()
    if user is None:
        message = f"There is no active user {reference!r}: an operator makes users in the admin."
        raise Invalid(message, [Fault(None, "user", "unknown", message)])
    return user


@transaction.atomic
def add_member(team: Team, user: User, role: str, *, by: User | None = None) -> Membership:
    """Take a user into a team without asking, as operators may. Raises Conflict where the user is in it already."""
    membership = enter(team, user, role)
    record("member.added", team=team, on=user, by=by, details={"role": role})
    return membership


@transaction.atomic
def enter(team: Team, user: User, role: str) -> Membership:
    """Make a user a member, whoever asked for it. Raises Conflict where the user is one already."""
    membership, is_new = Membership.objects.get_or_create(team=team, user=user, defaults={"role": role})
    if not is_new:
        raise Conflict(f"{user} is in {team} already, as {membership.role}: PATCH the member to change the role.")
    transaction.on_commit(GRANTS.forget)
    return membership


@transaction.atomic
def change_role(membership: Membership, role: str, *, by: User | None = None) -> None:
    """Give a member another role. Raises Conflict where the team would lose its last admin.

    Who is no admin any more has invited nobody: open invitations of that admin are taken back.
    """
    if role != Role.ADMIN:
        keep_an_admin(membership)
    was = Membership.objects.select_for_update().get(pk=membership.pk).role
    membership.role = role
    membership.save(update_fields=["role"])
    if role != Role.ADMIN:
        take_back_invitations(by=by, team=membership.team_id, made_by=membership.user_id)
    if role != was:
        record("member.role", team=membership.team, on=membership.user, by=by, details={"was": was, "role": role})
    transaction.on_commit(GRANTS.forget)


@transaction.atomic
def remove_member(membership: Membership, *, by: User | None = None, act: str = "member.removed") -> None:
    """Let a member go, and take back whom this one had invited; what tokens spoke for the member in this team end for good.

    Raises Conflict where the team would lose its last admin.
    """
    keep_an_admin(membership)
    take_back_invitations(by=by, team=membership.team_id, made_by=membership.user_id)
    record(act, team=membership.team, on=membership.user, by=by, details={"role": membership.role})
    membership.delete()
    transaction.on_commit(GRANTS.forget)


def take_back_invitations(*, by: User | None, **whose: Any) -> None:  # Any: values of several fields
    """Let these open nothing any more, with a line of each that was open still. In the transaction of the act that asks for it."""
    for invitation in Invitation.objects.open(at=timezone.now()).filter(**whose).select_related("team").select_for_update(of=("self",)):
        record("invitation.taken_back", on=invitation, by=by)
    Invitation.objects.take_back(**whose)


def keep_an_admin(leaving: Membership) -> None:
    """Raise Conflict where no other admin stays. Locks the team's admins until the transaction ends."""
    admins = list(Membership.objects.select_for_update(of=("self",)).filter(team=leaving.team_id, role=Role.ADMIN, user__is_active=True))
    if admins == [leaving]:
        raise Conflict(f"{leaving.team} would be left without its last admin: make another member admin first.")
