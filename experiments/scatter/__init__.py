"""Experiments over axes, params or metrics: an address in, a drawing out. Imports `table` and `readings`; never `compare`."""
