"""What is to be sent of alerts: written in the transaction that changes them, delivered at least once, each under an id that does not change."""

from __future__ import annotations

import logging
import random
import smtplib
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.urls import reverse
from django.utils import timezone

from accounts.audit.recording import record
from accounts.models import Role, User
from alerts.models import Alert, Channel, Delivery, Severity
from alerts.sending import webhooks
from alerts.sending.allowance import one_of_few, take_turn
from alerts.sending.turns import Errand, Turns
from alerts.sending.webhooks import NotDelivered

logger = logging.getLogger(__name__)
BACKOFF_S = (30.0, 7200.0)
GIVEN_UP_AFTER = timedelta(days=1)
# Longer than any one delivery can take: a process that died with it in hand lets it go then.
HELD = timedelta(minutes=2)
KEPT = timedelta(days=30)
RUN_S = 40.0
# Of what is due in a run, that is in a minute: for one channel, for one team, and in all. The rest waits.
CHANNEL_MOST, TEAM_MOST, DUE_MOST = 30, 60, 2000
WORDS = {Delivery.Event.OPENED: "", Delivery.Event.RESOLVED: "Resolved: "}
TEST_SAYING = "Alerts of {team} from {severity} severity on are sent here. Nothing has to be done."


# Writing -----------------------------------------------------------------------------------------------------------------------------------


def write(alert: Alert, event: Delivery.Event) -> None:
    """Note what is to be sent, one row a channel; what was noted before is not noted again. Call it in the transaction that changes the alert."""
    channels = list(channels_for(alert, event))
    rows = [Delivery(alert=alert, channel=channel, event=event, body=body(alert, event)) for channel in channels]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)


def channels_for(alert: Alert, event: Delivery.Event) -> QuerySet[Channel]:
    """The channels of the alert's team that care this much; of an end, those that heard of the beginning."""
    mine = Channel.objects.filter(team=alert.team_id, enabled=True)
    if event == Delivery.Event.RESOLVED:
        return mine.filter(deliveries__alert=alert, deliveries__event=Delivery.Event.OPENED).distinct()
    return mine.filter(least_severity__in=Severity.at_most(alert.severity))


def body(alert: Alert, event: Delivery.Event) -> dict[str, Any]:
    """The message as JSON: `text` and `blocks` as Slack reads them, and the alert itself in `alert`."""
    lines = (headline(alert, event), saying(alert, event), address(alert))
    return {"text": "\n".join(lines), "blocks": blocks(*lines), "event": event.value, "alert": fields(alert)}


def test_body(channel: Channel) -> dict[str, Any]:
    """A message of the same form that tells of no alert."""
    team = channel.team.name if channel.team else "the server"
    said = TEST_SAYING.format(team=team, severity=channel.get_least_severity_display().lower())
    lines = (" ".join(f"Test of {channel.name}".split()), said, settings.SITE_URL + reverse("alerts:channel", args=[channel.pk]))
    return {"text": "\n".join(lines), "blocks": blocks(*lines), "event": Delivery.Event.TEST.value, "alert": None}


def headline(alert: Alert, event: Delivery.Event) -> str:
    """One line: what, and where."""
    return " ".join(f"{WORDS[event]}{alert.get_kind_display()}: {alert.where}".split())


def saying(alert: Alert, event: Delivery.Event) -> str:
    """What was seen, or how it ended."""
    return alert.message if event == Delivery.Event.OPENED else alert.resolution


def blocks(headline: str, saying: str, address: str) -> list[dict[str, Any]]:
    """The message in Slack's block kit."""
    said = f"*{escaped(headline)}*\n{escaped(saying)}\n<{address}|Open>"
    return [{"type": "section", "text": {"type": "mrkdwn", "text": said}}]


def escaped(text: str) -> str:
    """Text in which Slack sees no markup of ours."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def address(alert: Alert) -> str:
    """The page where a person sees to it."""
    if alert.experiment is None or alert.experiment.project is None:
        return settings.SITE_URL + reverse("alerts:alerts")
    project = alert.experiment.project
    return settings.SITE_URL + reverse("experiments:experiment", args=[project.team.slug, project.slug, alert.experiment.slug])


def fields(alert: Alert) -> dict[str, Any]:
    """The alert for a program."""
    ended = alert.resolved_at
    return {
        "id": alert.pk,
        "kind": alert.kind,
        "severity": alert.severity,
        "message": alert.message,
        "team": alert.team.slug if alert.team else None,
        "project": alert.project.slug if alert.project else None,
        "experiment": alert.experiment.slug if alert.experiment else None,
        "metric": alert.metric,
        "part": alert.part,
        "opened_at": alert.opened_at.isoformat(),
        "resolved_at": ended.isoformat() if ended else None,
        "resolution": alert.resolution,
        "url": address(alert),
    }


# Sending -----------------------------------------------------------------------------------------------------------------------------------


def deliver_due(*, at: datetime | None = None) -> int:
    """Send what is due, beginning nothing after RUN_S; how many arrived. A channel that fails rests until the next run."""
    at = at or timezone.now()
    found = {delivery.pk: delivery for delivery in due(at=at)}
    turns = Turns(
        take=lambda errand: sender(found[errand.id]) if is_taken(found[errand.id], at=at) else None,
        settle=lambda errand, failed: is_settled(found[errand.id], failed, at=at),
    )
    return turns.run(map(errand_of, found.values()), within_s=RUN_S)


def due(*, at: datetime) -> list[Delivery]:
    """What is due in this run, in the order of its turn: the first message of each channel, then the second; what failed before, last."""
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING, next_at__lte=at)
    place = Window(RowNumber(), partition_by=[F("channel")], order_by=[F("next_at"), F("created_at")])
    mine = waiting.annotate(place=place).filter(place__lte=CHANNEL_MOST).select_related("channel__team")
    found: list[Delivery] = []
    of_team = Counter[uuid.UUID | None]()
    for delivery in mine.order_by("place", "attempts", "next_at", "created_at")[:DUE_MOST]:
        of_team[delivery.channel.team_id] += 1
        if of_team[delivery.channel.team_id] <= TEAM_MOST:
            found.append(delivery)
    return found


def errand_of(delivery: Delivery) -> Errand:
    """A delivery as one of the errands that take turns; e-mails share the line of the mail server."""
    channel = delivery.channel
    host = webhooks.host_of(channel.target) if channel.kind == Channel.Kind.WEBHOOK else Channel.Kind.EMAIL.value
    return Errand(delivery.pk, channel.pk, channel.team_id, host)


def send_test(channel: Channel, *, at: datetime | None = None) -> Delivery:
    """Send a test message at once, within WHOLE_S of a webhook or the mail server's own limit; its row says what came of it. Raises TooManyRequests."""
    at = at or timezone.now()
    with one_of_few():
        with transaction.atomic():
            take_turn(channel, at=at)
            delivery = Delivery.objects.create(channel=channel, event=Delivery.Event.TEST, body=test_body(channel), attempts=1, next_at=at + HELD)
            record("channel.tested", on=channel)
        is_settled(delivery, failure_of(delivery), at=at)
    delivery.refresh_from_db()
    return delivery


