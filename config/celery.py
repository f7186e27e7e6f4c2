"""The Celery application: `celery -A config worker` and `celery -A config beat` find it here; `serve` runs both as threads.

Nothing that must happen hangs on a broker: required work is a mark in a database, a task only nudges, and a sweep finds what was forgotten.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import Celery, signals
from django.conf import settings
from kombu.exceptions import OperationalError

from config.errors import SetupError

logger = logging.getLogger(__name__)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def is_embedded() -> bool:
    """Whether worker and beat are threads of `serve`: their broker is this process's memory. Ends the program with a sentence on a wrong setting."""
    try:
        return bool(settings.CELERY_BROKER_URL.startswith("memory:"))
    except SetupError as error:
        raise SystemExit(str(error)) from error


# A request waits for this: what a worker waits is in the settings.
IMPATIENT = {"socket_timeout": 1, "socket_connect_timeout": 1}
NO_BROKER = "There is no broker: give REDIS_URL or CELERY_BROKER_URL. Without one, `manage.py serve` runs the schedule by itself."
NO_SHARED_STORE = (
    "The metric store is embedded and only `manage.py serve` can open it, which runs the schedule by itself:"
    " give CLICKHOUSE_HOST, and REDIS_URL or CELERY_BROKER_URL, for a worker or beat of its own."
)
IS_EMBEDDED = is_embedded()
app = Celery("research-platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()


def refuse_without_broker(sender: object, **_: Any) -> None:  # Any: whatever Celery tells its listeners
    """End a worker or beat process that would wait for tasks in its own memory, where nobody puts any, or could not open the metric store."""
    if IS_EMBEDDED and getattr(sender, "app", app) is app and not getattr(sender, "is_embedded", False):
        raise SystemExit(NO_BROKER if settings.CLICKHOUSE_HOST else NO_SHARED_STORE)


signals.worker_init.connect(refuse_without_broker)


def nudge(task: str, **headers: str) -> bool:
    """Ask a worker to run a task soon; False where the broker is away. Gives up within two seconds, and nothing depends on it."""
    try:
        with app.connection_for_write(transport_options=IMPATIENT) as connection:
            app.send_task(task, connection=connection, ignore_result=True, retry=False, headers=headers)
    except (OperationalError, OSError) as error:
        logger.warning("The broker is away, %s waits for the next sweep: %s", task, error)
        return False
    return True
