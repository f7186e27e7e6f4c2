"""The operations app."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """What operators run and machines ask. It keeps no record of its own."""

    name = "operations"
