"""Addresses of servers as settings give them: DATABASE_URL, REDIS_URL, origins. Read here, with one sentence for what makes no sense."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from config.errors import SetupError

POSTGRES = ("postgresql", "postgres")
REDIS = ("redis", "rediss", "unix")
ORIGIN = ("http", "https")
# libpq: a connection attempt ends after this many seconds, and a peer that vanished without a word is noticed within half a minute.
PATIENCE = {"connect_timeout": "3", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}


def parted(name: str, url: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    """The parts of an address. Raises SetupError, without the password, where its scheme is unknown or it cannot be read."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it is what checks it
    except ValueError as error:
        raise SetupError(f"{name}={shown(url)} cannot be read ({error}): give an address like {example}.") from error
    if parts.scheme not in schemes:
        raise SetupError(f"{name}={shown(url)} has no scheme that is known: give an address like {example}.")
    return parts


def shown(url: str) -> str:
    """An address as it may be printed: the password left out."""
    head, at, tail = url.rpartition("@")
    user, colon, _ = head.rpartition(":")
    return f"{user}:***@{tail}" if at and colon and "//" in user else url


def postgres(url: str) -> dict[str, Any]:  # Any: Django's own settings of a database
    """Django's settings for the PostgreSQL at DATABASE_URL; what stands behind `?` goes to libpq (sslmode=require). Raises SetupError."""
    parts = parted("DATABASE_URL", url, POSTGRES, "postgresql://user:password@host:5432/name")
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise SetupError(f"DATABASE_URL={shown(url)} names no database: give an address like postgresql://user:password@host:5432/name.")
    return {
        "ENGINE": "config.databases.postgres",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": PATIENCE | dict(parse_qsl(parts.query)),
    }


def redis(name: str, url: str) -> str:
    """The address of a Redis, once it is known to be one. Raises SetupError."""
    parts = parted(name, url, REDIS, "redis://:password@host:6379/0")
    number = parts.path.removeprefix("/")
    if parts.scheme != "unix" and number and not number.isdecimal():
        raise SetupError(f"{name}={shown(url)} names no database of Redis: give an address like redis://:password@host:6379/0.")
    return url


def redis_database(url: str, number: int) -> str:
    """The same Redis, another database of it; nothing for nothing."""
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return urlunsplit(parts._replace(path=f"/{number}"))
    return urlunsplit(parts._replace(query="&".join([*(part for part in parts.query.split("&") if part and not part.startswith("db=")), f"db={number}"])))


def origins(name: str, given: Iterable[str]) -> list[str]:
    """Origins of pages: scheme, host, perhaps a port, and nothing behind it; `*` for all. Raises SetupError."""
    listed = [origin.strip().rstrip("/") for origin in given if origin.strip()]
    for origin in listed:
        if origin == "*":
            continue
        parts = parted(name, origin, ORIGIN, "https://team.example.org")
        if not parts.hostname or urlunsplit(parts._replace(path="", query="", fragment="")) != origin:
            raise SetupError(f"{name}={origin} is no origin: give a scheme and a host, such as https://team.example.org.")
    return listed
