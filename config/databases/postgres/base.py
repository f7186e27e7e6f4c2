"""Django's PostgreSQL with a pool that notices at once when the database restarts, goes away, and comes back."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool, PoolTimeout

from config.databases.circuit import REST_S, Circuit
from config.databases.deadline import within
from config.databases.postgres.connection import PunctualConnection, Unanswered

CIRCUIT = Circuit()  # silent: what it means is said by whoever asked, a request in the log and a command in a sentence


class WatchfulPool(ConnectionPool[Connection[Any]]):
    """A pool whose connections are checked before use. One that is dead has all replaced: a database that restarted has closed every one.

    While nothing can be connected to, one caller a second waits for it and the others are refused at once.
    """

    def __init__(self, *, configure: Any, **options: Any) -> None:  # Any: psycopg's own arguments
        self.configured = configure
        super().__init__(configure=self.welcome, check=self.ensure_alive, reconnect_failed=self.give_up, **options)

    def getconn(self, timeout: float | None = None) -> Connection[Any]:
        """A connection that answers. Raises PoolTimeout where there is none in time, or at once while the database is known to be away."""
        if not CIRCUIT.may_try():
            raise PoolTimeout("The database is away.")
        return super().getconn(REST_S if CIRCUIT.has_failed else timeout)

    def welcome(self, connection: Connection[Any]) -> None:
        """A new connection: the database is there."""
        self.configured(connection)
        CIRCUIT.succeeded()

    def ensure_alive(self, connection: Connection[Any]) -> None:
        """Ask it. Raises OperationalError, after all others are on their way out too; where the server hangs, nobody else waits to learn of it."""
        try:
            with within(self.timeout):
                self.check_connection(connection)
        except OperationalError as error:
            if isinstance(error, Unanswered):
                CIRCUIT.failed(error)
            self.drain()
            raise

    @staticmethod
    def give_up(pool: ConnectionPool[Any]) -> None:
        """Nothing could be connected to."""
        CIRCUIT.failed("no connection can be made")


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection from the watchful pool."""

    @property
    def pool(self) -> WatchfulPool | None:
        """The pool of this process, made when first asked for; None where none is to be used."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools: dict[str, WatchfulPool] = self._connection_pools  # type: ignore[attr-defined]  # missing in its stubs, as the next one
        if self.alias not in pools:
            arguments = {**self.get_connection_params(), "autocommit": True}
            configure = self._configure_connection  # type: ignore[attr-defined]
            made = WatchfulPool(connection_class=PunctualConnection, kwargs=arguments, open=False, configure=configure, **options)
            pools.setdefault(self.alias, made)
        return pools[self.alias]
