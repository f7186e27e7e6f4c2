"""`python -m tests.security.mutations [--quick | --listed | --rights] [file.md]`: takes each scope away, and prints what became of it as Markdown.

`--quick` takes half of them, `--rights` those that say what a caller may do, `--listed` those of `survivors.toml`: what something sees by now can
leave it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run the test in a process of its own, and show its table."""
    named = [each for each in arguments if not each.startswith("-")]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(named[0] if named else f"{folder}/mutations.md")
        flags = (("--quick", "half"), ("--rights", "rights"), ("--listed", "listed"))
        which = {"MUTATIONS": next((word for flag, word in flags if flag in arguments), "all")}
        test = [sys.executable, "-m", "pytest", "tests/security/mutations/test_mutations.py", "-q", "--show-capture=no", "--tb=short"]
        ended = subprocess.run(test, env=os.environ | which | {"MUTATIONS_TO": str(target)}, check=False)
        if target.exists():
            print(target.read_text())
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
