"""Caches. The one in Redis is made so that nothing fails while Redis is away: a read is then a miss, a write is forgotten, and nobody waits long."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.retry import Retry

from config.databases.circuit import Circuit

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT_S = 0.5


CIRCUIT = Circuit("The cache (REDIS_URL) is away, pages and the API go on without it")


class PatientRedisCache(RedisCache):
    """Django's cache in Redis. Every call that Redis does not answer in TIMEOUT_S is a miss or is not carried out."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:  # Any: Django's own settings of a cache
        # A connection that Redis closed at its own restart is opened again once; what takes too long is not asked again.
        retry = Retry(NoBackoff(), 1, supported_errors=(NoConnection,))
        patience = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "retry": retry}
        super().__init__(server, {**params, "OPTIONS": {**patience, **params.get("OPTIONS", {})}})

    def tried(self, ask: Callable[P, T], otherwise: T, *args: P.args, **kwargs: P.kwargs) -> T:
        """What Redis answers; `otherwise` while it is away."""
        if not CIRCUIT.may_try():
            return otherwise
        try:
            answer = ask(*args, **kwargs)
        except RedisError as error:
            CIRCUIT.failed(error)
            return otherwise
        CIRCUIT.succeeded()
        return answer

    def life(self) -> str:
        """Which life of Redis answers now, from start to end; a word that never was while it is away.

        A Redis that starts again may bring back what it had saved long before. Whoever trusts a value that was read before asks for this after it.
        """
        return self.tried(self.run_id, secrets.token_hex(8))

    def run_id(self) -> str:
        """The random name that Redis gave itself at its start."""
        return str(self._cache.get_client().info("server")["run_id"])

    # The verbs of Django's cache. Any: a cache keeps values of every type.

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Set what is not there yet; False where it was, or while Redis is away."""
        return self.tried(super().add, False, key, value, timeout, version)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """A value, or `default`."""
        return self.tried(super().get, default, key, default, version)

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Keep a value."""
        self.tried(super().set, None, key, value, timeout, version)

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Keep it longer."""
        return self.tried(super().touch, False, key, timeout, version)

    def delete(self, key: str, version: int | None = None) -> bool:
        """Forget a value."""
        return self.tried(super().delete, False, key, version)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """Those that are there."""
        return self.tried(super().get_many, {}, keys, version)

    def has_key(self, key: str, version: int | None = None) -> bool:
        """Whether it is there."""
        return self.tried(super().has_key, False, key, version)

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Count up; `delta` while Redis is away. Raises ValueError where there is nothing to count."""
        return self.tried(super().incr, delta, key, delta, version)

    def set_many(self, data: Mapping[str, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[str]:
        """Keep many values; the keys of those that could not be kept, which is all of them while Redis is away."""
        return self.tried(super().set_many, list(data), dict(data), timeout, version)

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        """Forget many values."""
        self.tried(super().delete_many, None, keys, version)

    def clear(self) -> None:
        """Forget everything."""
        self.tried(super().clear, None)


class SlottedRedisCache(PatientRedisCache):
    """A cache of large values that holds at most OPTIONS["slots"] of them: each key has its place by its hash, and a newer value takes it over."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:  # Any: Django's own settings of a cache
        options = dict(params.get("OPTIONS", {}))
        self.slots: int = options.pop("slots")
        super().__init__(server, {**params, "OPTIONS": options})

    def slot(self, key: str) -> str:
        """The place of a key."""
        return f"slot:{int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) % self.slots}"

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """The value, where no other has taken its place."""
        found = super().get(self.slot(key), None, version)
        return found[1] if found and found[0] == key else default

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Keep a value."""
        super().set(self.slot(key), (key, value), timeout, version)


class LonelyCache(LocMemCache):
    """The cache of one process among several: what others do to the points it does not hear, and so it calls no two moments one life."""

    def life(self) -> str:
        """A word that never was."""
        return secrets.token_hex(8)
