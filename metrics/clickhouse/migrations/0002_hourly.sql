-- Hours of a series, rebuilt as a whole: the highest version of an hour counts.
CREATE TABLE IF NOT EXISTS {database}.metrics_hourly
(
    date DateTime('UTC') COMMENT 'start of the hour',
    team_id UUID COMMENT 'owner of the project',
    project_id UUID COMMENT 'project of the experiment',
    experiment_id UUID COMMENT 'the run',
    metric_name LowCardinality(String) COMMENT 'the metric',
    min_value Nullable(Float64) COMMENT 'smallest finite value',
    max_value Nullable(Float64) COMMENT 'largest finite value',
    avg_value Nullable(Float64) COMMENT 'mean of the finite values',
    last_value Float64 COMMENT 'value of the last point of the hour, finite or not',
    count UInt64 COMMENT 'points, finite or not',
    nonfinite UInt64 COMMENT 'of these, NaN or infinite',
    version UInt64 COMMENT 'when it was rebuilt, microseconds'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(date)
ORDER BY (team_id, project_id, experiment_id, metric_name, date)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
