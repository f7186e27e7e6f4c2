"""Points: from a request's bytes to disk, into the metric store, and back out as charts and numbers.

`process` is the door: what one web process owns, and where everyone asks for the store.
In: `api`, `ingest`, `spool`, `drain`, `store`; out: `store`, `charts`."""
