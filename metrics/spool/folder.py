"""What lies in the folder of spool files. Knows nothing of Django: gunicorn's master looks here before there is any worker."""

from __future__ import annotations

import os
from pathlib import Path

from config.errors import SetupError
from metrics.spool.file import InUse, connected, own


def make(folder: Path) -> None:
    """The folder, made if it is not there. Raises SetupError where something else is in the way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{folder} cannot be made ({error.strerror}): move what is there away, or give another DATA_DIR.") from error


def files(folder: Path) -> list[Path]:
    """Every spool file of a folder, by number."""
    numbers = [int(name[:-7]) for name in os.listdir(folder) if name.endswith(".sqlite") and name[:-7].isdecimal()]
    return [folder / f"{number}.sqlite" for number in sorted(numbers)]


def check(folder: Path) -> None:
    """Raise SetupError where a spool file is damaged: a server says so before it starts, and does not leave points behind unseen."""
    make(folder)
    for path in files(folder):
        try:
            lock = own(path)
        except InUse:
            continue
        try:
            connected(path).close()
        finally:
            os.close(lock)


def replay_mark(path: Path) -> Path:
    """The file beside a spool file that asks its holder to put refused rows back into the queue."""
    return path.with_suffix(".replay")
