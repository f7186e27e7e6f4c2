"""Asking again, within a time, what the server could not answer now."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from research_platform.connection import Answer
from research_platform.pace import Pace


def persisted(ask: Callable[[], Answer], *, worth_repeating: Callable[[Answer], bool], within_s: float, pace: Pace) -> Answer:
    """The answer of `ask`, asked again while `worth_repeating` and the next pause ends `within_s`. Asks at least once."""
    until = time.monotonic() + within_s
    for attempt in count():
        answer = ask()
        pause_s = pace.pause_s(attempt, answer.retry_after_s)
        if not worth_repeating(answer) or time.monotonic() + pause_s > until:
            break
        time.sleep(pause_s)
    return answer
