"""The SQL of the metric store: what the repository asks, with values bound and columns named here alone."""

from __future__ import annotations

# Parts of many statements. They are put in wherever they are named.
FIXED = {
    # The end of the last hour that is known of any of the series, in microseconds; 0 where there is none. It is worked out once in a statement.
    "known": "(SELECT if(count() > 0, toInt64(max(toUnixTimestamp(date)) + 3600) * 1000000, 0) FROM {database}.metrics_hourly WHERE {of_metric} AND count > 0)",
    # The order in which the values of a step came, as one number: when the server took them, and by point_id what it took at once.
    "came": "(bitShiftLeft(toUInt128(toUnixTimestamp64Micro(logged_at)), 64) + point_id)",
    "of_metric": "team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(metric)s",
}
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
        SELECT experiment_id, step, timestamp, logged_at, point_id, metric_value FROM {database}.metrics FINAL
        WHERE {of_metric}
    ) AS points {began}
    WHERE {x} >= %(first)s AND {x} <= %(last)s
"""
# The same with the latest value of each step alone, for series in which a step may hold several: on any axis the others are not there. The latest is
# what the server took last, within one request the one of the highest point_id: point_ids of several processes or clients say nothing of the order in
# which points came. A window over the points costs less than to group them by step.
LATEST = """
        SELECT experiment_id, step, timestamp, point_id, metric_value FROM (
            SELECT experiment_id, step, timestamp, point_id, metric_value,
                   leadInFrame(point_id, 1, point_id) OVER (
                       PARTITION BY experiment_id, step ORDER BY logged_at, point_id ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
                   ) AS next_id
            FROM {database}.metrics FINAL WHERE {of_metric} {among_steps}
        )
        WHERE next_id = point_id
"""
AMONG_STEPS = "AND step >= %(first)s AND step <= %(last)s"
OF_LATEST = """
    FROM ({latest}) AS points {began}
    WHERE {x} >= %(first)s AND {x} <= %(last)s
"""
SERIES = (
    """
    SELECT step, toUnixTimestamp64Micro(timestamp) AS time, metric_value AS value, {x} AS x
"""
    + OF_SERIES
    + " ORDER BY x, step, logged_at, point_id LIMIT %(limit)s"
)
EXTENT = (
    """
    SELECT count() AS n, min({x}) AS first, max({x}) AS last
