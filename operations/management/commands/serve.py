"""`manage.py serve`: the whole product in one process."""

from __future__ import annotations

import shutil
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from accounts.first_start import Credentials, first_credentials, follow_address, is_first_start, welcome
from alerts import watch
from config.celery import IS_EMBEDDED
from config.databases.database import unusable
from config.databases.deadline import FOR_EVER, within
from config.environment import folders
from config.errors import SetupError, Unavailable
from metrics import meters, process
from metrics.clickhouse.errors import StoreError
from metrics.clickhouse.migrate import migrate
from metrics.clock.clockwork import Clockwork
from operations.demo import claims
from operations.management.commands.migrate_clickhouse import advice
from operations.web_server.server import bound_server, serve

ROOM_TO_START_BYTES = 50_000_000
# Its threads were asked to stop when the server was: this is for the statement that the schedule has under way.
CLOCK_STOP_S = 3.0


def migrate_record() -> None:
    """Bring the record up to date. Raises SetupError where its database cannot be used."""
    try:
        with within(FOR_EVER):
            call_command("migrate", verbosity=0)
    except DatabaseError as error:
        raise unusable(error) from error


def whole(options: Mapping[str, Any], name: str, *, least: int = 0, most: int = 1000) -> int:
    """A whole number among the options. Raises SetupError for anything else."""
    given = str(options[name])
    if not given.isdecimal() or not least <= int(given) <= most:
        raise SetupError(f"--{name} {given!r} is not known: give a whole number from {least} to {most}.")
    return int(given)


def shown(host: str) -> str:
    """A host that is listened on, as it is called from here: one that means every address is 127.0.0.1."""
    with suppress(ValueError):
        address = ip_address(host)
        return "127.0.0.1" if address.is_unspecified else f"[{host}]" if address.version == 6 else host
    return host


def refuse_full_disk() -> None:
    """Raise SetupError where there is no room to open the stores, or no folder for them. Makes the folder."""
    free = shutil.disk_usage(folders.made(settings.DATA_DIR)).free
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
        parser.add_argument("--port", default=settings.PORT, help="Port to listen on (PORT, or 8000).")
        parser.add_argument("--data-dir", help="Where everything is kept (DATA_DIR, or ./data).")
        parser.add_argument("--no-demo", action="store_true", help="Do not load the demo project at the first start.")
        parser.add_argument("--threads", default=settings.SERVER_THREADS, help="Threads that answer requests (SERVER_THREADS, or 24).")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start, serve, stop. Raises SetupError where the port, the data directory or the disk is not to be had."""
        port, threads = whole(options, "port", most=65_535), whole(options, "threads", least=1)
        if not options["host"]:
            raise SetupError("--host is empty: give an address, such as 127.0.0.1.")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        refuse_full_disk()
        self.close_folder()
        server, clockwork = bound_server(options["host"], port, threads=threads), Clockwork()
        try:
            process.open_engine()
            migrate_record()
            self.migrate_server()
            process.check_spools()
            meters.forget_dead()
            process.start()
            watch.start()
            url = f"http://{shown(options['host'])}:{server.bind_addr[1]}"
            self.first_start(url, with_demo=not options["no_demo"])
            self.warn_of_missing_files()
            serve(server, ready=lambda: self.ready(url, clockwork), stopping=clockwork.ask_to_stop)
        finally:
            server.stop()
            watch.stop()
            is_idle = clockwork.stop(within_s=CLOCK_STOP_S)
            process.stop(is_engine_busy=not is_idle)

    def close_folder(self) -> None:
        """Close to others what is ours, and say what is still open."""
        flaw = folders.close(settings.DATA_DIR)
        if flaw:
            self.say(flaw)

    def migrate_server(self) -> None:
        """Bring a ClickHouse server's tables up to date. One that is away is told of: points are taken all the same, and wait in the spool."""
        if not settings.CLICKHOUSE_HOST:
            return
        try:
            migrate(process.open_engine(), settings.CLICKHOUSE_DATABASE)
        except StoreError as error:
            self.say(f"Points are taken, and wait: {advice(error)} Run `manage.py migrate_clickhouse` once it answers.")

    def ready(self, url: str, clockwork: Clockwork) -> None:
        """Say where, and start what runs by the clock, unless a broker of their own serves separate workers."""
        self.say(f"Serving on {url}  (stop with Ctrl-C)")
        if IS_EMBEDDED:
            clockwork.start()

    def warn_of_missing_files(self) -> None:
        """Say it where the pages will lack their curves."""
        if finders.find("vendor/uplot/uPlot.esm.js") is None:
            self.say("The charts' JavaScript is not installed, pages will have no curves: run `make node_modules/.installed`, then start again.")

    def first_start(self, url: str, *, with_demo: bool) -> None:
        """On a new record: the first admin and token, printed once; the demo. Later: the credentials' file follows the address."""
        if not is_first_start():
            follow_address(settings.DATA_DIR / "credentials.json", url)
            return
        self.refuse_without_room()
        path = settings.DATA_DIR / "credentials.json"
        credentials = first_credentials(path, url=url)
        if with_demo:
            self.load_demo(credentials)
        self.say(welcome(credentials, path))

    def refuse_without_room(self) -> None:
        """Raise SetupError where the spool would take no point: the first start is then still to come."""
        try:
            process.spool().refuse_when_full()
        except Unavailable as refused:
            raise SetupError(str(refused)) from refused

    def load_demo(self, credentials: Credentials) -> None:
        """Load the recording through the same ingest that scripts use."""
        self.say("Loading the demo project …")
        claims.load_demo(token=credentials.token)

    def say(self, text: str) -> None:
        """Print at once: whoever started the server may read through a pipe."""
        self.stdout.write(text)
        self.stdout.flush()
