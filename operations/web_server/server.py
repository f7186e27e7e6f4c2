"""The server: one thread with all sockets, several that answer; from the bound port to a clean stop."""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from django.core.handlers.wsgi import WSGIHandler
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from config.errors import SetupError
from metrics.ingest.shortcut import Application, PointsFirst
from operations.memory import keep_what_is_loaded
from operations.web_server.channel import Channel, Knock
from operations.web_server.gate import Gate
from operations.web_server.requests import HEAD_BYTES

logger = logging.getLogger(__name__)
FINISH_S = 4.0
# A stop ends within ten seconds.
LAST_S = 9.0
# How often what takes too long is looked for.
TICK_S = 1.0
CONNECTIONS = 2_000
# Answers that lie ready may have so many bytes together: of more, those go that have been left lying for longest.
LYING_MOST = 128_000_000
# Files, databases and the metric store need some of the process's open files, too.
OTHER_FILES = 300
BACKLOG = 512
RECEIVED_AT_ONCE = 262_144
# Many threads with little work each: at Python's default of 5 ms single points were a quarter slower.
SWITCH_S = 0.0005
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
UNBOUNDED = 2**62  # what an address takes is judged by its purpose


class WebServer(TcpWSGIServer):  # type: ignore[misc]  # waitress comes without types
    """waitress with a loop of its own: it looks at the connections on which something happens, not at all of them each time."""

    channel_class = Channel

    def __init__(self, application: Application, listening: socket.socket, *, threads: int, finish_s: float = FINISH_S, gate: Gate | None = None) -> None:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request that waits for a thread is no news
        self.gate, self.finish_s = gate or Gate(), finish_s
        self.selector = selectors.DefaultSelector()
        self.woken: collections.deque[tuple[Channel, Knock | None]] = collections.deque()
        self.bell, self.ringer = socket.socketpair()
        self.bell.setblocking(False)
        self.ringer.setblocking(False)
        self.is_rung = self.is_stopping = False
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(threads)
        adjustments = Adjustments(
            sockets=[listening], ident="", threads=threads, backlog=BACKLOG, recv_bytes=RECEIVED_AT_ONCE, inbuf_overflow=UNBOUNDED,
            max_request_body_size=UNBOUNDED, max_request_header_size=HEAD_BYTES, clear_untrusted_proxy_headers=False, log_socket_errors=False,
        )  # fmt: skip
        self.bind_addr = listening.getsockname()
        place = (listening.family, listening.type, None, self.bind_addr)
        super().__init__(application, map={}, _start=False, _sock=listening, dispatcher=dispatcher, adj=adjustments, sockinfo=place, bind_socket=False)
        self.server_name = "localhost"  # of a request without Host, as checks of health send it
        self.connections = min(CONNECTIONS, open_files() - OTHER_FILES)

    def run(self, *, each_tick: Callable[[], bool] = lambda: True) -> None:
        """Serve until stop(), or until `each_tick`, called once a second, says that it is enough; then finish the requests in flight."""
        self.accept_connections()
        self.selector.register(self.bell, READ, None)
        self.selector.register(self.socket, READ, self)
        ends, next_tick = 0.0, time.monotonic()
        while not ends or (self.active_channels and time.monotonic() < ends):
            for key, events in self.selector.select(max(next_tick - time.monotonic(), 0.0)):
                self.handle(key.data, events)
            while self.woken:
                self.renew(*self.woken.popleft())
            if time.monotonic() >= next_tick or self.is_stopping:
                next_tick = time.monotonic() + (TICK_S if not ends else 0.05)
                self.is_stopping = not each_tick() or self.is_stopping
                self.look_at_all()
            if self.is_stopping and not ends:
                ends = time.monotonic() + self.finish_s
                self.listen_no_more()
        self.task_dispatcher.shutdown(timeout=0.1)

    def handle(self, whose: Channel | WebServer | None, events: int) -> None:
        """See to what happened on one socket."""
        if whose is None:
            with contextlib.suppress(BlockingIOError):
                self.bell.recv(4096)
            self.is_rung = False  # said after the bell is empty: a ring between the two would be lost, and every later one with it
        elif whose is self:
            self.handle_accept()
        else:
            if events & WRITE:
                wasyncore.write(whose)
            if events & READ and whose.connected:
                if whose.readable():
                    wasyncore.read(whose)
                else:
                    whose.is_parked = True  # said before readable() is asked again: a thread that ends its answer meanwhile wakes this one
            self.renew(whose)

    def renew(self, channel: Channel, knock: Knock | None = None) -> None:
        """Look for what a channel waits for now. Whatever breaks there ends that connection, never the loop."""
        try:
            self.watch(channel, knock)
        except Exception:
            logger.exception("A connection broke.")
            with contextlib.suppress(Exception):
                channel.handle_close()

    def watch(self, channel: Channel, knock: Knock | None) -> None:
        """The same. While its request is answered a channel stays watched: most say nothing meanwhile."""
        if knock is not None and channel.connected:
            channel.let_in(knock)
        if channel.will_close:
            wasyncore.write(channel)
        if not channel.connected or channel._fileno is None:
            return
        is_readable = channel.readable()
        if is_readable:
            channel.is_parked = False
        wanted = (0 if channel.is_parked or not (is_readable or channel.requests) else READ) | (WRITE if channel.writable() else 0)
        watched = self.selector.get_map().get(channel._fileno)
        if watched is None:
            if wanted:
                self.selector.register(channel._fileno, wanted, channel)
        elif not wanted:
            self.selector.unregister(channel._fileno)
        elif watched.events != wanted:
            self.selector.modify(channel._fileno, wanted, channel)

    def wake(self, channel: Channel, knock: Knock | None = None) -> None:
        """Have the thread with the sockets renew a channel; from any thread."""
        self.woken.append((channel, knock))
        if not self.is_rung:
            self.is_rung = True
            with contextlib.suppress(BlockingIOError):
                self.ringer.send(b"!")

    def forget(self, number: int | None) -> None:
        """Watch a socket no more, for it closes."""
        if number is not None and number in self.selector.get_map():
            self.selector.unregister(number)

    def handle_accept(self) -> None:
        """Take a connection. Where there are too many, those that have been quiet for longest make room."""
        before = set(self.active_channels) if len(self.active_channels) >= self.connections else None
        if before is not None:
            self.make_room()
        count = len(self.active_channels)
        super().handle_accept()
        if len(self.active_channels) > count:
            self.renew(next(reversed(self.active_channels.values())))

    def make_room(self) -> None:
        """Close a twentieth of the connections, of those on which no request is answered: of the address that has the most, the quietest first."""
        channels = list(self.active_channels.values())
        count_of = collections.Counter(channel.peer for channel in channels)
        idle = sorted((channel for channel in channels if not channel.requests), key=lambda channel: (-count_of[channel.peer], channel.quiet_since))
        for channel in idle[: max(1, self.connections // 20)]:
            channel.handle_close()

    def look_at_all(self) -> None:
        """End what takes too long."""
        now = time.monotonic()
        for channel in list(self.active_channels.values()):
            channel.look_at(now, is_stopping=self.is_stopping)
            if channel.will_close or channel.total_outbufs_len:
                self.renew(channel)
        self.bound_answers()

    def bound_answers(self) -> None:
        """Break off answers that lie ready, where they are too many bytes together."""
        lying = sorted((channel for channel in self.active_channels.values() if channel.total_outbufs_len), key=lambda channel: channel.quiet_since)
        surplus = sum(channel.total_outbufs_len for channel in lying) - LYING_MOST
        for channel in lying:
            if surplus <= 0:
                break
            surplus -= channel.total_outbufs_len
            channel.will_close = True
            self.renew(channel)

    def listen_no_more(self) -> None:
        """Take no more connections."""
        self.accepting = False
        self.selector.unregister(self.socket)
        self.socket.close()

    def stop(self) -> None:
        """Finish the requests in flight, then end run(); from any thread."""
        self.is_stopping = True
        self.is_rung = True
        with contextlib.suppress(OSError):
            self.ringer.send(b"!")


def open_files() -> int:
    """How many files the process may have open, after it has asked for as many as it may ask for."""
    try:
        import resource
    except ImportError:  # Windows
        return CONNECTIONS + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = 4 * CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 4 * CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wished:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wished, hard))
        soft = wished
    return 4 * CONNECTIONS if soft == resource.RLIM_INFINITY else soft


