"""The record's database as a whole: why it cannot be used, and how commands on several hosts take turns on it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import Error, connection

from config.environment.addresses import shown
from config.errors import SetupError

TURN = 0x7265_7365_6172_6368  # the number of the advisory lock: any that nobody else takes


def unusable(error: Error) -> SetupError:
    """What to tell an operator whose database does not answer, or not as it should."""
    if connection.vendor == "postgresql":
        return SetupError(f"DATABASE_URL={shown(settings.DATABASE_URL)} cannot be used ({refusal() or in_a_line(error)}): correct it, or start that server.")
    file = settings.DATABASES["default"]["NAME"]
    return SetupError(f"{file} cannot be used ({error}): put it back from a backup, or give another DATA_DIR.")


def refusal() -> str:
    """What PostgreSQL, or the way to it, says to a connection outside the pool, which only knows that it got none. "" where it lets us in."""
    arguments: dict[str, Any] = connection.get_connection_params()  # Any: arguments of psycopg.connect
    try:
        with psycopg.connect(**{name: value for name, value in arguments.items() if name not in ("context", "cursor_factory", "prepare_threshold")}):
            return ""
    except psycopg.Error as error:
        return in_a_line(error)


def in_a_line(error: Exception) -> str:
    """An error's text without its line breaks, and without libpq's question whether that server runs."""
    return " ".join(str(error).partition("\n\tIs the server running")[0].split())


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other process, on whatever host, is in such a block of this database; a process that dies lets go."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [TURN])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [TURN])
        return
    with (settings.DATA_DIR / "setup.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
