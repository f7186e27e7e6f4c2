"""The web server of the embedded form: threads in this process, from the bound port to a clean stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from cheroot.wsgi import Server
from django.core.handlers.wsgi import WSGIHandler

from config.errors import SetupError
from metrics.ingest.shortcut import Application, PointsFirst, StartResponse
from operations.memory import keep_what_is_loaded

logger = logging.getLogger(__name__)
FINISH_S = 4
# A stop ends within ten seconds.
LAST_S = 9.0
# A connection that stalls holds a thread for this long at the most.
IDLE_S = 5
HEAD_BYTES = 65_536
KEEP_ALIVE = 512
# Many threads with little work each: at Python's default of 5 ms single points were a quarter slower.
SWITCH_S = 0.0005


class PatientServer(Server):
    """A new connection waits in the selector until it says something: silent ones (browsers open them ahead) hold no thread."""

    def process_conn(self, conn: Any) -> None:
        """Give a connection that has something to read to a thread."""
        if conn.last_used is None:
            self._connections.put(conn)  # type: ignore[attr-defined]  # not in its stubs
        else:
            super().process_conn(conn)


class WholePaths:
    """A WSGI application that is given paths as every other server gives them. cheroot leaves %2F as it is, so that it cannot be told from %252F."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Read the path anew from what was sent, and pass the request on."""
        sent = environ["REQUEST_URI"].partition("?")[0]
        if sent.startswith("/"):
            environ["PATH_INFO"] = unquote_to_bytes(sent.encode("latin-1")).decode("latin-1")
        return self.application(environ, start_response)


def bound_server(host: str, port: int, *, threads: int) -> Server:
    """A threaded WSGI server that listens already and serves once asked. Raises SetupError where the port cannot be had."""
    application = WholePaths(PointsFirst(WSGIHandler()))
    server = PatientServer((host, port), application, numthreads=threads, request_queue_size=256, timeout=IDLE_S, shutdown_timeout=FINISH_S)
    server.keep_alive_conn_limit = KEEP_ALIVE
    server.max_request_header_size = HEAD_BYTES
    try:
        server.prepare()
    except (OSError, OverflowError) as error:
        raise SetupError(f"{host}:{port} cannot be listened on ({error}): stop what uses it, or give another port by PORT or --port.") from error
    return server


def end_in_any_case() -> None:
    """End the process, whatever still hangs in it. It may end at any time: what is not stored lies in the spool."""
    logger.warning("The stop took longer than %s s and is cut short; what is not stored yet lies in the spool.", LAST_S)
    os._exit(0)


def serve(server: Server, *, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; then finish the requests in flight and return. `ready` is called once signals are heeded, `stopping` at the signal."""
    sys.setswitchinterval(SWITCH_S)
    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    signal.signal(signal.SIGINT, lambda *_: asked_to_stop.set())
    serving = threading.Thread(target=server.serve, name="server")
    serving.start()
    ready()
    keep_what_is_loaded()
    asked_to_stop.wait()
    last = threading.Timer(LAST_S, end_in_any_case)
    last.daemon = True
    last.start()
    stopping()
    server.stop()
    serving.join(timeout=FINISH_S)
