"""The summaries against the points themselves: each night, for series that are at rest. What differs is repaired, and told.

What holds after a repair, and goes on to hold when more points come: the counts and sums of a series are those of its spools' rows plus those of
the correction, the row of spool 0, and equal the points that are stored. The correction is a difference: its counts wrap around 2^64 where the
spools count too many (a batch that two hosts took), its sum may be negative. Its extremes and last value are those of the points, and join the
spools' as one more row. Spools know nothing of it: their rows are absolute and only ever grow by the points that they store.

The spools' extremes cannot be taken back: where points are lost for good, least, greatest and last value may still tell of them. They were
measured, and whoever reads the alert knows.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from alerts.lifecycle import RELATED, close, open_alert
from alerts.models import Alert, Kind, Severity
from experiments.models import Experiment
from metrics import process
from metrics.clock.occurrences import OutOfTime, Turn
from metrics.drain import record
from metrics.drain.block import summary_columns
from metrics.models import FIRST_SPOOL_WRITER, Difference, Spool
from metrics.points.states import State
from metrics.store import freshness, repeat_rows
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, SeriesKey, Spooled
from metrics.upkeep.aggregation import forget_gone
from metrics.upkeep.doubts import MARGIN, Doubt, by_points, differs, doubts, due, exceeds, parts, rest_before

logger = logging.getLogger(__name__)
RESTORE_WAIT = timedelta(hours=1)
WRAP = 1 << 64
LATEST_US = 7_258_118_400_000_000  # the year 2200, after every point
TOLD_MOST = 20
NOTHING = Spooled(0, 0, 0.0, 0, ())
Outcome = Difference.Outcome


# The nightly pass ----------------------------------------------------------------------------------------------------------------------------


def reconcile(turn: Turn) -> str:
    """Compare what changed since the last pass, and a part of all else; repair and report what differs. Raises StoreError."""
    repository, looked, doubted = process.open_repository(), 0, 0
    close_settled()
    for place, ids in due(turn):
        try:
            turn.require_time()
        except OutOfTime:
            return f"Looked at {looked} experiments, {doubted} series differed. The turn was over: the rest is looked at within a month."
        looked += len(ids)
        doubted += len(settle(repository, doubts(repository, place, ids)))
    note_repeats(repository, turn)
    return f"Looked at {looked} experiments, {doubted} series differed."


def note_repeats(repository: MetricRepository, turn: Turn) -> None:
    """Count, for series at rest of which nobody knows it, how many steps hold several values, as far as the time goes. Raises StoreError."""
    for place in record.places():
        unknown = repeat_rows.uncounted(repository, place)
        at_rest = Experiment.objects.filter(project_id=place.project_id, last_point_at__lt=rest_before())
        resting = set(at_rest.values_list("pk", flat=True)) if unknown else set()
        for ids in by_points(repository, place, [one for one in unknown if one in resting]):
            try:
                turn.require_time()
            except OutOfTime:
                return
            repeat_rows.note(repository, place, ids)
            forget_gone(repository, place, ids)


# Repairing -----------------------------------------------------------------------------------------------------------------------------------


def settle(repository: MetricRepository, doubted: Sequence[Doubt]) -> list[Difference]:
    """Repair what can be repaired; where points are missing, ask the spools for them first. What was done about series of one place, reported."""
    new = [doubt for doubt in doubted if not is_known(doubt)]
    if not new:
        return []
    spooled = spooled_of(repository, new)
    outcomes = {doubt.key: outcome_of(doubt, spooled.get(doubt.key, NOTHING)) for doubt in new}
    repair(repository, [doubt for doubt in new if outcomes[doubt.key] != Outcome.AWAITED], spooled)
    done = Difference.objects.bulk_create([difference(doubt, outcomes[doubt.key]) for doubt in new], batch_size=500)
    report([one for one in done if one.outcome != Outcome.AWAITED])
    return done


def is_known(doubt: Doubt) -> bool:
    """Whether its points are awaited already, or known to be lost while every count agrees."""
    known = Difference.objects.filter(experiment_id=doubt.experiment, metric_name=doubt.metric)
    if known.open().exists():
        return True
    is_counted = doubt.kept is not None and doubt.found is not None and doubt.kept.count == doubt.found.count
    return is_counted and known.filter(outcome=Outcome.LOST).exists()


def outcome_of(doubt: Doubt, spooled: Spooled) -> Difference.Outcome:
    """What becomes of a series: its spools are asked where points are missing and there is one to ask."""
    if not is_missing(doubt, spooled):
        return Outcome.REPAIRED
    return Outcome.AWAITED if ask_spools(spooled.spools) else Outcome.LOST


def is_missing(doubt: Doubt, spooled: Spooled) -> bool:
    """Whether points are lost. One spool counts no point twice; and no count of repeats reaches further than the points themselves."""
    if doubt.kept is None or doubt.found is None:
        return doubt.found is None
    return doubt.kept.count > doubt.found.count and (len(spooled.spools) == 1 or exceeds(doubt.kept, doubt.found))


def ask_spools(writers: Iterable[int]) -> bool:
    """Leave a mark for the owners of these spools to store again what they kept; whether there is any."""
    return bool(Spool.objects.filter(pk__in=[writer - FIRST_SPOOL_WRITER for writer in writers]).update(restore_asked_at=timezone.now()))


def spooled_of(repository: MetricRepository, doubted: Sequence[Doubt]) -> dict[SeriesKey, Spooled]:
    """What the spools count of series of one place."""
    found: dict[SeriesKey, Spooled] = {}
    for part in parts(doubted):
        found |= repository.spooled(part[0].place, sorted({doubt.experiment for doubt in part}), sorted({doubt.metric for doubt in part}))
    return found


def repair(repository: MetricRepository, doubted: Sequence[Doubt], spooled: Mapping[SeriesKey, Spooled]) -> None:
    """Write the corrections that make summaries and points equal. Each lands once, under (series, spool 0), where the highest version counts."""
    for part in parts(doubted):
        place = part[0].place
        stored = repository.stored_states(place, sorted({doubt.experiment for doubt in part}), sorted({doubt.metric for doubt in part}))
        rows = []
        for doubt in part:
            known = spooled.get(doubt.key, NOTHING)
            state = correction(stored.get(doubt.key), known)
            rows.append(
                (
                    doubt.experiment.bytes,
                    doubt.metric,
                    place.team_id.bytes,
                    place.project_id.bytes,
                    known.version + 1,
                    state.packed(),
                    state.once,
                    state.last_logged,
                )
            )
        repository.insert_summaries(summary_columns(rows, spool=0))
    freshness.touch({doubt.experiment for doubt in doubted})


def correction(found: State | None, spooled: Spooled) -> State:
    """What must be added to the spools' rows. Where no point is stored its extremes are such that any other row wins."""
    found = found or State(0, 0, 0.0, math.nan, math.nan, math.nan, -(2**63), 0, 0, 2**63 - 1, LATEST_US)
    total = found.total - spooled.total
    return replace(
        found,
        count=(found.count - spooled.count) % WRAP,
        nonfinite=(found.nonfinite - spooled.nonfinite) % WRAP,
        total=total if math.isfinite(total) else 0.0,
    )


