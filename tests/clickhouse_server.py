"""A chDB directory served over ClickHouse's native protocol, in a process of its own, as a modern ClickHouse server is in no package registry.

    python -m tests.clickhouse_server --port 9000 --directory /tmp/store [--user u --password p] [--certificate file.pem]

The driver meets a real socket and the real engine, and the process can be killed, stopped and started again on the same directory (`ClickHouseServer`).
It says what a server says: hello with user and password, ping, settings with each query, an empty block that asks for the rows of an INSERT, results
block by block, errors with their code, lz4 where the client asks for it. Not spoken: external tables, query ids, totals, logs, a block in several frames.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chdb
from clickhouse_driver.block import BlockInfo
from clickhouse_driver.bufferedreader import BufferedSocketReader, CompressedBufferedReader
from clickhouse_driver.bufferedwriter import BufferedSocketWriter, CompressedBufferedWriter
from clickhouse_driver.compression.base import BaseCompressor
from clickhouse_driver.compression.lz4 import Compressor
from clickhouse_driver.context import Context
from clickhouse_driver.protocol import ClientPacketTypes, ServerPacketTypes
from clickhouse_driver.reader import read_binary_str, read_binary_uint8
from clickhouse_driver.streams.compressed import CompressedBlockInputStream, CompressedBlockOutputStream
from clickhouse_driver.streams.native import BlockInputStream, BlockOutputStream
from clickhouse_driver.varint import read_varint, write_varint
from clickhouse_driver.writer import write_binary_int32, write_binary_str, write_binary_uint8

from metrics.clickhouse.embedded import EmbeddedEngine
from metrics.clickhouse.errors import CODE
from metrics.clickhouse.native import READ_SETTINGS, columns_of, text, varint
from tests.ports import free_port

# Settings travel as text from here on; sparse columns, profile events and the addendum come later.
REVISION = 54429
CONNECTIONS = 200
BUFFER = 1 << 16
RESULTS = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "("}
# As over the wire: an INSERT without SELECT waits for blocks, whatever stands after VALUES.
INSERT = re.compile(
    r"\s*INSERT\s+INTO\s+(?:TABLE\s+)?(?P<table>[\w.`\"]+)\s*(?:\((?P<columns>[^)]*)\))?\s*(?:SETTINGS\s.*?)?(?:VALUES|FORMAT\s+Native)\b", re.I | re.S
)
IMPORTANT = 1
WRONG_PASSWORD, TOO_MANY, UNKNOWN_SETTING, NOT_IMPLEMENTED, UNKNOWN = 516, 202, 115, 48, 1002
SHOWN_VERSION = (24, 8, 1)


class Hangup(Exception):
    """The client said something that cannot be gone on with."""


class Refusal(Exception):
    """An error to be told to the client, with ClickHouse's number."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class ServedAs:
    """What the driver's streams ask their server for."""

    used_revision = REVISION

    def get_timezone(self) -> str:
        return "UTC"


class Store:
    """The chDB directory, and who may use it."""

    def __init__(self, directory: Path, *, user: str, password: str) -> None:
        limits = {"max_memory_bytes": 750_000_000, "max_threads": 2, "timeout_s": 3600}
        self.engine = EmbeddedEngine(directory, database="default", **limits)
        self.user, self.password = user, password
        self.slots = threading.BoundedSemaphore(CONNECTIONS)
        self.numbers = itertools.count()

    def session(self) -> Any:
        """A chDB connection: settings and current database are its own."""
        return chdb.connect(self.engine.address)

    def inbox_file(self) -> Path:
        """A new place for rows on their way in."""
        return self.engine.inbox / f"{next(self.numbers)}.native"


