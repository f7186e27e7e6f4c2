"""Runs beside each other: how an address wants them drawn (`outlook`, `grouping`), the runs and their numbers, groups of them, the page.

An address with runs comes in. Imports `scatter`, `table` and `readings`; what a run is does not know what a group is."""
