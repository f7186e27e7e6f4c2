"""How a run ends that its script did not finish: what ended the script is what ended the run."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Literal, Protocol

from research_platform.pace import flush_timeout_s

Status = Literal["complete", "failed"]
FailureKind = Literal["", "crashed", "interrupted", "diverged"]
SIGNALLED = 128


@dataclass(frozen=True)
class Ending:
    """How a run ended; `failure_kind` is "" where it did not fail."""

    status: Status = "complete"
    failure_kind: FailureKind = ""


COMPLETE, CRASHED, INTERRUPTED = Ending(), Ending("failed", "crashed"), Ending("failed", "interrupted")


class Terminated(SystemExit):
    """SIGTERM, as an exception: the script's own `with` and `finally` blocks run, and so does what waits for the interpreter's exit."""


class Unfinished(Protocol):
    """A run that may still have to be finished."""

    @property
    def is_ours(self) -> bool:
        """Whether this process started it."""

    def finish(self, status: Status | None = None, failure_kind: FailureKind = "", *, timeout_s: float | None = None) -> None:
        """End it."""


def ending_of(error: BaseException | None) -> Ending:
    """How a run ended whose script met `error`."""
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        return INTERRUPTED
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return COMPLETE
    return CRASHED


class Endings:
    """Watches over the open runs of this process. Its hooks are set once, when the first run starts."""

    def __init__(self) -> None:
        self._open: list[Unfinished] = []
        self._ending = COMPLETE
        self._is_hooked = False

    def watch(self, run: Unfinished) -> None:
        """Finish `run` at the interpreter's exit unless it is finished before."""
        if not self._is_hooked:
            self._is_hooked = True
            self._previous = sys.excepthook
            sys.excepthook = self._note_uncaught
            atexit.register(self._finish_all)
        self._heed_sigterm()
        self._open.append(run)

    def forget(self, run: Unfinished) -> None:
        """`run` is finished."""
        self._open = [other for other in self._open if other is not run]

    def _heed_sigterm(self) -> None:
        # Only where nobody else does, and where Python allows it.
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminate)

    def _terminate(self, number: int, _frame: FrameType | None) -> None:
        if not self._ours():  # nothing to save, or a worker forked from the script: die as if this handler were not there
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._ending = INTERRUPTED
        raise Terminated(SIGNALLED + number)

    def _note_uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not is_interactive():  # at a prompt an error ends one line, not the run
            self._ending = ending_of(error)
        self._previous(kind, error, trace)

    def _finish_all(self) -> None:
        until = time.monotonic() + flush_timeout_s()
        for run in self._ours():
            run.finish(self._ending.status, self._ending.failure_kind, timeout_s=max(0.0, until - time.monotonic()))

    def _ours(self) -> list[Unfinished]:
        return [run for run in self._open if run.is_ours]


def is_interactive() -> bool:
    """Whether a person types at a prompt."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


endings = Endings()
