"""The metric store in the product's own words. Only this module knows its SQL and its columns."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.clickhouse.client import Columns, Engine
from metrics.states import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WINDOW = {"step": "step", "time": "toUnixTimestamp64Micro(timestamp)", "relative": "toUnixTimestamp64Micro(timestamp) - began"}

# The x of a point is its step, its time, or its time since the experiment's first point; `began` is joined only for the last.
BEGAN = """
    INNER JOIN (
        SELECT experiment_id, toUnixTimestamp64Micro(min(first_time)) AS began FROM {database}.metric_summaries FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s GROUP BY experiment_id
    ) AS starts USING (experiment_id)
"""
OF_SERIES = """
    FROM (
        SELECT experiment_id, step, timestamp, point_id, metric_value FROM {database}.metrics FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s
    ) AS points {began}
    WHERE {x} >= %(first)s AND {x} <= %(last)s
"""
SERIES = (
    """
    SELECT step, toUnixTimestamp64Micro(timestamp) AS time, metric_value AS value, {x} AS x
"""
    + OF_SERIES
    + " ORDER BY x, step, point_id LIMIT %(limit)s"
)
EXTENT = (
    """
    SELECT count() AS n, min({x}) AS first, max({x}) AS last
"""
    + OF_SERIES
)
# How far the series of each metric reach, from their summaries: microseconds of work where EXTENT scans points, and one question for all charts of a page.
REACHES = """
    SELECT metric_name AS name, sum(n) AS points, min(low_step) AS first_step, max(high_step) AS last_step,
           toUnixTimestamp64Micro(min(low_time)) AS first_time, toUnixTimestamp64Micro(max(high_time)) AS last_time, max(length_us) AS longest
    FROM (
        SELECT experiment_id, metric_name, sum(count) AS n, min(s.first_step) AS low_step, max(s.last_step) AS high_step, min(s.first_time) AS low_time,
               max(s.last_time) AS high_time, toUnixTimestamp64Micro(high_time) - any(began) AS length_us
        FROM (
            SELECT experiment_id, metric_name, count, first_step, last_step, first_time, last_time FROM {database}.metric_summaries FINAL
            WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
        ) AS s
        {began}
        GROUP BY experiment_id, metric_name HAVING n > 0
    )
    GROUP BY metric_name
"""
# Int64 differences wrap, and toUInt64 reads them right: a window may span all of Int64.
GRID = """
    SELECT toString(experiment_id) AS experiment, groupArray(bucket) AS buckets, groupArray(place) AS places, groupArray(centre) AS centres,
           groupArray(low) AS lows, groupArray(high) AS highs, sum(odd) AS nonfinite, min(odd_at) AS nonfinite_at
    FROM (
        SELECT experiment_id, intDiv(toUInt64({x} - %(first)s), %(width)s) AS bucket, min({x}) AS place, {values}
        {of_series}
        GROUP BY experiment_id, bucket ORDER BY experiment_id, bucket
    )
    GROUP BY experiment_id
"""
# A bucket of one place shows the latest value by point_id; a wider one its mean, in which every NaN and infinity shows. Where the plain values are
# finite they are right; only where one is not is the careful form asked, which counts such values apart.
PLAIN = "{centre} AS centre, min(metric_value) AS low, max(metric_value) AS high, {odd} AS odd, NULL AS odd_at"
PLAIN_CENTRE = {True: "argMax(metric_value, point_id)", False: "avg(metric_value)"}
PLAIN_ODD = {True: "countIf(NOT isFinite(metric_value))", False: "toUInt64(0)"}
CAREFUL = """
    ifNull({centre}, nan) AS centre,
    ifNull(minOrNullIf(metric_value, isFinite(metric_value)), nan) AS low, ifNull(maxOrNullIf(metric_value, isFinite(metric_value)), nan) AS high,
    countIf(NOT isFinite(metric_value)) AS odd, minOrNullIf({x}, NOT isFinite(metric_value)) AS odd_at
"""
CAREFUL_CENTRE = {
    True: "argMaxOrNullIf(metric_value, point_id, isFinite(metric_value))",
    False: "avgOrNullIf(metric_value, isFinite(metric_value))",
}
# A thinned series keeps, for each bucket, the mean, the extremes, and the last step and time in it.
THINNED = """
    SELECT max(step) AS at_step, toUnixTimestamp64Micro(max(timestamp)) AS at_time, max({x}) AS at_x,
           ifNull(avgOrNullIf(metric_value, isFinite(metric_value)), nan) AS value,
           ifNull(minOrNullIf(metric_value, isFinite(metric_value)), nan) AS low,
           ifNull(maxOrNullIf(metric_value, isFinite(metric_value)), nan) AS high
    {of_series}
    GROUP BY intDiv(toUInt64({x} - %(start)s), %(width)s) ORDER BY at_x
