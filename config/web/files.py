"""Rows and columns as files, CSV or Parquet, made piece by piece: what is sent does not have to fit into memory."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from config.errors import Invalid

AWAY = "The metric store is unavailable, and a file without its numbers would mislead: try again when it is back."
TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
# What makes a spreadsheet take text for a formula; a quote before it makes it text again.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
BLANK = re.compile(r"[ \t]+")
# Letters, digits, signs and emoji stay; separators, wildcards, quotes, and what cannot be seen do not.
UNFIT = re.compile(r"""[\s/\\:*?"'<>|`%;&\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+""")
NAME_BYTES = 120  # of each part: two fit into the 255 bytes of a name
Values = tuple[Any, ...]  # Any: values of the columns' types


class Pipe(io.RawIOBase):
    """A file that is written to and taken away piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:  # Any: whatever holds bytes
        """Keep the bytes until they are taken."""
        self.pieces.append(bytes(data))
        return len(self.pieces[-1])

    def taken(self) -> bytes:
        """What was written since the last time."""
        piece = b"".join(self.pieces)
        self.pieces.clear()
        return piece


def known_kind(kind: str) -> str:
    """One of TYPES. Raises Invalid for another."""
    if kind not in TYPES:
        raise Invalid(f"format is csv or parquet; got {kind[:40]!r}.")
    return kind


def file_name(*parts: str) -> str:
    """A name for a file, from names of what is in it: without what file systems or shells take for something else, never hidden, never empty, short enough."""
    fit = (UNFIT.sub("-", BLANK.sub("_", part)).strip(" .-") for part in parts)
    kept = [part.encode()[:NAME_BYTES].decode(errors="ignore").strip(" .-") for part in fit]
    return "-".join(part for part in kept if part) or "file"


def answer(content: Iterable[bytes], kind: str, name: str) -> StreamingHttpResponse:
    """A file as what browsers save under `name`."""
    response = StreamingHttpResponse(content, content_type=TYPES[kind])
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=f"{name}.{kind}") or ""
    return response


def file_of(schema: pa.Schema, pieces: Iterable[Sequence[Values]], kind: str) -> Iterator[bytes]:
    """Rows as a file of `kind`, sent in the pieces in which they come."""
    return parquet(schema, pieces) if kind == "parquet" else csv_text(schema, pieces)


def columns_file(columns: Sequence[tuple[str, pa.DataType, Sequence[Any]]], kind: str) -> Iterator[bytes]:  # Any: values of the columns' types
    """Columns of one length, each with its name and type, as a file of `kind`."""
    schema = pa.schema([pa.field(clean(name), type_) for name, type_, _ in columns])
    return file_of(schema, [list(zip(*(values for _, _, values in columns), strict=True))], kind)


def csv_text(schema: pa.Schema, pieces: Iterable[Sequence[Values]]) -> Iterator[bytes]:
    """As CSV: times in ISO 8601, empty where there is no value, NaN and infinities as words, and no text that a spreadsheet would run."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(as_text, schema.names))
    for rows in pieces:
        writer.writerows([as_text(value) for value in row] for row in rows)
        yield text.getvalue().encode(errors="replace")
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode(errors="replace")


def parquet(schema: pa.Schema, pieces: Iterable[Sequence[Values]]) -> Iterator[bytes]:
    """As Parquet, a row group a piece."""
    pipe = Pipe()
    with pq.ParquetWriter(pipe, schema) as writer:
        for rows in pieces:
            columns = list(zip(*rows, strict=True)) or [()] * len(schema)
            arrays = [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield pipe.taken()
    yield pipe.taken()


def as_text(value: object) -> str:
    """One value for CSV."""
    if value is None:
        return ""
    if isinstance(value, float):
        return WORDS.get(repr(value), repr(value))
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) and not NUMBER.fullmatch(value) else value
    return value.isoformat() if isinstance(value, datetime) else str(value)


def clean(text: str) -> str:
    """Text that has an encoding."""
    return text.encode(errors="replace").decode()
