"""The operations app."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

from config.environment import folders


def data_directory(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:  # Any: whatever Django tells a check
    """Tell of a data directory that others can look into."""
    flaw = folders.flaw_of(settings.DATA_DIR)
    return [Warning(flaw, id="operations.W001")] if flaw else []


class OperationsConfig(AppConfig):
    """What operators run and machines ask. It keeps no record of its own."""

    name = "operations"

    def ready(self) -> None:
        """Have `manage.py check` look at the machine, too."""
        register(data_directory, Tags.security)