"""
SUMMARIES = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, sum(count) AS n, sum(nonfinite) AS odd, sum(sum) AS total,
           ifNull(min(min), nan) AS low, ifNull(max(max), nan) AS high, argMax(last, (last_step, last_point_id)) AS final,
           max(last_step) AS final_step, min(first_step) AS initial_step,
           toUnixTimestamp64Micro(max(last_time)) AS final_time, toUnixTimestamp64Micro(min(first_time)) AS initial_time
    FROM {database}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {narrower}
    GROUP BY metric_name, experiment_id HAVING n > 0 ORDER BY metric_name, experiment_id
"""
# One metric of a whole project, to sort by: only what the one number needs.
VALUES = """
    SELECT toString(experiment_id) AS experiment, {value} AS value FROM {database}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND metric_name IN %(metrics)s
    GROUP BY experiment_id HAVING sum(count) > 0
"""
VALUE = {
    "last": "argMax(last, (last_step, last_point_id))",
    "min": "ifNull(min(min), nan)",
    "max": "ifNull(max(max), nan)",
    "avg": "sum(sum) / (sum(count) - sum(nonfinite))",
}
# The same with all four numbers, so that a metric is asked once however a table filters and sorts by it.
READINGS = f"""
    SELECT toString(experiment_id) AS experiment, {", ".join(f"{value} AS number_{how}" for how, value in VALUE.items())}
    FROM {{database}}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND metric_name IN %(metrics)s
    GROUP BY experiment_id HAVING sum(count) > 0
"""
# The same of several metrics, so that a drawing over many axes asks once.
READINGS_OF = f"""
    SELECT metric_name AS metric, toString(experiment_id) AS experiment, {", ".join(f"{value} AS number_{how}" for how, value in VALUE.items())}
    FROM {{database}}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {{narrower}}
    GROUP BY metric_name, experiment_id HAVING sum(count) > 0 ORDER BY metric_name, experiment_id
"""
# What one metric was at the step where another was best, or at its last step before that; the earliest best where there are several.
AT_BEST = """
    SELECT toString(experiment_id) AS experiment, argMax(metric_value, (step, point_id)) AS value
    FROM {database}.metrics AS points FINAL
    INNER JOIN (
        SELECT experiment_id, argMin(step, (metric_value * %(sign)s, step)) AS best_step FROM {database}.metrics FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(best)s AND isFinite(metric_value)
        GROUP BY experiment_id
    ) AS best USING (experiment_id)
    WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s AND step <= best_step
    GROUP BY experiment_id
"""
# Whole series from what is stored of them: the points, and the hours that stand for points that were dropped.
STORED = """
    FROM (
        SELECT experiment_id, metric_name, count() AS n, countIf(NOT isFinite(metric_value)) AS odd, sumIf(metric_value, isFinite(metric_value)) AS finite_sum,
               minOrNullIf(metric_value, isFinite(metric_value)) AS least, maxOrNullIf(metric_value, isFinite(metric_value)) AS most,
               argMax(metric_value, (step, point_id)) AS final, max(step) AS final_step, argMax(point_id, (step, point_id)) AS final_point,
               max(timestamp) AS final_time, min(step) AS initial_step, min(timestamp) AS initial_time, max(logged_at) AS latest
        FROM {database}.metrics FINAL WHERE team_id = %(team)s AND project_id = %(project)s {narrower} GROUP BY experiment_id, metric_name
        UNION ALL
        SELECT experiment_id, metric_name, sum(count), sum(nonfinite), sum(ifNull(avg_value, 0) * (count - nonfinite)), min(min_value), max(max_value),
               argMax(last_value, (last_step, last_point_id)), max(last_step), argMax(last_point_id, (last_step, last_point_id)),
               max(last_time), min(first_step), min(first_time), toDateTime64(0, 6, 'UTC')
        FROM {database}.metrics_hourly FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND part > 0 AND count > 0 {narrower} GROUP BY experiment_id, metric_name
    ) AS stored
"""
# The summaries of a few experiments of any projects, for the watch.
ACTIVITY = SUMMARIES.replace(
    "team_id = %(team)s AND project_id = %(project)s {narrower}", "(team_id, project_id) IN %(places)s AND experiment_id IN %(experiments)s"
)
FIRST_ODD = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, min(step) AS at FROM {database}.metrics FINAL
    WHERE (team_id, project_id) IN %(places)s AND experiment_id IN %(experiments)s AND metric_name IN %(metrics)s AND NOT isFinite(metric_value)
    GROUP BY experiment_id, metric_name
"""
# One end of each of several series. The key leads to each range, so that what is read does not grow with the series.
ENDS = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, groupArray(metric_value) AS values
    FROM (
        SELECT experiment_id, metric_name, metric_value FROM {database}.metrics FINAL
        WHERE {ranges} ORDER BY {order} LIMIT %(most)s BY experiment_id, metric_name
    )
    GROUP BY experiment_id, metric_name
"""
END_RANGE = """
    (team_id = %(team_{n})s AND project_id = %(project_{n})s AND experiment_id = %(experiment_{n})s AND metric_name = %(metric_{n})s
    AND step BETWEEN %(low_{n})s AND %(high_{n})s)
"""
# Many series from a step on. The condition on the step spares a long series's beginning, by the key.
TAILS = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, arrayMap(x -> x.3, arraySort(groupArray((step, point_id, metric_value)))) AS values
    FROM {database}.metrics FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {narrower} AND step >= %(since)s
    GROUP BY experiment_id, metric_name
"""
EARLY, LATE = "step, point_id", "step DESC, point_id DESC"
PARTS = """
    SELECT table AS name, partition, count() AS parts FROM system.parts WHERE active AND database = %(database)s
    GROUP BY table, partition ORDER BY parts DESC LIMIT 1
"""
RECOMPUTED = (
    """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, sum(stored.n) AS n, sum(stored.odd) AS odd, sum(finite_sum) AS total,
           ifNull(min(least), nan) AS low, ifNull(max(most), nan) AS high, argMax(stored.final, (stored.final_step, final_point)) AS final,
           max(stored.final_step) AS final_step, min(stored.initial_step) AS initial_step, toUnixTimestamp64Micro(max(stored.final_time)) AS final_time,
           toUnixTimestamp64Micro(min(stored.initial_time)) AS initial_time, toUnixTimestamp64Micro(max(latest)) AS logged,
           argMax(final_point, (stored.final_step, final_point)) AS final_id
"""
    + STORED
    + " GROUP BY metric_name, experiment_id ORDER BY metric_name, experiment_id"
)
RECOUNTED = (
    """
    SELECT sum(n) AS count, sum(odd) AS nonfinite, sum(finite_sum) AS total, ifNull(min(least), nan) AS low, ifNull(max(most), nan) AS high,
           argMax(final, (final_step, final_point)) AS last, max(final_step) AS last_step, toUnixTimestamp64Micro(max(final_time)) AS last_us,
           argMax(final_point, (final_step, final_point)) AS last_point, min(initial_step) AS first_step, toUnixTimestamp64Micro(min(initial_time)) AS first_us
"""
    + STORED
)
# A State's fields as RECOMPUTED names them.
STATE_OF_STORED = ("n", "odd", "total", "low", "high", "final", "final_step", "final_time", "final_id", "initial_step", "initial_time")
# What the spools themselves count of each series, and how often it was corrected.
SPOOLED = """
    SELECT toString(experiment_id) AS experiment, metric_name AS metric, sumIf(count, spool_id != 0) AS n, sumIf(nonfinite, spool_id != 0) AS odd,
           sumIf(sum, spool_id != 0) AS total, maxIf(version, spool_id = 0) AS version, arraySort(groupArrayIf(spool_id, spool_id != 0)) AS spools
    FROM {database}.metric_summaries FINAL WHERE team_id = %(team)s AND project_id = %(project)s {narrower} GROUP BY experiment_id, metric_name
"""
COUNTED_BESIDE = """
    SELECT toInt64(sum(count)) AS count, toInt64(sum(nonfinite)) AS nonfinite, sum(sum) AS total FROM {database}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {narrower} AND spool_id != %(spool)s
"""
NAMES = """
    SELECT metric_name AS name, count() AS experiments FROM (
        SELECT metric_name, experiment_id FROM {database}.metric_summaries FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s {narrower} GROUP BY metric_name, experiment_id HAVING sum(count) > 0
    )
    GROUP BY metric_name ORDER BY metric_name
