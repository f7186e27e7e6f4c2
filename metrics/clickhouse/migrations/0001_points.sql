-- The points themselves. A point's identity is its whole key: a repeat overwrites itself, two honest values never do.
CREATE TABLE IF NOT EXISTS {database}.metrics
(
    team_id UUID CODEC(ZSTD(1)) COMMENT 'owner of the project',
    project_id UUID CODEC(ZSTD(1)) COMMENT 'project of the experiment',
    experiment_id UUID CODEC(ZSTD(1)) COMMENT 'the run that logged the point',
    metric_name LowCardinality(String) COMMENT 'as logged, at most 250 bytes',
    step Int64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'as logged; negative steps exist',
    timestamp DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'when the script measured it',
    point_id UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'writer number << 40 | ordinal, fixed before the first attempt to store it',
    metric_value Float64 CODEC(Delta(8), ZSTD(1)) COMMENT 'NaN and infinities are data',
    host LowCardinality(String) COMMENT 'the machine that logged it, empty where not said',
    logged_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'when the server took it, one value for a batch',
    created_month UInt32 CODEC(ZSTD(1)) COMMENT 'YYYYMM of the creation of the experiment: all its points live in one partition',
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1,
    INDEX idx_logged_at logged_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(logged_at)
PARTITION BY created_month
PRIMARY KEY (team_id, project_id, experiment_id, metric_name, step)
ORDER BY (team_id, project_id, experiment_id, metric_name, step, point_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
