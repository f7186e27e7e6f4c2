"""What is due when, done once: entries, occurrences, the pulse, worker and beat as threads of `serve`. Imports the models."""