"""
    + OF_SERIES
)
# How far the series of each metric reach, from their summaries: microseconds of work where EXTENT scans points, and one question for all charts of a page.
REACHES = """
    SELECT metric_name AS name, sum(n) AS points, sum(odd) AS nonfinite, min(low_step) AS first_step, max(high_step) AS last_step,
           toUnixTimestamp64Micro(min(low_time)) AS first_time, toUnixTimestamp64Micro(max(high_time)) AS last_time, max(length_us) AS longest
    FROM (
        SELECT experiment_id, metric_name, sum(count) AS n, sum(s.nonfinite) AS odd, min(s.first_step) AS low_step, max(s.last_step) AS high_step,
               min(s.first_time) AS low_time, max(s.last_time) AS high_time, toUnixTimestamp64Micro(high_time) - any(began) AS length_us
        FROM (
            SELECT experiment_id, metric_name, count, nonfinite, first_step, last_step, first_time, last_time FROM {database}.metric_summaries FINAL
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
           groupArray(low) AS lows, groupArray(high) AS highs, sum(odd) AS nonfinite, min(odd_at) AS nonfinite_at,
           groupBitOr(odd_kinds) AS nonfinite_kinds
    FROM (
        SELECT experiment_id, intDiv(toUInt64({x} - %(first)s), %(width)s) AS bucket, min({x}) AS place, {values}
        {of_series}
        GROUP BY experiment_id, bucket ORDER BY experiment_id, bucket
    )
    GROUP BY experiment_id
"""
# A bucket of one place shows one value; a wider one its mean, in which every NaN and infinity shows. Where the plain values are
# finite they are right; only where one is not is the careful form asked, which counts such values apart and says which kinds there are, as bits:
# 1 NaN, 2 infinity, 4 minus infinity, 8 not known any more.
PLAIN = "{centre} AS centre, min(metric_value) AS low, max(metric_value) AS high, {odd} AS odd, NULL AS odd_at, toUInt8(0) AS odd_kinds"
PLAIN_CENTRE = {True: "argMax(metric_value, point_id)", False: "avg(metric_value)"}
PLAIN_ODD = {True: "countIf(NOT isFinite(metric_value))", False: "toUInt64(0)"}
CAREFUL = """
    ifNull({centre}, nan) AS centre,
    ifNull(minOrNullIf(metric_value, isFinite(metric_value)), nan) AS low, ifNull(maxOrNullIf(metric_value, isFinite(metric_value)), nan) AS high,
    countIf(NOT isFinite(metric_value)) AS odd, minOrNullIf({x}, NOT isFinite(metric_value)) AS odd_at,
    groupBitOr(toUInt8(multiIf(isFinite(metric_value), 0, isNaN(metric_value), 1, metric_value > 0, 2, 4))) AS odd_kinds
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
           ifNull(min(min), nan) AS low, ifNull(max(max), nan) AS high, argMax(last, (last_step, last_logged_at, last_point_id)) AS final,
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
    "last": "argMax(last, (last_step, last_logged_at, last_point_id))",
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
"""  # nosec B608  # made of our own words
# The same of several metrics, so that a drawing over many axes asks once.
READINGS_OF = f"""
    SELECT metric_name AS metric, toString(experiment_id) AS experiment, {", ".join(f"{value} AS number_{how}" for how, value in VALUE.items())}
    FROM {{database}}.metric_summaries FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s {{narrower}}
    GROUP BY metric_name, experiment_id HAVING sum(count) > 0 ORDER BY metric_name, experiment_id
"""  # nosec B608  # made of our own words
# What one metric was at the step where another was best, or at its last step before that; the earliest best where there are several.
AT_BEST = """
    SELECT toString(experiment_id) AS experiment, argMax(metric_value, (step, logged_at, point_id)) AS value
    FROM {database}.metrics AS points FINAL
    INNER JOIN (
        SELECT experiment_id, argMin(step, (metric_value * %(sign)s, step)) AS best_step FROM {best} WHERE isFinite(metric_value) GROUP BY experiment_id
    ) AS best USING (experiment_id)
    WHERE {of_metric} AND step <= best_step
    GROUP BY experiment_id
"""
BEST = {
    False: """(
        SELECT experiment_id, step, metric_value FROM {database}.metrics FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(best)s
    )""",
    # The latest value of each step, where some hold several.
    True: """(
        SELECT experiment_id, step, latest AS metric_value FROM (
            SELECT experiment_id, step, argMax(metric_value, {came}) AS latest FROM {database}.metrics FINAL
            WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s AND metric_name = %(best)s
            GROUP BY experiment_id, step
        )
    )""",
}
# Whole series from what is stored of them: the points, and the hours that stand for points that were dropped.
STORED = """
    FROM (
        SELECT experiment_id, metric_name, count() AS n, countIf(NOT isFinite(metric_value)) AS odd, sumIf(metric_value, isFinite(metric_value)) AS finite_sum,
               minOrNullIf(metric_value, isFinite(metric_value)) AS least, maxOrNullIf(metric_value, isFinite(metric_value)) AS most,
               argMax((metric_value, logged_at, point_id), (step, logged_at, point_id)) AS latest_of_all, latest_of_all.1 AS final, max(step) AS final_step,
               latest_of_all.2 AS final_logged, latest_of_all.3 AS final_point,
               max(timestamp) AS final_time, min(step) AS initial_step, min(timestamp) AS initial_time, max(logged_at) AS latest
        FROM {database}.metrics FINAL WHERE team_id = %(team)s AND project_id = %(project)s {narrower} GROUP BY experiment_id, metric_name
        UNION ALL
        SELECT experiment_id, metric_name, sum(count), sum(nonfinite), sum(ifNull(avg_value, 0) * (count - nonfinite)), min(min_value), max(max_value),
               argMax((last_value, last_logged_at, last_point_id), (last_step, last_logged_at, last_point_id)) AS latest_of_all, latest_of_all.1,
               max(last_step), latest_of_all.2, latest_of_all.3,
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
# One value a step: the latest of those that it has.
TAILS = """
    WITH arraySort(groupArray((step, logged_at, point_id, metric_value))) AS points
    SELECT toString(experiment_id) AS experiment, metric_name AS metric,
           arrayMap(x -> x.4, arrayFilter((x, i) -> i = length(points) OR x.1 != points[i + 1].1, points, arrayEnumerate(points))) AS values
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
           ifNull(min(least), nan) AS low, ifNull(max(most), nan) AS high, argMax(stored.final, (stored.final_step, final_logged, final_point)) AS final,
           max(stored.final_step) AS final_step, min(stored.initial_step) AS initial_step, toUnixTimestamp64Micro(max(stored.final_time)) AS final_time,
           toUnixTimestamp64Micro(min(stored.initial_time)) AS initial_time, toUnixTimestamp64Micro(max(latest)) AS logged,
           argMax(final_point, (stored.final_step, final_logged, final_point)) AS final_id,
           toUnixTimestamp64Micro(argMax(final_logged, (stored.final_step, final_logged, final_point))) AS last_taken
"""
    + STORED
    + " GROUP BY metric_name, experiment_id ORDER BY metric_name, experiment_id"
)
RECOUNTED = (
    """
    SELECT sum(n) AS count, sum(odd) AS nonfinite, sum(finite_sum) AS total, ifNull(min(least), nan) AS low, ifNull(max(most), nan) AS high,
           argMax(final, (final_step, final_logged, final_point)) AS last, max(final_step) AS last_step, toUnixTimestamp64Micro(max(final_time)) AS last_us,
           argMax(final_point, (final_step, final_logged, final_point)) AS last_point,
           toUnixTimestamp64Micro(argMax(final_logged, (final_step, final_logged, final_point))) AS last_logged,
           min(initial_step) AS first_step, toUnixTimestamp64Micro(min(initial_time)) AS first_us
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
    first_step, last_step, last_point_id, first_time, last_time, version, last_logged_at
"""
# One statement from the points to their hours. Hours that are known and have no point any more are overwritten with a count of 0, which no read shows.
REBUILD = """
    INSERT INTO {database}.metrics_hourly ({columns})
    SELECT hour, %(team)s, %(project)s, experiment_id, metric_name, 0,
           minOrNullIf(metric_value, is_finite), maxOrNullIf(metric_value, is_finite), avgOrNullIf(metric_value, is_finite),
           argMaxIf(metric_value, (step, logged, point_id), is_point), countIf(is_point), countIf(is_point AND NOT is_finite),
           minIf(step, is_point), maxIf(step, is_point), argMaxIf(point_id, (step, logged, point_id), is_point),
           minIf(timestamp, is_point), maxIf(timestamp, is_point), greatest(toUInt64(toUnixTimestamp64Micro(now64(6))), max(known_version) + 1),
           argMaxIf(logged, (step, logged, point_id), is_point)
    FROM (
        SELECT toStartOfHour(timestamp) AS hour, experiment_id, metric_name, metric_value, isFinite(metric_value) AS is_finite, 1 AS is_point,
               step, point_id, timestamp, toUInt64(0) AS known_version, toUInt64(0) AS known_count, logged_at AS logged
        FROM {database}.metrics FINAL
        WHERE team_id = %(team)s AND project_id = %(project)s AND experiment_id IN %(experiments)s
              AND timestamp >= fromUnixTimestamp64Micro(%(first)s, 'UTC') AND timestamp < fromUnixTimestamp64Micro(%(until)s, 'UTC')
        UNION ALL
        SELECT date, experiment_id, metric_name, 0, 0, 0, 0, 0, first_time, version, count, last_logged_at
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
           first_step, last_step, last_point_id, first_time, last_time, toUInt64(toUnixTimestamp64Micro(now64(6))), last_logged_at
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
# Reading hours and points as one. Hours of part 0 count within [hours_from, {until}), the points outside it; hours of other parts always, as their
# points are gone. A row of an hour stands at its first point.
MIXED = """
    FROM (
        SELECT experiment_id, step, timestamp, step AS until_step, timestamp AS until_time, point_id, metric_value AS mean,
               toUInt64(isFinite(metric_value)) AS finite, toUInt64(1) AS n, if(isFinite(metric_value), metric_value, NULL) AS least, least AS most,
               toUInt8(multiIf(isFinite(metric_value), 0, isNaN(metric_value), 1, metric_value > 0, 2, 4)) AS kinds, logged
        FROM {stored}
        WHERE (timestamp < fromUnixTimestamp64Micro(%(hours_from)s, 'UTC') OR timestamp >= fromUnixTimestamp64Micro({until}, 'UTC'))
        UNION ALL
        SELECT experiment_id, first_step, first_time, last_step, last_time, last_point_id, ifNull(shown_avg, nan),
               toUInt64(shown_count - shown_nonfinite), shown_count, shown_min, shown_max, toUInt8(if(shown_nonfinite > 0, 8, 0)), count
        FROM {database}.metrics_hourly FINAL
        WHERE {of_metric} AND count > 0
              AND (part > 0 OR (date >= toDateTime(intDiv(%(hours_from)s, 1000000), 'UTC') AND date < toDateTime(intDiv({until}, 1000000), 'UTC')))
    ) AS points {began}
    WHERE {x} >= %(first)s AND {x} <= %(last)s
"""
# The points of MIXED: all, or the latest of each step.
MIXED_POINTS = {
    False: """(
        SELECT experiment_id, step, timestamp, point_id, metric_value, toUInt64(1) AS logged FROM {database}.metrics FINAL WHERE {of_metric}
    )""",
    True: "(SELECT *, toUInt64(1) AS logged FROM ({latest}))",
}
UNTIL_KNOWN = "least(toInt64(%(hours_until)s), {known})"
# Which series do not lie whole in the hours that are known and the points after them: by their summaries something is missing.
TORN = """
    SELECT toString(experiment_id) AS experiment FROM (
        SELECT experiment_id, -toInt64(count) AS n FROM {database}.metric_summaries FINAL WHERE {of_metric} AND {known} > 0
        UNION ALL
        SELECT experiment_id, toInt64(count) FROM {database}.metrics_hourly FINAL
        WHERE {of_metric} AND (part > 0 OR date < toDateTime(intDiv({known}, 1000000), 'UTC'))
        UNION ALL
        SELECT experiment_id, toInt64(1) FROM {database}.metrics FINAL
        WHERE {of_metric} AND {known} > 0 AND timestamp >= fromUnixTimestamp64Micro({known}, 'UTC')
    )
    GROUP BY experiment_id HAVING sum(n) < 0
"""
MIXED_EXTENT = "SELECT sum(logged) AS n, min({x}) AS first, max({x}) AS last {mixed}"
MIXED_CENTRE = {True: "argMaxOrNullIf(mean, point_id, finite > 0)", False: "sumIf(mean * finite, finite > 0) / sum(finite)"}
MIXED_GRID = """
    SELECT toString(experiment_id) AS experiment, groupArray(bucket) AS buckets, groupArray(place) AS places, groupArray(centre) AS centres,
           groupArray(low) AS lows, groupArray(high) AS highs, sum(odd) AS nonfinite, min(odd_at) AS nonfinite_at,
           groupBitOr(odd_kinds) AS nonfinite_kinds, 0 AS is_torn
    FROM (
        SELECT experiment_id, intDiv(toUInt64({x} - %(origin)s), %(width)s) AS bucket, min({x}) AS place, ifNull({centre}, nan) AS centre,
               ifNull(min(least), nan) AS low, ifNull(max(most), nan) AS high, sum(n - finite) AS odd, minOrNullIf({x}, n > finite) AS odd_at,
               groupBitOr(kinds) AS odd_kinds
        {mixed}
        GROUP BY experiment_id, bucket HAVING sum(n) > 0 ORDER BY experiment_id, bucket
    )
    GROUP BY experiment_id
"""
# Told with a grid of hours: the series whose row in it is not to be believed.
ALSO_TORN = "UNION ALL SELECT experiment, [], [], [], [], [], 0, NULL, 0, 1 FROM ({torn})"
MIXED_THINNED = """
    SELECT max(until_step) AS at_step, toUnixTimestamp64Micro(max(until_time)) AS at_time, max({x}) AS at_x,
           ifNull({centre}, nan) AS value, ifNull(min(least), nan) AS low, ifNull(max(most), nan) AS high
    {mixed}
    GROUP BY intDiv(toUInt64({x} - %(origin)s), %(width)s) HAVING sum(n) > 0 ORDER BY at_x
"""
POINT_TABLES = ("metrics", "metrics_hourly", "metric_summaries")
NOW = "SELECT 1 AS alive"
