"""Where a run came from: the machine, the commit, the command."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

GIT_TIMEOUT_S = 2.0


def host() -> str:
    """The machine's name."""
    return socket.gethostname()


def command() -> str:
    """The command line that started this process, as a shell reads it."""
    return shlex.join(getattr(sys, "argv", []))


def default_name() -> str:
    """The script's name and the time, for a run that was given no name."""
    script = Path(next(iter(getattr(sys, "argv", [])), "")).stem
    return f"{script if script not in ('', '-', '-c', '-m') else 'run'} {time.strftime('%Y-%m-%d %H:%M:%S')}"


def git_commit() -> str:
    """The commit that is checked out here, "" where there is none or git cannot say."""
    git = shutil.which("git")
    here = Path.cwd()
    if git is None or not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return ""
    try:
        asked = subprocess.run([git, "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
