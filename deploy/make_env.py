"""`make env`: a .env with fresh secrets for `docker compose`, readable by its owner alone. Needs nothing but Python."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / ".env"
TEXT = """\
# Made by `make env`: secrets that exist nowhere else. Keep a copy where you keep passwords: without them the volumes cannot be opened again.
SECRET_KEY={secret_key}
POSTGRES_PASSWORD={postgres}
CLICKHOUSE_PASSWORD={clickhouse}
REDIS_PASSWORD={redis}

# What `.env.example` explains; these are what a first deployment changes.
# the name that people type, and its origin, once a proxy with TLS stands before port 8000 (deploy/nginx.conf); then PROXY_TRUSTED=true too
#ALLOWED_HOSTS=lab.example.org
#CSRF_TRUSTED_ORIGINS=https://lab.example.org
#PROXY_TRUSTED=true
# false for a first look without TLS, on this machine alone
#COOKIES_SECURE=false
"""


def main(target: Path) -> int:
    """Write `target`; 1 where it is there already."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(f"{target} is there already, and its passwords may be in use: move it away first.\n")
        return 1
    with os.fdopen(descriptor, "w") as file:
        file.write(TEXT.format(secret_key=secrets.token_urlsafe(50), **{name: secrets.token_hex(24) for name in ("postgres", "clickhouse", "redis")}))
    sys.stdout.write(f"{target} is made. Next: docker compose up -d --build\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET))
