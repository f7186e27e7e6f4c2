"""The verbs of channels: where a team's alerts are sent."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.models import Team
from config.errors import Fault, Invalid
from metrics import webhooks
from metrics.alert_models import Channel


def create(team: Team | None, **fields: Any) -> Channel:  # Any: values of several fields
    """A new channel of a team; without one, for alerts about the server. Raises Invalid for a target that cannot be one."""
    channel = Channel(team=team, **fields)
    check(channel.kind, channel.target)
    channel.save()
    return channel


def change(channel: Channel, **fields: Any) -> None:  # Any: values of several fields
    """Change what is given. Raises Invalid for a target that cannot be one."""
    for name, value in fields.items():
        setattr(channel, name, value)
    check(channel.kind, channel.target)
    if fields:
        channel.save(update_fields=list(fields))


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
