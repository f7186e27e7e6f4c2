"""A connection to PostgreSQL that does not wait for ever: libpq's own limits see a peer that vanished, never one that is suspended or busy."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.conf import settings
from psycopg import Connection, Error, OperationalError, capabilities
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus

from config.databases.deadline import FOR_EVER, LIMIT_S

LOOK_S = 0.1  # how often a wait looks whether Ctrl-C came
CANCEL_S = 1.0


class Unanswered(OperationalError):
    """The database took longer over a statement than it may. Whether it carried it out is not known."""


class PunctualConnection(Connection[Any]):
    """A connection whose every wait ends within DATABASE_TIMEOUT_S, or as `within` says. One that waited in vain is closed, and never used again."""

    def wait(self, gen: PQGen[RV], interval: float = LOOK_S, timeout: float | None = None) -> RV:
        """Carry a conversation on to its end. Raises Unanswered where that does not come in time."""
        limit_s = LIMIT_S.get() or settings.DATABASE_TIMEOUT_S
        if timeout is not None or limit_s == FOR_EVER:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, limit_s)
        except OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.abandon()
            raise Unanswered(f"The database did not answer within {limit_s:g} s.") from error

    def abandon(self) -> None:
        """Close it, after a word to the server, which would otherwise go on with a statement that nobody waits for."""
        if capabilities.has_cancel_safe():
            with suppress(Error):
                self.cancel_safe(timeout=CANCEL_S)
        self.close()
