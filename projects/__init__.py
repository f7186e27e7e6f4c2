"""Projects, their metrics and which params are seeds; the first page, the table's page, the search.

A project knows its team. What its pages show of runs they ask of `experiments.table`; in the record it knows nothing of experiments."""
