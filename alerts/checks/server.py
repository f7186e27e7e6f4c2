"""What is looked at in the server itself: store, spool, disk, dead letters, parts, nightly tasks, web processes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings

from alerts import watch
from alerts.checks.scene import Scene
from alerts.lifecycle import Finding
from alerts.models import Kind, Severity, Subject
from alerts.spans import spoken
from metrics.clickhouse.errors import StoreError
from metrics.clock import pulse

NIGHTLY_WITHIN = timedelta(hours=26)
# Beat catches up with what was due while the server was off.
CATCHING_UP = timedelta(minutes=15)
LAG_HIGH = timedelta(minutes=15)
PARTS_MOST = 300


def drain_lag(scene: Scene) -> Iterable[Finding]:
    """Points that wait for the metric store for too long."""
    waiting = [one for one in scene.live if one.oldest_at is not None and scene.at - one.oldest_at > watch.most_lag()]
    if waiting:
        lag = scene.at - min(one.oldest_at for one in waiting if one.oldest_at)
        points, told = sum(one.waiting_points for one in waiting), next((one.store_error for one in waiting if one.store_error), "")
        says = f" The store says: {told[:200]}" if told else ""
        message = f"{points} points wait for the metric store, the oldest for {spoken(lag.total_seconds())}; none is lost. See that the store runs.{says}"
        yield Finding(Kind.DRAIN_LAG, Severity.HIGH if lag > LAG_HIGH else Severity.MID, message, Subject(part="metric store"))


def store_away(scene: Scene) -> Iterable[Finding]:
    """A metric store that does not answer."""
    try:
        scene.store().is_alive()
    except StoreError as error:
        message = f"The metric store does not answer: points wait in the spool, pages show no numbers. See that it runs. It says: {str(error)[:300]}"
        yield Finding(Kind.STORE_AWAY, Severity.HIGH, message, Subject(part="metric store"))


def spool_full(scene: Scene) -> Iterable[Finding]:
    """Web processes that take no points."""
    for one in scene.live:
        if one.full_reason:
            yield Finding(Kind.SPOOL_FULL, Severity.HIGH, f"No point is taken. {one.full_reason}", Subject(part=f"spool of {one}"))


def dead_letters(scene: Scene) -> Iterable[Finding]:
    """Rows that the metric store refused."""
    dead = sum(one.dead_letters for one in scene.live)
    if dead:
        message = f"The metric store refused {dead} batches of points: GET /api/v1/metrics/dead-letters says why; mend it, then POST there to try again."
        yield Finding(Kind.DEAD_LETTERS, Severity.HIGH, message, Subject(part="dead letters"))


def parts(scene: Scene) -> Iterable[Finding]:
    """A partition whose parts are merged more slowly than they come."""
    where, count = scene.store().most_parts()
    if count > PARTS_MOST:
        message = f"{where} has {count} active parts, {PARTS_MOST} are too many: merges do not keep up. Give the store more CPU, or log larger batches."
        yield Finding(Kind.PARTS, Severity.MID, message, Subject(part="metric store"))


def disk(scene: Scene) -> Iterable[Finding]:
    """Hosts whose disk is nearly full, or so full that no point is taken."""
    least = settings.DISK_FREE_MIN_BYTES
    free = {one.host: min(other.disk_free_bytes for other in scene.live if other.host == one.host) for one in scene.live}
    for host, left in free.items():
        if left < 2 * least:
            severity = Severity.HIGH if left < least else Severity.MID
            message = f"{left / 1e9:.3g} GB are free where the spool lies; below {least / 1e9:.3g} GB no point is taken. Make room."
            yield Finding(Kind.DISK, severity, message, Subject(part=f"disk of {host}"))


def task_late(scene: Scene) -> Iterable[Finding]:
    """Nightly tasks whose last end is more than 26 hours ago."""
    up_since = min((one.started_at for one in scene.live), default=scene.at)
    if scene.at - up_since < CATCHING_UP:
        return
    for task, ended in pulse.last_finished(pulse.NIGHTLY).items():
        if scene.at - ended > NIGHTLY_WITHIN:
            message = f"{task} last ended {spoken((scene.at - ended).total_seconds())} ago: see the worker's log, or run it by hand in the admin."
            yield Finding(Kind.TASK_LATE, Severity.MID, message, Subject(part=task))


def web_silent(scene: Scene) -> Iterable[Finding]:
    """No web process at all. The watch of the others is kept by them; this is kept by the worker."""
    if scene.processes and scene.at - scene.processes[0].seen_at > watch.SILENT:
        silent = spoken((scene.at - scene.processes[0].seen_at).total_seconds())
        message = f"No web process was seen for {silent}: no point is taken and no page answers. Start the server."
        yield Finding(Kind.WEB_SILENT, Severity.HIGH, message, Subject(part="web"))
