"""The same jobs on a team's servers: gunicorn with four workers, PostgreSQL, Redis and a ClickHouse process, all on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.record import ROOT
from bench.report import Line
from bench.run import OVERLAID, Run, say
from tests.faults.team import Team

JOBS = ("rows", "columns", "singles", "visible", "overlay", "table")


class TeamRun(Run):
    """A benchmark of the server form. Memory and starts are those of many processes, and are left out."""

    def __init__(self, folder: Path, *, is_quick: bool) -> None:
        super().__init__(folder / "unused", is_quick=is_quick)
        self.server.end()
        place = folder / "team"
        place.mkdir()
        self.team = Team(place, syncs=True, ENVIRONMENT="development")
        self.server = self.team.web

    def open(self) -> list[Line]:
        """Everything up, and the record's preparation."""
        self.team.start()
        sized = {"ingest": 8, "overlay": OVERLAID, "table": self.table_rows, "visible": 16}
        command = [sys.executable, "-m", "bench.record", *(f"{name}={count}" for name, count in sized.items())]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **self.team.web.settings}, check=True)
        return []

    def drain(self) -> None:
        """Wait until every worker's spool is stored."""
        self.team.web.await_drained()

    def note_peak(self) -> None:
        """Not here."""


def measured(folder: Path, *, jobs: list[str], is_quick: bool) -> list[Line]:
    """The lines of the server form."""
    run = TeamRun(folder, is_quick=is_quick)
    try:
        run.open()
        lines: list[Line] = []
        for job in jobs:
            say(f"{job}, on a team's servers …")
            lines += getattr(run, job)()
        run.stop()
        return lines
    finally:
        run.team.remove()
