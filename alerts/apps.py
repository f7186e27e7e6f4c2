"""The alerts app."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """What went wrong, and who is told. Its tables keep the label `metrics`."""

    name = "alerts"
