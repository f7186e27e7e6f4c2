"""The durable queue on disk: batches in, receipts out, and what waits for the store. Imports `points`; never the store, never the record."""
