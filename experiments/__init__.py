"""Experiments: their record, its verbs, and every page of runs.

`models`, `lifecycle`, `deletion` and `content` are the record; `arms` says which runs are replicates, `rekeying` puts those of a project into arms anew;
each page is a room with what it asks and draws; `readings` is what they all ask. In the record an experiment knows projects and accounts, never hypotheses."""
