"""The signals that end a process for which nobody has another use."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Not those of a fault in native code (SIGSEGV, SIGABRT, …): after them no Python runs. SIGINT is a KeyboardInterrupt unless somebody changed that.
NAMES = (
    *("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF"),
    *("SIGXCPU", "SIGXFSZ", "SIGPIPE", "SIGIO", "SIGPWR", "SIGSTKFLT", "SIGBREAK"),
)
ENDING_SIGNALS = tuple(int(getattr(signal, name)) for name in NAMES if hasattr(signal, name))
STATUS = Path("/proc/self/status")


def is_free(number: int) -> bool:
    """Whether the signal would end this process: no handler in Python, none in native code (faulthandler, MPI), not ignored."""
    return signal.getsignal(number) is signal.SIG_DFL and not natively_caught() >> (number - 1) & 1


@contextmanager
def held_back() -> Iterator[None]:
    """Let the signals that Python has handlers for wait until the block is left: what it does is not cut in two."""
    handlers = {number: signal.getsignal(number) for number in ENDING_SIGNALS} if threading.current_thread() is threading.main_thread() else {}
    heard = {number: handler for number, handler in handlers.items() if callable(handler)}
    came: list[int] = []
    for number in heard:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
        for number in came:
            heard[number](number, None)


def natively_caught() -> int:
    """The signals that have a handler, as bits, counted from signal 1; none where the system does not say."""
    try:
        lines = STATUS.read_text().splitlines()
    except (OSError, UnicodeError):
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), 0)
