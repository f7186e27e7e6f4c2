"""Where a run came from: the machine, the commit, the command without what is secret in it."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess  # nosec B404  # one fixed command, without a shell
import sys
import time
from itertools import accumulate
from pathlib import Path

from research_platform.hiding import hidden

GIT_TIMEOUT_S = 2.0
# What a server takes of a command is 8,000, the mark of a cut included.
COMMAND_BYTES = 7_990
CUT = " …"


def host() -> str:
    """The machine's name."""
    return socket.gethostname()


def command() -> str:
    """The command line that started this process, as a shell reads it, with *** for what looks like a secret; its beginning where it is long."""
    words = [str(word) for word in getattr(sys, "argv", [])]
    lengths = accumulate(len(word) for word in words)
    looked_at = words[: sum(1 for length in lengths if length <= 2 * COMMAND_BYTES)]
    whole = shlex.join(hidden(looked_at))
    kept = whole.encode("utf-8", "replace")[:COMMAND_BYTES].decode("utf-8", "ignore")
    return whole if len(kept) == len(whole) and looked_at == words else kept + CUT


def origin() -> dict[str, str]:
    """What is said of where a run came from."""
    return {"host": host(), "git_commit": git_commit(), "command": command()}


def default_name(*, named_after_script: bool = True) -> str:
    """The script's name and the time, for a run that was given no name."""
    script = Path(next(iter(getattr(sys, "argv", [])), "")).stem if named_after_script else ""
    return f"{script if script not in ('', '-', '-c', '-m') else 'run'} {time.strftime('%Y-%m-%d %H:%M:%S')}"


def git_commit() -> str:
    """The commit that is checked out here, "" where there is none or git cannot say."""
    git = shutil.which("git")
    here = Path.cwd()
    if git is None or not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return ""
    try:
        asked = subprocess.run([git, "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False)  # noqa: S603  # nosec B603
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
