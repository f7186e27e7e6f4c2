"""Making tokens: what one may be asked to do, how long it holds, and that whoever asks gave the password lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.access import Caller
from accounts.audit.recording import record
from accounts.models import GENERATIONS_MOST, ApiToken, Scope, Team, User
from accounts.scopes import refuse_scope
from accounts.signing_in.authentication import UNKNOWN
from accounts.signing_in.backends import is_password_of
from accounts.signing_in.proof import is_fresh, note_proof
from config.errors import Conflict, Fault, Forbidden, Invalid, Unauthenticated
from projects.models import Project

LIVING_MOST = 200
GIVEN = [(scope.value, scope.label) for scope in Scope if scope != Scope.BEFORE]
ASK = "Your sign-in is older than an hour: give your password again to make a token."


class PasswordNeeded(Forbidden):
    """The password was given too long ago."""

    code = "password_needed"


@dataclass(frozen=True)
class Wanted:
    """What a new token is to be. Without `expires_at` it ends as late as it may."""

    name: str
    team: Team
    scope: Scope
    project: Project | None = None
    expires_at: datetime | None = None


def needs_password(caller: Caller) -> bool:
    """Whether the password has to be given before a token is made. What one token makes ends with it, and needs none."""
    return caller.token is None and not is_fresh(caller.proved_at)


def prove(request: HttpRequest, caller: Caller, password: str) -> None:
    """Raise PasswordNeeded where the caller must give the password and did not, Invalid where it is a wrong one. A right one holds for an hour."""
    if not needs_password(caller):
        return
    if not password:
        raise PasswordNeeded(ASK)
    if not is_password_of(request, caller.user, password):
        record("sign_in.failed", on=caller.user)
        message = "This is not your password. Capital letters count."
        raise Invalid(message, [Fault(None, "password", "wrong", message)])
    if getattr(request, "bearer", None) is None:
        note_proof(request)


@transaction.atomic
def mint(caller: Caller, wanted: Wanted, *, by: User | None = None) -> tuple[ApiToken, str]:
    """A new token of the caller and its text; `by` is who makes it where that is another.

    Raises Forbidden for one that could do more than the token that makes it, or too far below the first, Invalid for an end past TOKEN_MAX_DAYS,
    Conflict past LIVING_MOST.
    """
    parent = held(caller.token) if caller.token else None
    project = wanted.project
    if parent is not None:
        refuse_wider(parent, wanted)
        project = project or parent.project
    if ApiToken.objects.usable(at=timezone.now()).filter(user=caller.user).count() >= LIVING_MOST:
        raise Conflict(f"You have {LIVING_MOST} tokens that have not ended: revoke those that nothing uses.")
    ends_at = earliest(latest_end(wanted.expires_at), parent.expires_at if parent else None)
    made = ApiToken.issue(user=caller.user, team=wanted.team, name=wanted.name, scope=wanted.scope, expires_at=ends_at, project=project, parent=parent)
    record("token.made", on=made[0], by=by or caller.user, details={"scope": wanted.scope.value, "ends": ends_at.isoformat() if ends_at else ""})
    return made


def held(token: ApiToken) -> ApiToken:
    """The token's row, locked until the transaction ends: whoever revokes it meanwhile finds what it made. Raises Unauthenticated where it has ended."""
    found = ApiToken.objects.select_for_update(of=("self",)).filter(pk=token.pk, revoked_at=None).first()
    if found is None:
        raise Unauthenticated(UNKNOWN)
    return found


def refuse_wider(parent: ApiToken, wanted: Wanted) -> None:
    """Raise Forbidden where a token would make one that may do more than itself, or for which more would have to be looked at than `usable` does."""
    refuse_scope(parent, [wanted.scope])
    if wanted.team.pk != parent.team_id or (wanted.project is not None and parent.project_id not in (None, wanted.project.pk)):
        raise Forbidden("A token makes tokens for what it reaches itself: sign in to make one for another team or project.")
    if ApiToken.objects.filter(pk=parent.pk, **{"__".join([*["parent"] * GENERATIONS_MOST, "isnull"]): False}).exists():
        raise Forbidden(f"Above this token stand {GENERATIONS_MOST} that made each other: ask with one of those, or sign in.")


def latest_end(asked: datetime | None) -> datetime | None:
    """When a token ends that is asked for with this end: within TOKEN_MAX_DAYS, where that is set. Raises Invalid for a later one."""
    days = settings.TOKEN_MAX_DAYS
    last = timezone.now() + timedelta(days=days) if days else None
    if last is not None and asked is not None and asked > last + timedelta(days=1):  # a last day is whole
        message = f"Here a token holds for {days} days at most: give an end before {last:%Y-%m-%d}."
        raise Invalid(message, [Fault(None, "expires_at", "too_late", message)])
    return earliest(asked, last) if asked is None else asked


def earliest(*ends: datetime | None) -> datetime | None:
    """The first of some ends, None for never."""
    return min((end for end in ends if end is not None), default=None)
