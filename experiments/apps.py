"""The experiments app."""

from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    """Runs, their lineage, and the verbs that change them."""

    name = "experiments"