"""
# A DELETE visits every part of every partition, whether or not it holds a row: where none does, it is not sent.
SOME_ROW = """
    SELECT count() AS n FROM (
        SELECT 1 FROM {database}.{table} WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s LIMIT 1
    )
"""
FORGET = """
    DELETE FROM {database}.{table} WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
    SETTINGS lightweight_deletes_sync = 2
"""
# Which series have other points by their summaries than lie in their hours and, from the hour `until` on, in the store. Exact, whatever the clocks
# said and however late a point came: nothing has to be remembered about what was touched. `last_hour` is the earliest of their last known hours.
BEHIND = """
    SELECT toString(experiment_id) AS experiment, toInt64(sum(wanted) - sum(kept)) AS points, min(reached) AS last_hour
    FROM (
        SELECT experiment_id, metric_name, sum(by_summary) AS wanted, sum(by_hour) AS kept, max(hour) AS reached
        FROM (
            SELECT experiment_id, metric_name, count AS by_summary, toUInt64(0) AS by_hour, toUInt32(0) AS hour
            FROM {database}.metric_summaries FINAL WHERE team_id = %(team)s AND project_id = %(project)s {narrower}
            UNION ALL
            SELECT experiment_id, metric_name, toUInt64(0), count, if(part = 0 AND count > 0, toUnixTimestamp(date), toUInt32(0))
            FROM {database}.metrics_hourly FINAL WHERE team_id = %(team)s AND project_id = %(project)s {narrower}
            UNION ALL
            SELECT experiment_id, metric_name, toUInt64(0), toUInt64(1), toUInt32(0)
            FROM {database}.metrics FINAL
            WHERE team_id = %(team)s AND project_id = %(project)s {narrower} AND timestamp >= fromUnixTimestamp64Micro(%(until)s, 'UTC')
                  AND experiment_id GLOBAL IN (
                      SELECT experiment_id FROM {database}.metric_summaries
                      WHERE team_id = %(team)s AND project_id = %(project)s AND last_time >= fromUnixTimestamp64Micro(%(until)s, 'UTC')
                  )
        )
        GROUP BY experiment_id, metric_name HAVING wanted != kept
    )
    GROUP BY experiment_id ORDER BY last_hour, experiment_id
"""
# Points by the hour they were measured in, and the series that they are of, to cut long work by. Repeats may be counted twice.
DENSITY = """
    SELECT toUnixTimestamp(toStartOfHour(timestamp)) AS hour, count() AS points, uniqExact(experiment_id, metric_name) AS series FROM {database}.metrics
    WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
          AND timestamp >= fromUnixTimestamp64Micro(%(first)s, 'UTC') AND timestamp < fromUnixTimestamp64Micro(%(until)s, 'UTC')
    GROUP BY hour ORDER BY hour
"""
HOUR_COLUMNS = """
    date, team_id, project_id, experiment_id, metric_name, part, min_value, max_value, avg_value, last_value, count, nonfinite,
    first_step, last_step, last_point_id, first_time, last_time, version
"""
# One statement from the points to their hours. Hours that are known and have no point any more are overwritten with a count of 0, which no read shows.
REBUILD = """
    INSERT INTO {database}.metrics_hourly ({columns})
    SELECT hour, %(team)s, %(project)s, experiment_id, metric_name, 0,
           minOrNullIf(metric_value, is_finite), maxOrNullIf(metric_value, is_finite), avgOrNullIf(metric_value, is_finite),
           argMaxIf(metric_value, (step, point_id), is_point), countIf(is_point), countIf(is_point AND NOT is_finite),
           minIf(step, is_point), maxIf(step, is_point), argMaxIf(point_id, (step, point_id), is_point),
           minIf(timestamp, is_point), maxIf(timestamp, is_point), greatest(toUInt64(toUnixTimestamp64Micro(now64(6))), max(known_version) + 1)
    FROM (
        SELECT toStartOfHour(timestamp) AS hour, experiment_id, metric_name, metric_value, isFinite(metric_value) AS is_finite, 1 AS is_point,
               step, point_id, timestamp, toUInt64(0) AS known_version, toUInt64(0) AS known_count
        FROM {database}.metrics FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
              AND timestamp >= fromUnixTimestamp64Micro(%(first)s, 'UTC') AND timestamp < fromUnixTimestamp64Micro(%(until)s, 'UTC')
        UNION ALL
        SELECT date, experiment_id, metric_name, 0, 0, 0, 0, 0, first_time, version, count
        FROM {database}.metrics_hourly FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND part = 0
              AND date >= toDateTime(intDiv(%(first)s, 1000000), 'UTC') AND date < toDateTime(intDiv(%(until)s, 1000000), 'UTC')
    )
    GROUP BY experiment_id, metric_name, hour HAVING countIf(is_point) > 0 OR max(known_count) > 0
    SETTINGS max_execution_time = 300, max_threads = 1, max_insert_threads = 1, max_bytes_before_external_group_by = 100000000,
             min_insert_block_size_rows = 50000, max_partitions_per_insert_block = 0, use_skip_indexes_if_final = 1, async_insert = 0
"""
# What the hours of part 0 say before a cut becomes the hours of a drop. May be repeated while the points are still there.
FREEZE = """
    INSERT INTO {database}.metrics_hourly ({columns})
    SELECT date, team_id, project_id, experiment_id, metric_name, toUInt32(%(part)s), min_value, max_value, avg_value, last_value, count, nonfinite,
           first_step, last_step, last_point_id, first_time, last_time, toUInt64(toUnixTimestamp64Micro(now64(6)))
    FROM {database}.metrics_hourly FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND part = 0 AND count > 0
          AND date < toDateTime(intDiv(%(until)s, 1000000), 'UTC')
    SETTINGS max_execution_time = 300, max_threads = 1, max_insert_threads = 1, max_block_size = 8192, min_insert_block_size_rows = 50000,
             max_partitions_per_insert_block = 0, async_insert = 0
"""
COUNT_OF_HOURS = """
    SELECT toString(experiment_id) AS experiment, sum(count) AS points FROM {database}.metrics_hourly FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND part = %(part)s AND date < toDateTime(intDiv(%(until)s, 1000000), 'UTC') AND count > 0
    GROUP BY experiment_id ORDER BY experiment_id
"""
COUNT_OF_POINTS = """
    SELECT toString(experiment_id) AS experiment, count() AS points FROM {database}.metrics FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
          AND timestamp < fromUnixTimestamp64Micro(%(until)s, 'UTC') AND logged_at <= fromUnixTimestamp64Micro(%(logged)s, 'UTC')
    GROUP BY experiment_id