class Conversation:
    """One client: its socket, its session, and what it has set."""

    def __init__(self, client: socket.socket, store: Store) -> None:
        self.client, self.store = client, store
        self.fin, self.fout = BufferedSocketReader(client, BUFFER), BufferedSocketWriter(client, BUFFER)
        self.context = Context()
        self.context.server_info, self.context.client_settings, self.context.settings = ServedAs(), READ_SETTINGS, {}
        self.squeezed_in = CompressedBlockInputStream(self.fin, self.context)
        self.squeezed_out = CompressedBlockOutputStream(Compressor, 1 << 20, self.fout, self.context)
        self.applied: dict[str, str] = {}
        self.is_compressed = False

    def hold(self) -> None:
        """Greet, then answer until the client leaves."""
        self.greet()
        with contextlib.closing(self.store.session()) as self.session:
            if self.database:
                self.session.query(f"USE `{self.database}`")
            while True:
                self.answer(read_varint(self.fin))

    def greet(self) -> None:
        """Hello, or what is wrong with the client's name."""
        if read_varint(self.fin) != ClientPacketTypes.HELLO:
            raise Hangup("no hello")
        read_binary_str(self.fin)
        _, _, revision = (read_varint(self.fin) for _ in range(3))
        self.database, user, password = (read_binary_str(self.fin) for _ in range(3))
        if (user, password) != (self.store.user, self.store.password):
            self.refuse(Refusal(f"{user}: Authentication failed: password is incorrect, or there is no user with such name.", code=WRONG_PASSWORD))
            raise Hangup("wrong password")
        if revision < REVISION:
            raise Hangup(f"revision {revision} is too old")
        self.fout.write(varint(ServerPacketTypes.HELLO) + text("ClickHouse") + b"".join(map(varint, (*SHOWN_VERSION[:2], REVISION))))
        self.fout.write(text("UTC") + text("chDB") + varint(SHOWN_VERSION[2]))
        self.fout.flush()

    def answer(self, packet: int) -> None:
        """One packet of the client."""
        if packet == ClientPacketTypes.PING:
            write_varint(ServerPacketTypes.PONG, self.fout)
        elif packet == ClientPacketTypes.QUERY:
            self.answer_query()
        elif packet != ClientPacketTypes.CANCEL:
            raise Hangup(f"packet {packet} out of place")
        self.fout.flush()

    def answer_query(self) -> None:
        """Run what was asked; an error is an answer too."""
        settings, sql = self.asked()
        try:
            if self.rows() is not None:
                raise Refusal("External tables are not spoken here.", code=NOT_IMPLEMENTED)
            self.apply(settings)
            self.run(sql)
        except (EOFError, OSError, Hangup):
            raise
        except Exception as error:  # whatever it is, a server answers, and says it where a failed test shows it
            if not isinstance(error, RuntimeError | chdb.ChdbError | Refusal):
                traceback.print_exc()
            self.refuse(error)
            return
        write_varint(ServerPacketTypes.END_OF_STREAM, self.fout)

    def asked(self) -> tuple[dict[str, tuple[int, str]], str]:
        """The settings (name to flags and value) and the text of a query."""
        read_binary_str(self.fin)
        if read_binary_uint8(self.fin):
            self.skip_client_info()
        settings = {}
        while name := read_binary_str(self.fin):
            settings[name] = (read_binary_uint8(self.fin), read_binary_str(self.fin))
        read_varint(self.fin)  # the stage: always the whole query
        self.is_compressed = bool(read_varint(self.fin))
        return settings, read_binary_str(self.fin)

    def skip_client_info(self) -> None:
        """Who asks, from where, with which version."""
        for _ in range(3):
            read_binary_str(self.fin)
        read_binary_uint8(self.fin)
        for _ in range(3):
            read_binary_str(self.fin)
        for _ in range(3):
            read_varint(self.fin)
        read_binary_str(self.fin)
        read_varint(self.fin)

    def apply(self, settings: dict[str, tuple[int, str]]) -> None:
        """Set what this query sets, and take back what the one before set. As a server does, ignore unknown names unless they are important."""
        for name in self.applied.keys() - settings.keys():
            self.session.query(f"SET {name} = DEFAULT")
            del self.applied[name]
        for name, (flags, value) in settings.items():
            if self.applied.get(name) == value:
                continue
            try:
                self.session.query("SET {} = '{}'".format(name, value.replace("\\", "\\\\").replace("'", "\\'")))
            except chdb.ChdbError as error:
                if code_of(error) != UNKNOWN_SETTING or flags & IMPORTANT:
                    raise
            else:
                self.applied[name] = value

    def run(self, sql: str) -> None:
        """A statement of any kind."""
        words = sql.split(None, 1)
        if INSERT.match(sql):
            self.insert(sql)
        elif words and (words[0].upper() in RESULTS or words[0].startswith("(")):
            self.stream(sql)
        else:
            self.session.query(sql)

    def stream(self, sql: str) -> None:
        """Send each block of a result as chDB gives it, and stop where the client has left or cancels."""
        result = self.session.send_query(sql, "Native")
        for chunk in result:
            native = bytes(chunk.bytes() or b"")
            if self.is_interrupted():
                result.cancel()
                return
            if native:
                self.send_progress()
                self.send_block(native)

    def is_interrupted(self) -> bool:
        """Whether the client has said anything since its query: it may only cancel, or leave."""
        with selectors.DefaultSelector() as selector:  # select() itself takes no file number above 1,023
            selector.register(self.client, selectors.EVENT_READ)
            return bool(selector.select(0))

    def insert(self, sql: str) -> None:
        """Ask for rows, gather them in a file, and insert it as a whole: chDB's own `send_insert` was seen to report success where a table refused."""
        found = INSERT.match(sql)
        assert found is not None
        table, columns = found["table"], found["columns"] or "*"
        wanted = columns_of(bytes(self.session.query(f"DESCRIBE TABLE (SELECT {columns} FROM {table})", "Native").bytes()))
        pairs = list(zip(wanted["name"], wanted["type"], strict=True))
        self.send_block(varint(len(pairs)) + varint(0) + b"".join(text(name) + text(kind) for name, kind in pairs))
        path = self.store.inbox_file()
        names = ", ".join(f"`{name}`" for name, _ in pairs)
        try:
            if self.gather(path):
                self.session.query(f"INSERT INTO {table} ({names}) SELECT {names} FROM file('{path}', 'Native')")
        finally:
            path.unlink(missing_ok=True)

    def gather(self, path: Path) -> bool:
        """Write blocks to a file until the empty one; whether there were any."""
        with path.open("wb") as file:
            while (native := self.rows()) is not None:
                file.write(native)
            return bool(file.tell())

    def rows(self) -> bytes | None:
        """The block of a Data packet in Native format, None for the empty one."""
        if read_varint(self.fin) != ClientPacketTypes.DATA:
            raise Hangup("rows were expected")
        read_binary_str(self.fin)
        return self.frame() if self.is_compressed else self.plain_block()

    def frame(self) -> bytes | None:
        """A compressed block, as it is: the driver sends each as one frame."""
        frame = self.squeezed_in.read_block()
        source = CompressedBufferedReader(iter([frame]).__next__, len(frame))
        BlockInfo().read(source)
        start = source.position
        return frame[start:] if read_varint(source) else None

    def plain_block(self) -> bytes | None:
        """A block that was not compressed: only reading it tells where it ends."""
        found = BlockInputStream(self.fin, self.context).read()
        if not found.num_columns:
            return None
        found.data = [list(column) for column in found.data]  # the driver writes into what it writes
        gathered = BaseCompressor()
        stream = BlockOutputStream(CompressedBufferedWriter(gathered, BUFFER), self.context)
        stream.write(found)
        native = gathered.get_value()
        source = CompressedBufferedReader(iter([native]).__next__, len(native))
        BlockInfo().read(source)
        return native[source.position :]

    def send_block(self, native: bytes) -> None:
        """A Data packet."""
        write_varint(ServerPacketTypes.DATA, self.fout)
        write_binary_str("", self.fout)
        if self.is_compressed:
            BlockInfo().write(self.squeezed_out.fout)
            self.squeezed_out.fout.write(native)
            self.squeezed_out.finalize()
        else:
            BlockInfo().write(self.fout)
            self.fout.write(native)
            self.fout.flush()

    def send_progress(self) -> None:
        """Rows, bytes, rows in all, rows and bytes written: servers send it between blocks, and so clients must expect it."""
        self.fout.write(varint(ServerPacketTypes.PROGRESS) + bytes(5))

    def refuse(self, error: Exception) -> None:
        """An Exception packet."""
        write_varint(ServerPacketTypes.EXCEPTION, self.fout)
        write_binary_int32(code_of(error), self.fout)
        write_binary_str("DB::Exception", self.fout)
        write_binary_str(f"DB::Exception: {plain(error)}", self.fout)
        write_binary_str("", self.fout)
        write_binary_uint8(0, self.fout)
        self.fout.flush()


