"""Whether a file that names a server and a token is the person's own word: others could write one to have scripts and tokens sent to themselves.

A group that the owner lets write is believed as the owner is: on many systems it is the person alone, and who else is in it is not looked up.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_BYTES = 65_536
ROOT = 0


def read(path: Path) -> tuple[bytes, str]:
    """What a file holds, and why it is not to be believed ("" where it is). Raises OSError where it cannot be read, or is no file.

    What is judged is what was read, whoever puts another file in its place.
    """
    # A pipe that somebody left there would hold the script for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path} is no file")
        return file.read(MOST_BYTES), flaw_of(path, found)


def flaw_of(path: Path, found: os.stat_result) -> str:
    """What speaks against a file, and what to do about it. Nothing does on systems whose files have no such owner."""
    if not hasattr(os, "geteuid"):
        return ""
    if found.st_uid not in (os.geteuid(), ROOT):
        return f"it belongs to somebody else (user {found.st_uid}): take it over by chown, or keep a file of your own"
    if found.st_mode & stat.S_IWOTH:
        return f"everybody may write to it: chmod 600 {path}"
    folder = open_folder(path)
    return f"everybody may put files into {folder}: chmod o-w {folder}, or keep it elsewhere" if folder else ""


def open_folder(path: Path) -> Path | None:
    """The nearest folder on the way to `path` in which everybody may replace what others put there; /tmp, where they may not, is none."""
    return next((folder for folder in path.resolve().parents if is_open(folder.stat().st_mode)), None)


def is_open(mode: int) -> bool:
    """Whether everybody may write there and delete the files of others."""
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
