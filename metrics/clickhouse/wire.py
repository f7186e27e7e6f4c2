"""One connection to a ClickHouse server: the driver's protocol, our own columns.

clickhouse-driver says hello, frames, compresses and reads errors; columns go through native.py, as in the embedded engine. A conversation that was
cut short, for whatever reason, leaves the connection in the middle of something: it is closed then, never used again.
"""

from __future__ import annotations

import logging
import ssl
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clickhouse_driver import defines
from clickhouse_driver.block import BlockInfo
from clickhouse_driver.connection import Connection, Packet
from clickhouse_driver.errors import Error, ServerException, SocketTimeoutError, UnexpectedPacketFromServerError
from clickhouse_driver.protocol import ClientPacketTypes, ServerPacketTypes
from clickhouse_driver.streams.compressed import CompressedBlockInputStream
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str

from metrics.clickhouse.client import Columns
from metrics.clickhouse.errors import StoreError, StoreUnavailable, store_error
from metrics.clickhouse.native import READ_SETTINGS, block, joined, next_block

# The driver logs a traceback for each attempt that fails, and then raises: what it raises is enough.
logging.getLogger("clickhouse_driver.connection").setLevel(logging.ERROR)

CONNECT_S = 3.0
PING_S = 2.0
# The newest revision before servers send profile events with every block, and columns in sparse form: neither is read here.
REVISION = defines.DBMS_MIN_PROTOCOL_VERSION_WITH_INITIAL_QUERY_START_TIME
CLIENT_SETTINGS = READ_SETTINGS | {"opentelemetry_traceparent": None, "opentelemetry_tracestate": "", "quota_key": ""}
NO_ROWS = b"\0\0"
# What a peer that went away, or that is no ClickHouse, makes the driver raise.
BROKEN = (Error, OSError, EOFError, struct.error, UnicodeError)
REFUSED_LOGIN = 516


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Login:
    """Who connects, and whether by TLS (against the certificates that this machine trusts)."""

    user: str = "default"
    password: str = ""
    secure: bool = False


class ColumnStream(CompressedBlockInputStream):  # type: ignore[misc]  # the driver is not typed
    """The driver's frames, read as columns."""

    def read(self, use_numpy: bool | None = None) -> list[tuple[str, str, Any]]:
        """The next block: (name, type, values) of each column."""
        BlockInfo().read(self.fin)
        return next_block(self.fin, self.context)


class Wire:
    """An open connection. Raises StoreUnavailable where the server cannot be reached or refuses the login."""

    def __init__(self, address: Address, login: Login) -> None:
        self.address = address
        self.driver = Connection(
            address.host,
            address.port,
            user=login.user,
            password=login.password,
            secure=login.secure,
            # Else it believes those of certifi alone, where another package happens to have installed that.
            ca_certs=ssl.get_default_verify_paths().cafile,
            compression="lz4",
            connect_timeout=CONNECT_S,
            send_receive_timeout=CONNECT_S,
            sync_request_timeout=PING_S,
            tcp_keepalive=True,
            client_revision=REVISION,
        )
        self.driver.context.client_settings = CLIENT_SETTINGS
        try:
            with told(address):
                self.driver.connect()
        except StoreError as error:
            self.close()
            raise turned_away(address, login, error) from error
        self.driver.block_in = ColumnStream(self.driver.fin, self.driver.context)

    def is_alive(self) -> bool:
        """Whether the server answers on this connection, within PING_S."""
        try:
            return bool(self.driver.ping())
        except BROKEN:
            return False

    def ask(self, sql: str, settings: Mapping[str, Any], *, within_s: float) -> dict[str, Any]:
        """Run a statement; its columns by name, none where there is no row. Raises a StoreError."""
        parts: dict[str, list[Any]] = {}
        with told(self.address):
            for packet in self.packets(sql, settings, time.monotonic() + within_s):
                if packet.type == ServerPacketTypes.DATA:
                    for name, _, values in packet.block:
                        if values is not None:
                            parts.setdefault(name, []).append(values)
        return {name: joined(values) for name, values in parts.items()}

    def insert(self, sql: str, columns: Columns, settings: Mapping[str, Any], *, within_s: float) -> None:
        """Send one block for an INSERT; returns once the server says that it has it. Raises a StoreError."""
        with told(self.address):
            packets = self.packets(sql, settings, time.monotonic() + within_s)
            self.send(block(columns, types_wanted(packets)))
            self.send(NO_ROWS)
            for _ in packets:
                pass

    def packets(self, sql: str, settings: Mapping[str, Any], deadline: float) -> Iterator[Packet]:
        """Send a statement, then each packet of its answer up to the end. Raises ServerException for an error in it, TimeoutError past the deadline."""
        self.driver.socket.settimeout(left_s(deadline))
        self.driver.context.settings = settings
        self.driver.send_query(sql)
        self.send(NO_ROWS)  # no external tables
        while True:
            self.driver.socket.settimeout(left_s(deadline))
            packet = self.driver.receive_packet()
            if packet.exception:
                raise packet.exception
            if packet.type == ServerPacketTypes.END_OF_STREAM:
                return
            yield packet

    def send(self, native: bytes) -> None:
        """One block of data, compressed by the driver."""
        write_varint(ClientPacketTypes.DATA, self.driver.fout)
        write_binary_str("", self.driver.fout)
        out = self.driver.block_out
        BlockInfo().write(out.fout)
        out.fout.write(native)
        out.finalize()

    def close(self) -> None:
        """Hang up."""
        self.driver.disconnect()

    def let_go(self) -> None:
        """Close this process's end only: after a fork the conversation is the parent's, and a proper goodbye would end it."""
        if self.driver.socket is not None:
            self.driver.socket.close()


def turned_away(address: Address, login: Login, error: StoreError) -> StoreUnavailable:
    """Why a connection did not come about, whatever the reason: the next attempt may fare better."""
    if error.code == REFUSED_LOGIN:
        message = f"ClickHouse at {address} refuses user {login.user!r} or the password: check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD."
        return StoreUnavailable(message, code=error.code)
    return StoreUnavailable(str(error), code=error.code)


def types_wanted(packets: Iterator[Packet]) -> dict[str, str]:
    """The type of each column of an INSERT, from the empty block with which the server answers it."""
    for packet in packets:
        if packet.type == ServerPacketTypes.DATA:
            return {name: kind for name, kind, _ in packet.block}
    raise UnexpectedPacketFromServerError("The server did not ask for the rows of an INSERT.")


def left_s(deadline: float) -> float:
    """Seconds to the deadline; a moment where it has passed, since 0 would mean not to wait at all."""
    return max(deadline - time.monotonic(), 0.001)


@contextmanager
def told(address: Address) -> Iterator[None]:
    """Raise what the driver raises as a StoreError."""
    try:
        yield
    except ServerException as error:
        raise store_error(f"Code: {error.code}. {error.message.partition('. Stack trace:')[0]}") from error
    except (TimeoutError, SocketTimeoutError) as error:
        raise StoreUnavailable(f"ClickHouse at {address} did not answer in time.") from error
    except BROKEN as error:
        raise StoreUnavailable(f"ClickHouse at {address} cannot be reached ({reason(error)}).") from error


def reason(error: BaseException) -> str:
    """What the operating system or the driver says, in a few words."""
    words = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error) or type(error).__name__
    return str(words).partition(" (")[0]
