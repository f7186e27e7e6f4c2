"""What is done by night: hours aggregated, old points dropped, summaries compared with points, what expired removed.

The clock asks. Imports `process`, `store`, `clock` and the verbs of alerts; every piece may be done again."""
