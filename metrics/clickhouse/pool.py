"""Connections to a ClickHouse server and its replica: how many there may be, which one is asked, and what happens when one goes away."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from metrics.clickhouse.errors import StoreUnavailable
from metrics.clickhouse.wire import CONNECT_S, Address, Login, Wire

WAIT_S = 10.0
# A server that failed is left alone this long, doubled each time up to the second number: then one caller tries it, while the others go on without.
PAUSE_S = (0.5, 5.0)


class Node:
    """One server: its idle connections, and whether it is worth trying."""

    def __init__(self, address: Address, login: Login) -> None:
        self.address, self.login = address, login
        self.idle: deque[Wire] = deque()
        self.lock = threading.Lock()
        self.failures = 0
        self.rests_until = 0.0
        self.last_error = StoreUnavailable("")

    def is_worth_trying(self) -> bool:
        """Whether to ask this server now. After a failure, the caller that gets True is the only one until it has found out."""
        with self.lock:
            if not self.failures:
                return True
            if time.monotonic() < self.rests_until:
                return False
            self.rests_until = time.monotonic() + 2 * CONNECT_S
            return True

    def wire(self) -> Wire:
        """A connection that answered just now. Raises StoreUnavailable where there is none to be had, and rests."""
        known = self.failures
        try:
            wire = self.living() or Wire(self.address, self.login)
        except StoreUnavailable as error:
            self.rest(error, known)
            raise
        self.failures = 0
        return wire

    def living(self) -> Wire | None:
        """An idle connection that still answers. Where one does not, the others are of the same age and go with it."""
        wire = self.taken()
        if wire is None or wire.is_alive():
            return wire
        wire.close()
        self.close_idle()
        return None

    def taken(self) -> Wire | None:
        """The idle connection that was used last."""
        try:
            return self.idle.pop()
        except IndexError:
            return None

    def rest(self, error: StoreUnavailable, known: int) -> None:
        """Leave the server alone for a while. Many callers may find out at once, each knowing of `known` failures before: it is one more for all."""
        with self.lock:
            self.last_error = error
            if self.failures != known:
                return
            self.rests_until = time.monotonic() + min(PAUSE_S[0] * 2**self.failures, PAUSE_S[1])
            self.failures = min(self.failures + 1, 10)

    def close_idle(self) -> None:
        """Hang up on every idle connection."""
        while (wire := self.taken()) is not None:
            wire.close()


class Pool:
    """At most `size + overflow` connections in use at once, of which `size` are kept. The first server is asked; the next only while it is away."""

    def __init__(self, addresses: Sequence[Address], login: Login, *, size: int, overflow: int, wait_s: float = WAIT_S) -> None:
        self.addresses, self.login, self.size, self.overflow, self.wait_s = addresses, login, size, overflow, wait_s
        self.begin()

    def begin(self) -> None:
        """Nothing is open yet."""
        self.process = os.getpid()
        self.nodes = [Node(address, self.login) for address in self.addresses]
        self.slots = threading.BoundedSemaphore(self.size + self.overflow)

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        """A connection for one conversation. It is closed, not kept, where the conversation ended in an error. Raises StoreUnavailable."""
        self.begin_after_fork()
        slots = self.slots
        if not slots.acquire(timeout=self.wait_s):
            raise StoreUnavailable(f"All {self.size + self.overflow} connections to ClickHouse are busy: try again in a moment.")
        try:
            node, wire = self.connected()
            try:
                yield wire
            except BaseException:
                wire.close()
                raise
            self.keep(node, wire)
        finally:
            slots.release()

    def connected(self) -> tuple[Node, Wire]:
        """A connection to the first server that can be reached; the ones to those behind it are then no longer needed."""
        for place, node in enumerate(self.nodes):
            if not node.is_worth_trying():
                continue
            try:
                wire = node.wire()
            except StoreUnavailable:
                continue
            for other in self.nodes[place + 1 :]:
                other.close_idle()
            return node, wire
        errors = [node.last_error for node in self.nodes]
        raise StoreUnavailable(" ".join(map(str, errors)), code=errors[0].code)

    def keep(self, node: Node, wire: Wire) -> None:
        """Keep a connection for the next caller, unless there are enough."""
        if len(node.idle) < self.size:
            node.idle.append(wire)
        else:
            wire.close()

    def begin_after_fork(self) -> None:
        """In a child, the parent's sockets and locks are not ours."""
        if self.process == os.getpid():
            return
        inherited = [wire for node in self.nodes for wire in node.idle]
        self.begin()
        for wire in inherited:
            wire.let_go()

    def close(self) -> None:
        """Hang up on every idle connection; those in use are closed by who uses them."""
        for node in self.nodes:
            node.close_idle()
