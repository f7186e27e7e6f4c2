"""From the spool into the metric store, block by block, each as often as it takes and once in effect.

Batches come in. Imports `spool`, `store` and the record; `host` is who empties which file."""
