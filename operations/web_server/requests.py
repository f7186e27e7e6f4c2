"""One request as it comes in: its head judged before its body is read, its bytes counted, and what turns it away."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

from accounts.signing_in.brake import network_of
from config.errors import BadRequest, Broken, HeadTooLarge, Refused, TooLarge, TooSlow
from config.web.bodies.in_flight import FLIGHT, STRANGERS
from config.web.bodies.purposes import ANYONES_BYTES, refuse_length
from config.web.request_id import address_in
from operations.web_server.gate import Gate

HEAD_BYTES = 65_536
HEAD_S = 10.0
LINES_MOST = 200
BACKSLASHES_MOST = 500
BODY_S = 300.0
# What waitress' own patterns read in quadratic time, while every thread stands still, is refused before they see it.
FIRST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ (?:/[^ ]*|\*|https?://[^ ]+) HTTP/1\.[01] *")
MANY_BLANKS = re.compile(rb":[ \t]{100}")
# The first bytes of a body may take GRACE_S; from then on it comes, and an answer goes, at LEAST_RATE bytes a second at least, in each span of SPAN_S.
GRACE_S = SPAN_S = 10.0
LEAST_RATE = 10_000
# So much of a body is read while it is asked for who sends it: a sender whose window closes waits longer than the answer takes.
HELD_BYTES = 262_144
BROKE_OFF = "The body broke off before its end: nothing was written."


class Request(HTTPRequestParser):  # type: ignore[misc]  # waitress comes without types
    """A request being read. `error` says why it is turned away, from then on its connection is of no more use."""

    def __init__(self, adj: Any, *, gate: Gate, peer: str) -> None:  # Any: waitress' own settings
        super().__init__(adj)
        self.gate, self.peer = gate, peer
        self.began = self.span_began = time.monotonic()
        self.span_received: int | None = None  # nothing yet that could be judged
        self.is_begun = self.expect_continue = False
        self.is_asked_for = False  # whether somebody finds out who sends it
        self.is_continue_awaited = False
        self.held = b""  # what came meanwhile
        self.counted = 0
        self.flight, self.whose = STRANGERS, ""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head. Raises waitress' ParsingError for one that two readers could read differently."""
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("A header goes on in the next line: write it in one.")
        if FIRST_LINE.fullmatch(header_plus.partition(b"\r\n")[0]) is None:
            raise ParsingError("The first line is no method, path and HTTP/1.1.")
        if MANY_BLANKS.search(header_plus):
            raise ParsingError("A header begins with a hundred blanks.")
        if header_plus.count(b"\r\n") > LINES_MOST:
            raise ParsingError(f"The request has more than {LINES_MOST} headers.")
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError(str(error)) from error
        self.path: str = "/" + self.path.lstrip("/")
        if self.headers.get("COOKIE", "").count("\\") > BACKSLASHES_MOST:  # Python before 3.11.10 reads them in quadratic time
            raise ParsingError("The cookies hold too many backslashes.")
        if self.chunked or (self.version != "1.1" and "TRANSFER_ENCODING" in self.headers):
            raise ParsingError("Send the body with a Content-Length, not chunked.")

    def received(self, data: bytes) -> int:
        """Take what came; how many bytes of it were this request's."""
        self.is_begun = True
        if self.is_asked_for:
            self.held += data
            self.count(len(data))
            return len(data)
        was_head = not self.headers_finished
        before = self.body_bytes_received
        consumed: int = super().received(data)
        if was_head and self.headers_finished and not self.completed:
            self.judge_head()
        elif self.body_bytes_received > before and self.error is None:
            self.count(self.body_bytes_received - before)
        return consumed

    def judge_head(self) -> None:
        """Turn away, before its body comes, what is too large; and see that it is asked for who sends what is large."""
        environ = environ_of(self)
        self.whose = self.gate.remembers(environ)
        is_large = self.content_length > ANYONES_BYTES
        self.flight = FLIGHT if is_large or self.whose else STRANGERS
        if self.flight is STRANGERS:
            self.whose = network_of(address_in({"REMOTE_ADDR": self.peer, **environ}))
        try:
            refuse_length(self.content_length, self.path)
        except TooLarge as refused:
            self.turn_away(refused)
        self.is_asked_for = self.error is None and is_large and not self.whose
        if self.is_asked_for:
            self.is_continue_awaited, self.expect_continue = self.expect_continue, False

    def asked(self, whose: str) -> bytes:
        """It is known who sends it: what came meanwhile, to be taken now. The body's time begins."""
        self.let_go()
        held, self.held, self.whose = self.held, b"", whose
        self.is_asked_for, self.expect_continue = False, self.is_continue_awaited
        self.began = self.span_began = time.monotonic()
        return held

    @property
    def holds_enough(self) -> bool:
        """Whether no more of it is to be read before it is known who sends it."""
        return bool(len(self.held) >= min(HELD_BYTES, self.content_length))

    def count(self, more: int) -> None:
        """Count bytes as held, or turn the request away where this process holds too many."""
        try:
            self.flight.take(more, own=self.counted, whose=self.whose)
        except Refused as refused:
            self.turn_away(refused)
        else:
            self.counted += more

    def turn_away(self, refused: Refused) -> None:
        """Answer with a refusal, whatever is still to come."""
        self.error, self.completed, self.expect_continue = refused, True, False

    def overdue(self, now: float) -> Refused | None:
        """Why it has taken too long, at `now` (monotonic seconds); None while it has not."""
        taken = now - self.began
        if self.is_asked_for:
            return None
        if not self.headers_finished:
            return TooSlow(f"The head of the request did not come within {HEAD_S:.0f} seconds.") if taken > HEAD_S else None
        is_slow = taken > GRACE_S and self.body_bytes_received < (taken - GRACE_S) * LEAST_RATE
        if now - self.span_began > SPAN_S:
            is_slow = is_slow or (self.span_received is not None and self.body_bytes_received - self.span_received < LEAST_RATE * SPAN_S)
            self.span_began, self.span_received = now, self.body_bytes_received
        return TooSlow(BROKE_OFF) if is_slow or taken > BODY_S else None

    def let_go(self) -> None:
        """What was counted is held no more."""
        self.flight.give(self.counted, whose=self.whose)
        self.counted = 0

    def close(self) -> None:
        """Let go of the body."""
        super().close()
        self.let_go()


def refusal_of(error: Error | Refused) -> Refused:
    """waitress' own errors as the product's."""
    if isinstance(error, Refused):
        return error
    if error.code == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return HeadTooLarge(f"The address and the headers have more than {HEAD_BYTES:,} bytes: ask for less at once.")
    if error.code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return Broken("Something broke on the server. Nothing you sent was acknowledged.")
    return BadRequest(f"The request cannot be read: {error.body}")


def environ_of(request: Request) -> Mapping[str, str]:
    """As much of WSGI's environ as tells who sends a request."""
    return {"REQUEST_METHOD": request.command, "PATH_INFO": request.path} | {f"HTTP_{name}": value for name, value in request.headers.items()}
