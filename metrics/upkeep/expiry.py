"""What is past its time in the record. Receipts and drained rows are the drain's own to clean, results expire where they are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.sessions.models import Session
from django.db.models import Max, Q
from django.utils import timezone

from accounts.audit.models import AuditEntry
from accounts.models import ApiToken, BrowserSession, Invitation, SignInCount
from alerts.sending import outbox
from metrics.clock.occurrences import Turn
from metrics.models import Difference, Occurrence

# An ended token stays for a season, so that people still see in the list why a script was refused.
TOKENS_KEPT = timedelta(days=90)
OCCURRENCES_KEPT = timedelta(days=7)
HISTORY_KEPT = timedelta(days=365)


def expire(turn: Turn) -> str:
    """Delete what nobody needs any more; what was deleted."""
    now = timezone.now()
    tokens, sessions, occurrences = ended_tokens(now), ended_sessions(now), old_occurrences(now)
    Difference.objects.filter(settled_at__lt=now - HISTORY_KEPT).delete()
    Invitation.objects.filter(ends_at__lt=now - TOKENS_KEPT).delete()
    SignInCount.objects.filter(ends_at__lt=now).delete()
    outbox.forget_old(at=now)
    lines = AuditEntry.objects.expire(at=now)
    return f"Deleted {tokens} tokens, {sessions} sessions, {occurrences} occurrences, {lines} lines of the audit."


def ended_tokens(now: datetime) -> int:
    """Tokens that were revoked or ran out long ago."""
    before = now - TOKENS_KEPT
    return ApiToken.objects.filter(Q(revoked_at__lt=before) | Q(expires_at__lt=before)).delete()[0]


def ended_sessions(now: datetime) -> int:
    """Sign-ins that ran out."""
    ended = Session.objects.filter(expire_date__lt=now).delete()[0]
    BrowserSession.objects.forget_ended()
    return ended


def old_occurrences(now: datetime) -> int:
    """Occurrences from more than a week ago, but for the last that each task finished."""
    last = Occurrence.objects.exclude(finished_at=None).values("task").annotate(slot=Max("slot")).order_by()
    kept = [Q(task=row["task"], slot=row["slot"]) for row in last]
    old = Occurrence.objects.filter(slot__lt=now - OCCURRENCES_KEPT)
    for one in kept:
        old = old.exclude(one)
    return old.delete()[0]
