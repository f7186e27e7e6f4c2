-- Hours hold what a chart and a summary need of them. Part 0 is rebuilt from the points; a higher part stands for points that were dropped, and stays.
ALTER TABLE {database}.metrics_hourly
    ADD COLUMN IF NOT EXISTS part UInt32 COMMENT '0: rebuilt from points that are stored; else the number of the drop whose points the row stands for' AFTER metric_name,
    ADD COLUMN IF NOT EXISTS first_step Int64 COMMENT 'the first step' AFTER nonfinite,
    ADD COLUMN IF NOT EXISTS last_step Int64 COMMENT 'the last step' AFTER first_step,
    ADD COLUMN IF NOT EXISTS last_point_id UInt64 COMMENT 'point_id of last_value: decides between points of one step' AFTER last_step,
    ADD COLUMN IF NOT EXISTS first_time DateTime64(6, 'UTC') COMMENT 'the earliest timestamp' AFTER last_point_id,
    ADD COLUMN IF NOT EXISTS last_time DateTime64(6, 'UTC') COMMENT 'the latest timestamp' AFTER first_time,
    MODIFY ORDER BY (team_id, project_id, experiment_id, metric_name, date, part)
