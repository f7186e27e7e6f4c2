"""What the watch looks at every 60 s. Its cost grows with the runs that are active, never with points or with runs that ended.

Every check looks alone: where one cannot (the store is away, say), its alerts stay as they are, and the others go on. What a run's silence says is
held back while our own ingest has trouble, and silence counts only from when it was well: a server that was off calls nobody stalled.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from experiments.models import Experiment
from experiments.stalled import is_stalled, last_heard, patience_for
from metrics import alerts, outbox, pulse, watch
from metrics.alert_models import Alert, Kind, Severity, Subject, WebProcess
from metrics.alerts import Finding, subject_of
from metrics.clickhouse.errors import StoreError
from metrics.divergence import LEAST_POINTS, WINDOW, Divergence, divergence
from metrics.repository import Floats, MetricRepository, Place, SeriesKey, Stretch, Summaries, Summary
from metrics.spans import spoken
from projects.models import Direction, ProjectMetric

logger = logging.getLogger(__name__)
T = TypeVar("T")
NO_DATA_AFTER = timedelta(minutes=15)
NIGHTLY_WITHIN = timedelta(hours=26)
# Beat catches up with what was due while the server was off.
CATCHING_UP = timedelta(minutes=15)
LAG_HIGH = timedelta(minutes=15)
PARTS_MOST = 300
SERIES_NAMED = 10
PATIENCE_TOLERANCE = 0.1
CHUNK = 200
RUNS_A_QUERY = 2000
ODD_SEARCHED_POINTS = 1_000_000
ODD_TIMEOUT_S = 2.0
STRETCH_WINDOWS = 3
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SILENCE = (Kind.STALLED, Kind.NO_DATA)
CLEARED = {
    Kind.STALLED: "It was heard again.",
    Kind.NO_DATA: "Its first point came.",
    Kind.NOT_FINITE: "No point of it is NaN or infinite any more.",
    Kind.DIVERGED: "It came back.",
    Kind.DRAIN_LAG: "What waited is stored.",
    Kind.STORE_AWAY: "The metric store answers again.",
}


class Scene:
    """What the checks look at, each part asked for once and only where a check needs it."""

    def __init__(self, store: Callable[[], MetricRepository], *, at: datetime) -> None:
        self.store, self.at = store, at

    @cached_property
    def processes(self) -> list[WebProcess]:
        """Web processes that were seen within a day, the latest first."""
        return list(WebProcess.objects.filter(seen_at__gte=self.at - watch.KEPT).order_by("-seen_at"))

    @property
    def live(self) -> list[WebProcess]:
        """Those that are alive."""
        return [one for one in self.processes if self.at - one.seen_at <= watch.LIVE]

    @property
    def trouble(self) -> str:
        """Why our own ingest is not as it should be, or nothing."""
        return "No web process takes points." if not self.live else next((one.trouble for one in self.live if one.trouble), "")

    @property
    def well_since(self) -> datetime:
        """Since when every web process has been well."""
        return max((one.well_since for one in self.live if one.well_since), default=self.at)

    @cached_property
    def runs(self) -> list[Experiment]:
        """The experiments that run now."""
        running = Experiment.objects.running().current().filter(project__archived=False)
        return list(running.select_related("project__team").defer("notes", "command", "params", "features_diff"))

    @cached_property
    def activity(self) -> Summaries:
        """The summaries of their series. Raises StoreError."""
        found: Summaries = {}
        for chunk in chunks(self.runs, RUNS_A_QUERY):
            found |= self.store().activity({place_of(run) for run in chunk}, [run.pk for run in chunk])
        return found

    @cached_property
    def open(self) -> set[tuple[str, str]]:
        """(kind, subject) of every open alert."""
        return set(Alert.objects.open().values_list("kind", "subject"))

    @property
    def series(self) -> Iterator[tuple[Experiment, str, Summary]]:
        """Every series of the runs."""
        return ((run, metric, summary) for run in self.runs for metric, summary in self.activity.get(run.pk, {}).items())


@dataclass(frozen=True)
class Check:
    """One thing to look at: `kinds` are the alerts that it opens and resolves."""

    look: Callable[[Scene], Iterable[Finding]]
    kinds: tuple[str, ...]


def check_health(store: Callable[[], MetricRepository], *, at: datetime | None = None) -> list[str]:
    """Look at everything once, bring the alerts in line, send what is due. The names of the checks that could not look."""
    at = at or timezone.now()
    scene = Scene(store, at=at)
    kinds, findings, failed = looked(scene)
    alerts.settle(kinds, findings, at=at, why=reason)
    alerts.end_silences(at=at)
    outbox.deliver_due(at=at)
    return failed


def looked(scene: Scene) -> tuple[list[str], list[Finding], list[str]]:
    """(kinds that were judged, what was found, checks that could not look)."""
    kinds: list[str] = []
    findings: list[Finding] = []
    failed: list[str] = []
    for check in CHECKS:
        if scene.trouble and set(check.kinds) & set(SILENCE):
            continue
        try:
            found = list(check.look(scene))
        except (StoreError, DatabaseError, OSError) as error:
            logger.warning("The check %s could not look: %s", check.look.__name__, str(error)[:300])
            failed.append(check.look.__name__)
        else:
            kinds += check.kinds
            findings += found
    return kinds, findings, failed


def reason(alert: Alert) -> str:
    """Why an alert's condition is gone."""
    experiment = alert.experiment
    if experiment is not None and not experiment.is_live:
        return f"The run ended: {experiment.state}."
    return CLEARED.get(Kind(alert.kind), alerts.GONE)


