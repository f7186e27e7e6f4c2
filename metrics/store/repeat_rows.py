"""Which series have steps that hold several values, and in how many: from what the drain noted, else counted. Beside the repository, a module that knows
columns.

A row of a summary says whether a step came twice among its own points (`once`). A series is known to have one value a step where all its rows say so
and their steps lie apart, or where its steps were counted when it had as many points as now.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics.store.columns import listed
from metrics.store.repository import MetricRepository, narrower, series_keys
from metrics.store.shapes import Place
from metrics.store.statements import HOUR_COLUMNS

FIRST, LAST = -(2**63), 2**63 - 1
UNSURE = """
    SELECT experiment_id, metric_name, points, asked, repeats FROM (
        SELECT experiment_id, metric_name, sum(s.count) AS points, max(s.asked_points) AS asked, argMax(s.asked_repeats, s.asked_points) AS repeats,
               min(s.once) AS is_once, arraySort(groupArray((s.first_step, s.last_step))) AS reaches
        FROM (
            SELECT experiment_id, metric_name, count, once, first_step, last_step, asked_points, asked_repeats FROM {database}.metric_summaries FINAL
            WHERE team_id = %(team)s AND project_id = %(project)s {narrower} AND count > 0
        ) AS s
        GROUP BY experiment_id, metric_name
    )
    WHERE points > 1 AND NOT (asked = points AND repeats = 0)
          AND NOT (is_once AND NOT arrayExists((one, next) -> one.2 >= next.1, arrayPopBack(reaches), arrayPopFront(reaches)))
"""
UNSURE_SERIES = "SELECT toString(experiment_id) AS experiment, metric_name AS metric, points, asked, repeats FROM ({unsure})"
UNSURE_EXPERIMENTS = "SELECT DISTINCT toString(experiment_id) AS experiment FROM ({unsure}) WHERE asked != points ORDER BY experiment"
# From a step on, each series from its own; the key leads to the least of them. Numbers go as text into arrays, which would else have no one type.
SINCE = """
    FROM {database}.metrics FINAL
    WHERE {of_metric} AND step >= %(least)s AND step >= toInt64(transform(toString(experiment_id), %(ids)s, %(lows)s, '0'))
"""
COUNTED = (
    "SELECT toString(experiment_id) AS experiment, count() AS points, groupBitmap(toUInt64(step)) AS steps, max(step) AS last"
    + SINCE
    + " GROUP BY experiment_id"
)
REPEATED = (
    "SELECT toString(experiment_id) AS experiment, count() AS repeats FROM (SELECT experiment_id, step"  # nosec B608  # made of our own words
    + SINCE
    + " GROUP BY experiment_id, step HAVING count() > 1) GROUP BY experiment_id"
)
# Noted under the version that is there: what the drain writes after it has a higher one, and has not been asked.
NOTE = """
    INSERT INTO {database}.metric_summaries ({columns}, asked_points, asked_repeats)
    SELECT {columns}, points, steps_repeated FROM (
        SELECT {columns} FROM {database}.metric_summaries FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND count > 0
    ) AS kept
    INNER JOIN (SELECT experiment_id, metric_name, points FROM ({unsure}) WHERE asked != points) AS unsure USING (experiment_id, metric_name)
    LEFT JOIN (
        SELECT experiment_id, metric_name, countIf(n > 1) AS steps_repeated FROM (
            SELECT experiment_id, metric_name, step, count() AS n FROM {database}.metrics FINAL
            WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
                  AND (experiment_id, metric_name) IN (SELECT experiment_id, metric_name FROM ({unsure}) WHERE asked != points)
            GROUP BY experiment_id, metric_name, step
        )
        GROUP BY experiment_id, metric_name
    ) AS found USING (experiment_id, metric_name)
    SETTINGS max_execution_time = 300, max_threads = 1, max_insert_threads = 1, max_bytes_before_external_group_by = 100000000, async_insert = 0
"""
COLUMNS = """
    team_id, project_id, metric_name, experiment_id, spool_id, version, count, nonfinite, sum, min, max, last, last_step, last_time, last_point_id,
    first_step, first_time, once, last_logged_at
