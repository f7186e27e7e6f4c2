"""The verbs of alerts: one opens, repeats while its condition holds, resolves by itself, can be acknowledged, or silenced until a time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from accounts.models import Team, User
from alerts.models import Alert, Delivery, Severity, Subject
from alerts.sending import outbox
from experiments.models import Experiment
from projects.models import Project

MESSAGE, RESOLUTION = 1000, 300
CHUNK = 200
GONE = "The condition is gone."
RELATED = ("team", "project", "experiment__project")


@dataclass(frozen=True)
class Finding:
    """One thing that a check has seen: `message` says what was seen and what to do; empty, an open alert keeps its own."""

    kind: str
    severity: str
    message: str
    subject: Subject

    @property
    def key(self) -> tuple[str, str]:
        """What one open alert stands for."""
        return self.kind, self.subject.key


def subject_of(*, team: Team | None = None, project: Project | None = None, experiment: Experiment | None = None, metric: str = "", part: str = "") -> Subject:
    """The subject made of records; an experiment knows its project, and a project its team."""
    project = project or (experiment.project if experiment else None)
    team_id: uuid.UUID | None = team.pk if team else project.team_id if project else None
    return Subject(team_id, project.pk if project else None, experiment.pk if experiment else None, metric, part)


def open_alert(
    *,
    kind: str,
    severity: str,
    message: str,
    team: Team | None = None,
    project: Project | None = None,
    experiment: Experiment | None = None,
    metric: str = "",
    part: str = "",
) -> Alert:
    """The open alert of this kind about this subject: a new one, or the one that is open already, seen once more. Without any subject it is the server's."""
    subject = subject_of(team=team, project=project, experiment=experiment, metric=metric, part=part)
    return see(Finding(kind, severity, message, subject), at=timezone.now())


def see(finding: Finding, *, at: datetime) -> Alert:
    """Open the finding's alert, or repeat it."""
    known = Alert.objects.open().filter(kind=finding.kind, subject=finding.subject.key).first()
    if known is None:
        try:
            return opened(finding, at=at)
        except IntegrityError:  # another process saw it at the same moment
            known = Alert.objects.open().get(kind=finding.kind, subject=finding.subject.key)
    repeat([(known, finding)], at=at)
    return known


@transaction.atomic
def opened(finding: Finding, *, at: datetime) -> Alert:
    """A new alert and what is to be sent of it. Where the subject is silenced it opens silenced, and nothing is sent until that ends."""
    subject = finding.subject
    silence = Alert.objects.filter(kind=finding.kind, subject=subject.key, silenced_until__gt=at).aggregate(until=models.Max("silenced_until"))
    alert = Alert.objects.create(
        kind=finding.kind,
        severity=finding.severity,
        message=finding.message[:MESSAGE],
        team_id=subject.team_id,
        project_id=subject.project_id,
        experiment_id=subject.experiment_id,
        metric=subject.metric,
        part=subject.part,
        subject=subject.key,
        opened_at=at,
        last_seen_at=at,
        silenced_until=silence["until"],
    )
    if alert.silenced_until is None:
        outbox.write(alert, Delivery.Event.OPENED)
    return alert


@transaction.atomic
def repeat(seen: Sequence[tuple[Alert, Finding]], *, at: datetime) -> None:
    """The conditions still hold. One that has grown worse is sent to channels that did not care before."""
    worse = [alert for alert, finding in seen if Severity(finding.severity).rank > Severity(alert.severity).rank]
    for alert, finding in seen:
        alert.severity, alert.message, alert.last_seen_at = finding.severity, finding.message[:MESSAGE] or alert.message, at
        alert.count += 1
    Alert.objects.bulk_update([alert for alert, _ in seen], ["severity", "message", "last_seen_at", "count"], batch_size=CHUNK)
    for alert in worse:
        if not alert.is_silenced:
            outbox.write(alert, Delivery.Event.OPENED)


def resolve(
    *,
    kind: str,
    team: Team | None = None,
    project: Project | None = None,
    experiment: Experiment | None = None,
    metric: str = "",
    part: str = "",
    why: str = GONE,
) -> bool:
    """The condition is gone. Whether an alert was open about it."""
    subject = subject_of(team=team, project=project, experiment=experiment, metric=metric, part=part)
    known = Alert.objects.open().filter(kind=kind, subject=subject.key).select_related(*RELATED).first()
    return known is not None and close(known, why=why, at=timezone.now())


@transaction.atomic
def close(alert: Alert, *, why: str, at: datetime) -> bool:
    """Resolve an alert. Whether it was this call that did."""
    if Alert.objects.open().filter(pk=alert.pk).update(resolved_at=at, resolution=why[:RESOLUTION]) != 1:
        return False
    alert.resolved_at, alert.resolution = at, why[:RESOLUTION]
    outbox.write(alert, Delivery.Event.RESOLVED)
    return True


def settle(kinds: Iterable[str], findings: Iterable[Finding], *, at: datetime, why: Callable[[Alert], str] = lambda alert: GONE) -> None:
    """Make the open alerts of these kinds what was found: open new ones, repeat known ones, resolve the rest, each with its `why`."""
    found = {finding.key: finding for finding in findings}
    known = {(alert.kind, alert.subject): alert for alert in Alert.objects.open().filter(kind__in=list(kinds)).select_related(*RELATED)}
    repeat([(alert, found[key]) for key, alert in known.items() if key in found], at=at)
    for key, alert in known.items():
        if key not in found:
            close(alert, why=why(alert), at=at)
    for key, finding in found.items():
        if key not in known:
            see(finding, at=at)


@transaction.atomic
def acknowledge(alert: Alert, *, by: User) -> None:
    """Somebody sees to it: it leaves the badge, and stays open until its condition is gone."""
    if alert.acknowledged_at is None:
        alert.acknowledged_at, alert.acknowledged_by = timezone.now(), by
        alert.save(update_fields=["acknowledged_at", "acknowledged_by"])


@transaction.atomic
def silence(alert: Alert, *, until: datetime | None) -> None:
    """Nobody hears of this subject until then, even where it resolves and opens again; None ends the silence now."""
    if until is None:
        same = Alert.objects.filter(kind=alert.kind, subject=alert.subject, silenced_until__isnull=False)
        same.update(silenced_until=None)
        alert.silenced_until = None
        send_again([alert])
        return
    alert.silenced_until = until
    alert.save(update_fields=["silenced_until"])


def end_silences(*, at: datetime) -> None:
    """What opened in silence and is still open when that ends is sent now."""
    ended = list(Alert.objects.open().filter(silenced_until__lte=at).select_related(*RELATED))
    Alert.objects.filter(pk__in=[alert.pk for alert in ended]).update(silenced_until=None)
    send_again(ended)


def send_again(alerts: Iterable[Alert]) -> None:
    """Send open alerts that nobody sees to; a channel that had one gets none again."""
    for alert in alerts:
        if alert.is_open and alert.acknowledged_at is None:
            outbox.write(alert, Delivery.Event.OPENED)
