"""The data directory: made where it is missing, refused where it cannot be used, and closed to everybody else on the machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from config.errors import SetupError

UMASK = 0o077
OTHERS = 0o077
# What is ours in the data directory: a folder that is closed closes all that lies in it.
OURS = ("platform.sqlite3*", "secret_key", "credentials.json", "spool", "clickhouse", "prometheus")


def keep_to_ourselves() -> None:
    """From now on, let nobody else read what this process writes."""
    os.umask(UMASK)


def close(data_dir: Path) -> str:
    """Close to others what an earlier version left open in the data directory; what is still open, in a sentence with what to do, "" where nothing is."""
    for path in ours(data_dir):
        with suppress(OSError):  # another user's, or gone by now
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)
    return flaw_of(data_dir)


def flaw_of(data_dir: Path) -> str:
    """What others on this machine can read or change, and what to do about it; "" where that is nothing."""
    still_open = [path for path in ours(data_dir) if is_open(path)]
    if still_open:
        named = " ".join(map(str, still_open))
        return f"What others on this machine can read in DATA_DIR={data_dir} is not this user's to close: chmod go-rwx {named}"
    if is_open(data_dir):
        return f"DATA_DIR={data_dir} is open to others on this machine (mode {stat.S_IMODE(data_dir.stat().st_mode):o}): chmod 700 {data_dir}"
    return ""


def ours(data_dir: Path) -> Iterator[Path]:
    """Our own files and folders at the top of the data directory; links are somebody's arrangement, and stay as they are."""
    return (path for pattern in OURS for path in sorted(data_dir.glob(pattern)) if not path.is_symlink())


def is_open(path: Path) -> bool:
    """Whether anybody but its owner may do anything with it."""
    with suppress(OSError):
        return bool(path.stat().st_mode & OTHERS)
    return False


def made(data_dir: Path) -> Path:
    """The data directory, made if it is not there. Raises SetupError where it cannot be written."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"DATA_DIR={data_dir} cannot be made ({error.strerror}): give a folder that this user can write.") from error
    if not os.access(data_dir, os.W_OK):
        raise SetupError(f"DATA_DIR={data_dir} cannot be written: give a folder that this user can write.")
    return data_dir
