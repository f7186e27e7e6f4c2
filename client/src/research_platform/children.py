"""A child process that is killed cannot end its runs: its parent, where that knows this client too, sees it die and ends them.

Children are those of `multiprocessing`. A child tells its parent of a run over a line of theirs, and holds the line as long as the run is open.
"""

from __future__ import annotations

import json
import multiprocessing.connection
import multiprocessing.util
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.process import BaseProcess
from typing import Any
from weakref import WeakValueDictionary

from research_platform.connection import Connection, packed
from research_platform.endings import CRASHED, INTERRUPTED, SIGNALLED, Ending
from research_platform.pace import flush_timeout_s
from research_platform.signals import ENDING_SIGNALS
from research_platform.values import encoded

ADDRESS = "RP_PARENT"
DONE = b"done"
FAREWELL_S = 0.5
LOST = (OSError, EOFError, AuthenticationError)


class Tether:
    """What a child holds while one of its runs is open. Without a parent that listens it holds nothing."""

    def __init__(self, connection: Connection, path: str) -> None:
        self._address = parents_address()
        self._word = encoded({"url": connection.url, "token": connection.token, "path": path, "pid": os.getpid()})
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="research-platform-tether", daemon=True)

    def start(self) -> None:
        """Tell the parent of the run."""
        if self._address:
            self._thread.start()

    def release(self) -> None:
        """The run is ended."""
        self._released.set()
        if self._thread.is_alive():
            self._thread.join(FAREWELL_S)

    def _hold(self) -> None:
        with suppress(*LOST), multiprocessing.connection.Client(self._address, authkey=multiprocessing.current_process().authkey) as line:
            line.send_bytes(self._word)
            self._released.wait()
            line.send_bytes(DONE)


def parents_address() -> str:
    """Where the parent of this process listens, "" where none does."""
    parent = multiprocessing.parent_process()
    pid, _, address = os.environ.get(ADDRESS, "").partition(" ")
    return address if parent is not None and pid == str(parent.pid) else ""


class Nursery:
    """The parent's side: listens from the first child on."""

    def __init__(self) -> None:
        self._pid = 0
        self._children: WeakValueDictionary[int, BaseProcess] = WeakValueDictionary()
        self._watching: dict[threading.Thread, int] = {}

    def heed(self) -> None:
        """Listen to every child that this process starts."""
        begin, children, listening = BaseProcess.start, self._children, self._listen

        def start(self: BaseProcess) -> None:
            with suppress(*LOST):
                listening(self)
            begin(self)
            if self.pid is not None:
                one_at_a_time(self)
                children[self.pid] = self

        BaseProcess.start = start  # type: ignore[method-assign]

    def _listen(self, child: BaseProcess) -> None:
        if self._pid == os.getpid() or is_better_alone(child):
            return
        self._pid, self._watching = os.getpid(), {}
        listener = multiprocessing.connection.Listener(authkey=multiprocessing.current_process().authkey)
        os.environ[ADDRESS] = f"{self._pid} {listener.address}"
        threading.Thread(target=self._accept, args=(listener,), name="research-platform-nursery", daemon=True).start()
        # A negative priority: after multiprocessing has waited for the children.
        multiprocessing.util.Finalize(None, self._settle, exitpriority=-1)

    def _accept(self, listener: multiprocessing.connection.Listener) -> None:
        while True:
            with suppress(*LOST):  # a caller that left, or that is no child
                line = listener.accept()
                threading.Thread(target=self._watch, args=(line,), name="research-platform-child", daemon=True).start()

    def _watch(self, line: Any) -> None:  # Any: a Connection, which is no class of its own everywhere
        run: dict[str, Any] = {}
        popen: Any = None  # Any: one class for each start method
        with suppress(*LOST), line:
            run = json.loads(line.recv_bytes())
            self._watching[threading.current_thread()] = pid = int(run["pid"])
            # Taken in time: its owner may let go of the child as soon as it has died.
            popen = getattr(self._children.get(pid), "_popen", None)
            if line.recv_bytes() == DONE:
                run = {}
        if run:
            self._end(run, None if popen is None else popen.wait(flush_timeout_s()))
        self._watching.pop(threading.current_thread(), None)

    def _end(self, run: Mapping[str, Any], code: int | None) -> None:
        how = ending_by(code)
        body = packed(encoded({"status": how.status, "failure_kind": how.failure_kind}))
        # Where the child ended the run itself, the server says so and nothing changes.
        Connection(run["url"], run["token"]).ask("PATCH", run["path"], body, within_s=flush_timeout_s())

    def _settle(self) -> None:
        """Wait until the runs of children that died are ended."""
        until = time.monotonic() + flush_timeout_s()
        for thread, pid in list(self._watching.items()):
            child = self._children.get(pid)
            if child is None or not child.is_alive():
                thread.join(max(0.0, until - time.monotonic()))


def one_at_a_time(child: BaseProcess) -> None:
    """Let no two threads ask for the child's exit code at once: only the first of them would get it."""
    popen: Any = child._popen  # type: ignore[attr-defined]  # one class for each start method
    lock, known, poll = threading.RLock(), weakref.ref(popen), type(popen).poll

    def polled(*arguments: Any) -> Any:  # Any: as in multiprocessing
        with lock:
            return poll(known(), *arguments)

    popen.poll = polled


def ending_by(code: int | None) -> Ending:
    """How the runs of a child ended that died with `code`."""
    killed = {*ENDING_SIGNALS, int(getattr(signal, "SIGKILL", 9))}
    return INTERRUPTED if code is not None and (-code in killed or code - SIGNALLED in killed) else CRASHED


def is_better_alone(child: BaseProcess) -> bool:
    """Whether a thread of ours would be the first beside the one that forks, which Python warns of since 3.12."""
    method = getattr(child, "_start_method", None) or multiprocessing.get_start_method()
    return method == "fork" and threading.active_count() == 1 and sys.version_info >= (3, 12)


nursery = Nursery()
