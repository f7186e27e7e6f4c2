-- The state of every series as absolute numbers, one row for each spool that wrote to it: exact under any repeat.
CREATE TABLE IF NOT EXISTS {database}.metric_summaries
(
    team_id UUID COMMENT 'owner of the project',
    project_id UUID COMMENT 'project of the experiment',
    metric_name LowCardinality(String) COMMENT 'the metric',
    experiment_id UUID COMMENT 'the run',
    spool_id UInt64 COMMENT 'the spool whose points are counted here; 0 for a recomputation',
    version UInt64 COMMENT 'the highest one counts',
    count UInt64 COMMENT 'points, finite or not',
    nonfinite UInt64 COMMENT 'of these, NaN or infinite',
    sum Float64 COMMENT 'of the finite values',
    min Nullable(Float64) COMMENT 'smallest finite value',
    max Nullable(Float64) COMMENT 'largest finite value',
    last Float64 COMMENT 'value at the last step, finite or not',
    last_step Int64 COMMENT 'the last step',
    last_time DateTime64(6, 'UTC') COMMENT 'the latest timestamp',
    last_point_id UInt64 COMMENT 'point_id of last: decides between points of one step',
    first_step Int64 COMMENT 'the first step',
    first_time DateTime64(6, 'UTC') COMMENT 'the earliest timestamp'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (team_id, project_id, metric_name, experiment_id, spool_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
