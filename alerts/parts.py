"""The server's own parts as a page shows them to operators: reading, limit, and whether that is well."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from alerts.checks.server import PARTS_MOST
from alerts.models import WebProcess
from alerts.watch import KEPT, LIVE, most_lag
from metrics import process
from metrics.clickhouse.errors import StoreError

ANSWER_MS = 2000
GB, MB = 1e9, 1e6


@dataclass(frozen=True)
class Part:
    """One part: `word` says how it is, `reading` and `limit` are in `unit` (None where there is none)."""

    name: str
    is_well: bool
    word: str
    reading: float | None
    unit: str
    limit: float | None

    @property
    def shown(self) -> str:
        """The reading with three digits."""
        return sensible(self.reading)

    @property
    def shown_limit(self) -> str:
        """The limit likewise."""
        return sensible(self.limit)


def sensible(value: float | None) -> str:
    """Three digits; all of a larger whole number; a dash for none."""
    if value is None:
        return "–"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}".replace(",", "\u202f")


def parts(*, at: datetime) -> list[Part]:
    """All of them. One query of the record, two of the store."""
    live = [one for one in WebProcess.objects.filter(seen_at__gte=at - KEPT) if at - one.seen_at <= LIVE]
    return [*of_ingest(live, at=at), *of_store()]


def of_ingest(live: Sequence[WebProcess], *, at: datetime) -> list[Part]:
    """What the web processes last said of themselves."""
    lag = max(((at - one.oldest_at).total_seconds() for one in live if one.oldest_at), default=0.0)
    dead, is_full = sum(one.dead_letters for one in live), any(one.full_reason for one in live)
    free = min((one.disk_free_bytes for one in live), default=None)
    return [
        Part("Web processes", bool(live), "good" if live else "none", len(live), "", None),
        Part("Points waiting", not is_full, "full" if is_full else "good", sum(one.waiting_points for one in live), "points", None),
        Part("Spool", not is_full, "full" if is_full else "good", sum(one.spool_bytes for one in live) / MB, "MB", settings.SPOOL_MAX_BYTES / MB),
        judged("Store lag", lag, "s", most_lag().total_seconds()),
        Part("Dead letters", not dead, f"{'some' if dead else 'none'}", dead, "rows", 0),
        *([room(free)] if free is not None else []),
    ]


def room(free: int) -> Part:
    """The disk that is nearest to full."""
    is_well = free >= 2 * settings.DISK_FREE_MIN_BYTES
    return Part("Disk free", is_well, "good" if is_well else "low", free / GB, "GB", settings.DISK_FREE_MIN_BYTES / GB)


def of_store() -> list[Part]:
    """What the metric store says now."""
    began = time.monotonic()
    try:
        process.repository().is_alive()
        answered_ms = (time.monotonic() - began) * 1000
        _, most = process.repository().most_parts()
    except StoreError:
        return [Part("Metric store", False, "away", None, "", None)]
    return [judged("Metric store", answered_ms, "ms", ANSWER_MS), judged("Parts in a partition", most, "", PARTS_MOST)]


def judged(name: str, reading: float, unit: str, limit: float) -> Part:
    """A part that is well up to its limit."""
    is_well = reading <= limit
    return Part(name, is_well, "good" if is_well else "over", reading, unit, limit)
