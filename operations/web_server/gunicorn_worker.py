"""gunicorn's worker with the product's own web server in it: the same limits and the same patience in both forms."""

from __future__ import annotations

import os
from typing import Any

from gunicorn.workers.base import Worker

from operations.web_server.server import WebServer


class WebServerWorker(Worker):  # type: ignore[misc]  # comes without types
    """Serves gunicorn's first socket until the master asks it to stop, or is gone."""

    def run(self) -> None:
        """Serve."""
        listening = self.sockets[0].sock
        listening.setblocking(False)
        self.server = WebServer(self.wsgi, listening, threads=self.cfg.threads)
        self.server.run(each_tick=self.is_wanted)

    def is_wanted(self) -> bool:
        """Tell the master that this worker lives, and whether it is to go on."""
        self.notify()
        return self.alive and self.ppid == os.getppid()

    def handle_exit(self, sig: int, frame: Any) -> None:  # Any: a frame
        """SIGTERM: finish what is in flight."""
        self.alive = False
        self.server.stop()
