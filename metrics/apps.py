"""The metrics app."""

from django.apps import AppConfig

from config.logs import task_logs


class MetricsConfig(AppConfig):
    """Points: in through a durable spool, out through the repository."""

    name = "metrics"

    def ready(self) -> None:
        """Let what tasks log say for whom."""
        task_logs.connect()