"""
# The hours of a drop, as a chart shows them, of the series in which a later point may have taken the place of an earlier one: while the points are there.
FREEZE_SHOWN = """
    INSERT INTO {database}.metrics_hourly ({columns}, shown_min, shown_max, shown_avg, shown_count, shown_nonfinite)
    SELECT {columns}, least_shown, most_shown, mean_shown, n_shown, odd_shown FROM (
        SELECT date, team_id, project_id, experiment_id, metric_name, part, min_value, max_value, avg_value, last_value, count, nonfinite,
               first_step, last_step, last_point_id, first_time, last_time, greatest(version + 1, toUInt64(toUnixTimestamp64Micro(now64(6)))) AS version,
               last_logged_at
        FROM {database}.metrics_hourly FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND part = %(part)s AND count > 0
              AND date < toDateTime(intDiv(%(until)s, 1000000), 'UTC') AND (experiment_id, metric_name) IN (SELECT experiment_id, metric_name FROM ({unsure}))
    ) AS kept
    LEFT JOIN (
        SELECT experiment_id, metric_name, toStartOfHour(at) AS date, minOrNullIf(value, isFinite(value)) AS least_shown,
               maxOrNullIf(value, isFinite(value)) AS most_shown, avgOrNullIf(value, isFinite(value)) AS mean_shown, count() AS n_shown,
               countIf(NOT isFinite(value)) AS odd_shown
        FROM (
            SELECT experiment_id, metric_name, step, argMax(timestamp, {came}) AS at,
                   argMax(metric_value, {came}) AS value
            FROM {database}.metrics FINAL
            WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
                  AND (experiment_id, metric_name) IN (SELECT experiment_id, metric_name FROM ({unsure}))
            GROUP BY experiment_id, metric_name, step
        )
        GROUP BY experiment_id, metric_name, date
    ) AS found USING (experiment_id, metric_name, date)
    SETTINGS max_execution_time = 300, max_threads = 1, max_insert_threads = 1, max_bytes_before_external_group_by = 100000000,
             max_partitions_per_insert_block = 0, async_insert = 0
"""


@dataclass(frozen=True)
class Unsure:
    """A series of `points` by its summaries in which a step may hold several values; `repeats`: how many do, None where it must be counted."""

    points: int
    repeats: int | None


@dataclass(frozen=True)
class Counted:
    """What was counted of a series from a step on: its points, its last step, and how many steps hold several values."""

    points: int
    last: int
    repeats: int

    def joined(self, tail: Counted) -> Counted:
        """The same with what was counted behind its last step."""
        return Counted(self.points + tail.points, tail.last, self.repeats + tail.repeats)


def unsure(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID]) -> dict[str, dict[uuid.UUID, Unsure]]:
    """By metric and experiment the series in which steps may hold several values, or do. From summaries alone."""
    by = narrower(experiments, None)
    found = repository.engine.query(repository.sql(UNSURE_SERIES, unsure=UNSURE.replace("{narrower}", by)), repository.narrowed(place, experiments, None))
    rows = zip(series_keys(found), *(listed(found, name) for name in ("points", "asked", "repeats")), strict=True)
    result: dict[str, dict[uuid.UUID, Unsure]] = {}
    for (experiment, metric), points, asked, repeats in rows:
        result.setdefault(metric, {})[experiment] = Unsure(points, repeats if asked == points else None)
    return result


def uncounted(repository: MetricRepository, place: Place) -> list[uuid.UUID]:
    """The experiments of a project with series of which nobody knows whether steps hold several values."""
    sql = repository.sql(UNSURE_EXPERIMENTS, unsure=UNSURE.replace("{narrower}", ""))
    return [uuid.UUID(one) for one in repository.engine.query(sql, repository.narrowed(place, None, None)).get("experiment", ())]


def counted(repository: MetricRepository, place: Place, metric: str, lows: Mapping[uuid.UUID, int]) -> dict[uuid.UUID, Counted]:
    """What is stored of each series from its step `lows` on; those without a point there are left out. It reads these points."""
    if not lows:
        return {}
    bound = repository.narrowed(place, list(lows), None) | {"metric": metric, "least": min(lows.values())}
    bound |= {"ids": [str(one) for one in lows], "lows": [str(low) for low in lows.values()]}
    found = repository.engine.query(repository.sql(COUNTED), bound)
    rows = list(zip(map(uuid.UUID, found.get("experiment", ())), *(listed(found, name) for name in ("points", "steps", "last")), strict=True))
    several = [one for one, points, steps, _ in rows if points != steps]
    told = repository.engine.query(repository.sql(REPEATED), bound | {"experiments": tuple(several)}) if several else {}
    repeats = dict(zip(map(uuid.UUID, told.get("experiment", ())), listed(told, "repeats"), strict=True))
    return {one: Counted(points, last, repeats.get(one, 0)) for one, points, _, last in rows}


def note(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID]) -> None:
    """Count the steps of the experiments' series that nobody knows of, and keep it with their summaries, until points come. It reads these series."""
    unsure_of = UNSURE.replace("{narrower}", narrower(experiments, None))
    repository.engine.execute(repository.sql(NOTE, unsure=unsure_of, columns=COLUMNS), repository.narrowed(place, experiments, None))


def freeze_shown(repository: MetricRepository, place: Place, experiments: Sequence[uuid.UUID], *, until: int, part: int) -> None:
    """Let the hours of the drop `part` hold what a chart shows of them, where it is not all that was logged. May be repeated until the points go."""
    unsure_of = UNSURE.replace("{narrower}", narrower(experiments, None))
    bound = repository.spanning(place, experiments, 0, until) | {"part": part}
    repository.engine.execute(repository.sql(FREEZE_SHOWN, unsure=unsure_of, columns=HOUR_COLUMNS), bound)
