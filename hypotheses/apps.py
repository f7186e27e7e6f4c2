"""The hypotheses app."""

from django.apps import AppConfig


class HypothesesConfig(AppConfig):
    """Claims judged against the metric store: the room is reserved, its furniture comes with the judging."""

    name = "hypotheses"
