"""ClickHouse's Native format: the one encoding that the embedded engine and a server share.

Numbers go through numpy, both ways, and what is written goes through it whole: the driver builds UUID and text columns row by row
(a block of 100,000 points takes it 0.6 s; numpy takes 10 ms). All other columns are read by clickhouse-driver's readers. Layout: https://clickhouse.com/docs/native-protocol/basics
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain
from typing import Any
from uuid import UUID

import numpy as np
from clickhouse_driver.bufferedreader import CompressedBufferedReader
from clickhouse_driver.columns.service import read_column
from clickhouse_driver.context import Context
from clickhouse_driver.reader import read_binary_str
from clickhouse_driver.varint import read_varint
from numpy.typing import NDArray

from metrics.clickhouse.client import Coded, Column, Columns

READ_SETTINGS = {"strings_as_bytes": False, "strings_encoding": "utf-8", "use_numpy": False, "server_side_params": False}
NUMPY = {"Int64": "<i8", "UInt64": "<u8", "UInt32": "<u4", "UInt8": "u1", "Float64": "<f8", "Float32": "<f4", "Int8": "i1"}
KEY_WIDTHS = ((0, "u1"), (1, "<u2"), (2, "<u4"))


def varint(number: int) -> bytes:
    """An unsigned LEB128."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def text(value: str) -> bytes:
    """A string with its length before it."""
    encoded = value.encode()
    return varint(len(encoded)) + encoded


def block(columns: Columns, types: dict[str, str]) -> bytes:
    """One Native block. `types` gives the ClickHouse type of each column; every column has the same length."""
    rows = len(next(iter(columns.values())))
    parts = [varint(len(columns)), varint(rows)]
    for name, column in columns.items():
        parts += [text(name), text(types[name]), encoded(column, types[name])]
    return b"".join(parts)


def encoded(column: Column, kind: str) -> bytes:
    """The bytes of one column of a ClickHouse type."""
    if isinstance(column, Coded):
        return coded(column, kind)
    if kind.startswith("Nullable("):
        return bytes(np.isnan(column).astype("u1").tobytes()) + encoded(column, kind[9:-1])
    if kind.startswith("DateTime64"):
        kind = "Int64"
    if kind.startswith("Enum8"):
        kind = "Int8"
    return bytes(np.ascontiguousarray(column, dtype=NUMPY[kind]).tobytes())


def coded(column: Coded, kind: str) -> bytes:
    """A dictionary-coded column as String or UUID, or as LowCardinality of them."""
    if kind == "UUID":
        return bytes(uuid_words(column.values)[column.codes].tobytes())
    if kind == "LowCardinality(UUID)":
        return low_cardinality(column, bytes(16) + uuid_words(column.values).tobytes())
    if kind == "LowCardinality(String)":
        return low_cardinality(column, b"".join([text(""), *map(text, column.values)]))
    values = [text(value) for value in column.values]
    return b"".join([values[code] for code in column.codes.tolist()])


def uuid_words(uuids: Any) -> NDArray[np.uint64]:  # Any: a sequence of UUID
    """UUIDs as ClickHouse keeps them: shape (n, 2), the high 64 bits first, each little-endian."""
    words = [((u := value if isinstance(value, UUID) else UUID(value)).int >> 64, u.int & 0xFFFFFFFFFFFFFFFF) for value in uuids]
    return np.array(words, dtype="<u8").reshape(-1, 2)


def low_cardinality(column: Coded, keys: bytes) -> bytes:
    """Version 1, keys as wide as they must be, the dictionary in the block (1 << 9), a new one each time (1 << 10). The first of `keys` is the default."""
    count = len(column.values) + 1
    width, kind = next((width, kind) for width, kind in KEY_WIDTHS if count <= 1 << np.dtype(kind).itemsize * 8)
    head = struct.pack("<QQQ", 1, width | 1 << 9 | 1 << 10, count)
    return head + keys + struct.pack("<Q", len(column)) + bytes((column.codes.astype(kind) + np.dtype(kind).type(1)).tobytes())


def columns_of(native: bytes) -> dict[str, Any]:
    """All blocks of a Native result as {name: column}: numbers as a numpy array, arrays of numbers as a list of those, the rest as lists."""
    parts: dict[str, list[Any]] = {}
    for name, values in blocks(native):
        parts.setdefault(name, []).append(values)
    return {name: joined(values) for name, values in parts.items()}


def joined(parts: list[Any]) -> Any:
    """The same column of several blocks as one."""
    if isinstance(parts[0], np.ndarray):
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
    return list(chain.from_iterable(parts))


def blocks(native: bytes) -> Iterator[tuple[str, Any]]:
    """(name, values) of each column of each block that has rows."""
    context = Context()
    context.client_settings = READ_SETTINGS
    position = iter([native])
    source = CompressedBufferedReader(lambda: next(position), len(native))
    while native and (source.position == 0 or source.position < source.current_buffer_size):
        yield from ((name, found) for name, _, found in next_block(source, context) if found is not None)


def next_block(source: Any, context: Context) -> list[tuple[str, str, Any]]:
    """(name, ClickHouse type, values) of each column of the block that begins here; the values are None where it has no rows."""
    width, rows = read_varint(source), read_varint(source)
    found = []
    for _ in range(width):
        name, kind = read_binary_str(source), read_binary_str(source)
        found.append((name, kind, values(source, kind, rows, context) if rows else None))
    return found


def values(source: Any, kind: str, rows: int, context: Context) -> Any:
    """One column: numpy for fixed-width numbers and arrays of them, the driver's readers for everything else."""
    if kind in NUMPY:
        return fixed(source, kind, rows)
    if kind.startswith("Array(") and kind[6:-1] in NUMPY:
        ends = fixed(source, "UInt64", rows)
        return np.split(fixed(source, kind[6:-1], int(ends[-1])), ends[:-1].astype(np.int64))
    return read_column(context, kind, rows, source)


def fixed(source: Any, kind: str, rows: int) -> NDArray[Any]:
    """`rows` numbers of one fixed width."""
    width = np.dtype(NUMPY[kind])
    return np.frombuffer(source.read(rows * width.itemsize), dtype=width) if rows else np.array([], dtype=width)
