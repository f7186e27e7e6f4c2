#!/usr/bin/env python
"""Django's command line for Research Platform."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext

from config.databases.deadline import FOR_EVER, within
from config.errors import SetupError


def data_dir_of(arguments: list[str]) -> str:
    """What --data-dir says, nothing where it is absent: the settings must know before they are read."""
    for place, argument in enumerate(arguments):
        if argument.startswith("--data-dir="):
            return argument.partition("=")[2]
        if argument == "--data-dir":
            return arguments[place + 1] if place + 1 < len(arguments) else ""
    return ""


def patience_for(arguments: list[str]) -> AbstractContextManager[None]:
    """A command may take as long over a statement as it has to, and wait for its turn; `serve` answers people."""
    return nullcontext() if "serve" in arguments[1:2] else within(FOR_EVER)


def main() -> int:
    """Run a management command; a wrong set-up is one sentence on stderr and exit code 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    given = data_dir_of(sys.argv)
    if given:
        os.environ["DATA_DIR"] = given
    from django.core.management import execute_from_command_line
    from django.db import InterfaceError, OperationalError

    try:
        with patience_for(sys.argv):
            execute_from_command_line(sys.argv)
    except SetupError as error:
        return refuse(error)
    except (OperationalError, InterfaceError) as error:
        from config.databases.database import unusable

        return refuse(unusable(error))
    return 0


def refuse(error: SetupError) -> int:
    """One sentence, and exit code 1."""
    sys.stderr.write(f"{error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
