"""What operators run and machines ask: `serve`, `setup`, health, readiness, the counts for Prometheus, the demo of a first start.

It stands on top: it may import every app, and nobody imports it. No models."""