# Runs --------------------------------------------------------------------------------------------------------------------------------------


def keep_patience(scene: Scene) -> Iterable[Finding]:
    """Bring the patience of each run in line with its own pace. It opens nothing."""
    changed = []
    for run in scene.runs:
        every_s = interval_s(run, scene.activity.get(run.pk, {}))
        patience = patience_for(every_s) if every_s is not None else run.patience
        if abs(patience - run.patience) > PATIENCE_TOLERANCE * run.patience:
            run.patience = patience
            changed.append(run)
    Experiment.objects.bulk_update(changed, ["patience"], batch_size=CHUNK)
    return []


def interval_s(run: Experiment, series: Mapping[str, Summary]) -> float | None:
    """How often the run speaks, in seconds: the mean spacing of its densest series, or its last two heartbeats; None where it said too little."""
    spacings = [run.heartbeat_gap.total_seconds()] if run.heartbeat_gap is not None else []
    densest = max(series.values(), key=lambda summary: summary.count, default=None)
    if densest is not None and densest.count > 1:
        spacings.append((densest.last_time - densest.first_time) / 1e6 / (densest.count - 1))
    return min(spacings, default=None)


def stalled(scene: Scene) -> Iterable[Finding]:
    """Runs that spoke once and have been silent for longer than their patience. One that never had a point is `no_data`."""
    for run in scene.runs:
        subject, heard = subject_of(experiment=run), last_heard(run)
        is_known = (Kind.STALLED, subject.key) in scene.open
        has_spoken = run.last_point_at is not None or run.heartbeat_at is not None
        if has_spoken and is_stalled(run, at=scene.at) and (is_known or scene.at - max(heard, scene.well_since) > run.patience):
            silent, limit = spoken((scene.at - heard).total_seconds()), spoken(run.patience.total_seconds())
            message = f"No point and no heartbeat for {silent}; by its own pace {limit} is its limit. Look at the script, and end the run if it is gone."
            yield Finding(Kind.STALLED, Severity.MID, message, subject)


def no_data(scene: Scene) -> Iterable[Finding]:
    """Runs without a point 15 minutes after their start."""
    for run in scene.runs:
        began, subject = run.started_at or run.created_at, subject_of(experiment=run)
        is_known = (Kind.NO_DATA, subject.key) in scene.open
        if run.last_point_at is None and scene.at - (began if is_known else max(began, scene.well_since)) > NO_DATA_AFTER:
            waited = spoken((scene.at - began).total_seconds())
            message = f"No point {waited} after the start: see that the script logs to this run and reaches this server, or end the run."
            yield Finding(Kind.NO_DATA, Severity.MID, message, subject)


def not_finite(scene: Scene) -> Iterable[Finding]:
    """Series with a NaN or an infinity. A run with very many gets one alert for all of them."""
    odd: dict[Experiment, dict[str, Summary]] = {}
    for run, metric, summary in scene.series:
        if summary.nonfinite:
            odd.setdefault(run, {})[metric] = summary
    few = {run: series for run, series in odd.items() if len(series) <= SERIES_NAMED}
    first = first_odd(scene, few)
    for run, series in few.items():
        yield from (odd_series(scene, run, metric, summary, first.get((run.pk, metric))) for metric, summary in series.items())
    for run, series in odd.items():
        if run not in few:
            names = ", ".join(sorted(series)[:3])
            message = f"{len(series)} metrics hold NaN or infinity ({names} …): open the curves, and end the run if it does not recover."
            yield Finding(Kind.NOT_FINITE, Severity.HIGH, message, subject_of(experiment=run))


def odd_series(scene: Scene, run: Experiment, metric: str, summary: Summary, step: int | None) -> Finding:
    """One series with a NaN or an infinity. An alert that is open keeps its words, which say where it began."""
    subject = subject_of(experiment=run, metric=metric)
    is_now = not math.isfinite(summary.last)
    severity = Severity.HIGH if is_now else Severity.MID
    if (Kind.NOT_FINITE, subject.key) in scene.open:
        return Finding(Kind.NOT_FINITE, severity, "", subject)
    since = f" from step {step}" if step is not None else ""
    share = f"{summary.nonfinite} of {summary.count} points"
    message = f"{metric} is NaN or infinite{since}, {share}: open its curve, and end the run if it does not recover."
    return Finding(Kind.NOT_FINITE, severity, message, subject)


