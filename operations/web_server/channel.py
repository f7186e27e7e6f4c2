"""One connection: its requests, one after the other, and its answers."""

from __future__ import annotations

import logging
import socket
import sys
import time
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from config.errors import BadRequest, Refused, Unavailable
from config.logs import access_log
from config.web.answers import API, refusal
from config.web.request_id import named
from metrics import meters
from operations.web_server.requests import LEAST_RATE, SPAN_S, Request, environ_of, refusal_of

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from operations.web_server.server import WebServer

logger = logging.getLogger(__name__)
# Longer than a proxy keeps its idle connections, so that none is closed here while a request is on its way.
IDLE_S = 75.0
# Whoever was turned away in the middle of a body is still read from for so long, or its answer would be lost with what is on its way.
LINGER_S = 10.0
# What came at once is taken in pieces of this size, so that what is left of it is not copied for each request in it; and so many may wait for their answer.
PIECE = 8_192
PIPELINED_MOST = 16
# waitress would copy as much as the system takes at the most for each piece that it does take.
SENT_AT_ONCE = 262_144


class Answer(WSGITask):  # type: ignore[misc]  # waitress comes without types
    """The application's answer."""

    chunked_response: bool

    def service(self) -> None:
        """As waitress does, but without taking an OSError of the application for one of the socket."""
        self.start()
        self.execute()
        self.finish()

    def get_environment(self) -> Any:
        """Without wsgi.file_wrapper: each file would be open until its answer is taken."""
        environ = super().get_environment()
        environ.pop("wsgi.file_wrapper", None)
        return environ

    def set_close_on_finish(self) -> None:
        """waitress hangs up after each 204 and 304, for want of a length."""
        asked = self.request.headers.get("CONNECTION", "").lower()
        if self.has_body or self.version != "1.1" or asked == "close" or self.channel.web_server.is_stopping:
            super().set_close_on_finish()

    def write(self, data: bytes) -> None:
        """Send, but no body of an answer to HEAD."""
        if self.request.command == "HEAD":
            self.content_bytes_written += len(data)
            data = b""
        super().write(data)

    def build_response_header(self) -> bytes:
        """Its head. While the server stops, it is the last of its connection."""
        if self.channel.web_server.is_stopping:
            self.set_close_on_finish()
        head: bytes = super().build_response_header()
        self.chunked_response = self.chunked_response and self.request.command != "HEAD"
        return head

    def finish(self) -> None:
        """End it, and send what lies ready from this thread: the one with the sockets has enough to do."""
        super().finish()
        self.channel.is_between = True
        self.channel.send_ready()


class Refusal(ErrorTask):  # type: ignore[misc]  # as above
    """The answer to a request that was turned away. The connection ends with it: what follows on it could be anything."""

    def execute(self) -> None:
        """Send it, and note it as any other."""
        request, refused = self.request, refusal_of(self.request.error)
        path = getattr(request, "path", "")
        request_id = named(request.headers.get("X_REQUEST_ID", ""))
        status, headers, body = refusal(refused, request_id)
        if not path.startswith(API):
            headers, body = headers | {"Content-Type": "text/plain; charset=utf-8"}, f"{refused}\n".encode(errors="replace")
        self.status, self.content_length = f"{status} {HTTPStatus(status).phrase}", len(body)
        self.response_headers.extend([*headers.items(), ("X-Request-ID", request_id), ("Cache-Control", "no-store")])
        self.set_close_on_finish()
        self.write(body)
        seconds = time.monotonic() - request.began
        meters.note_request(status, seconds)
        access_log.line(getattr(request, "command", "?"), path, status, seconds, request_id=request_id)


class Behind:
    """What a channel needs of its server; whatever wakes the thread with the sockets says which channel it is about."""

    def __init__(self, server: WebServer, channel: Channel) -> None:
        self.adj, self.application, self.add_task = server.adj, server.application, channel.begin
        self.server_name, self.effective_port, self.active_channels = server.server_name, server.effective_port, server.active_channels
        self.pull_trigger = channel.wake


