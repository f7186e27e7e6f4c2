"""What the first start of `serve`, or `manage.py setup`, makes once: an admin with a generated password, a team and a token.

The token logs, reads and edits in that team. It is no operator's, as it lies in a file: people, deletions and /metrics take a sign-in.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.access import Caller
from accounts.models import Membership, Role, Scope, Team, User
from accounts.tokens.issuing import Wanted, mint
from config.errors import SetupError

TEAM = "Research team"


@dataclass(frozen=True)
class Credentials:
    """What the first start prints and writes to credentials.json."""

    url: str
    username: str
    password: str
    token: str


@dataclass(frozen=True)
class Account:
    """The first admin, as nobody will be told again."""

    username: str
    password: str
    token: str


def is_first_start() -> bool:
    """Whether the record has no user yet."""
    return not User.objects.exists()


@transaction.atomic
def first_account(username: str) -> Account:
    """Make the first admin, team and token: they exist together or not at all. Raises SetupError for a name that no user can have."""
    user = User(username=User.normalize_username(username), is_staff=True, is_superuser=True)
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    try:
        user.full_clean()
    except ValidationError as error:
        raise SetupError(f"--username {username!r} cannot be a user's name: {' '.join(error.messages)}") from error
    user.save()
    team = Team.objects.create(name=TEAM)
    Membership.objects.create(team=team, user=user, role=Role.ADMIN)
    _, token = mint(Caller(user), Wanted("first start", team, Scope.WRITE))
    return Account(user.username, password, token)


@transaction.atomic
def first_credentials(path: Path, *, url: str, username: str = "admin") -> Credentials:
    """Make the first account, and write it to `path`: both exist or neither."""
    credentials = Credentials(url=url, **asdict(first_account(username)))
    write_credentials(asdict(credentials), path)
    return credentials


def first_admin() -> str:
    """The name of the first superuser, "" where there is none."""
    return User.objects.filter(is_superuser=True).order_by("pk").values_list("username", flat=True).first() or ""


def write_credentials(credentials: Mapping[str, object], path: Path) -> None:
    """Write the file that local scripts read, readable by its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(credentials, file, indent=2)
        file.write("\n")


def follow_address(path: Path, url: str) -> None:
    """Write the present address into the file that local scripts read, where it is still there and says another.

    Whatever else its owner made of it stays: a file without the password, or one that is no JSON any more, is no reason not to start.
    """
    try:
        kept = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return
    if isinstance(kept, dict) and kept.get("url") != url:
        write_credentials(kept | {"url": url}, path)


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
