"""gunicorn's worker of threads, none of which is held up for long by a client that stalls in the middle of a request, or of taking its answer."""

from __future__ import annotations

import logging
import socket
import struct
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

STALL_S = 10
# The kernel's own limit, as gunicorn takes a limit of Python's off again before it reads.
LIMIT = struct.pack("@ll", STALL_S, 0)


class PatientThreads(ThreadWorker):  # type: ignore[misc]  # comes without types
    """Hangs up on a client that has sent nothing, or taken nothing, for STALL_S while a thread waited for it."""

    def init_process(self) -> None:
        """Begin. A client that was hung up on is no line in the log, and no traceback."""
        logging.getLogger("gunicorn.error").addFilter(tells_of_more_than_a_stall)
        super().init_process()

    def handle(self, conn: Any) -> Any:  # Any: gunicorn's own connection, and what it makes of the answer
        """Serve a request."""
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            conn.sock.setsockopt(socket.SOL_SOCKET, option, LIMIT)
        return super().handle(conn)


def tells_of_more_than_a_stall(record: logging.LogRecord) -> bool:
    """Whether a line is about anything else than a client that stalled."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))
