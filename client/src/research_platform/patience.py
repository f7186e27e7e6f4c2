"""How long one request may take, however its time is spent: on a name, on a connection, on an answer that trickles."""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any, Optional

LEAST_S = 0.001
Address = tuple[str, int]


class Patience:
    """At most `step_s` for each step of a request, and `within_s` for all of them together (no limit where it is None)."""

    def __init__(self, step_s: float, within_s: float | None = None) -> None:
        self._step_s = step_s
        self._until = None if within_s is None else time.monotonic() + within_s

    @property
    def left_s(self) -> float:
        """Seconds that the next step may take."""
        left_s = self._step_s if self._until is None else min(self._step_s, self._until - time.monotonic())
        return max(LEAST_S, left_s)

    def connected(self, address: Address, _timeout: object = None, source: Optional[Address] = None) -> socket.socket:  # noqa: UP045  # Python 3.9
        """A connection to the first of the host's addresses that takes one. Raises OSError."""
        failure = OSError(f"{address[0]} has no address")
        for _family, _kind, _protocol, _name, found in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            try:
                return socket.create_connection((str(found[0]), int(found[1])), self.left_s, source)
            except OSError as error:
                failure = error
        raise failure

    def response(self, line: socket.socket, *arguments: Any, **options: Any) -> HTTPResponse:  # Any: what http.client gives
        """A response to be read from `line`."""
        found = HTTPResponse(line, *arguments, **options)
        found.fp.close()
        found.fp = io.BufferedReader(Arriving(line, self))
        return found


class Arriving(io.RawIOBase):
    """What arrives on a line, each part within the time that is left."""

    def __init__(self, line: socket.socket, patience: Patience) -> None:
        self._line, self._patience = line, patience
        self._parts = line.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # Any: a writable buffer, which Python 3.9 has no type for
        """Read what is there next. Raises OSError where it does not come in time."""
        self._line.settimeout(self._patience.left_s)
        return self._parts.readinto(buffer)

    def close(self) -> None:
        """Let go of the line."""
        self._parts.close()
        super().close()
