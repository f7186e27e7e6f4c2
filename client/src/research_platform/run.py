"""A run: what a training script talks to. After `init`, nothing here raises for the network's sake or waits for it, except `finish` and `update`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from research_platform.columns import Origin, Row
from research_platform.connection import Answer, Connection, packed
from research_platform.endings import Ending, FailureKind, Status, ending_of, endings
from research_platform.heartbeat import Heartbeat
from research_platform.pace import Pace
from research_platform.record import Record
from research_platform.retrying import persisted
from research_platform.sender import Sender
from research_platform.values import Step, encoded, name, number, plain, whole
from research_platform.voice import Voice

STATUSES = ("complete", "failed")
FAILURE_KINDS = ("", "crashed", "interrupted", "diverged")
# Where all points arrived, the server is there, and the status deserves a good try even when the time is up.
STATUS_WITHIN_S = 5.0
UPDATE_WITHIN_S = 10.0


def ending(status: str | None, failure_kind: str) -> Ending:
    """What `finish` was asked for. A failure without a kind is a crash. Raises ValueError for a word that the server does not know."""
    status = status or ("failed" if failure_kind else "complete")
    if status not in STATUSES or failure_kind not in FAILURE_KINDS:
        raise ValueError(f"A run ends as complete or failed (crashed, interrupted, diverged), not as {status} {failure_kind}".strip() + ".")
    if status == "complete":
        return Ending()
    return Ending("failed", failure_kind or "crashed")  # type: ignore[arg-type]  # one of FAILURE_KINDS: checked above


class Run:
    """One experiment while it runs. Made by `init`; safe for many threads; inert in a forked child."""

    def __init__(self, record: Record, connection: Connection, *, host: str, params: Mapping[str, Any], tags: Sequence[str], pace: Pace) -> None:
        self.id, self.slug, self.project = record.id, record.slug, record.project_slug
        self.url = connection.url + record.page
        self.params: dict[str, Any] = dict(params)  # Any: params hold whatever a script holds
        self.tags: list[str] = list(tags)
        self._path = f"/api/v1/experiments/{record.id}"
        self._connection, self._pace, self._voice = connection, pace, Voice()
        log_path = f"/api/v1/metrics/log-batch/{record.project_id}/{record.id}"
        self._sender = Sender(connection, log_path, Origin(record.writer, host), pace=pace, voice=self._voice)
        self._heartbeat = Heartbeat(connection, f"{self._path}/heartbeat", every_s=pace.heartbeat_s)
        self._lock = threading.RLock()  # re-entrant: a signal handler of the script may log while the script does
        self._next_step = 0
        self._shape: tuple[str, ...] = ()
        self._is_finished = False
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin to send and to beat."""
        self._sender.start()
        self._heartbeat.start()

    @property
    def is_ours(self) -> bool:
        """Whether this process started it; in a forked child it is inert."""
        return os.getpid() == self._pid

    def log(self, metrics: Mapping[str, Any], step: Step | None = None) -> None:
        """Log one row of values at `step`, or at the step after the last one logged. Never waits for the network and never raises.

        What is not a number or not a name is left out, with one warning.
        """
        at_s = time.time()
        if not self._takes_points() or not self._is_mapping(metrics):
            return
        try:
            explicit = None if step is None else whole(step)
        except ValueError as error:
            self._voice.once("step", f"{error}: this row is left out.")
            return
        self._add(self._valid(metrics), explicit, at_s)

    def update(self, *, params: Mapping[str, Any] | None = None, tags: Sequence[str] = (), notes: str | None = None) -> None:
        """Add params and tags, replace the notes. Waits for the server for at most some seconds; warns, and does not raise, where that fails."""
        if not self.is_ours:
            return
        self.params.update(params or {})
        self.tags.extend(tag for tag in tags if tag not in self.tags)
        content = {"params": plain(self.params) if params else None, "tags": self.tags if tags else None, "notes": notes}
        answer = self._patch({key: value for key, value in content.items() if value is not None}, within_s=UPDATE_WITHIN_S)
        if not answer.is_good:
            self._voice.warn(f"{self.slug} is not updated ({answer}).")

    def finish(self, status: Status | None = None, failure_kind: FailureKind = "", *, timeout_s: float | None = None) -> None:
        """Send what waits and end the run. May be called again without harm.

        Waits for at most `timeout_s` (default 30 s, or RP_FLUSH_TIMEOUT), then says how many points were not sent.
        Raises ValueError for a status or failure_kind that there is not.
        """
        how = ending(status, failure_kind)
        if self._is_finished or not self.is_ours:
            return
        self._is_finished = True
        endings.forget(self)
        until = time.monotonic() + (self._pace.flush_timeout_s if timeout_s is None else timeout_s)
        unsent = self._sender.close(max(0.0, until - time.monotonic()))
        self._heartbeat.stop()
        self._report(unsent)
        self._end(how, within_s=max(0.0 if unsent else STATUS_WITHIN_S, until - time.monotonic()))

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        how = ending_of(error)
        self.finish(how.status, how.failure_kind)

    def __repr__(self) -> str:
        return f"<Run {self.slug} {self.url}>"

    def _takes_points(self) -> bool:
        if not self.is_ours:
            self._voice.once("forked", f"{self.slug} was started by another process: what this forked one logs is left out.")
            return False
        if self._is_finished:
            self._voice.once("finished", f"{self.slug} is finished: what is logged now is left out.")
        return not self._is_finished

    def _is_mapping(self, metrics: object) -> bool:
        if not isinstance(metrics, Mapping):
            self._voice.once("shape", f'log takes {{"name": value}}, not {type(metrics).__name__}: this is left out.')
        return isinstance(metrics, Mapping)

    def _valid(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The names and numbers in `metrics`; the rest is left out."""
        kept: dict[str, float] = {}
        for metric, value in metrics.items():
            try:
                own = name(metric)
                if own in kept:
                    raise ValueError(f"it is {own!r} a second time in one row")
                kept[own] = number(value)
            except ValueError as error:
                self._voice.once(f"value {metric!r}", f"{metric!r:.80}: {error}, and is left out.")
        return kept

    def _add(self, values: dict[str, float], step: int | None, at_s: float) -> None:
        with self._lock:
            here = self._next_step if step is None else step
            self._next_step = here + 1
            names = tuple(values)
            # Rows usually repeat the names of the row before: sharing the tuple halves the memory of what waits.
            self._shape = self._shape if names == self._shape else names
            if values:
                self._sender.add(Row(here, at_s, self._shape, tuple(values.values())))

    def _report(self, unsent: int) -> None:
        lost = {"not sent in time": unsent, "refused by the server": self._sender.refused, "dropped": self._sender.dropped}
        if any(lost.values()):
            self._voice.warn(f"{self.slug} ends without " + ", ".join(f"{points:,} points {how}" for how, points in lost.items() if points) + ".")

    def _end(self, how: Ending, *, within_s: float) -> None:
        content = {"status": how.status, **({"failure_kind": how.failure_kind} if how.failure_kind else {})}
        answer = self._patch(content, within_s=within_s)
        if not answer.is_good:
            self._voice.warn(f"{self.slug} could not be marked as {how.failure_kind or how.status} ({answer}): mark it on its page, {self.url}.")

    def _patch(self, content: Mapping[str, object], *, within_s: float) -> Answer:
        body = packed(encoded(content))
        return persisted(
            lambda: self._connection.ask("PATCH", self._path, body), worth_repeating=lambda answer: answer.is_passing, within_s=within_s, pace=self._pace
        )


class DisabledRun(Run):
    """A run that goes nowhere: everything may be called and nothing happens."""

    def __init__(self, *, params: Mapping[str, Any], tags: Sequence[str]) -> None:
        self.id = self.slug = self.project = self.url = ""
        self.params, self.tags = dict(params), list(tags)

    def start(self) -> None:
        """Do nothing."""

    def log(self, metrics: Mapping[str, Any], step: Step | None = None) -> None:
        """Do nothing."""

    def update(self, *, params: Mapping[str, Any] | None = None, tags: Sequence[str] = (), notes: str | None = None) -> None:
        """Keep params and tags in this process only."""
        self.params.update(params or {})
        self.tags.extend(tag for tag in tags if tag not in self.tags)

    def finish(self, status: Status | None = None, failure_kind: FailureKind = "", *, timeout_s: float | None = None) -> None:
        """Do nothing but check the words. Raises ValueError as a real run does."""
        ending(status, failure_kind)

    def __enter__(self) -> DisabledRun:
        return self

    def __repr__(self) -> str:
        return "<DisabledRun>"