def difference(doubt: Doubt, outcome: Difference.Outcome) -> Difference:
    """The record of it, not stored yet."""
    accepted, stored = (0 if summary is None else signed(summary.count) for summary in (doubt.kept, doubt.found))
    now = timezone.now()
    return Difference(
        team_id=doubt.place.team_id,
        project_id=doubt.place.project_id,
        experiment_id=doubt.experiment,
        metric_name=doubt.metric,
        accepted=accepted,
        stored=stored,
        outcome=outcome,
        found_at=now,
        settled_at=None if outcome == Outcome.AWAITED else now,
    )


def signed(count: int) -> int:
    """A count that may have wrapped."""
    return count - WRAP if count >= WRAP // 2 else count


def report(differences: Sequence[Difference]) -> None:
    """Tell whoever watches. Points that are lost are an error, the rest was mended; the alert stays open until the next pass finds nothing to say of it."""
    for difference in differences[:TOLD_MOST]:
        is_lost = difference.outcome == Outcome.LOST
        logger.log(logging.ERROR if is_lost else logging.WARNING, "%s: %s", difference.get_outcome_display(), difference)
        experiment = Experiment.objects.select_related("project").filter(pk=difference.experiment_id).first()
        if experiment is not None:
            severity, message = Severity.HIGH if is_lost else Severity.MID, told(difference, experiment)
            open_alert(kind=Kind.RECONCILE, severity=severity, experiment=experiment, metric=difference.metric_name, message=message)
    if len(differences) > TOLD_MOST:
        logger.warning("… and %d series more, which the admin lists.", len(differences) - TOLD_MOST)


def told(difference: Difference, experiment: Experiment) -> str:
    """The difference as one sentence, and what to do."""
    seen = f"{difference.metric_name} of {experiment}: the summary counted {difference.accepted} points, the metric store has {difference.stored}"
    if difference.outcome == Outcome.LOST:
        return f"{seen}. Points are lost: put the store back from a backup, or log them again."
    return f"{seen}. {difference.get_outcome_display()}: nothing is to be done, but see in the log what happened to the store."


def close_settled() -> None:
    """End the alerts about what was mended before this pass: it stands in the differences of the admin."""
    for alert in Alert.objects.open().filter(kind=Kind.RECONCILE, severity=Severity.MID).select_related(*RELATED):
        close(alert, why="Mended; a later pass found nothing more.", at=timezone.now())


# What the spools were asked for --------------------------------------------------------------------------------------------------------------


def review() -> int:
    """Look again at series whose points were awaited, once the spools have answered; how many were settled. Raises StoreError."""
    waiting = [one for one in Difference.objects.open() if not is_awaited(one)]
    if waiting:
        repository = process.open_repository()
        report([reviewed(repository, one) for one in waiting])
    return len(waiting)


def is_awaited(one: Difference) -> bool:
    """Whether a spool that was asked may still answer."""
    unanswered = Spool.objects.filter(Q(restored_at=None) | Q(restored_at__lt=F("restore_asked_at")), restore_asked_at__gte=one.found_at - MARGIN)
    return one.found_at > timezone.now() - RESTORE_WAIT and unanswered.exists()


def reviewed(repository: MetricRepository, one: Difference) -> Difference:
    """Restored where the series is whole again; else the points are lost, and the summary is made to say what is left."""
    place, experiment, metric = Place(one.team_id, one.project_id), one.experiment_id, one.metric_name
    kept, found = (
        read(place, experiments=[experiment], metrics=[metric]).get(experiment, {}).get(metric) for read in (repository.summaries, repository.recomputed)
    )
    doubt = Doubt(place, experiment, metric, kept, found)
    one.outcome, one.stored, one.settled_at = Outcome.RESTORED, 0 if found is None else found.count, timezone.now()
    if differs(kept, found):
        one.outcome = Outcome.LOST
        repair(repository, [doubt], spooled_of(repository, [doubt]))
    one.save(update_fields=["outcome", "stored", "settled_at"])
    freshness.touch([experiment])
    return one
