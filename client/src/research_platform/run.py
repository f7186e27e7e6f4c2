"""A run: what a training script talks to. After `init`, nothing here raises for the network's sake or waits for it, except `finish` and `update`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any
from weakref import WeakValueDictionary

from research_platform.children import Tether
from research_platform.columns import Origin, Row
from research_platform.connection import CONFLICT, UNPROCESSABLE, Answer, Connection, packed
from research_platform.delivery import is_shut_out
from research_platform.endings import INTERRUPTED, STOPS, Ending, FailureKind, Status, ending_of, endings, last_error, reserve_s
from research_platform.exits import hear_raised
from research_platform.heartbeat import Heartbeat
from research_platform.keeping import Destination, Keep, folder
from research_platform.losses import DROPPED, KEPT, LEFT_OUT, REFUSED, Losses
from research_platform.pace import Pace, within_reason
from research_platform.record import Record
from research_platform.retrying import persisted
from research_platform.sender import Sender
from research_platform.signals import held_back
from research_platform.values import Step, encoded, flat, name, number, plain, shown, whole
from research_platform.voice import Voice

STATUSES = ("complete", "failed")
FAILURE_KINDS = ("", "crashed", "interrupted", "diverged")
UPDATE_WITHIN_S = 10.0
# The runs of this process by id, for as long as somebody holds them.
LIVING: WeakValueDictionary[str, Run] = WeakValueDictionary()


def counted(points: int) -> str:
    """`1 point was`, `2 points were`."""
    return f"{points:,} point{'' if points == 1 else 's'} {'was' if points == 1 else 'were'}"


def is_number(value: object) -> bool:
    """Whether a value may be logged, under whatever name."""
    try:
        number(value)  # type: ignore[arg-type]  # whatever a script logs
    except ValueError:
        return False
    return True


def ending(status: str | None, failure_kind: str) -> Ending:
    """What `finish` was asked for. A failure without a kind is a crash. Raises ValueError for a word that the server does not know."""
    status = status or ("failed" if failure_kind else "complete")
    if status not in STATUSES or failure_kind not in FAILURE_KINDS:
        raise ValueError(f"A run ends as complete or failed (crashed, interrupted, diverged), not as {status} {failure_kind}".strip() + ".")
    if status == "complete":
        return Ending()
    return Ending("failed", failure_kind or "crashed")  # type: ignore[arg-type]  # one of FAILURE_KINDS: checked above


def words(how: Ending) -> dict[str, object]:
    """An ending as the server takes it."""
    return {"status": how.status, **({"failure_kind": how.failure_kind} if how.failure_kind else {})}


class Run:
    """One experiment while it runs. Made by `init`; safe for many threads; inert in another process, forked or spawned. A copy is the run itself."""

    def __init__(self, record: Record, connection: Connection, *, host: str, params: Mapping[str, Any], tags: Sequence[str], pace: Pace) -> None:
        self.id, self.slug, self.project = record.id, record.slug, record.project_slug
        self.url = connection.url + record.page
        self.params: dict[str, Any] = dict(params)  # Any: params hold whatever a script holds
        self.tags: list[str] = list(tags)
        self._path = f"/api/v1/experiments/{record.id}"
        self._connection, self._pace, self._voice = connection, pace, Voice()
        log_path = f"/api/v1/metrics/log-batch/{record.project_id}/{record.id}"
        self._keep = Keep(Destination(connection.url, log_path, self._path, self.url, self.slug, self.id, host))
        self._losses = Losses()
        self._sender = Sender(connection, log_path, Origin(record.writer, host), self._keep, self._losses, pace=pace, voice=self._voice)
        self._heartbeat = Heartbeat(connection, f"{self._path}/heartbeat", every_s=pace.heartbeat_s, then=self._tell)
        self._tether = Tether(connection, self._path)
        self._lock = threading.RLock()  # re-entrant: a signal handler of the script may log while the script does
        self._next_step = 0
        self._shape: tuple[str, ...] = ()
        # Finished: it takes no points. Ended: nothing is left to do. Between the two a signal may come, and `finish` be called again.
        self._is_finished = self._is_ended = self._is_stopped = self._is_asked = self.is_entered = False
        self.until = 0.0  # by when it has to be ended, on the clock that only goes on
        self._ending = threading.RLock()
        self._pid = os.getpid()
        self._known_error = last_error()

    def start(self) -> None:
        """Begin to send and to beat."""
        LIVING[self.id] = self
        self._sender.start()
        self._heartbeat.start()
        self._tether.start()

    @property
    def is_ours(self) -> bool:
        """Whether this process started it; in a forked child it is inert."""
        return os.getpid() == self._pid

    def log(self, metrics: Mapping[str, Any], step: Step | None = None) -> None:
        """Log one row of values at `step`, or at the step after the last one logged. Never waits for the network and never raises.

        What is not a number or not a name is left out, with one warning.
        """
        at_s = time.time()
        self._known_error = last_error()
        hear_raised()
        if not self._takes_points() or not self._is_mapping(metrics):
            return
        try:
            self._log(metrics, step, at_s)
        except Exception as error:  # what a script logs is other people's code, and no training may end here
            said = f"this row cannot be read ({type(error).__name__})"
            self._voice.once("row", f"{said}, and is left out.")
            self._losses.note(LEFT_OUT, "row", 1, said)

    def _log(self, metrics: Mapping[str, Any], step: Step | None, at_s: float) -> None:
        try:
            explicit = None if step is None else whole(step)
        except ValueError as error:
            self._voice.once("step", f"{error}: this row is left out.")
            self._losses.note(LEFT_OUT, "step", sum(1 for _ in flat(metrics)), str(error))
            return
        self._add(self._valid(metrics), explicit, at_s)

    def update(self, *, params: Mapping[str, Any] | None = None, tags: Sequence[str] = (), notes: str | None = None) -> None:
        """Add params and tags, replace the notes. Waits for the server for at most some seconds; warns, and does not raise, where that fails."""
        if not self.is_ours:
            return
        self.params.update(params or {})
        self.tags.extend(tag for tag in tags if tag not in self.tags)
        try:
            said = plain(self.params, "params") if params else None
        except ValueError as error:
            self._voice.warn(f"{self.slug} is not updated ({error}).")
            return
        content = {"params": said, "tags": self.tags if tags else None, "notes": notes}
        answer = self._patch({key: value for key, value in content.items() if value is not None}, within_s=UPDATE_WITHIN_S)
        if not answer.is_good:
            self._voice.warn(f"{self.slug} is not updated ({answer}).")

    def finish(self, status: Status | None = None, failure_kind: FailureKind = "", *, timeout_s: float | None = None) -> None:
        """Send what waits and end the run. May be called again without harm; where a signal cut it short, that goes on with it.

        Waits for at most `timeout_s` (default 30 s, or RP_FLUSH_TIMEOUT), then says how many points were not sent.
        Raises ValueError for a status or failure_kind that there is not.
        """
        how = ending(status, failure_kind)
        if not self.is_ours or self._is_ended:
            return
        self.until = until = time.monotonic() + within_reason(self._pace.flush_timeout_s if timeout_s is None else timeout_s)
        if not self._ending.acquire(timeout=max(0.0, until - time.monotonic())):  # another thread ends it
            return
        try:
            self._finish(how, until)
        except STOPS:
            if self._is_stopped or how == INTERRUPTED:  # the second signal: nobody waits any longer
                self.finish_later(INTERRUPTED)
            self._is_stopped = True
            raise
        finally:
            self._ending.release()

    def _finish(self, how: Ending, until: float) -> None:
        self._is_finished = True
        left_s = until - time.monotonic()
        self.close()
        self.await_sent(left_s - reserve_s(left_s))
        if self._is_ended:  # a signal handler of the script has done it meanwhile
            return
        self._put_away()
        self._end(how, within_s=until - time.monotonic())
        self._let_go()

    def finish_later(self, how: Ending) -> None:
        """Keep what is not sent, and how the run ended, without waiting for anything: `research-platform send` does the rest."""
        with held_back():
            if self._is_ended:
                return
            self._is_finished = True
            self._put_away()
            with suppress(OSError, RuntimeError):
                self._keep.add_ending(words(how))
            self._let_go()

    def _put_away(self) -> None:
        """Send no more, and keep what was not sent."""
        with held_back():
            self._sender.abandon()
            self._heartbeat.stop()
            self._sender.keep_rest()
            self._report()

    def _let_go(self) -> None:
        with held_back():
            self._is_ended = True
            endings.forget(self)
            self._keep.close()
            self._tether.release()

    def close(self) -> None:
        """Begin to send what waits, without waiting for it: `finish` does."""
        self._sender.close()

    def await_sent(self, timeout_s: float) -> None:
        """After `close`: wait until everything has arrived, for at most `timeout_s`."""
        self._sender.await_sent(timeout_s)

    def give_way(self) -> None:
        """End it because its notebook starts the next: by the error that came after its last row, else well. In a `with` block it goes on."""
        if self.is_entered:
            return
        error = last_error()
        how = ending_of(None if error is self._known_error else error)
        word = how.failure_kind or how.status
        self._voice.warn(f"{self.slug} was still open, and is {word} now that the next one starts. To have several open at a time, use `with`.")
        self.finish(how.status, how.failure_kind)

    def __enter__(self) -> Run:
        self.is_entered = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        how = ending_of(error)
        self.finish(how.status, how.failure_kind)

    def __repr__(self) -> str:
        return f"<Run {self.slug} {self.url}>"

    def __copy__(self) -> Run:
        return self

    def __deepcopy__(self, _memo: object) -> Run:
        return self

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Run], tuple[dict[str, Any]]]:
        """Its names, params and tags; neither the token nor what waits to be sent."""
        names = ("id", "slug", "project", "url", "params", "tags")
        return revived, ({name: getattr(self, name) for name in names},)

    def _takes_points(self) -> bool:
        if not self.is_ours:
            self._voice.once("forked", f"{self.slug} was started by another process: what this one logs to it is left out. Start a run here to log from here.")
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
        for metric, value in flat(metrics):
            try:
                found, taken = number(value), name(metric)
            except ValueError as error:
                self._voice.once(f"value {shown(metric)}", f"{shown(metric)}: {error}, and is left out.")
                self._losses.note(LEFT_OUT, "name" if is_number(value) else "value", 1, str(error))
                continue
            if taken in kept:
                self._voice.once(f"twice {taken}", f"{taken!r:.80} stands twice in one row, flat and in a dict: the later value is kept.")
            kept[taken] = found
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

    def _report(self) -> None:
        late, kept = self._losses.points(KEPT, "not_sent"), self._losses.points(KEPT)
        lost = {
            "not sent in time": late,
            "not taken": kept - late,
            "refused by the server": self._losses.points(REFUSED),
            "dropped": self._losses.points(DROPPED),
        }
        told = [f"{counted(points)} {how}" for how, points in lost.items() if points]
        if told:
            self._voice.once("report", f"{self.slug} has ended, but {', '.join(told)}.")
        if kept:
            self._voice.once("report of kept", f"What was not sent is kept in {self._keep.path or folder()}: `research-platform send` sends it.")

    def _tell(self) -> None:
        """Let the server know which points did not arrive, where that changed. One that does not know the word is told nothing."""
        said = self._losses.untold()
        if said and not self._is_finished and self._connection.ask("PATCH", self._path, packed(encoded({"missing": said}))).is_good:
            self._losses.tell(said)

    def _end(self, how: Ending, *, within_s: float) -> None:
        until = time.monotonic() + within_s
        content, was_asked, self._is_asked = words(how), self._is_asked, True
        said = self._losses.untold()
        answer = self._patch({**content, **({"missing": said} if said else {})}, within_s=within_s)
        if said and answer.status == CONFLICT:  # it has ended otherwise
            self._patch({"missing": said}, within_s=until - time.monotonic())
        elif said and answer.status == UNPROCESSABLE:  # an older server
            answer = self._patch(content, within_s=until - time.monotonic())
        if answer.status == CONFLICT and was_asked:  # the server has what it was told before a signal cut the answer off
            return
        if not answer.is_good:
            word = how.failure_kind or how.status
            self._voice.warn(f"{self.slug} could not be marked as {word} ({answer}): mark it on its page, {self.url}{self._kept(content, answer)}.")

    def _kept(self, ending: Mapping[str, object], answer: Answer) -> str:
        """Keep the ending where it can be told later, and the words for that."""
        if not answer.is_passing and not is_shut_out(answer):
            return ""
        try:
            self._keep.add_ending(ending)
        except (OSError, RuntimeError):
            return ""
        return ", or later with `research-platform send`"

    def _patch(self, content: Mapping[str, object], *, within_s: float) -> Answer:
        body = packed(encoded(content))
        return persisted(
            lambda left_s: self._connection.ask("PATCH", self._path, body, within_s=left_s),
            worth_repeating=lambda answer: answer.is_passing,
            within_s=within_s,
            pace=self._pace,
        )


class DistantRun(Run):
    """A run that another process started, or this one in an earlier life: its names can be read; what is logged is left out, with one warning."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        vars(self).update(known)
        self._voice, self._pid, self._is_finished, self._is_ended, self.is_entered = Voice(), -1, False, False, False


def revived(known: dict[str, Any]) -> Run:
    """The run that was pickled: the same object where it lives in this process."""
    here = LIVING.get(known["id"])
    return here if here is not None and here.is_ours else DistantRun(known)


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

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Run], tuple[dict[str, Any]]]:
        return disabled, ({"params": self.params, "tags": self.tags},)


def disabled(known: dict[str, Any]) -> DisabledRun:
    """A disabled run that was pickled."""
    return DisabledRun(**known)
