"""Ports for the servers of tests."""

from __future__ import annotations

import itertools
import random
import socket
import threading
from collections.abc import Iterator

# Below those that the kernel gives to outgoing connections: one of these could take a server's port before it starts, or while it is down.
PORTS = range(20_000, 32_000)
LOCK = threading.Lock()


def in_turn() -> Iterator[int]:
    """All of them for ever, in each process from a place of its own on."""
    began = random.SystemRandom().randrange(len(PORTS))
    for number in itertools.count(began):
        yield PORTS[number % len(PORTS)]


TURN = in_turn()


def free_port() -> int:
    """A port that nobody listens on just now, and that nobody else in this process was given."""
    while True:
        with LOCK:
            port = next(TURN)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
