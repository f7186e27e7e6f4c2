"""`manage.py migrate_clickhouse`: bring the metric store's tables up to date."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config.errors import SetupError
from metrics import process
from metrics.clickhouse.cluster import clustered
from metrics.clickhouse.errors import StoreError
from metrics.clickhouse.migrate import migrate, pending


def advice(error: StoreError) -> str:
    """What went wrong, and what to look at where nobody answered at all."""
    if error.code or not settings.CLICKHOUSE_HOST:
        return str(error)
    return f"{str(error).rstrip('.')}: check CLICKHOUSE_HOST and CLICKHOUSE_PORT, and that the server runs."


class Command(BaseCommand):
    """Apply the numbered SQL files that the store does not have yet."""

    help = "Apply pending migrations of the metric store; --plan only prints them."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own type

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--plan"""
        parser.add_argument("--plan", action="store_true", help="Print the statements that would run, and run none.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises SetupError where a running server owns the embedded store (it has migrated it at its start), or where ClickHouse cannot be reached."""
        engine = process.open_engine()
        try:
            if options["plan"]:
                self.plan(engine)
            else:
                done = migrate(engine, settings.CLICKHOUSE_DATABASE)
                self.stdout.write("\n".join(f"Applied {name}" for name in done) or "Nothing to apply.")
        except StoreError as error:
            raise SetupError(advice(error)) from error
        finally:
            process.stop()

    def plan(self, engine: Any) -> None:
        """Print what is pending."""
        waiting = pending(engine, settings.CLICKHOUSE_DATABASE)
        for migration in waiting:
            statements = [rendered for statement in migration.statements for rendered in clustered(statement, settings.CLICKHOUSE_CLUSTER)]
            self.stdout.write(f"-- {migration.name}\n" + ";\n".join(statements) + ";\n")
        if not waiting:
            self.stdout.write("Nothing to apply.")