def first_odd(scene: Scene, odd: Mapping[Experiment, Mapping[str, Summary]]) -> dict[SeriesKey, int]:
    """The step of the first NaN or infinity of each series that has no alert yet; nothing for those where looking would cost too much."""
    asked: dict[Experiment, list[str]] = {}
    points = 0
    for run, series in odd.items():
        for metric, summary in series.items():
            is_new = (Kind.NOT_FINITE, subject_of(experiment=run, metric=metric).key) not in scene.open
            if is_new and points + summary.count <= ODD_SEARCHED_POINTS:
                points += summary.count
                asked.setdefault(run, []).append(metric)
    if not asked:
        return {}
    names = sorted({metric for metrics in asked.values() for metric in metrics})
    try:
        return scene.store().first_odd({place_of(run) for run in asked}, [run.pk for run in asked], names, timeout_s=ODD_TIMEOUT_S)
    except StoreError as error:
        logger.info("The first NaN is not looked for: %s", str(error)[:200])
        return {}


def diverged(scene: Scene) -> Iterable[Finding]:
    """Series of watched metrics that lost what they had gained."""
    signs = watched_metrics(scene)
    chosen = [
        (run, metric, summary)
        for run, metric, summary in (scene.series if signs else ())
        if (run.project_id, metric) in signs and summary.count >= LEAST_POINTS and summary.last_step > summary.first_step
    ]
    for chunk in chunks(chosen, CHUNK):
        beginnings = scene.store().beginnings([early(*series) for series in chunk], most=WINDOW)
        endings = scene.store().endings([late(*series) for series in chunk], most=WINDOW)
        for run, metric, summary in chunk:
            key, sign = (run.pk, metric), signs[run.project_id, metric]
            yield from judged(scene, run, metric, summary, sign=sign, ends=(beginnings.get(key), endings.get(key)))


def watched_metrics(scene: Scene) -> dict[tuple[object, str], int]:
    """(project, metric): +1 where more is better, -1 where less is, of the metrics that somebody asked to be watched."""
    asked = ProjectMetric.objects.filter(watch_divergence=True, project__in={run.project_id for run in scene.runs}).exclude(direction=Direction.UNSET)
    return {(metric.project_id, metric.name): metric.better.sign for metric in asked}


def judged(scene: Scene, run: Experiment, metric: str, summary: Summary, *, sign: int, ends: tuple[Floats | None, Floats | None]) -> Iterable[Finding]:
    """The finding about one watched series. One that turned to NaN has not come back."""
    subject, (beginning, ending) = subject_of(experiment=run, metric=metric), ends
    if beginning is None or ending is None:
        return
    found = divergence(beginning, ending, summary.high if sign > 0 else summary.low, sign=sign)
    if found is not None:
        yield Finding(Kind.DIVERGED, Severity.HIGH, divergence_told(metric, found), subject)
    elif (Kind.DIVERGED, subject.key) in scene.open and not math.isfinite(summary.last):
        yield Finding(Kind.DIVERGED, Severity.HIGH, "", subject)


def divergence_told(metric: str, found: Divergence) -> str:
    """A divergence as a sentence."""
    lost = f"{found.share:.0%} of what it had gained" if math.isfinite(found.share) else "far more than it ever gained"
    story = f"{metric} began at {found.began:.4g}, reached {found.best:.4g} and is at {found.now:.4g} now"
    return f"{story}: it lost {lost}. Open its curve, and end the run if it does not recover."


def early(run: Experiment, metric: str, summary: Summary) -> Stretch:
    """The steps that hold the first points of a series, by its mean density."""
    return Stretch(place_of(run), run.pk, metric, summary.first_step, min(INT64_MAX, summary.first_step + stretch_steps(summary)))


def late(run: Experiment, metric: str, summary: Summary) -> Stretch:
    """The steps that hold its last points."""
    return Stretch(place_of(run), run.pk, metric, max(INT64_MIN, summary.last_step - stretch_steps(summary)), summary.last_step)


def stretch_steps(summary: Summary) -> int:
    """The steps in which a few windows of points lie."""
    return -(-STRETCH_WINDOWS * WINDOW * (summary.last_step - summary.first_step) // (summary.count - 1))


# The server --------------------------------------------------------------------------------------------------------------------------------


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


CHECKS = (
    Check(keep_patience, ()),
    Check(stalled, (Kind.STALLED,)),
    Check(no_data, (Kind.NO_DATA,)),
    Check(not_finite, (Kind.NOT_FINITE,)),
    Check(diverged, (Kind.DIVERGED,)),
    Check(store_away, (Kind.STORE_AWAY,)),
    Check(drain_lag, (Kind.DRAIN_LAG,)),
    Check(spool_full, (Kind.SPOOL_FULL,)),
    Check(dead_letters, (Kind.DEAD_LETTERS,)),
    Check(parts, (Kind.PARTS,)),
    Check(disk, (Kind.DISK,)),
    Check(task_late, (Kind.TASK_LATE,)),
    Check(web_silent, (Kind.WEB_SILENT,)),
)


def place_of(run: Experiment) -> Place:
    """Where the run's series live."""
    return Place(run.project.team_id, run.project_id)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, `size` at a time."""
    return (items[first : first + size] for first in range(0, len(items), size))
