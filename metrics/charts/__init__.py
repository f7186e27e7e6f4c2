"""Series made ready for charts: thinned on a shared grid, over steps, time or another metric, live. Imports `store` and `process`."""
