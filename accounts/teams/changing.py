"""The verbs of teams: made, renamed, left."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from accounts import services
from accounts.access import Caller
from accounts.audit.recording import record
from accounts.models import Membership, Role, Team, User
from accounts.slugs import is_uuid
from config.errors import Conflict, NotFound
from metrics.ingest.grants import GRANTS

SLUG_ATTEMPTS = 20
ADMINISTERED_MOST = 50


def make(name: str, *, by: User) -> Team:
    """A new team with this person as its admin. Raises Conflict for who administers very many."""
    if not by.is_superuser and Membership.objects.filter(user=by, role=Role.ADMIN).count() >= ADMINISTERED_MOST:
        raise Conflict(f"You are admin of {ADMINISTERED_MOST} teams already: an operator makes more.")
    for _ in range(SLUG_ATTEMPTS):
        try:
            with transaction.atomic():
                team = Team.objects.create(name=name)
                Membership.objects.create(team=team, user=by, role=Role.ADMIN)
                record("team.made", on=team, by=by)
                transaction.on_commit(GRANTS.forget)
                return team
        except IntegrityError as error:
            if "slug" not in str(error):
                raise
    raise Conflict(f"Others took the slug of {name!r} at the same moment: try again, or choose another name.")


@transaction.atomic
def rename(team: Team, name: str, *, by: User) -> None:
    """Call it otherwise. The slug stays, so that scripts and links keep working."""
    was = team.name
    if name != was:
        team.name = name
        team.save(update_fields=["name"])
        record("team.renamed", on=team, by=by, details={"was": was})


def leave(team: Team, user: User) -> None:
    """Go. Tokens of the team end. Raises NotFound for who is not in it, Conflict for the last admin: make another one first."""
    membership = Membership.objects.select_related("team", "user").filter(team=team, user=user).first()
    if membership is None:
        raise NotFound("You are not in this team.")
    services.remove_member(membership, by=user, act="member.left")


def is_last_admin(team: Team, user: User) -> bool:
    """Whether the team would have no admin without this one."""
    return list(Membership.objects.filter(team=team, role=Role.ADMIN, user__is_active=True).values_list("user", flat=True)[:2]) == [user.pk]


def administered(caller: Caller, slug: str) -> Team:
    """The team with this slug, for its admins. Raises NotFound, or Forbidden for other members."""
    team = seen(caller, slug)
    caller.require(Role.ADMIN, team.pk)
    return team


def seen(caller: Caller, slug: str) -> Team:
    """The caller's team with this slug. Raises NotFound."""
    team = caller.teams().filter(slug=slug).first() if not is_uuid(slug) else None
    if team is None:
        raise NotFound("There is no such team, or it is not yours.")
    return team