"""
DROP_POINTS = """
    DELETE FROM {database}.metrics WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
    AND timestamp >= fromUnixTimestamp64Micro(%(first)s, 'UTC') AND timestamp < fromUnixTimestamp64Micro(%(until)s, 'UTC')
    AND logged_at <= fromUnixTimestamp64Micro(%(logged)s, 'UTC')
    SETTINGS lightweight_deletes_sync = 2
"""
# Reading hours and points as one. Hours of part 0 count within [hours_from, hours_until), the points outside it; hours of other parts always, as
# their points are gone. A row of an hour stands at its first point.
MIXED = """
    FROM (
        SELECT experiment_id, step, timestamp, step AS until_step, timestamp AS until_time, point_id, metric_value AS mean,
               toUInt64(isFinite(metric_value)) AS finite, toUInt64(1) AS n, if(isFinite(metric_value), metric_value, NULL) AS least, least AS most
        FROM {database}.metrics FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s
              AND (timestamp < fromUnixTimestamp64Micro(%(hours_from)s, 'UTC') OR timestamp >= fromUnixTimestamp64Micro(%(hours_until)s, 'UTC'))
        UNION ALL
        SELECT experiment_id, first_step, first_time, last_step, last_time, last_point_id, ifNull(avg_value, nan),
               toUInt64(count - nonfinite), count, min_value, max_value
        FROM {database}.metrics_hourly FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s AND count > 0
              AND (part > 0 OR (date >= toDateTime(intDiv(%(hours_from)s, 1000000), 'UTC') AND date < toDateTime(intDiv(%(hours_until)s, 1000000), 'UTC')))
    ) AS points {began}
    WHERE {x} >= %(first)s AND {x} <= %(last)s
"""
MIXED_EXTENT = "SELECT sum(n) AS n, min({x}) AS first, max({x}) AS last" + MIXED
MIXED_CENTRE = {True: "argMaxOrNullIf(mean, point_id, finite > 0)", False: "sumIf(mean * finite, finite > 0) / sum(finite)"}
MIXED_GRID = """
    SELECT toString(experiment_id) AS experiment, groupArray(bucket) AS buckets, groupArray(place) AS places, groupArray(centre) AS centres,
           groupArray(low) AS lows, groupArray(high) AS highs, sum(odd) AS nonfinite, min(odd_at) AS nonfinite_at
    FROM (
        SELECT experiment_id, intDiv(toUInt64({x} - %(origin)s), %(width)s) AS bucket, min({x}) AS place, ifNull({centre}, nan) AS centre,
               ifNull(min(least), nan) AS low, ifNull(max(most), nan) AS high, sum(n - finite) AS odd, minOrNullIf({x}, n > finite) AS odd_at
        {mixed}
        GROUP BY experiment_id, bucket ORDER BY experiment_id, bucket
    )
    GROUP BY experiment_id
"""
MIXED_THINNED = """
    SELECT max(until_step) AS at_step, toUnixTimestamp64Micro(max(until_time)) AS at_time, max({x}) AS at_x,
           ifNull({centre}, nan) AS value, ifNull(min(least), nan) AS low, ifNull(max(most), nan) AS high
    {mixed}
    GROUP BY intDiv(toUInt64({x} - %(origin)s), %(width)s) ORDER BY at_x
"""
# The end of the last hour that is known of any of the series, 0 where there is none.
AGGREGATED = """
    SELECT max(toUnixTimestamp(date) + 3600) AS until FROM {database}.metrics_hourly
    WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s AND count > 0
"""
# Which series lie whole in their hours before `until` and the points after it: by their summaries nothing is missing.
COMPLETE = """
    SELECT toString(experiment_id) AS experiment FROM (
        SELECT experiment_id, -toInt64(count) AS n FROM {database}.metric_summaries FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s
        UNION ALL
        SELECT experiment_id, toInt64(count) FROM {database}.metrics_hourly FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s
              AND (part > 0 OR date < toDateTime(intDiv(%(until)s, 1000000), 'UTC'))
        UNION ALL
        SELECT experiment_id, toInt64(1) FROM {database}.metrics FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s
              AND timestamp >= fromUnixTimestamp64Micro(%(until)s, 'UTC')
    )
    GROUP BY experiment_id HAVING sum(n) >= 0
"""
POINT_TABLES = ("metrics", "metrics_hourly", "metric_summaries")
NOW = "SELECT 1 AS alive"
# What runs by the clock may take longer than what a reader waits for.
LONG_S = 300.0


@dataclass(frozen=True)
class Place:
    """Where a series lives. A query never leaves its team and project."""

    team_id: uuid.UUID
    project_id: uuid.UUID


@dataclass(frozen=True)
class Window:
    """A closed range of x: `kind` step, time or relative; times in microseconds."""

    kind: str = "step"
    first: int = -(2**63)
    last: int = 2**63 - 1


@dataclass(frozen=True)
class Series:
    """Points in the order of x: four arrays of shape (points,). Times in microseconds since 1970, UTC."""

    step: Ints
    time: Ints
    x: Ints
    value: Floats


@dataclass(frozen=True)
class ThinnedSeries(Series):
    """One row a bucket: `value` is the mean of its finite values, `low` and `high` their extremes (NaN where there is none)."""

    low: Floats
    high: Floats


@dataclass(frozen=True)
class Extent:
    """How many points, between which x (both 0 where there is no point)."""

    points: int
    first: int
    last: int


@dataclass(frozen=True)
class GridRow:
    """One experiment on a shared grid: arrays of shape (buckets,), NaN where it has no finite value there."""

    centre: Floats
    low: Floats
    high: Floats
    nonfinite: int
    nonfinite_at: int | None


@dataclass(frozen=True)
class SparseRow:
    """One experiment's own buckets, in their order: their numbers, the first place in each, and its values."""

    buckets: NDArray[np.uint64]
    places: Ints
    centre: Floats
    low: Floats
    high: Floats
    nonfinite: int
    nonfinite_at: int | None

    @property
    def is_finite(self) -> bool:
        """Whether every value that went into it was. A NaN can hide from min and max, never from a mean."""
        return not self.nonfinite and bool(np.isfinite(self.centre).all() and np.isfinite(self.low).all() and np.isfinite(self.high).all())


@dataclass(frozen=True)
class Grid:
    """Many series on one x: `x` (buckets,) holds the first place that any of them has in a bucket; empty buckets are left out."""

    x: Ints
    width: int
    rows: dict[uuid.UUID, GridRow]


