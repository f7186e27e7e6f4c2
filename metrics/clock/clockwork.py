"""Worker and beat as threads of `serve`: the schedule of the embedded form. They start after the server and stop with it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from celery.concurrency.thread import TaskPool
from celery.worker import WorkController
from celery.worker import state as worker_state
from django.db import connections

from config.celery import app
from metrics.clock import occurrences
from metrics.clock.schedule import Scheduler

logger = logging.getLogger(__name__)
TASK_THREADS = 2


class Pool(TaskPool):  # type: ignore[misc]  # comes without types
    """Threads that let go of the record after each task: an idle connection to it would only hold memory."""

    def on_apply(self, target: Callable[..., Any], *args: Any, **options: Any) -> Any:  # Any: Celery's own
        """Run a task in a thread."""

        def and_let_go(*arguments: Any, **named: Any) -> Any:
            try:
                return target(*arguments, **named)
            finally:
                connections.close_all()

        return super().on_apply(and_let_go, *args, **options)

    def on_terminate(self) -> None:
        """Take nothing more; what runs ends by itself, soon after it was asked to."""
        self.executor.shutdown(wait=False, cancel_futures=True)

    def threads(self) -> list[threading.Thread]:
        """Those that may be at work."""
        return list(self.executor._threads)


class ThreadedWorker(WorkController):  # type: ignore[misc]  # comes without types
    """A worker that leaves signals, logging and the process's title to the server."""

    is_embedded = True


class ThreadedScheduler(Scheduler):
    """A beat beside that worker."""

    is_embedded = True


class Clockwork:
    """The two threads. Starting and stopping take effect in the background: neither keeps the server waiting."""

    def __init__(self) -> None:
        self.is_stopping = threading.Event()
        self.worker: ThreadedWorker | None = None
        self.threads = [
            threading.Thread(target=self.guarded, args=(work,), name=name, daemon=True) for name, work in (("worker", self.work), ("beat", self.beat))
        ]

    def start(self) -> None:
        """Begin. Claims that a killed server left are nobody's: this process is the only one there can be."""
        occurrences.STOPPING.clear()
        worker_state.should_terminate = None
        for thread in self.threads:
            thread.start()

    def ask_to_stop(self) -> None:
        """Take no more work, and let what runs end after its present statement."""
        self.is_stopping.set()
        occurrences.STOPPING.set()
        worker_state.should_terminate = 0
        if self.worker is not None:
            app.control.broadcast("ping")  # wakes the worker, which would look at its state only every two seconds

    def stop(self, *, within_s: float) -> bool:
        """Stop; whether every thread has ended in time."""
        self.ask_to_stop()
        deadline = time.monotonic() + within_s
        pool = self.worker.pool if self.worker else None
        threads = [thread for thread in [*self.threads, *(pool.threads() if pool else [])] if thread.ident is not None]
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            return False
        worker_state.should_terminate = None
        occurrences.STOPPING.clear()
        return True

    def guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work, and let go of the record in the end."""
        try:
            work()
        except Exception:  # the thread ends: whoever reads the log must learn why
            logger.exception("The schedule's %s ended", threading.current_thread().name)
        finally:
            connections.close_all()

    def work(self) -> None:
        """Celery's worker, on threads and this process's memory. Signals stay with the server."""
        occurrences.release()
        connections.close_all()
        self.worker = ThreadedWorker(
            app=app,
            pool_cls=Pool,
            concurrency=TASK_THREADS,
            hostname="embedded",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        if not self.is_stopping.is_set():
            self.worker.start()

    def beat(self) -> None:
        """Celery's beat: it sleeps on an event, so that a stop need not wait for its next look."""
        scheduler = ThreadedScheduler(app=app, max_interval=app.conf.beat_max_loop_interval)
        try:
            while not self.is_stopping.wait(timeout=scheduler.tick()):
                pass
        finally:
            scheduler.close()
