-- Whether a step of a series holds several values. What an earlier version writes says "not known": it is asked where it matters.
-- And when the last value came, since several processes and clients number their points apart.
ALTER TABLE {database}.metric_summaries
    ADD COLUMN IF NOT EXISTS last_logged_at DateTime64(6, 'UTC') DEFAULT 0 COMMENT 'when the server took the point of last; 0: not known, before all others',
    ADD COLUMN IF NOT EXISTS once UInt8 DEFAULT 0 COMMENT '1: no step comes twice among the points counted here, for certain; 0: not known' AFTER first_time,
    ADD COLUMN IF NOT EXISTS asked_points UInt64 DEFAULT 0 COMMENT 'how many points the whole series had when its steps were counted; 0: never' AFTER once,
    ADD COLUMN IF NOT EXISTS asked_repeats UInt64 DEFAULT 0 COMMENT 'how many steps held several values then' AFTER asked_points;
-- What of an hour a chart shows, where a later point took the place of some: as the hour itself where nothing else is said.
ALTER TABLE {database}.metrics_hourly
    ADD COLUMN IF NOT EXISTS last_logged_at DateTime64(6, 'UTC') DEFAULT 0 COMMENT 'when the server took the point of last_value; 0: not known',
    ADD COLUMN IF NOT EXISTS shown_min Nullable(Float64) DEFAULT min_value COMMENT 'smallest finite value among the latest of each step',
    ADD COLUMN IF NOT EXISTS shown_max Nullable(Float64) DEFAULT max_value COMMENT 'largest finite value among the latest of each step',
    ADD COLUMN IF NOT EXISTS shown_avg Nullable(Float64) DEFAULT avg_value COMMENT 'mean of the finite values among the latest of each step',
    ADD COLUMN IF NOT EXISTS shown_count UInt64 DEFAULT count COMMENT 'points that are the latest of their step',
    ADD COLUMN IF NOT EXISTS shown_nonfinite UInt64 DEFAULT nonfinite COMMENT 'of these, NaN or infinite'
