"""Asking again, within a time, what the server could not answer now."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from research_platform.connection import Answer
from research_platform.pace import Pace

LEAST_S = 0.1


def persisted(ask: Callable[[float], Answer], *, worth_repeating: Callable[[Answer], bool], within_s: float, pace: Pace) -> Answer:
    """The answer of `ask`, asked again while `worth_repeating` for as long as `within_s`. Asks at least once, each time with the seconds left."""
    until = time.monotonic() + within_s
    for attempt in count():
        answer = ask(max(LEAST_S, until - time.monotonic()))
        left_s = until - time.monotonic()
        pause_s = pace.pause_s(attempt, answer.retry_after_s)
        if answer.retry_after_s is None:
            pause_s = min(pause_s, left_s / 2)  # the last try comes shortly before the end, not one long pause before it
        if not worth_repeating(answer) or left_s < LEAST_S or pause_s > left_s:
            break
        time.sleep(pause_s)
    return answer
