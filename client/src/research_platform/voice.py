"""How the client speaks up without stopping anyone: the `research_platform` logger, which reaches stderr unless logging is set up otherwise."""

from __future__ import annotations

import logging

# Not the `warnings` module: a script run with -W error would stop there.
logger = logging.getLogger("research_platform")


class Voice:
    """Says each kind of thing once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def once(self, kind: str, message: str) -> None:
        """Warn, unless something of this `kind` was said before."""
        if kind not in self._said:
            self._said.add(kind)
            self.warn(message)

    def forget(self, kind: str) -> None:
        """Let `kind` be said once more."""
        self._said.discard(kind)

    def warn(self, message: str) -> None:
        """Warn, each time."""
        logger.warning("Research Platform: %s", message)
