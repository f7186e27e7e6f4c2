"""People, teams, tokens; who may do what.

In come names, passwords, tokens; out come callers and their rights (`access`). Imports the ground, and tells `metrics.ingest` to forget what it decided."""
