"""What is looked at in the runs that are active: silence, a start without data, NaN, divergence. Cost grows with them, never with points."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta

from alerts.checks.divergence import LEAST_POINTS, WINDOW, Divergence, divergence
from alerts.checks.scene import Scene, chunks, place_of
from alerts.lifecycle import Finding, subject_of
from alerts.models import Kind, Severity
from alerts.spans import spoken
from experiments.models import Experiment
from experiments.stalled import is_stalled, last_heard, patience_for
from metrics.clickhouse.errors import StoreError
from metrics.store.shapes import Floats, SeriesKey, Stretch, Summary
from projects.models import Direction, ProjectMetric

logger = logging.getLogger(__name__)
NO_DATA_AFTER = timedelta(minutes=15)
SERIES_NAMED = 10
PATIENCE_TOLERANCE = 0.1
CHUNK = 200
ODD_SEARCHED_POINTS = 1_000_000
ODD_TIMEOUT_S = 2.0
STRETCH_WINDOWS = 3
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


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
