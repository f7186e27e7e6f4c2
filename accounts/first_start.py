"""What the first start makes, once: an admin with a generated password, a team, a token, and a file that says so."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from django.db import transaction

from accounts.models import ApiToken, Membership, Role, Team, User

TEAM = "Research team"


@dataclass(frozen=True)
class Credentials:
    """What the first start prints and writes to credentials.json."""

    url: str
    username: str
    password: str
    token: str


def is_first_start() -> bool:
    """Whether the record has no user yet."""
    return not User.objects.exists()


@transaction.atomic
def first_credentials(path: Path, *, url: str, username: str = "admin") -> Credentials:
    """Make the first admin, team and token, and write them to `path`: they exist together or not at all."""
    password = secrets.token_urlsafe(12)
    user = User.objects.create_superuser(username, password=password)
    team = Team.objects.create(name=TEAM)
    Membership.objects.create(team=team, user=user, role=Role.ADMIN)
    _, token = ApiToken.issue(user=user, team=team, name="first start")
    credentials = Credentials(url, username, password, token)
    write_credentials(credentials, path)
    return credentials


def write_credentials(credentials: Credentials, path: Path) -> None:
    """Write the file that local scripts read, readable by its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.write("\n")


def follow_address(path: Path, url: str) -> None:
    """Write the present address into the file that local scripts read, where it is still there and says another."""
    if not path.exists():
        return
    kept = Credentials(**json.loads(path.read_text()))
    if kept.url != url:
        write_credentials(replace(kept, url=url), path)


def welcome(credentials: Credentials, path: Path) -> str:
    """What the first start prints, once."""
    return f"""
  The page      {credentials.url}
  Sign in       {credentials.username}   password  {credentials.password}
  API token     {credentials.token}
  Kept in       {path}  (only you can read it)

  Log a first point:

    curl -sX POST {credentials.url}/api/v1/experiments -H 'Authorization: Bearer {credentials.token}' \\
      -H 'Content-Type: application/json' -d '{{"project": "first", "create_project": true, "name": "run 1"}}'
    curl -sX POST '{credentials.url}/api/v1/metrics/log/first/run-1?wait=visible' -H 'Authorization: Bearer {credentials.token}' \\
      -H 'Content-Type: application/json' -d '{{"metric_name": "loss", "metric_value": 0.42, "step": 0}}'
    .venv/bin/python -c "import research_platform as rp; run = rp.init(project='first', name='run 2'); run.log({{'loss': 0.37}}, step=0); run.finish()"
"""
