"""What did not arrive of a run's points: how many, and why. Counted here, said once for each reason, and told to the server."""

from __future__ import annotations

import threading

REFUSED, LEFT_OUT, DROPPED, KEPT = "refused", "left_out", "dropped", "kept"
Kind = tuple[str, str]


class Losses:
    """Counts by what became of the points and the reason, each with the last sentence about it. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # re-entrant: a signal handler of the script may log while the script does
        self._counts: dict[Kind, int] = {}
        self._messages: dict[Kind, str] = {}
        self._told: dict[Kind, int] = {}

    def note(self, how: str, reason: str, points: int, message: str = "") -> None:
        """Count `points` more; fewer where they arrived after all."""
        with self._lock:
            self._counts[how, reason] = max(0, self._counts.get((how, reason), 0) + points)
            if message:
                self._messages[how, reason] = message

    def points(self, how: str, reason: str = "") -> int:
        """How many points met this, for that reason or for any."""
        with self._lock:
            return sum(points for (kind, why), points in self._counts.items() if kind == how and reason in ("", why))

    def untold(self) -> list[dict[str, object]]:
        """What the server does not know yet, as it takes it: all in all, so that it may be sent again."""
        with self._lock:
            changed = {kind: points for kind, points in self._counts.items() if self._told.get(kind, 0) != points}
            return [{"how": how, "reason": why, "points": points, "message": self._messages.get((how, why), "")} for (how, why), points in changed.items()]

    def tell(self, said: list[dict[str, object]]) -> None:
        """The server knows this now."""
        with self._lock:
            for each in said:
                self._told[str(each["how"]), str(each["reason"])] = int(str(each["points"]))
