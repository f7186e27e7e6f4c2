"""Whose turn it is: messages go out side by side, few at once to one team and to one host, so that who answers slowly holds up nobody but himself."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from uuid import UUID

ALL, AT_ONCE = "all", 16
TEAM_AT_ONCE = HOST_AT_ONCE = 2
# An answer within this time is a quick one. What a team's or a host's messages take beyond it is counted, and past SLOW_S in all the rest of them wait.
QUICK_S, SLOW_S = 1.0, 12.0


@dataclass(frozen=True)
class Errand:
    """One message on its way: who shares a line with whom."""

    id: UUID
    channel: UUID
    team: UUID | None
    host: str


Sent = Callable[[], None]
Outcome = tuple[Errand, float, Exception | None]


@dataclass
class Turns:
    """Works off errands, in threads. `take` makes one ours and gives what sends it, None where it is another's; `settle` says whether it arrived.

    Both are called in the thread that calls `run`; what `take` gives must not touch the record. A channel has one message under way at a time, so
    that they arrive in order, and after one that fails its others rest.
    """

    take: Callable[[Errand], Sent | None]
    settle: Callable[[Errand, Exception | None], bool]
    arrived: int = 0
    under_way: Counter[object] = field(default_factory=Counter)
    slow_s: defaultdict[object, float] = field(default_factory=lambda: defaultdict(float))
    resting: set[UUID] = field(default_factory=set)
    outcomes: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)

    def run(self, errands: Iterable[Errand], *, within_s: float) -> int:
        """Start what may be started until the time is up, and wait for what was started; how many arrived."""
        until, waiting = time.monotonic() + within_s, list(errands)
        while True:
            is_time_left = time.monotonic() < until
            waiting = self.started(waiting) if is_time_left else []
            if not self.under_way.total():
                return self.arrived
            try:
                self.ended(*self.outcomes.get(timeout=max(0.0, until - time.monotonic()) if is_time_left else None))
            except Empty:
                continue

    def started(self, errands: list[Errand]) -> list[Errand]:
        """Start those whose turn it is; those that are left."""
        left: list[Errand] = []
        for errand in errands:
            if self.is_over(errand):
                continue
            if self.is_busy(errand):
                left.append(errand)
            else:
                self.start(errand)
        return left

    def is_over(self, errand: Errand) -> bool:
        """Whether it waits for the next run."""
        return errand.channel in self.resting or any(self.slow_s[line] > SLOW_S for line in lines_of(errand))

    def is_busy(self, errand: Errand) -> bool:
        """Whether something before it is still under way."""
        team, host = lines_of(errand)
        lots = (self.under_way[team] >= TEAM_AT_ONCE, self.under_way[host] >= HOST_AT_ONCE, self.under_way[errand.channel] >= 1)
        return any(lots) or self.under_way[ALL] >= AT_ONCE

    def start(self, errand: Errand) -> None:
        """Send it, in a thread of its own."""
        sent = self.take(errand)
        if sent is None:
            return
        self.under_way.update((*lines_of(errand), errand.channel, ALL))
        # No thread of a pool: Python would wait for those when it ends.
        threading.Thread(target=self.work, args=(errand, sent), name="delivery", daemon=True).start()

    def work(self, errand: Errand, sent: Sent) -> None:
        """In the thread: send it, and say what came of it."""
        began, failed = time.monotonic(), None
        try:
            sent()
        except Exception as error:  # whatever it is belongs to the thread that settles
            failed = error
        self.outcomes.put((errand, time.monotonic() - began, failed))

    def ended(self, errand: Errand, took_s: float, failed: Exception | None) -> None:
        """Back in the thread that asked: its lines are free for others."""
        self.under_way.subtract((*lines_of(errand), errand.channel, ALL))
        for line in lines_of(errand):
            self.slow_s[line] += max(0.0, took_s - QUICK_S)
        if self.settle(errand, failed):
            self.arrived += 1
        else:
            self.resting.add(errand.channel)


def lines_of(errand: Errand) -> tuple[object, object]:
    """Whom it shares a line with: its team, and the host that it goes to."""
    return ("team", errand.team), ("host", errand.host)
