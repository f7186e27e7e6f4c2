"""Waiting for what comes by itself, never for a time that should be enough."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_S = 0.05


def until(is_so: Callable[[], object], what: str = "it", *, within_s: float = 60.0) -> None:
    """Wait until `is_so` holds. Fails with `what` was waited for where it does not come within `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(LOOK_S)
