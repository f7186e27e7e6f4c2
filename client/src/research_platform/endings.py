"""How a run ends that its script did not finish: what ended the script is what ended the run."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import parent_process
from types import FrameType
from typing import Literal, Protocol

from research_platform.exits import exit_code, is_called_by_python, listen
from research_platform.pace import flush_timeout_s
from research_platform.signals import ENDING_SIGNALS, held_back, is_free

Status = Literal["complete", "failed"]
FailureKind = Literal["", "crashed", "interrupted", "diverged"]
SIGNALLED = 128
RESERVE_MOST_S = 5.0


@dataclass(frozen=True)
class Ending:
    """How a run ended; `failure_kind` is "" where it did not fail."""

    status: Status = "complete"
    failure_kind: FailureKind = ""


COMPLETE, CRASHED, INTERRUPTED = Ending(), Ending("failed", "crashed"), Ending("failed", "interrupted")


class Terminated(SystemExit):
    """A signal that ends the process, as an exception: the script's own `with` and `finally` blocks run, and so does what waits for the interpreter's exit."""


STOPS = (KeyboardInterrupt, Terminated)
LEAVES = (KeyboardInterrupt, SystemExit)  # what a handler of the script raises, too


class Unfinished(Protocol):
    """A run that may still have to be finished. `until` is by when, where that has begun."""

    until: float

    @property
    def is_ours(self) -> bool:
        """Whether this process started it."""

    def close(self) -> None:
        """Begin to send what waits, without waiting for it."""

    def await_sent(self, timeout_s: float) -> None:
        """Wait until everything has arrived, for at most `timeout_s`."""

    def give_way(self) -> None:
        """End it because the next one starts at the same prompt."""

    def finish(self, status: Status | None = None, failure_kind: FailureKind = "", *, timeout_s: float | None = None) -> None:
        """End it."""

    def finish_later(self, how: Ending) -> None:
        """Keep what it has not sent, and how it ended, without waiting for anything."""


def ending_of(error: BaseException | None) -> Ending:
    """How a run ended whose script met `error`."""
    if isinstance(error, STOPS):
        return INTERRUPTED
    if isinstance(error, SystemExit):
        is_stopped = any(isinstance(cause, STOPS) for cause in causes(error))
        return ending_with(exit_code(error.code), is_stopped=is_stopped)
    return COMPLETE if error is None else CRASHED


def ending_with(code: int, *, is_stopped: bool = False) -> Ending:
    """How a run ended whose process leaves with `code`; `is_stopped` where a signal made it leave."""
    if code == 0:
        return COMPLETE
    return INTERRUPTED if is_stopped or code - SIGNALLED in ENDING_SIGNALS else CRASHED


def causes(error: BaseException) -> Iterator[BaseException]:
    """What `error` was raised from, or in the handling of, back to the first."""
    seen = {id(error)}
    earlier = error.__cause__ or error.__context__
    while earlier is not None and id(earlier) not in seen:
        yield earlier
        seen.add(id(earlier))
        earlier = earlier.__cause__ or earlier.__context__


def last_error() -> BaseException | None:
    """The last error that nobody caught: the interpreter keeps it, whoever else has a hook for it."""
    return getattr(sys, "last_value", None)


class Endings:
    """Watches over the open runs of this process. Its hooks are set once, when the first run starts."""

    def __init__(self) -> None:
        self._open: list[Unfinished] = []
        self._ending = COMPLETE
        self.is_signalled = self._is_hooked = False

    def watch(self, run: Unfinished) -> None:
        """Finish `run` at the process's end unless it is finished before."""
        if not self._is_hooked:
            self._is_hooked = True
            self._known_error = last_error()
            listen(self._note_exit, self._vanish)
            atexit.register(self._finish_all)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._start_anew)
        self._heed_signals()
        self._open.append(run)

    def make_way(self) -> None:
        """In a notebook and at a prompt, end what was left open: the name that held it is about to hold the next run."""
        if is_interactive():
            for run in self.ours:
                run.give_way()

    def forget(self, run: Unfinished) -> None:
        """`run` is finished."""
        self._open = [other for other in self._open if other is not run]

    @property
    def ours(self) -> list[Unfinished]:
        """The open runs that this process started."""
        return [run for run in self._open if run.is_ours]

    def _start_anew(self) -> None:
        self._open, self._ending, self.is_signalled, self._known_error = [], COMPLETE, False, last_error()

    def _heed_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():  # Python allows it nowhere else
            return
        for number in ENDING_SIGNALS:
            if is_free(number):
                signal.signal(number, self._terminate)

    def _terminate(self, number: int, _frame: FrameType | None) -> None:
        if not self.ours:  # nothing to save, or a worker forked from the script: die as if this handler were not there
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.is_signalled = True
        raise Terminated(SIGNALLED + number)

    def _note_exit(self, error: SystemExit) -> None:
        self._ending = ending_of(error)

    def _vanish(self, code: int) -> None:
        """The process leaves by `os._exit`, and nothing else will run."""
        self._finish(self._stopped_or(ending_with(exit_code(code))))

    def _finish_all(self) -> None:
        if parent_process() and is_called_by_python():  # since Python 3.13 multiprocessing does so, and then leaves by `os._exit`, which knows the code
            return
        error = last_error()
        if error is not self._known_error and not is_interactive():  # at a prompt an error ends one line, not the run
            self._ending = ending_of(error)
        self._finish(self._stopped_or(self._ending))

    def _stopped_or(self, ending: Ending) -> Ending:
        return INTERRUPTED if self.is_signalled else ending

    def _finish(self, ending: Ending) -> None:
        """End all open runs within one deadline. The first signal makes them interrupted, the second lets nobody wait any longer."""
        until = deadline(self.ours)
        try:
            finish_together(self.ours, ending, within_s=until - time.monotonic())
        except LEAVES as stop:
            if ending == INTERRUPTED:
                self._leave(stop)
            else:
                self._finish_stopped(until)

    def _finish_stopped(self, until: float) -> None:
        try:
            finish_together(self.ours, INTERRUPTED, within_s=until - time.monotonic())
        except LEAVES as stop:
            self._leave(stop)

    def _leave(self, stop: BaseException) -> None:
        """Keep what can be kept and die of the signal that came: who sends a second one waits no longer."""
        with held_back():
            for run in self.ours:
                run.finish_later(INTERRUPTED)
            number = signal_of(stop)
            with suppress(OSError, ValueError, AttributeError):  # a stream that is closed, or none
                sys.stdout.flush()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def finish_together(runs: Sequence[Unfinished], ending: Ending, *, within_s: float) -> None:
    """End `runs` within `within_s` in all: they send at the same time, then each has its share of what is left to be ended."""
    until = time.monotonic() + within_s
    for run in runs:
        run.close()
    for run in runs:
        run.await_sent(until - reserve_s(within_s) - time.monotonic())
    for waiting, run in zip(range(len(runs), 0, -1), runs):
        run.finish(ending.status, ending.failure_kind, timeout_s=max(0.0, until - time.monotonic()) / waiting)


def deadline(runs: Sequence[Unfinished]) -> float:
    """By when the process's runs are to be ended. What was begun, and a signal cut short, has what is left of its time."""
    now = time.monotonic()
    if runs and all(run.until > now for run in runs):
        return min(now + flush_timeout_s(), max(run.until for run in runs))
    return now + flush_timeout_s()


def signal_of(stop: BaseException) -> int:
    """The signal that was raised as `stop`; SIGTERM where a handler of the script raised its own."""
    if isinstance(stop, KeyboardInterrupt):
        return int(signal.SIGINT)
    return int(stop.args[0]) - SIGNALLED if isinstance(stop, Terminated) else int(signal.SIGTERM)


def reserve_s(timeout_s: float) -> float:
    """How much of the time to end in is kept for the status, where points do not arrive."""
    return min(RESERVE_MOST_S, timeout_s / 4)


def is_interactive() -> bool:
    """Whether a person types at a prompt, or runs the cells of a notebook."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


endings = Endings()
