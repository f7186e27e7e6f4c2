"""A task's lines carry the id of the request that asked for it, and the name of the task."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

HEADER = "request_id"
logger = logging.getLogger(__name__)


def connect() -> None:
    """Listen to Celery. It is the one way in that Celery offers. May be called again."""
    before_task_publish.connect(carry, dispatch_uid="request-id-carry")
    task_prerun.connect(bind, dispatch_uid="request-id-bind")
    task_postrun.connect(release, dispatch_uid="request-id-release")
    setup_logging.connect(keep_ours, dispatch_uid="logging-of-the-settings")


def carry(headers: dict[str, Any] | None = None, **others: Any) -> None:  # Any: Celery's own headers
    """Send the present request's id along."""
    known = get_contextvars().get("request_id")
    if known and headers is not None:
        headers[HEADER] = known


def bind(task_id: str, task: Task, **others: Any) -> None:  # Any: Celery's own arguments
    """Whatever this task logs says for whom; one that runs inside a request has that request's id already."""
    if not task.request.is_eager:
        clear_contextvars()
        bind_contextvars(task=task.name, task_id=task_id, request_id=getattr(task.request, HEADER, None) or task_id)


def release(task: Task, **others: Any) -> None:  # Any: Celery's own arguments
    """The thread goes on to another task."""
    if not task.request.is_eager:
        clear_contextvars()


def keep_ours(**others: Any) -> None:  # Any: Celery's own arguments
    """Celery sets up logging only where nobody listens to this: the settings did it."""