class Channel(HTTPChannel):  # type: ignore[misc]  # as above
    """A connection. Read and closed by the thread with the sockets alone."""

    request: Request | None
    requests: list[Request]
    task_class = Answer
    error_task_class = Refusal

    def __init__(self, server: WebServer, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:  # Any, map: waitress' own signature
        self.web_server = server
        self.peer = str(addr[0]) if isinstance(addr, tuple) else ""
        self.is_parked = False  # whether nobody looks for what it sends
        self.was_turned_away = False
        self.is_between = False  # whether an answer has ended and the next has not begun
        self.is_full = False  # whether the system took less than it was given, and has not asked for more since
        self.is_write_awaited = False  # whether the thread with the sockets hears of it when it does
        self.is_held = False  # whether the next waits until the one before it is taken
        self.lingers_until = 0.0
        self.quiet_since = time.monotonic()
        self.sent = 0
        self.span_began, self.span_taken = self.quiet_since, 0
        self.knock: Knock | None = None
        self.parser_class = partial(Request, gate=server.gate, peer=self.peer)
        super().__init__(server, sock, addr, adj, map=map)
        self.sendbuf_len: int = min(self.sendbuf_len, SENT_AT_ONCE)
        self.server = Behind(server, self)

    def wake(self) -> None:
        """Have the thread with the sockets look at it, where there is anything to look at."""
        if self.is_parked or self.will_close or ((self.total_outbufs_len or self.close_when_flushed) and not self.is_write_awaited):
            self.web_server.wake(self)

    def begin(self, task: Channel | Knock) -> None:
        """Have a thread see to it. The next answer is not begun before the one before it is taken: it would hold a thread, or memory, for a slow reader."""
        if task is self:
            with self.outbuf_lock:
                self.is_held = self.total_outbufs_len > 0
            if self.is_held:
                return
        self.web_server.add_task(task)

    def go_on(self) -> None:
        """Begin the answer that waited, once the one before it is taken."""
        with self.outbuf_lock:
            is_next = self.is_held and self.connected and not self.total_outbufs_len
            self.is_held = self.is_held and not is_next
        if is_next:
            self.web_server.add_task(self)

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Within an answer its thread waits for a slow reader; between two there is nothing to wait for."""
        if not self.is_between:
            super()._flush_outbufs_below_high_watermark()

    def readable(self) -> bool:
        """Whether more may be read."""
        if self.lingers_until:
            return not self.will_close
        is_waited_for = self.knock is not None and self.knock.request.holds_enough
        return not is_waited_for and bool(super().readable())

    def handle_read(self) -> None:
        """Read. Whoever lingers is not listened to; who sends much is asked for first."""
        self.quiet_since = time.monotonic()
        if self.lingers_until:
            self.recv(self.adj.recv_bytes)
            return
        super().handle_read()
        self.ask()

    def ask(self) -> None:
        """Have it found out who sends a large body, where one has begun."""
        request = self.request
        if request is not None and request.is_asked_for and self.knock is None:
            self.knock = Knock(self, request)
            self.server.add_task(self.knock)

    def let_in(self, knock: Knock) -> None:
        """Go on with a request whose sender is known, or turn it away."""
        request, self.knock = knock.request, None
        if request is not self.request:
            return
        held = request.asked(knock.whose)
        if knock.refused is not None:
            self.turn_away(request, knock.refused)
        else:
            with self.requests_lock:
                if request.expect_continue and not self.requests and not self.sent_continue:
                    self.send_continue()
            self.received(held)
            self.ask()

    def send_continue(self) -> None:
        """Say that the body may come. A connection that broke is closed later, by the thread with the sockets."""
        said = b"HTTP/1.1 100 Continue\r\n\r\n"
        if self.request is not None:
            self.request.expect_continue = False
        with self.outbuf_lock:
            if self.connected:
                self.outbufs[-1].append(said)
                self.current_outbuf_count += len(said)
                self.total_outbufs_len += len(said)
                self.sent_continue = True
                self._flush_exception(self._flush_some, do_close=False)

    def received(self, data: bytes) -> bool:
        """Take what came. After a request that cannot be read, or more than may wait, the rest is not looked at."""
        place = 0
        while place < len(data):
            request = self.request
            size = PIECE
            if request is not None and request.headers_finished:
                size = len(data) if request.is_asked_for else max(1, request.content_length - request.body_bytes_received)
            piece, place = data[place : place + size], place + size
            super().received(piece.lstrip(b"\r\n") if request is None else piece)
            if self.is_enough():
                break
        return True

    def is_enough(self) -> bool:
        """Whether nothing more is to be read on this connection: the last request that waits ends it."""
        with self.requests_lock:
            if len(self.requests) > PIPELINED_MOST:
                for surplus in self.requests[PIPELINED_MOST:]:
                    surplus.close()
                del self.requests[PIPELINED_MOST + 1 :]
                self.requests[-1].turn_away(BadRequest("Too many requests came before the answers to those before them."))
            if not self.requests or self.requests[-1].error is None:
                return False
            request, self.request = self.request, None
            if request is not None:
                request.close()
            return True

    def turn_away(self, request: Request, refused: Refused) -> None:
        """Answer a request that is still coming in with a refusal."""
        with self.requests_lock:
            request.turn_away(refused)
            self.request = None
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)

    def service(self) -> None:
        """Answer the first request, in a thread that answers."""
        if not self.requests:
            return
        self.was_turned_away, self.is_between = self.requests[0].error is not None, False
        super().service()
        if not self.connected:
            with self.requests_lock:  # waitress forgets those that wait behind the answer that broke off
                left, self.requests = self.requests, []
            for request in left:
                request.close()
        self.quiet_since = time.monotonic()

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send, and count."""
        count: int = super().send(data, do_close=do_close)
        self.is_full = count < len(data)
        self.sent += count
        if count:
            self.quiet_since = time.monotonic()
        return count

    def _flush_some(self, do_close: bool = True) -> bool:
        """Send what lies ready; nothing where the connection was closed meanwhile, or takes nothing: each try would copy what is sent at once."""
        return bool(self.connected and not self.is_full and super()._flush_some(do_close=do_close))

    def send_ready(self) -> None:
        """Send what lies ready, from the thread that answers."""
        with self.outbuf_lock:
            if self.total_outbufs_len and self.connected:
                self._flush_exception(self._flush_some, do_close=False)

    def handle_write(self) -> None:
        """Send what lies ready. Where that was the last, close; who was turned away and may still be sending gets the time to read why."""
        self.is_full = False
        if not (self.close_when_flushed and self.was_turned_away):
            super().handle_write()
            self.go_on()
            return
        self._flush_exception(self._flush_some)
        if not self.will_close and not self.total_outbufs_len:
            self.linger()
        if self.will_close:
            self.handle_close()

    def linger(self) -> None:
        """Say that nothing more comes from here, and wait for the other end to see it."""
        self.close_when_flushed = False
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True
        else:
            self.lingers_until = time.monotonic() + LINGER_S

    def look_at(self, now: float, *, is_stopping: bool) -> None:
        """End what takes too long, at `now` (monotonic seconds): a request, an answer, silence."""
        if self.lingers_until:
            self.will_close = self.will_close or now > self.lingers_until
        elif self.total_outbufs_len:
            self.will_close = self.will_close or not self.is_fast_enough(now)
        else:
            self.span_began = now
            if self.sent != self.span_taken:
                self.span_taken = self.taken
            if self.requests:
                return
            if self.request is None or not self.request.is_begun:
                self.will_close = is_stopping or now - self.quiet_since > IDLE_S
            elif (slow := self.request.overdue(now)) is not None:
                self.turn_away(self.request, slow)

    def is_fast_enough(self, now: float) -> bool:
        """Whether the answer that lies ready is taken, judged at the end of each span."""
        if now - self.span_began < SPAN_S:
            return True
        taken = self.taken
        is_fast = taken - self.span_taken >= LEAST_RATE * SPAN_S
        self.span_began, self.span_taken = now, taken
        return is_fast

    @property
    def taken(self) -> int:
        """How many bytes the other end has: what the system's own buffer holds, megabytes perhaps, may be read slowly or never."""
        return self.sent - unacknowledged(self.socket)

    def handle_close(self) -> None:
        """Close, and let go of what came of a request."""
        request, self.request = self.request, None
        if request is not None:
            request.close()
        super().handle_close()
        self.let_go()

    def let_go(self) -> None:
        """Forget what waited for an answer that broke off: no thread comes for it any more."""
        with self.outbuf_lock:
            was_held, self.is_held = self.is_held, False
        if was_held:
            with self.requests_lock:
                left, self.requests = self.requests, []
            for request in left:
                request.close()

    def del_channel(self, map: Any = None) -> None:  # Any: waitress' own signature
        """Be forgotten, before the socket's number is another's."""
        self.web_server.forget(self._fileno)
        super().del_channel(map)


class Knock:
    """The question who sends a large body, answered by a thread that answers while nothing of it is read."""

    def __init__(self, channel: Channel, request: Request) -> None:
        self.channel, self.request = channel, request
        self.refused: Refused | None = None
        self.whose = ""

    def service(self) -> None:
        """Ask."""
        try:
            self.whose = self.request.gate.ask(environ_of(self.request))
        except Refused as refused:
            self.refused = refused
        except Exception:
            logger.exception("Who sends a large body could not be asked for.")
            self.refused = Unavailable("The server could not find out who sends this: try again in a moment.")
        self.channel.web_server.wake(self.channel, knock=self)

    def cancel(self) -> None:
        """The server stops: nobody asks any more."""


def unacknowledged(connection: socket.socket) -> int:
    """How many bytes of a connection the system has taken to send, and the other end has not. 0 where it does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (AttributeError, OSError):
        return 0
