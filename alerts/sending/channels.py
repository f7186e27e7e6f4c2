"""The verbs of channels: where a team's alerts are sent."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from accounts.access import Caller
from accounts.audit.recording import changes, record
from accounts.models import Role, Team
from alerts.models import Channel, Delivery, new_secret
from alerts.sending import allowance, webhooks
from config.errors import Fault, Invalid, NotFound

# Whose ----------------------------------------------------------------------------------------------------------------------------------


def administered(caller: Caller) -> list[uuid.UUID]:
    """The ids of the teams whose channels the caller may see and change."""
    return [team for team, role in caller.roles.items() if role.allows(Role.ADMIN)]


def of(caller: Caller) -> QuerySet[Channel]:
    """The channels that the caller may change, the server's own for operators; each with `last_state`, `last_at` and `last_error` of what it was sent last."""
    newest = Delivery.objects.filter(channel=OuterRef("pk")).order_by("-created_at")
    last = {f"last_{name}": Subquery(newest.values(column)[:1]) for name, column in (("state", "state"), ("at", "created_at"), ("error", "last_error"))}
    mine = Channel.objects.filter(team__in=administered(caller))
    if caller.user.is_superuser:
        mine = mine | Channel.objects.filter(team=None)
    return mine.select_related("team").annotate(**last)


def changeable(caller: Caller, channel_id: uuid.UUID) -> Channel:
    """The channel that the caller may change. Raises NotFound, or Forbidden for a member who is no admin."""
    channel = Channel.objects.select_related("team").filter(pk=channel_id).first()
    is_theirs = channel is not None and (caller.user.is_superuser if channel.team_id is None else channel.team_id in caller.roles)
    if channel is None or not is_theirs:
        raise NotFound("There is no such channel, or it is not yours.")
    if channel.team_id is not None:
        caller.require(Role.ADMIN, channel.team_id)
    return channel


# Verbs ----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def create(team: Team | None, **fields: Any) -> Channel:  # Any: values of several fields
    """A new channel of a team; without one, for alerts about the server. Raises Invalid for a target that cannot be one, and for one channel too many."""
    channel = Channel(team=team, **fields)
    check(channel.kind, channel.target)
    allowance.refuse_too_many(team)
    channel.save()
    record("channel.made", on=channel, details={"kind": channel.kind, "target": shown(channel.target)})
    return channel


@transaction.atomic
def change(channel: Channel, **fields: Any) -> Channel:  # Any: values of several fields
    """The channel with what is given changed. Raises Invalid for a target that cannot be one."""
    check(channel.kind, fields.get("target", channel.target))
    changed = list(changes(channel, fields))
    for name, value in fields.items():
        setattr(channel, name, value)
    if fields:
        channel.save(update_fields=list(fields))
    if changed:
        record("channel.changed", on=channel, details={"changed": ", ".join(changed), "target": shown(channel.target)})
    return channel


@transaction.atomic
def delete(channel: Channel) -> None:
    """Send no more there, nor what still waits."""
    record("channel.removed", on=channel, details={"kind": channel.kind, "target": shown(channel.target)})
    channel.delete()


def shown(target: str) -> str:
    """A target without what may be secret in it: of a webhook, the host."""
    return urlsplit(target).hostname or target if "://" in target else target


@transaction.atomic
def renew_secret(channel: Channel) -> None:
    """Sign with another secret from now on."""
    channel.secret = new_secret()
    channel.save(update_fields=["secret"])
    record("channel.secret", on=channel)


def check(kind: str, target: str) -> None:
    """Raise Invalid where a channel of this kind could not send there."""
    if kind == Channel.Kind.WEBHOOK:
        webhooks.check_url(target)
    elif target:
        try:
            validate_email(target)
        except ValidationError as error:
            message = f"{target!r} is no e-mail address: give one, or nothing for the team's admins."
            raise Invalid(message, [Fault(None, "target", "invalid", message)]) from error
