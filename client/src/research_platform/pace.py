"""How often a run talks to the server, and how long it waits."""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass, field

FLUSH_TIMEOUT_S, CONNECT_TIMEOUT_S = 30.0, 20.0
# Longer than anybody waits, and short enough for every clock of the system.
TIMEOUT_MOST_S = 10_000_000.0


def flush_timeout_s() -> float:
    """`RP_FLUSH_TIMEOUT` in seconds, 30 where it is not set or no number."""
    return seconds("RP_FLUSH_TIMEOUT", FLUSH_TIMEOUT_S)


def connect_timeout_s() -> float:
    """`RP_CONNECT_TIMEOUT` in seconds, 20 where it is not set or no number."""
    return seconds("RP_CONNECT_TIMEOUT", CONNECT_TIMEOUT_S)


def seconds(name: str, otherwise: float) -> float:
    """What the environment says under `name`; `otherwise` where that is no span of time."""
    try:
        found = float(os.environ.get(name, otherwise))
    except ValueError:
        return otherwise
    return otherwise if math.isnan(found) else within_reason(found)


def within_reason(timeout_s: float) -> float:
    """A time to wait that the system can count: none is negative, and for ever is four months."""
    return min(max(0.0, timeout_s), TIMEOUT_MOST_S)


@dataclass(frozen=True)
class Pace:
    """The defaults suit training scripts; all times are in seconds.

    A batch leaves every `flush_s`, or at once when `flush_points` wait. It holds at most `batch_points` points and, because a row without a
    metric still costs a `null`, at most `batch_cells` rows x names. At most `waiting_points` are kept while the server is away. `init` tries for
    `connect_timeout_s`, `finish` for `flush_timeout_s`. A server that takes nothing of this writer is asked again after `shut_out_s`, for a metric without room
    after `ask_again_s`.
    """

    flush_s: float = 1.0
    flush_points: int = 5_000
    batch_points: int = 100_000
    batch_cells: int = 500_000
    waiting_points: int = 5_000_000
    heartbeat_s: float = 30.0
    backoff_s: float = 0.5
    backoff_most_s: float = 8.0
    retry_after_most_s: float = 600.0
    request_s: float = 20.0
    shut_out_s: float = 10.0
    ask_again_s: float = 60.0
    flush_timeout_s: float = field(default_factory=flush_timeout_s)
    connect_timeout_s: float = field(default_factory=connect_timeout_s)

    def pause_s(self, attempt: int, retry_after_s: float | None) -> float:
        """Seconds to wait after failed attempt number `attempt` (0, 1, …): what the server asked for, else twice as long each time, with jitter."""
        jitter = random.random()  # noqa: S311  # nosec B311  # spreads clients out in time, guards nothing
        if retry_after_s is not None:
            return min(retry_after_s, self.retry_after_most_s) * (1 + 0.1 * jitter)
        return min(self.backoff_most_s, self.backoff_s * 2.0 ** min(attempt, 30)) * (0.5 + 0.5 * jitter)