@dataclass(frozen=True)
class Summary:
    """One series as numbers. `low`, `high` and `average` over its finite values (NaN where there is none); `last` may be NaN or infinite."""

    count: int
    nonfinite: int
    total: float
    low: float
    high: float
    last: float
    first_step: int
    last_step: int
    first_time: int
    last_time: int

    @property
    def average(self) -> float:
        """Mean of the finite values."""
        finite = self.count - self.nonfinite
        return self.total / finite if finite else float("nan")

    def by(self, aggregation: str) -> float:
        """The one number of the series by `last`, `min`, `max` or `avg`. Raises KeyError for another word."""
        return {"last": self.last, "min": self.low, "max": self.high, "avg": self.average}[aggregation]


@dataclass(frozen=True)
class Stretch:
    """A range of steps of one series, its ends included."""

    place: Place
    experiment: uuid.UUID
    metric: str
    low: int
    high: int


Summaries = dict[uuid.UUID, dict[str, Summary]]
SeriesKey = tuple[uuid.UUID, str]


@dataclass(frozen=True)
class Behind:
    """An experiment whose hours do not hold what its summaries count: how many points more or fewer, and the end of what is known, in microseconds."""

    experiment: uuid.UUID
    points: int
    since_us: int


@dataclass(frozen=True)
class Spooled:
    """What the spools count of one series, taken together (`count` may wrap), and the version of its last correction, 0 where there is none."""

    count: int
    nonfinite: int
    total: float
    version: int
    spools: tuple[int, ...]


@dataclass(frozen=True)
class Hours:
    """Which hours are read for their points: from `first` to before `until`, microseconds. Nothing where both are 0."""

    first: int = 0
    until: int = 0


@dataclass(frozen=True)
class Readings:
    """One metric of a whole project: which experiments have it, and by `last`, `min`, `max` and `avg` their numbers in the same order; NaN for none."""

    experiments: list[uuid.UUID]
    numbers: dict[str, Floats]


