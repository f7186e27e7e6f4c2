"""How many points a team may log in a minute."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter

from django.conf import settings

from config.errors import TooManyRequests


class Quota:
    """Points a team may log in a minute; 0 is no limit. Counted in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.minute, self.spent = 0, Counter[uuid.UUID]()

    def spend(self, team: uuid.UUID, amount: int) -> None:
        """Count points of a team. Raises TooManyRequests where they go past the quota."""
        allowed = settings.METRICS_QUOTA_POINTS_PER_MINUTE
        if not allowed:
            return
        now = time.time()
        with self.lock:
            if int(now // 60) != self.minute:
                self.minute, self.spent = int(now // 60), Counter()
            if self.spent[team] + amount > allowed:
                raise TooManyRequests(f"Your team may log {allowed} points a minute: wait, then send again.", retry_after_s=60 - int(now % 60))
            self.spent[team] += amount


QUOTA = Quota()
