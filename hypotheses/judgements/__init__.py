"""Claims judged from record and metric store, written down, and read back. Imports `claims`, `weighing` and `metrics`; never a page."""