class MetricRepository:
    """Every question and every write that the metric store knows."""

    def __init__(self, engine: Engine, *, database: str) -> None:
        self.engine, self.database = engine, database

    def sql(self, text: str, **parts: str) -> str:
        """A constant with its fixed parts put in. Parts are constants of this module, never a caller's text."""
        for name, part in parts.items():
            text = text.replace("{" + name + "}", part)
        return text.replace("{database}", self.database)

    def insert_points(self, columns: Columns) -> None:
        """Store points. A repeat of the same rows lands once, under (series, step, point_id)."""
        self.engine.insert("metrics", columns)

    def insert_summaries(self, columns: Columns) -> None:
        """Store the absolute state of series. The highest version of a (series, spool) counts."""
        self.engine.insert("metric_summaries", columns)

    def is_alive(self) -> bool:
        """Ask the store for one number. Raises a StoreError where it does not answer."""
        return list(self.engine.query(NOW, timeout_s=2)["alive"]) == [1]

    def series(self, place: Place, experiment: uuid.UUID, metric: str, window: Window | None = None, *, limit: int = 10_000_000) -> Series:
        """Every point of one series in the window, by x, step and point_id."""
        window = window or Window()
        found = self.engine.query(self.of_window(SERIES, window), self.bound(place, [experiment], metric, window, limit=limit))
        return Series(step=ints(found, "step"), time=ints(found, "time"), x=ints(found, "x"), value=floats(found, "value"))

    def extent(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window | None = None) -> Extent:
        """How far the series reach within the window."""
        window = window or Window()
        found = self.engine.query(self.of_window(EXTENT, window), self.bound(place, experiments, metric, window))
        return Extent(points=int(found["n"][0]), first=int(found["first"][0]), last=int(found["last"][0]))

    def reaches(self, place: Place, experiments: Sequence[uuid.UUID], kind: str) -> dict[str, Extent]:
        """How far the series of each metric reach in x of `kind`, from their summaries."""
        found = self.engine.query(self.sql(REACHES, began=self.sql(BEGAN)), self.narrowed(place, experiments, None))
        first, last = {"step": ("first_step", "last_step"), "time": ("first_time", "last_time"), "relative": ("", "longest")}[kind]
        firsts = found[first] if first and found else [0] * len(listed(found, "name"))
        rows = zip(listed(found, "name"), listed(found, "points"), firsts, listed(found, last), strict=True)
        return {name: Extent(int(points), int(low), int(high)) for name, points, low, high in rows}

    def reach(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, kind: str) -> Extent:
        """How far the series of one metric reach in x of `kind`."""
        return self.reaches(place, experiments, kind).get(metric, Extent(0, 0, 0))

    def thinned(self, place: Place, experiment: uuid.UUID, metric: str, window: Window, *, start: int, width: int) -> ThinnedSeries:
        """One series in buckets of `width` from `start`, in the unit of x."""
        sql = self.of_window(self.sql(THINNED, of_series=OF_SERIES), window)
        found = self.engine.query(sql, self.bound(place, [experiment], metric, window, start=start, width=width))
        step, time, x = (ints(found, name) for name in ("at_step", "at_time", "at_x"))
        return ThinnedSeries(step, time, x, *(floats(found, name) for name in ("value", "low", "high")))

    def grid(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, *, width: int) -> Grid:
        """Many series on one grid of buckets `width` wide from the window's first x."""
        found = self.sparse(place, experiments, metric, window, width, self.sql(PLAIN, centre=PLAIN_CENTRE[width == 1], odd=PLAIN_ODD[width == 1]))
        odd = [experiment for experiment, row in found.items() if not row.is_finite]
        if odd:
            found |= self.sparse(place, odd, metric, window, width, self.sql(CAREFUL, centre=CAREFUL_CENTRE[width == 1]))
        return grid(found, width)

    def sparse(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, width: int, values: str) -> dict[uuid.UUID, SparseRow]:
        """Each series' own buckets."""
        sql = self.of_window(self.sql(GRID, of_series=OF_SERIES, values=values), window)
        return sparse_rows(self.engine.query(sql, self.bound(place, experiments, metric, window, width=width)))

    def summaries(self, place: Place, *, experiments: Sequence[uuid.UUID] | None = None, metrics: Sequence[str] | None = None) -> Summaries:
        """The summary of every series, by experiment and metric name, narrowed where asked."""
        return self.summed(SUMMARIES, place, experiments, metrics)

    def recomputed(self, place: Place, *, experiments: Sequence[uuid.UUID] | None = None, metrics: Sequence[str] | None = None) -> Summaries:
        """The same from the points themselves: slow, and what `summaries` must equal."""
        return self.summed(RECOMPUTED, place, experiments, metrics)

    def recounted(self, place: Place, experiment: uuid.UUID, metric: str, *, beside: int) -> State:
        """The state of one series from its stored points, without what spools other than `beside` count of it."""
        state = self.state(place, experiment, metric)
        sql = self.sql(COUNTED_BESIDE, narrower=narrower([experiment], [metric]))
        others = self.engine.query(sql, self.narrowed(place, [experiment], [metric]) | {"spool": beside})
        count, nonfinite, total = (listed(others, name)[0] for name in ("count", "nonfinite", "total"))
        return replace(state, count=max(0, state.count - count), nonfinite=max(0, state.nonfinite - nonfinite), total=state.total - total)

    def state(self, place: Place, experiment: uuid.UUID, metric: str) -> State:
        """The state of one series from its stored points."""
        sql = self.sql(RECOUNTED, narrower=narrower([experiment], [metric]))
        found = self.engine.query(sql, self.narrowed(place, [experiment], [metric]))
        return State(**{name: listed(found, name)[0] for name in State.__dataclass_fields__})

    def stored_states(self, place: Place, experiments: Sequence[uuid.UUID], metrics: Sequence[str]) -> dict[SeriesKey, State]:
        """The state of each series from what is stored of it; a series without a point is left out."""
        by = narrower(experiments, metrics)
        found = self.engine.query(self.sql(RECOMPUTED, narrower=by), self.narrowed(place, experiments, metrics), timeout_s=LONG_S)
        keys = zip(map(uuid.UUID, found.get("experiment", ())), found.get("metric", ()), strict=True)
        rows = zip(*(listed(found, name) for name in STATE_OF_STORED), strict=True)
        return {key: State(*row) for key, row in zip(keys, rows, strict=True)}

    def values(self, place: Place, metric: str, aggregation: str) -> dict[uuid.UUID, float]:
        """One number for each experiment of the project that has the metric, by `last`, `min`, `max` or `avg`."""
        found = self.engine.query(self.sql(VALUES, value=VALUE[aggregation]), self.narrowed(place, None, [metric]))
        return dict(zip(map(uuid.UUID, found.get("experiment", ())), listed(found, "value"), strict=True))

    def readings(self, place: Place, metric: str) -> Readings:
        """The four numbers of one metric for every experiment of the project that has it."""
        found = self.engine.query(self.sql(READINGS), self.narrowed(place, None, [metric]))
        return Readings([*map(uuid.UUID, found.get("experiment", ()))], {how: floats(found, f"number_{how}") for how in VALUE})

    def readings_of(self, place: Place, metrics: Sequence[str], *, experiments: Sequence[uuid.UUID] | None = None) -> dict[str, Readings]:
        """The four numbers of each of these metrics, for every experiment of the project or for those named; a metric without a point is left out."""
        sql = self.sql(READINGS_OF, narrower=narrower(experiments, metrics))
        return several_readings(self.engine.query(sql, self.narrowed(place, experiments, metrics)))

    def at_best(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, *, best: str, sign: int) -> dict[uuid.UUID, float]:
        """What the metric was where `best` was best (`sign` +1 where more is better, -1 where less is): there, or at its last step before."""
        params = self.narrowed(place, experiments, None) | {"metric": metric, "best": best, "sign": -sign}
        found = self.engine.query(self.sql(AT_BEST), params)
        return dict(zip(map(uuid.UUID, found.get("experiment", ())), listed(found, "value"), strict=True))

    def names(self, place: Place, experiments: Sequence[uuid.UUID] | None = None) -> dict[str, int]:
        """Every metric name with the number of experiments that have it, in the order of names."""
        found = self.engine.query(self.sql(NAMES, narrower=narrower(experiments, None)), self.narrowed(place, experiments, None))
        return dict(zip(found.get("name", ()), listed(found, "experiments"), strict=True))

    def logged(self, place: Place, experiments: Sequence[uuid.UUID]) -> tuple[Summaries, dict[SeriesKey, int]]:
        """`recomputed` for reconciling, with all the time that takes, and when the latest point of each series was logged, in microseconds."""
        by = narrower(experiments, None)
        found = self.engine.query(self.sql(RECOMPUTED, narrower=by), self.narrowed(place, experiments, None), timeout_s=LONG_S)
        keys = zip(map(uuid.UUID, found.get("experiment", ())), found.get("metric", ()), strict=True)
        return summaries(found), dict(zip(keys, listed(found, "logged"), strict=True))

    def spooled(self, place: Place, experiments: Sequence[uuid.UUID], metrics: Sequence[str]) -> dict[SeriesKey, Spooled]:
        """What the spools count of the series, apart from corrections."""
        by = narrower(experiments, metrics)
        found = self.engine.query(self.sql(SPOOLED, narrower=by), self.narrowed(place, experiments, metrics))
        keys = zip(map(uuid.UUID, found.get("experiment", ())), found.get("metric", ()), strict=True)
        numbers = (listed(found, name) for name in ("n", "odd", "total", "version"))
        spools = (tuple(np.asarray(ids).tolist()) for ids in found.get("spools", ()))
        return {key: Spooled(*row) for key, *row in zip(keys, *numbers, spools, strict=True)}

    # Hours ---------------------------------------------------------------------------------------------------------------------------------------

    def behind(self, place: Place, *, until: int, experiments: Sequence[uuid.UUID] | None = None) -> list[Behind]:
        """The experiments whose hours before `until` (microseconds, a full hour) are not what their points make them, the longest behind first."""
        text = self.sql(BEHIND, narrower=narrower(experiments, None))
        found = self.engine.query(text, self.narrowed(place, experiments, None) | {"until": until}, timeout_s=LONG_S)
        hours = (hour * 1_000_000 for hour in listed(found, "last_hour"))
        return [Behind(uuid.UUID(one), points, hour) for one, points, hour in zip(found.get("experiment", ()), listed(found, "points"), hours, strict=True)]

    def density(self, place: Place, experiments: Sequence[uuid.UUID], *, first: int, until: int) -> list[tuple[int, int, int]]:
        """(start of an hour in microseconds, points, series) for each hour with points in [first, until)."""
        found = self.engine.query(self.sql(DENSITY), self.spanning(place, experiments, first, until), timeout_s=LONG_S)
        hours, points, series = (listed(found, name) for name in ("hour", "points", "series"))
        return [(hour * 1_000_000, *counts) for hour, *counts in zip(hours, points, series, strict=True)]

    def rebuild_hours(self, place: Place, experiments: Sequence[uuid.UUID], *, first: int, until: int) -> None:
        """Make the hours in [first, until), both full hours in microseconds, anew from the points. Twice the same; the highest version counts."""
        self.engine.execute(self.sql(REBUILD, columns=HOUR_COLUMNS), self.spanning(place, experiments, first, until))

    def freeze_hours(self, place: Place, experiments: Sequence[uuid.UUID], *, until: int, part: int) -> None:
        """Keep the hours before `until` as the hours of the drop `part`. May be repeated until the points go."""
        self.engine.execute(self.sql(FREEZE, columns=HOUR_COLUMNS), self.spanning(place, experiments, 0, until) | {"part": part})

    def hour_counts(self, place: Place, *, until: int, part: int) -> dict[uuid.UUID, int]:
        """How many points the hours of a part before `until` stand for, by experiment."""
        return counted(self.engine.query(self.sql(COUNT_OF_HOURS), self.spanning(place, (), 0, until) | {"part": part}))

    def point_counts(self, place: Place, experiments: Sequence[uuid.UUID], *, until: int, logged: int) -> dict[uuid.UUID, int]:
        """How many points were measured before `until` and logged until `logged` (microseconds), by experiment."""
        bound = self.spanning(place, experiments, 0, until) | {"logged": logged}
        return counted(self.engine.query(self.sql(COUNT_OF_POINTS), bound, timeout_s=LONG_S))

    def drop_points(self, place: Place, experiments: Sequence[uuid.UUID], *, first: int, until: int, logged: int) -> None:
        """Delete the points measured in [first, until) and logged until `logged`. May be repeated."""
        self.engine.execute(self.sql(DROP_POINTS), self.spanning(place, experiments, first, until) | {"logged": logged})

    def aggregated_until(self, place: Place, experiments: Sequence[uuid.UUID], metric: str) -> int:
        """The end of the last hour that is known of any of these series, in microseconds; 0 where there is none."""
        found = self.engine.query(self.sql(AGGREGATED), self.narrowed(place, experiments, None) | {"metric": metric})
        return int(next(iter(listed(found, "until")), 0)) * 1_000_000

    def complete(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, *, until: int) -> list[uuid.UUID]:
        """The experiments whose series lies whole in its hours before `until` (microseconds) and the points after it."""
        found = self.engine.query(self.sql(COMPLETE), self.narrowed(place, experiments, None) | {"metric": metric, "until": until})
        return [uuid.UUID(experiment) for experiment in found.get("experiment", ())]

    def mixed_extent(self, place: Place, experiment: uuid.UUID, metric: str, window: Window) -> Extent:
        """`extent` over the points that are stored and the hours of those that were dropped."""
        found = self.engine.query(self.of_window(MIXED_EXTENT, window), self.bound(place, [experiment], metric, window, hours_from=0, hours_until=0))
        return Extent(points=int(found["n"][0]), first=int(found["first"][0]), last=int(found["last"][0]))

    def mixed_grid(
        self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, hours: Hours, *, origin: int, width: int
    ) -> dict[uuid.UUID, SparseRow]:
        """`sparse` with hours for points where `hours` says so, in buckets of `width` from `origin`."""
        sql = self.of_window(self.sql(MIXED_GRID, mixed=MIXED, centre=MIXED_CENTRE[width == 1]), window)
        bound = self.bound(place, experiments, metric, window, hours_from=hours.first, hours_until=hours.until, origin=origin, width=width)
        return sparse_rows(self.engine.query(sql, bound))

    def mixed_thinned(self, place: Place, experiment: uuid.UUID, metric: str, window: Window, hours: Hours, *, origin: int, width: int) -> ThinnedSeries:
        """`thinned` with hours for points where `hours` says so."""
        sql = self.of_window(self.sql(MIXED_THINNED, mixed=MIXED, centre=MIXED_CENTRE[width == 1]), window)
        bound = self.bound(place, [experiment], metric, window, hours_from=hours.first, hours_until=hours.until, origin=origin, width=width)
        found = self.engine.query(sql, bound)
        step, time, x = (ints(found, name) for name in ("at_step", "at_time", "at_x"))
        return ThinnedSeries(step, time, x, *(floats(found, name) for name in ("value", "low", "high")))

    def spanning(self, place: Place, experiments: Sequence[uuid.UUID], first: int, until: int) -> dict[str, Any]:
        """The parameters of work on a span of time."""
        return self.narrowed(place, experiments, None) | {"first": first, "until": until}

    def activity(self, places: Iterable[Place], experiments: Sequence[uuid.UUID]) -> Summaries:
        """The summaries of experiments of several projects, in one question."""
        return summaries(self.engine.query(self.sql(ACTIVITY), {"places": pairs(places), "experiments": tuple(experiments)})) if experiments else {}

    def first_odd(self, places: Iterable[Place], experiments: Sequence[uuid.UUID], metrics: Sequence[str], *, timeout_s: float) -> dict[SeriesKey, int]:
        """The first step at which each series is NaN or infinite. It reads the series: raises TooSlow past `timeout_s`."""
        params = {"places": pairs(places), "experiments": tuple(experiments), "metrics": tuple(metrics)}
        found = self.engine.query(self.sql(FIRST_ODD), params, timeout_s=timeout_s)
        return dict(zip(series_keys(found), listed(found, "at"), strict=True))

    def beginnings(self, stretches: Sequence[Stretch], *, most: int) -> dict[SeriesKey, Floats]:
        """The first values of each range, `most` of them, in no order."""
        return self.ends(stretches, EARLY, most)

    def endings(self, stretches: Sequence[Stretch], *, most: int) -> dict[SeriesKey, Floats]:
        """The last values of each range, `most` of them, in no order."""
        return self.ends(stretches, LATE, most)

    def ends(self, stretches: Sequence[Stretch], order: str, most: int) -> dict[SeriesKey, Floats]:
        """Run ENDS."""
        if not stretches:
            return {}
        ranges = " OR ".join(END_RANGE.replace("{n}", str(n)) for n in range(len(stretches)))
        params = {name: value for n, stretch in enumerate(stretches) for name, value in range_params(n, stretch).items()}
        found = self.engine.query(self.sql(ENDS, ranges=ranges, order=order), params | {"most": most})
        return {key: np.array(values, dtype=np.float64) for key, values in zip(series_keys(found), found.get("values", ()), strict=True)}

    def tails(self, place: Place, experiments: Sequence[uuid.UUID], metrics: Sequence[str], *, since: int) -> dict[SeriesKey, Floats]:
        """The values of each series from the step `since` on, in the order of their steps."""
        if not experiments:
            return {}
        found = self.engine.query(self.sql(TAILS, narrower=narrower(experiments, metrics)), self.narrowed(place, experiments, metrics) | {"since": since})
        return {key: np.array(values, dtype=np.float64) for key, values in zip(series_keys(found), found.get("values", ()), strict=True)}

    def most_parts(self) -> tuple[str, int]:
        """(table and partition, active parts) of the partition with the most; ("", 0) in an empty store."""
        found = self.engine.query(PARTS, {"database": self.database})
        return (f"{found['name'][0]} {found['partition'][0]}", int(found["parts"][0])) if found and len(found["parts"]) else ("", 0)

    def forget(self, place: Place, experiments: Sequence[uuid.UUID]) -> None:
        """Delete every trace of the experiments' points. May be repeated."""
        bound = self.narrowed(place, experiments, None)
        for table in POINT_TABLES:
            if self.engine.query(self.sql(SOME_ROW, table=table), bound)["n"][0]:
                self.engine.execute(self.sql(FORGET, table=table), bound)

    def summed(self, text: str, place: Place, experiments: Sequence[uuid.UUID] | None, metrics: Sequence[str] | None) -> Summaries:
        """Run SUMMARIES or RECOMPUTED."""
        found = self.engine.query(self.sql(text, narrower=narrower(experiments, metrics)), self.narrowed(place, experiments, metrics))
        return summaries(found)

    def of_window(self, text: str, window: Window) -> str:
        """A constant over a series for the window's kind of x."""
        began = BEGAN if window.kind == "relative" else ""
        return self.sql(self.sql(text, began=began), x=WINDOW[window.kind])

    def bound(self, place: Place, experiments: Sequence[uuid.UUID], metric: str, window: Window, **more: int) -> dict[str, Any]:
        """The parameters of a query over series."""
        return self.narrowed(place, experiments, None) | {"metric": metric, "first": window.first, "last": window.last} | more

    def narrowed(self, place: Place, experiments: Sequence[uuid.UUID] | None, metrics: Sequence[str] | None) -> dict[str, Any]:
        """The parameters that say where, and which."""
        return {
            "team": place.team_id,
            "project": place.project_id,
            "experiments": tuple(experiments or (uuid.UUID(int=0),)),
            "metrics": tuple(metrics or ("",)),
        }


