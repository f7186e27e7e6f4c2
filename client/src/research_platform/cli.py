"""The command `research-platform`."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

from research_platform.connection import Connection
from research_platform.credentials import Credentials, keep
from research_platform.errors import Refused, ResearchPlatformError, Unreachable
from research_platform.sending import discard, send

# A token that may only log is still a token: the server knows it and says 403.
KNOWN = (200, 403)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    asked = parser().parse_args(arguments)
    if asked.verb == "send" and asked.discard:
        return discard(asked.discard)
    try:
        return send(asked.files, asked.token) if asked.verb == "send" else login(asked.url, asked.token)
    except (ResearchPlatformError, OSError) as error:
        print(f"research-platform: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """What may be typed."""
    top = argparse.ArgumentParser(prog="research-platform", description="Connects this machine's scripts to a Research Platform server.")
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="verb")
    entry = commands.add_parser("login", help="check a token and keep it for scripts")
    entry.add_argument("url", metavar="URL", help="the server's address, like http://127.0.0.1:8000")
    entry.add_argument("--token", help="the API token; asked for where it is not given")
    later = commands.add_parser("send", help="send what runs could not send, and kept")
    later.add_argument("files", nargs="*", type=Path, metavar="FILE", help="such a file; all that are kept here where none is given")
    later.add_argument("--token", help="the API token to send with, in place of the one that is found")
    later.add_argument("--discard", nargs="+", type=Path, metavar="FILE", help="delete what such a file keeps, and send nothing: for runs that were deleted")
    return top


def login(url: str, token: str | None) -> int:
    """Check the token with the server and keep it. Raises ResearchPlatformError and OSError."""
    connection = Connection(url, token or getpass.getpass(f"API token (make one on the Account page of {url}): ").strip())
    check(connection)
    path = keep(Credentials(connection.url, connection.token))
    print(f"The token is good. It is kept in {path}, and scripts will log to {connection.url}.")
    return 0


def check(connection: Connection) -> None:
    """Raise Unreachable or Refused where the server does not know the token."""
    answer = connection.ask("GET", "/api/v1/projects")
    if answer.status == 0:
        raise Unreachable(f"{connection.url} does not answer ({answer}): is the address right, and is the server running?")
    if answer.status not in KNOWN or not answer.content:
        raise Refused(f"{connection.url} does not take the token ({answer}): make a new one on its Account page.", status=answer.status)
