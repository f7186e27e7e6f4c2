"""The metrics app."""

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """Points: in through a durable spool, out through the repository."""

    name = "metrics"