def narrower(experiments: Sequence[uuid.UUID] | None, metrics: Sequence[str] | None) -> str:
    """The conditions that narrow a query to what was named."""
    by_experiment = " AND experiment_id IN %(experiments)s" if experiments is not None else ""
    by_metric = " AND metric_name IN %(metrics)s" if metrics is not None else ""
    return by_experiment + by_metric


def counted(found: Mapping[str, Any]) -> dict[uuid.UUID, int]:
    """A result of experiments and points."""
    return dict(zip(map(uuid.UUID, found.get("experiment", ())), listed(found, "points"), strict=True))


def pairs(places: Iterable[Place]) -> tuple[tuple[uuid.UUID, uuid.UUID], ...]:
    """Places as the store compares them."""
    return tuple({(place.team_id, place.project_id) for place in places})


def range_params(n: int, stretch: Stretch) -> dict[str, Any]:
    """The parameters of the n-th END_RANGE."""
    values = {"team": stretch.place.team_id, "project": stretch.place.project_id, "experiment": stretch.experiment, "metric": stretch.metric}
    return {f"{name}_{n}": value for name, value in {**values, "low": stretch.low, "high": stretch.high}.items()}


def series_keys(found: Mapping[str, Any]) -> list[SeriesKey]:
    """(experiment, metric) of each row."""
    return [(uuid.UUID(experiment), metric) for experiment, metric in zip(found.get("experiment", ()), found.get("metric", ()), strict=True)]


