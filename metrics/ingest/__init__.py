"""From a request's bytes to its acknowledgement, which means: on disk.

Requests come in. Imports `process`, `points`, `spool.batches` and the record; never the metric store."""
