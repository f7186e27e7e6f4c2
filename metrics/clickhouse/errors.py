"""What can go wrong in the metric store, sorted by what a caller should do about it."""

from __future__ import annotations

import re


class StoreError(Exception):
    """The metric store refused. `code` is ClickHouse's number, 0 where there was none."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailable(StoreError):
    """It cannot do it now: keep what you have and try again."""


class RejectedData(StoreError):
    """It refuses these rows, and would again: find the bad ones and set them aside."""


class TooSlow(StoreError):
    """The query ran past its deadline: ask for less."""


class Misuse(StoreError):
    """The statement itself is wrong, or a table is missing: mend the code or run the migrations."""


CODE = re.compile(r"Code: (\d+)")
# Numbers from ClickHouse's ErrorCodes.cpp.
AWAY = frozenset(
    {3, 23, 74, 75, 76, 77, 84, 170, 198, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285, 319, 394, 425, 439, 499, 516, 999, 1000, 1002}
    # and what only a server, its replicas and its shards say: sockets, memory, fsync, quotas, no replica or shard to be had, no quorum, not finished
    | {32, 95, 96, 173, 192, 193, 194, 201, 204, 244, 254, 265, 286, 296, 297, 341, 735, 1001}
)
SLOW = frozenset({159, 160})
WRONG = frozenset({10, 16, 42, 43, 46, 47, 57, 60, 62, 63, 81, 82, 115, 164, 179, 184, 215, 218, 344, 497})


def store_error(message: str) -> StoreError:
    """The error class for what the engine said: by its code; without one, the store counts as unavailable."""
    found = CODE.search(message)
    code = int(found.group(1)) if found else 0
    if not code or code in AWAY:
        return StoreUnavailable(message, code=code)
    if code in SLOW:
        return TooSlow(message, code=code)
    if code in WRONG:
        return Misuse(message, code=code)
    return RejectedData(message, code=code)
