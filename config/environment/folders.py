"""The data directory: made where it is missing, refused where it cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

from config.errors import SetupError


def made(data_dir: Path) -> Path:
    """The data directory, made if it is not there. Raises SetupError where it cannot be written."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"DATA_DIR={data_dir} cannot be made ({error.strerror}): give a folder that this user can write.") from error
    if not os.access(data_dir, os.W_OK):
        raise SetupError(f"DATA_DIR={data_dir} cannot be written: give a folder that this user can write.")
    return data_dir
