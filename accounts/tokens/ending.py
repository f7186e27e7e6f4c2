"""Tokens that end, or may do less from now on. Whatever a token made ends and shrinks with it."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.access import Caller
from accounts.audit.recording import record
from accounts.models import ApiToken, Scope, User
from accounts.tokens.issuing import earliest
from config.errors import Fault, Invalid
from metrics.ingest.grants import GRANTS
from projects.models import Project


class Narrower(TypedDict):
    """What may be changed of a token: its name, and everything else only towards less."""

    name: NotRequired[str]
    scope: NotRequired[Scope]
    project: NotRequired[Project]
    expires_at: NotRequired[datetime]


def within_reach(caller: Caller) -> QuerySet[ApiToken]:
    """The tokens that the caller may see and end: the own ones in the caller's teams. A token that does not administer reaches itself and what it made."""
    own = ApiToken.objects.filter(caller.within("project"), user=caller.user, team__in=caller.teams()).select_related("team", "project", "parent")
    token = caller.token
    if token is None or Scope(token.scope).includes(Scope.ADMIN):
        return own
    return own.filter(Q(pk=token.pk) | Q(pk__in=ApiToken.objects.made_by([token]).values("pk")))


@transaction.atomic
def revoke(token: ApiToken) -> None:
    """End a token and what it made now, in this process at once."""
    if token.revoked_at is None:
        record("token.revoked", on=token)
    token.revoke()
    transaction.on_commit(GRANTS.forget)


def living_of(user: User) -> QuerySet[ApiToken]:
    """The tokens of a person that hold: whoever changes the password is asked which of them to end."""
    return ApiToken.objects.usable(at=timezone.now()).filter(user=user).select_related("team", "project")


@transaction.atomic
def narrow(token: ApiToken, **asked: object) -> None:
    """Change a token's name, or let it do less: a narrower scope, one project, an earlier end. Raises Invalid for more than it has."""
    changes = Narrower(**asked)  # type: ignore[typeddict-item]
    held = ApiToken.objects.select_for_update(of=("self",)).get(pk=token.pk)  # as it is now: another request may have narrowed it meanwhile
    refuse_wider(held, changes)
    said = [f"scope {held.scope} to {value}" if name == "scope" else name for name, value in changes.items()]
    for name, value in changes.items():
        setattr(held, name, value)
        setattr(token, name, value)
    if not changes:
        return
    held.save(update_fields=list(changes))
    shrink_made(held)
    record("token.changed", on=token, details={"changed": ", ".join(said)})


def shrink_made(token: ApiToken) -> None:
    """Let what a token made do no more than the token does now, and end no later; this process decides anew at once."""
    for made in ApiToken.objects.made_by([token]).filter(revoked_at=None).select_for_update(of=("self",)):
        shrink(made, token)
    transaction.on_commit(GRANTS.forget)


def refuse_wider(token: ApiToken, changes: Narrower) -> None:
    """Raise Invalid for the first change that would let the token do more."""
    scope, project = changes.get("scope"), changes.get("project")
    if scope is not None and not Scope(token.scope).includes(scope):
        raise wider("scope", f"this token has {token.scope}, which does not include {scope.value}")
    if project is not None and (project.team_id != token.team_id or token.project_id not in (None, project.pk)):
        raise wider("project", "this token is for another team or project")
    if "expires_at" in changes and token.expires_at is not None and changes["expires_at"] > token.expires_at:
        raise wider("expires_at", f"this token ends on {token.expires_at:%Y-%m-%d %H:%M} UTC")


def wider(field: str, why: str) -> Invalid:
    """The refusal of a change that is none towards less."""
    message = f"A token can only be narrowed, and {why}: make a new one."
    return Invalid(message, [Fault(None, field, "wider", message)])


def shrink(made: ApiToken, maker: ApiToken) -> None:
    """Let a token do no more than the one that made it; one that could do nothing then is ended."""
    if not Scope(maker.scope).includes(Scope(made.scope)):
        if not Scope(made.scope).includes(Scope(maker.scope)):
            revoke(made)
            return
        made.scope = maker.scope
    if maker.project_id is not None and made.project_id not in (None, maker.project_id):
        revoke(made)
        return
    made.project_id = maker.project_id or made.project_id
    made.expires_at = earliest(made.expires_at, maker.expires_at)
    made.save(update_fields=["scope", "project", "expires_at"])
