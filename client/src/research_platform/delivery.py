"""One batch on its way to its end: acknowledged, or without the points that the server will not take, or kept for another time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from itertools import count

from research_platform.connection import BAD_REQUEST, CONFLICT, NOT_ALLOWED, TOO_LARGE, UNAUTHENTICATED, UNPROCESSABLE, Answer, Connection
from research_platform.keeping import Keep
from research_platform.losses import KEPT, REFUSED, Losses
from research_platform.pace import Pace
from research_platform.parts import MESSAGE_LENGTH, Bad, Batch, Content, Why, batch_of, halves, named_by, without, word
from research_platform.voice import Voice

# The same key in flight is over in seconds; a 409 that stays means that the experiment takes no points.
CONFLICTS_AT_MOST = 12
# How many refusals may look for the bad points of one batch, where the server does not name them.
# What arrives meanwhile is no waste, nor is finding the size that fits.
PARTS_AT_MOST = 300
SHUT_OUT = {UNAUTHENTICATED: "unauthenticated", 403: "forbidden", 404: "not_found"}
ARCHIVED = "archived"
MANY = sys.maxsize
NO_ROOM = "too_many_names"
WHAT_TO_DO = (
    "Once it does (a new token goes where the old one came from) they are sent by themselves; after the run's end, `research-platform send` sends them."
)


class Delivery:
    """Brings batches to the server and settles each of their points. `settled` is told how many found their end."""

    def __init__(self, connection: Connection, path: str, keep: Keep, losses: Losses, *, pace: Pace, voice: Voice, settled: Callable[[int], None]) -> None:
        self._connection, self._path, self._keep, self._losses = connection, path, keep, losses
        self._pace, self._voice, self._settled = pace, voice, settled
        self._stopped = threading.Event()
        self._shut_out_until, self._reason = 0.0, ""
        self.shut_outs = 0
        self.in_hand: list[Batch] = []
        self.is_hostless = False
        self._points_most = MANY  # what fits into a request, once the server has said that more does not
        # Metrics that found no room, and until when nobody asks for them again.
        self._roomless: dict[str, tuple[Why, float]] = {}

    def stop(self) -> None:
        """Give up, whatever is in hand."""
        self._stopped.set()

    @property
    def is_welcome(self) -> bool:
        """Whether nothing says that the server would take nothing now."""
        return time.monotonic() >= self._shut_out_until

    def take(self, batch: Batch) -> None:
        """Take a batch in hand."""
        self.in_hand = self._with_room(batch)

    def deliver(self, *, is_last: bool = False) -> None:
        """Bring what is in hand to its end, or leave it there where the run is given up. `is_last` asks even a server that takes nothing of this writer."""
        wasted = 0
        while self.in_hand and not self._stopped.is_set():
            first, *others = self.in_hand
            if not self.is_welcome and not is_last:
                self.keep(first, self._reason)
                self.in_hand = others
                continue
            if first.points > self._points_most and (parts := in_halves(first, by_rows=True)):
                self.in_hand = [*parts, *others]
                continue
            answer = self._answered(first)
            if answer is None:
                return
            wasted += is_waste(answer, first)
            is_last = is_last and not is_shut_out(answer)
            self.in_hand = [*self._instead(first, answer, wasted), *others]

    def keep(self, batch: Batch, reason: str) -> None:
        """Put a batch where it can be sent from later. Where that is not possible its points are lost."""
        self._settled(batch.points)
        try:
            self._keep.add(batch, reason)
        except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where the home is
            self._losses.note("dropped", "not_kept", batch.points, (str(error) if self._keep.where else type(error).__name__)[:MESSAGE_LENGTH])
            self._voice.once("unkept", f"points that cannot be sent cannot be kept either ({error}), and ARE LOST: set RP_UNSENT_DIR to a folder with room.")
            return
        self._losses.note(KEPT, reason, batch.points, self._keep.where)

    def _answered(self, batch: Batch) -> Answer | None:
        """The answer that settles it; None where the run is given up before."""
        for attempt in count():
            if self._stopped.is_set():
                return None
            answer = self._connection.ask("POST", self._path, batch.body, headers={"Idempotency-Key": batch.key})
            if is_receipt(answer) or is_refusal(answer, attempt):
                return answer
            self._tell_of_outage(attempt, answer)
            if self._stopped.wait(self._pace.pause_s(attempt, answer.retry_after_s)):
                return None
        return None

    def _instead(self, batch: Batch, answer: Answer, wasted: int) -> list[Batch]:
        """What is to be sent in the place of `batch`, now that it is answered."""
        if is_receipt(answer):
            self._arrive(batch)
        elif is_shut_out(answer):
            self._be_shut_out(batch, answer)
        elif answer.status in (UNPROCESSABLE, TOO_LARGE):
            return self._parts(batch, answer, wasted)
        else:
            self._lose((reason_of(answer), str(answer)), batch.points)
        return []

    def _arrive(self, batch: Batch) -> None:
        self._settled(batch.points)
        self._shut_out_until = 0.0
        self._voice.forget("outage")
        self._voice.forget("shut out")

    def _be_shut_out(self, batch: Batch, answer: Answer) -> None:
        """It is not about these points: the writer may not write, or the run takes nothing."""
        self.shut_outs += 1
        self._reason = SHUT_OUT.get(answer.status) or (word(f"status_{answer.status}") if is_foreign(answer) else ARCHIVED)
        self._shut_out_until = time.monotonic() + self._pace.shut_out_s
        self.keep(batch, self._reason)
        if self._keep:
            self._voice.once("shut out", f"{self._connection.url} takes no points of this run now ({answer}). They are kept in {self._keep.path}. {WHAT_TO_DO}")

    def _parts(self, batch: Batch, answer: Answer, wasted: int) -> list[Batch]:
        """The good points of a refused batch, where the answer names the bad ones; else its halves."""
        content = batch.content
        bad = named_by(answer, content)
        if bad.why or bad.is_host:
            self._learn(bad, answer)
            return self._less(content, bad)
        if answer.status == TOO_LARGE:
            self._points_most = max(1, batch.points // 2)
        found = in_halves(batch, by_rows=answer.status == TOO_LARGE) if wasted < PARTS_AT_MOST else []
        if not found:
            self._points_most = MANY  # it is not for its points that a single one is too large
            self._lose((reason_of(answer), str(answer)), batch.points)
        return found

    def _less(self, content: Content, bad: Bad) -> list[Batch]:
        """`content` without its bad points, which are lost; nothing where nothing is left."""
        rest, lost = without(content, bad)
        for why, points in lost.items():
            self._lose(why, points)
        return [batch_of(rest)] if rest["metrics"] else []

    def _learn(self, bad: Bad, answer: Answer) -> None:
        """Remember what would be refused again at once."""
        if bad.is_host:
            self.is_hostless = True
            self._voice.once("host", f"the server does not take this machine's name ({answer}): points go without it.")
        until = time.monotonic() + self._pace.ask_again_s
        self._roomless.update({str(metric): (why, until) for (_, metric), why in bad.why.items() if why[0] == NO_ROOM})

    def _with_room(self, batch: Batch) -> list[Batch]:
        """The batch without the metrics for which there was no room a moment ago."""
        now = time.monotonic()
        self._roomless = {metric: known for metric, known in self._roomless.items() if known[1] > now}
        if not self._roomless:
            return [batch]
        return self._less(batch.content, Bad({(None, metric): why for metric, (why, _) in self._roomless.items()}))

    def _lose(self, why: Why, points: int) -> None:
        reason, message = why
        self._settled(points)
        self._losses.note(REFUSED, reason, points, message[:MESSAGE_LENGTH])
        said = f"{points:,} point{'' if points == 1 else 's'}, which {'is' if points == 1 else 'are'} lost"
        self._voice.once(f"refused {reason}", f"the server refused {said} ({message}). Logging goes on; later refusals are counted.")

    def _tell_of_outage(self, attempt: int, answer: Answer) -> None:
        if attempt == 1:  # a single failure is no outage
            self._voice.once("outage", f"{self._connection.url} does not take points now ({answer}). They are kept and sent again until it does.")


def is_receipt(answer: Answer) -> bool:
    """Whether the points are durable. A proxy's own 200 page is no receipt."""
    return answer.is_good and answer.content.get("status") == "success"


