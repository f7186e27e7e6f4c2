"""How the product logs: one JSON object a line for machines, readable lines for people. No secret leaves through a log."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from structlog.types import EventDict, Processor

HIDDEN = "[hidden]"
FIRST = ("timestamp", "level", "logger", "event", "request_id")
SECRET_NAMES = ("authorization", "password", "passwd", "secret", "token", "cookie", "api_key", "apikey")
# API tokens, JWTs, what follows Bearer, user:password@ in an address, and password=… or "password": "…" in a text.
SECRETS = re.compile(
    r"rp_[\w-]{8,}"
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|(?i:(?<=password=)|(?<=secret=)|(?<=token=))[^\s&\"',;]+"
    r"|(?i:(?<=password\": \")|(?<=secret\": \")|(?<=token\": \"))[^\"]+"
)
# What Django and the standard library hang on a record for their own handlers.
NOT_FOR_LOGS = ("request", "response", "server_time", "status_code", "taskName", "color_message")


def configured(*, level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING: all of it to stderr, at `level`, in `form` json or console. On a console the lines of requests and blocks come only at DEBUG."""
    each = level if form == "json" or level == "DEBUG" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter, "form": form}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "WARNING"},
            "celery": {"level": "WARNING"},
            # The pool would report each attempt to connect; what it means for a request is said by config.web.answers, and for a command by manage.py.
            "psycopg.pool": {"level": "ERROR"},
            "config.logs.access_log": {"level": each},
            "metrics.drain": {"level": each},
        },
    }


def formatter(form: str) -> structlog.stdlib.ProcessorFormatter:
    """Renders every record, with what is bound to the request or task and what the record brings along as `extra`."""
    gathered: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        tidied,
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=gathered, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ends(form)])


def ends(form: str) -> Sequence[Processor]:
    """The last steps of a line. Tracebacks are text before secrets are taken out."""
    texts: list[Processor] = [structlog.processors.format_exc_info, without_secrets]
    if form == "json":
        return [*texts, in_order, structlog.processors.JSONRenderer()]
    return [*texts, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, pad_level=False)]


def tidied(logger: object, method: str, line: EventDict) -> EventDict:
    """The request's id where a record carries the request itself, which is no thing for a log."""
    request_id = getattr(line.get("request"), "id", None)
    if isinstance(request_id, str):
        line.setdefault("request_id", request_id)
    return {name: value for name, value in line.items() if name not in NOT_FOR_LOGS}


def without_secrets(logger: object, method: str, line: EventDict) -> EventDict:
    """The line with every secret hidden, by the name of its field and by its looks."""
    return {name: hidden(name, value) for name, value in line.items()}


def hidden(name: str, value: Any) -> Any:  # Any: whatever was logged
    """A value as a log may show it."""
    if any(word in name.lower() for word in SECRET_NAMES):
        return HIDDEN
    if isinstance(value, str):
        return SECRETS.sub(HIDDEN, value)
    if isinstance(value, Mapping):
        return {key: hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hidden("", inner) for inner in value]
    return value


def in_order(logger: object, method: str, line: EventDict) -> EventDict:
    """What is read first, first."""
    return {name: line[name] for name in FIRST if name in line} | dict(line)