def bound_server(host: str, port: int, *, threads: int) -> WebServer:
    """A server that has its port already and serves once asked. Raises SetupError where the port cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=family == socket.AF_INET6 and host == "::")
    except (OSError, OverflowError) as error:
        raise SetupError(f"{host}:{port} cannot be listened on ({error}): stop what uses it, or give another port by PORT or --port.") from error
    return WebServer(PointsFirst(WSGIHandler()), listening, threads=threads)


def end_in_any_case() -> None:
    """End the process, whatever still hangs in it. It may end at any time: what is not stored lies in the spool."""
    logger.warning("The stop took longer than %s s and is cut short; what is not stored yet lies in the spool.", LAST_S)
    os._exit(0)


def serve(server: WebServer, *, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; then finish the requests in flight and return. `ready` is called once signals are heeded, `stopping` at the signal."""
    sys.setswitchinterval(SWITCH_S)
    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    signal.signal(signal.SIGINT, lambda *_: asked_to_stop.set())
    serving = threading.Thread(target=server.run, name="server")
    serving.start()
    ready()
    keep_what_is_loaded()
    asked_to_stop.wait()
    last = threading.Timer(LAST_S, end_in_any_case)
    last.daemon = True
    last.start()
    stopping()
    server.stop()
    serving.join(timeout=FINISH_S + 1)