def failure_of(delivery: Delivery) -> NotDelivered | None:
    """Send it here and now; why it did not arrive."""
    try:
        sender(delivery)()
    except NotDelivered as error:
        return error
    return None


def is_taken(delivery: Delivery, *, at: datetime) -> bool:
    """Whether this process has the delivery in hand; another one may have been first."""
    mine = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING, next_at=delivery.next_at)
    delivery.attempts += 1
    return mine.update(next_at=at + HELD, attempts=delivery.attempts) == 1


def is_settled(delivery: Delivery, failed: Exception | None, *, at: datetime) -> bool:
    """Write down what came of it; whether it arrived. What did not is tried again, for a day; a test is not, since somebody looks at it now."""
    if failed is None:
        Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.State.DONE, done_at=timezone.now(), last_error="")
        return True
    if not isinstance(failed, NotDelivered):
        raise failed
    put_off(delivery, failed, at=at)
    return False


def put_off(delivery: Delivery, failed: NotDelivered, *, at: datetime) -> None:
    """Try again later, each time later than before; after a day it has failed, and is shown."""
    is_over = delivery.event == Delivery.Event.TEST or at - delivery.created_at >= GIVEN_UP_AFTER
    state, reason = Delivery.State.FAILED if is_over else Delivery.State.WAITING, str(failed)[:300]
    Delivery.objects.filter(pk=delivery.pk).update(state=state, next_at=at + timedelta(seconds=pause_s(delivery.attempts)), last_error=reason)
    logger.warning("A message did not reach %s, attempt %d: %s", delivery.channel.name, delivery.attempts, failed.seen[:300])


def forget_old(*, at: datetime) -> int:
    """Drop what was delivered or given up more than KEPT ago; how many."""
    over = Delivery.objects.exclude(state=Delivery.State.WAITING).filter(created_at__lt=at - KEPT)
    return over.delete()[0]


def pause_s(attempts: int) -> float:
    """Seconds until the next attempt: doubled each time, never in step with others."""
    least, most = BACKOFF_S
    return min(most, least * 2.0 ** min(attempts - 1, 20)) * random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311  # jitter, not a secret


def sender(delivery: Delivery) -> Callable[[], None]:
    """What sends it, once, in any thread: it knows all that it needs of the record. Calling it raises NotDelivered."""
    channel = delivery.channel
    if not channel.enabled:
        return partial(fail, "The channel is switched off.")
    if channel.kind == Channel.Kind.WEBHOOK:
        return partial(webhooks.post, channel.target, delivery.body, secret=channel.secret, delivery=str(delivery.pk))
    if not settings.EMAIL_URL:
        return partial(fail, "E-mail is not set up: give EMAIL_URL.")
    to = recipients(channel)
    return partial(send_mail, delivery, to) if to else partial(fail, "Nobody to write to: no admin of the team has an e-mail address.")


def fail(why: str) -> None:
    """What sends nothing. Raises NotDelivered."""
    raise NotDelivered(why)


def send_mail(delivery: Delivery, to: list[str]) -> None:
    """One e-mail. Raises NotDelivered."""
    first, _, rest = delivery.body["text"].partition("\n")
    message = EmailMessage(settings.EMAIL_SUBJECT_PREFIX + first, rest, to=to, headers={"X-Delivery": str(delivery.pk)})
    try:
        message.send()
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered("The mail server did not take it; the server's log says why.", seen=f"The mail server did not take it: {error}") from error


def recipients(channel: Channel) -> list[str]:
    """Who an e-mail channel writes to."""
    if channel.target:
        return [channel.target]
    active = User.objects.filter(is_active=True).exclude(email="")
    people = active.filter(memberships__team=channel.team_id, memberships__role=Role.ADMIN) if channel.team_id else active.filter(is_superuser=True)
    return list(people.values_list("email", flat=True).distinct())
