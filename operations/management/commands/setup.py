"""`manage.py setup`: for servers what the first start of `serve` does. Run it before them, and again after each update."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from accounts.first_start import first_account, first_admin, is_first_start
from config.databases.database import one_at_a_time, unusable


class Command(BaseCommand):
    """Both stores up to date; the first admin, team and token, printed once."""

    help = "Bring record and metric store up to date, and make the first admin, team and token. Prints one line of JSON."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own type

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--username"""
        parser.add_argument("--username", default="admin", help="Name of the first admin (admin).")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print username, password and token where they were made now, else who is there already. Raises SetupError where a store cannot be used."""
        try:
            with one_at_a_time():
                said = self.set_up(options["username"])
        except DatabaseError as error:
            raise unusable(error) from error
        self.stdout.write(json.dumps(said))

    def set_up(self, username: str) -> dict[str, Any]:
        """Do it; what to print. The account comes last, so that it is not made where something else fails."""
        call_command("migrate", verbosity=0)
        call_command("migrate_clickhouse", stdout=self.stderr)
        if is_first_start():
            return asdict(first_account(username))
        return {"username": first_admin(), "already": True}
