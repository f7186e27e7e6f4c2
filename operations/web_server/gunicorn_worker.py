"""gunicorn's worker with the product's own web server in it: the same limits and the same patience in both forms."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gunicorn.workers.base import Worker

# Of the time that a stop may take, so much is for what waits in the spool.
STORE_S = 10

if TYPE_CHECKING:
    from operations.web_server.server import WebServer


class WebServerWorker(Worker):  # type: ignore[misc]  # comes without types
    """Serves gunicorn's first socket until the master asks it to stop, or is gone."""

    server: WebServer | None = None

    def run(self) -> None:
        """Serve."""
        from operations.web_server.server import WebServer  # Django is set up only by now

        finish_s = max(1, self.cfg.graceful_timeout - STORE_S)
        self.server = WebServer(self.wsgi, self.sockets[0].sock, threads=self.cfg.threads, finish_s=finish_s)
        self.server.run(each_tick=self.is_wanted)

    def is_wanted(self) -> bool:
        """Tell the master that this worker lives, and whether it is to go on."""
        self.notify()
        return self.alive and self.ppid == os.getppid()

    def handle_exit(self, sig: int, frame: Any) -> None:  # Any: a frame
        """SIGTERM: finish what is in flight."""
        self.alive = False
        if self.server is not None:
            self.server.stop()
