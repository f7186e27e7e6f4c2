"""The hypotheses app."""

from django.apps import AppConfig


class HypothesesConfig(AppConfig):
    """Claims judged against the metric store."""

    name = "hypotheses"
