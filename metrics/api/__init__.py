"""The metric store for scripts: points in, series out, live charts, what operators ask. Nobody imports it but the addresses."""