def ints(found: Mapping[str, Any], name: str) -> Ints:
    """A result column as int64, empty where the result is."""
    return np.array(found.get(name, ()), dtype=np.int64)


def listed(found: Mapping[str, Any], name: str) -> list[Any]:
    """A result column of numbers as Python's own, empty where the result is."""
    column: list[Any] = np.asarray(found.get(name, ())).tolist()
    return column


def floats(found: Mapping[str, Any], name: str) -> Floats:
    """A result column as float64, empty where the result is."""
    return np.array(found.get(name, ()), dtype=np.float64)


def sparse_rows(found: Mapping[str, Any]) -> dict[uuid.UUID, SparseRow]:
    """The result of GRID."""
    columns = [found.get(name, ()) for name in ("buckets", "places", "centres", "lows", "highs", "nonfinite", "nonfinite_at")]
    return {uuid.UUID(experiment): SparseRow(*row) for experiment, *row in zip(found.get("experiment", ()), *columns, strict=True)}


def grid(found: Mapping[uuid.UUID, SparseRow], width: int) -> Grid:
    """Sparse rows brought onto one x: the first place that any series has in a bucket."""
    used = np.unique(np.concatenate([row.buckets for row in found.values()])) if found else np.array([], dtype=np.uint64)
    x = np.full(len(used), 2**63 - 1, dtype=np.int64)
    rows = {}
    for experiment, row in found.items():
        at = np.searchsorted(used, row.buckets)
        x[at] = np.minimum(x[at], row.places)
        centre, low, high = (spread(values, at, len(used)) for values in (row.centre, row.low, row.high))
        rows[experiment] = GridRow(centre, low, high, int(row.nonfinite), int(row.nonfinite_at) if row.nonfinite_at is not None and row.nonfinite else None)
    return Grid(x=x, width=width, rows=rows)


def spread(values: Floats, at: NDArray[Any], length: int) -> Floats:
    """`values` put at the places `at` of an array of NaN."""
    spread_out = np.full(length, np.nan)
    spread_out[at] = values
    return spread_out


def several_readings(found: Mapping[str, Any]) -> dict[str, Readings]:
    """The result of READINGS_OF, which comes in the order of metrics."""
    names, ids = list(found.get("metric", ())), [*map(uuid.UUID, found.get("experiment", ()))]
    columns = {how: floats(found, f"number_{how}") for how in VALUE}
    starts = [n for n, name in enumerate(names) if not n or names[n - 1] != name]
    spans = zip(starts, [*starts[1:], len(names)], strict=False)
    return {names[first]: Readings(ids[first:end], {how: column[first:end] for how, column in columns.items()}) for first, end in spans}


def summaries(found: Mapping[str, Any]) -> Summaries:
    """The result of SUMMARIES or RECOMPUTED."""
    names = ("n", "odd", "total", "low", "high", "final", "initial_step", "final_step", "initial_time", "final_time")
    result: Summaries = {}
    if not found:
        return result
    for experiment, metric, *numbers in zip(found["experiment"], found["metric"], *(listed(found, name) for name in names), strict=True):
        result.setdefault(uuid.UUID(experiment), {})[metric] = Summary(*numbers)
    return result