def is_shut_out(answer: Answer) -> bool:
    """Whether nothing of this writer is taken, whatever it sends."""
    return answer.status in SHUT_OUT or (answer.status == CONFLICT and reason_of(answer) == ARCHIVED) or is_foreign(answer)


def is_waste(answer: Answer, batch: Batch) -> bool:
    """Whether an answer brought the batch no further: refused, and not for its size."""
    return answer.status == UNPROCESSABLE or (answer.status == TOO_LARGE and batch.points <= 1)


def in_halves(batch: Batch, *, by_rows: bool) -> list[Batch]:
    """The batch in two, none where it is one point."""
    return [batch_of(half) for half in halves(batch.content, by_rows=by_rows)]


def is_refusal(answer: Answer, attempt: int) -> bool:
    """Whether sending the same batch again is of no use."""
    if answer.status == CONFLICT:
        return attempt >= CONFLICTS_AT_MOST or is_shut_out(answer)
    return not answer.is_passing and not answer.is_good


def is_foreign(answer: Answer) -> bool:
    """Whether the answer says nothing against the points: it is a redirect, or an error of what stands before the server (a page to log in, a proxy)."""
    if answer.is_good or answer.is_passing or answer.status == TOO_LARGE:
        return False
    return answer.status < BAD_REQUEST or answer.status == NOT_ALLOWED or not isinstance(answer.content.get("error"), Mapping)


def reason_of(answer: Answer) -> str:
    """The server's word for why, else the status."""
    error = answer.content.get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    return word(code or f"status_{answer.status}")