def code_of(error: Exception) -> int:
    """ClickHouse's number."""
    found = CODE.search(str(error))
    return error.code if isinstance(error, Refusal) else int(found[1]) if found else UNKNOWN


def plain(error: Exception) -> str:
    """The message without the number before it."""
    return str(error).partition("DB::Exception: ")[2] or str(error)


def converse(client: socket.socket, store: Store, security: ssl.SSLContext | None) -> None:
    """Serve one client in this thread until it leaves."""
    with contextlib.suppress(EOFError, OSError, Hangup), store.slots:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if security:
            client = security.wrap_socket(client, server_side=True)
        with client:
            Conversation(client, store).hold()


def listen(listener: socket.socket, store: Store, security: ssl.SSLContext | None) -> None:
    """Take clients for ever, each in a thread of its own."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=converse, args=(client, store, security), daemon=True).start()


def end_with_parent() -> None:
    """Leave when the other end of stdin is gone."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="A chDB directory over ClickHouse's native protocol, for tests.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    parser.add_argument("--certificate", help="PEM with key and certificate: speak TLS")
    parser.add_argument("--end-with-parent", action="store_true", help="leave when stdin is closed")
    options = parser.parse_args()
    security = None
    if options.certificate:
        security = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        security.load_cert_chain(options.certificate)
    if options.end_with_parent:
        threading.Thread(target=end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    store = Store(options.directory, user=options.user, password=options.password)
    with socket.create_server(("127.0.0.1", options.port), backlog=128) as listener:
        print(f"Listening on 127.0.0.1:{options.port}", flush=True)
        listen(listener, store, security)


class ClickHouseServer:
    """The process, for tests: `with ClickHouseServer(directory) as server`. The port stays the same over restarts."""

    def __init__(self, directory: Path, *, user: str = "default", password: str = "", certificate: Path | None = None) -> None:
        self.directory, self.user, self.password, self.certificate = directory, user, password, certificate
        self.host, self.port = "127.0.0.1", free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Returns once it listens."""
        assert self.process is None
        command = [sys.executable, "-m", "tests.clickhouse_server", "--port", str(self.port), "--directory", str(self.directory), "--end-with-parent"]
        command += ["--user", self.user, "--password", self.password]
        if self.certificate:
            command += ["--certificate", str(self.certificate)]
        root = Path(__file__).resolve().parent.parent
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise RuntimeError(f"The ClickHouse server of the tests did not start on {self.address}.")

    def end(self, number: int) -> None:
        """End the process by a signal."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(number)
        process.wait(timeout=60)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    def stop(self) -> None:
        """End it properly."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.end(signal.SIGTERM)

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self.end(signal.SIGKILL)

    def restart(self) -> None:
        """End it, where it still runs, and start it again."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """It hangs: connections open, nobody answers. Every thread of it has stopped on return."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """It goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> ClickHouseServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextlib.contextmanager
def suspended(server: ClickHouseServer) -> Iterator[None]:
    """The server hangs within the block."""
    server.suspend()
    try:
        yield
    finally:
        server.resume()


if __name__ == "__main__":
    main()
