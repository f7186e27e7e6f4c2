"""How much a team may ask for: channels, and tests of them.

Counted in the record and its audit, so that all processes count together and a channel that is deleted still counts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from accounts.audit.models import AuditEntry
from accounts.models import Team
from alerts.models import Channel
from config.errors import Fault, Invalid, TooManyRequests

CHANNELS = 20
CHANNEL_TESTS, TEAM_TESTS = 3, 6
SPAN = timedelta(minutes=1)
# A test holds the thread that answers its page or request for as long as the other side takes.
TESTS_AT_ONCE = 4
slots = threading.BoundedSemaphore(TESTS_AT_ONCE)


def lock(team: Team | None) -> None:
    """Let nobody else count for this team until the transaction ends."""
    if team is not None:
        Team.objects.select_for_update(no_key=True).get(pk=team.pk)


def refuse_too_many(team: Team | None) -> None:
    """Raise Invalid where the team (or the server) has as many channels as it may have. Call it in the transaction that makes one."""
    lock(team)
    if Channel.objects.filter(team=team).count() >= CHANNELS:
        message = f"There are {CHANNELS} channels already, as many as a team may have: delete one, or change one."
        raise Invalid(message, [Fault(None, "team", "too_many", message)])


def take_turn(channel: Channel, *, at: datetime) -> None:
    """Raise TooManyRequests where the channel or its team had its tests of this minute. Call it in the transaction that notes the test."""
    lock(channel.team)
    tested = AuditEntry.objects.filter(act="channel.tested", at__gt=at - SPAN, team_id=channel.team_id)
    if tested.filter(on_id=str(channel.pk)).count() >= CHANNEL_TESTS or tested.count() >= TEAM_TESTS:
        raise TooManyRequests(
            f"A channel can be tested {CHANNEL_TESTS} times a minute, and the channels of a team {TEAM_TESTS} times: wait a minute.",
            retry_after_s=int(SPAN.total_seconds()),
            code="too_many_tests",
        )


@contextmanager
def one_of_few() -> Iterator[None]:
    """While one of the few tests that this process sends at once. Raises TooManyRequests."""
    if not slots.acquire(blocking=False):
        raise TooManyRequests("Other tests are under way: try again in ten seconds.", retry_after_s=10, code="too_many_tests")
    try:
        yield
    finally:
        slots.release()
