"""Whether beat sent a task within the last three minutes, as an exit code. It asks the record, and so knows of beat wherever that runs."""

from __future__ import annotations

import os
import sys

import psycopg

SENT_LATELY = "SELECT count(*) FROM django_celery_beat_periodictask WHERE last_run_at > now() - interval '180 seconds'"


def main() -> int:
    """0 where it did."""
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as connection:
            found = connection.execute(SENT_LATELY).fetchone()
    except psycopg.Error as error:
        sys.stderr.write(f"The record cannot be asked: {error}\n")
        return 1
    return 0 if found and found[0] else 1


if __name__ == "__main__":
    sys.exit(main())
