-- One row of judgement: hypothesis x experiment x metric. Only ever added.
CREATE TABLE IF NOT EXISTS {database}.evidence_metrics
(
    timestamp DateTime64(6, 'UTC') COMMENT 'when it was judged',
    team_id UUID COMMENT 'owner of the project',
    project_id UUID COMMENT 'project of the hypothesis',
    hypothesis_id UUID COMMENT 'the claim',
    experiment_id UUID COMMENT 'the earliest run of the arm; nil for the pooled row',
    metric_name LowCardinality(String) COMMENT 'the target metric',
    baseline_value Float64 COMMENT 'mean of the baseline arm',
    experiment_value Float64 COMMENT 'mean of the arm',
    delta Float64 COMMENT 'experiment - baseline, in the unit of the metric',
    direction Enum8('minimize' = 0, 'maximize' = 1) COMMENT 'which way is better',
    confidence_score Float32 COMMENT 'from -1, surely worse, to 1, surely better',
    logged_at DateTime64(6, 'UTC') COMMENT 'when the row was written',
    judgement_id UUID COMMENT 'rows of one judgement share it',
    scope LowCardinality(String) COMMENT 'arm or pooled',
    arm String COMMENT 'replicate_key of the arm'
)
ENGINE = ReplacingMergeTree(logged_at)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, project_id, hypothesis_id, experiment_id, metric_name, timestamp, judgement_id, scope, arm)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
