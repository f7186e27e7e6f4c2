"""The lines of the audit that a caller may read, narrowed as a page or a script asks."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.dateparse import parse_date

from accounts.access import Caller
from accounts.audit.acts import KINDS, acts_of
from accounts.models import AuditEntry, Membership, Role, Team
from config.web.files import as_text

SHOWN = 50
CHUNK = 2_000
HEAD = ("at", "who", "act", "what", "on_kind", "on_id", "on_name", "team", "project", "token", "address", "request_id", "details")


def of(caller: Caller) -> QuerySet[AuditEntry]:
    """Every line for an operator; for others those of the teams that they administer. A token reads those of its team."""
    if caller.user.is_superuser and caller.token is None:
        return AuditEntry.objects.all()
    return of_teams([team for team, role in caller.roles.items() if role.allows(Role.ADMIN)])


def of_team(team: Team) -> QuerySet[AuditEntry]:
    """The lines that one team's admins read."""
    return of_teams([team.pk])


def of_teams(teams: list[uuid.UUID]) -> QuerySet[AuditEntry]:
    """The lines of these teams, and sign-ins and the like of their members from when they joined."""
    since = Membership.objects.filter(team__in=teams, user=OuterRef("about_id"), created_at__lte=OuterRef("at"))
    return AuditEntry.objects.filter(Q(team_id__in=teams) | (Q(team_id=None) & Exists(since)))


@dataclass(frozen=True)
class Narrowed:
    """What a page's filter says: by whom, of what kind, from which day to which."""

    by: str = ""
    kind: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Narrowed:
        """From an address; words that mean nothing narrow nothing."""
        kind = query.get("kind", "")
        return cls(query.get("by", "").strip().replace("\0", ""), kind if kind in KINDS else "", day(query.get("since")), day(query.get("until")))

    def of(self, lines: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Those of the lines that it lets through."""
        if self.by:
            lines = lines.filter(who=self.by)
        if self.kind:
            lines = lines.filter(act__in=acts_of(self.kind))
        if self.since:
            lines = lines.filter(at__gte=start(self.since))
        if self.until:
            lines = lines.filter(at__lt=start(self.until) + timedelta(days=1)) if self.until < date.max else lines
        return lines


def day(text: str | None) -> date | None:
    """A day from an address, None where it is none."""
    try:
        return parse_date(text or "")
    except ValueError:
        return None


def start(of_day: date) -> datetime:
    """When a day begins, UTC."""
    return datetime.combine(of_day, time.min, tzinfo=UTC)


def csv_of(lines: QuerySet[AuditEntry]) -> Iterator[bytes]:
    """The lines as CSV, newest first, in pieces; no text that a spreadsheet would run."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD)
    for number, line in enumerate(lines.iterator(chunk_size=CHUNK)):
        writer.writerow([as_text(value) for value in values_of(line)])
        if number % CHUNK == CHUNK - 1:
            yield taken(text)
    yield taken(text)


def taken(text: io.StringIO) -> bytes:
    """What was written since the last time."""
    piece = text.getvalue().encode(errors="replace")
    text.seek(0)
    text.truncate()
    return piece


def values_of(line: AuditEntry) -> tuple[object, ...]:
    """One line, in the order of HEAD."""
    known = {"what": line.sentence, "details": str(line.details or "")}
    return tuple(known[name] if name in known else getattr(line, name) for name in HEAD)
