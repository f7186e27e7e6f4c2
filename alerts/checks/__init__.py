"""What is looked at every minute, in the runs and in the server itself. Imports `lifecycle`, `metrics.store` and experiments."""
