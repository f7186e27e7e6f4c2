"""The product's web server before an application of a test, in a thread of the test's process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from config.web.bodies.in_flight import FLIGHT, STRANGERS
from metrics.ingest.shortcut import Application
from operations.web_server.gate import Gate
from operations.web_server.server import WebServer


@contextlib.contextmanager
def running(application: Application, gate: Gate) -> Iterator[WebServer]:
    """A server with two threads that answer. It ends, and holds nothing of any body then."""
    made = WebServer(application, socket.create_server(("127.0.0.1", 0)), threads=2, gate=gate)
    serving = threading.Thread(target=made.run)
    serving.start()
    try:
        yield made
    finally:
        made.stop()
        serving.join(10)
    assert not serving.is_alive()
    assert FLIGHT.held == STRANGERS.held == 0
