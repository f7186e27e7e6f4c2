"""`manage.py serve`: the whole product in one process."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from accounts.first_start import Credentials, first_credentials, is_first_start, welcome, write_credentials
from config.errors import SetupError
from experiments import recording
from metrics import process
from metrics.server import bound_server, serve

ROOM_TO_START_BYTES = 50_000_000
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound to


def refuse_full_disk() -> None:
    """Raise SetupError where there is no room to open the stores."""
    free = shutil.disk_usage(settings.DATA_DIR).free
    if free < ROOM_TO_START_BYTES:
        raise SetupError(
            f"The disk of {settings.DATA_DIR} has {free} bytes free, {ROOM_TO_START_BYTES} are needed to start: make room, or give another DATA_DIR."
        )


class Command(BaseCommand):
    """Web server, spool and drain in one process, on SQLite and the embedded engine."""

    help = "Serve the product from this one process: pages, API, spool and metric store."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own type

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--host --port --data-dir --no-demo --threads"""
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (127.0.0.1).")
        parser.add_argument("--port", type=int, default=settings.PORT, help="Port to listen on (PORT, or 8000).")
        parser.add_argument("--data-dir", help="Where everything is kept (DATA_DIR, or ./data).")
        parser.add_argument("--no-demo", action="store_true", help="Do not load the demo project at the first start.")
        parser.add_argument("--threads", type=int, default=settings.SERVER_THREADS, help="Threads that answer requests (SERVER_THREADS, or 16).")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start, serve, stop. Raises SetupError where the port, the data directory or the disk is not to be had."""
        if not 0 <= options["port"] <= 65_535:
            raise SetupError(f"--port {options['port']} is no port: give 1 to 65535.")
        if options["threads"] < 1:
            raise SetupError(f"--threads {options['threads']} is too few: give 1 or more.")
        refuse_full_disk()
        server = bound_server(options["host"], options["port"], threads=options["threads"])
        try:
            process.open_engine()
            call_command("migrate", verbosity=0)
            process.start()
            shown = "127.0.0.1" if options["host"] in ANYWHERE else options["host"]
            url = f"http://{f'[{shown}]' if ':' in shown else shown}:{server.bind_addr[1]}"
            self.first_start(url, with_demo=not options["no_demo"])
            serve(server, ready=lambda: self.say(f"Serving on {url}  (stop with Ctrl-C)"))
        finally:
            server.stop()
            process.stop()

    def first_start(self, url: str, *, with_demo: bool) -> None:
        """On a new record: the first admin and token, printed once; the demo."""
        if not is_first_start():
            return
        credentials = first_credentials(url=url)
        path = settings.DATA_DIR / "credentials.json"
        write_credentials(credentials, path)
        if with_demo:
            self.load_demo(credentials)
        self.say(welcome(credentials, path))

    def load_demo(self, credentials: Credentials) -> None:
        """Load the recording through the same ingest that scripts use."""
        self.say("Loading the demo project …")
        recording.load(recording.DEMO, token=credentials.token)

    def say(self, text: str) -> None:
        """Print at once: whoever started the server may read through a pipe."""
        self.stdout.write(text)
        self.stdout.flush()
