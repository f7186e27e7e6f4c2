"""A body read whole and without its Content-Encoding, within what its address takes and what the process can hold."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import zstandard
from django.http.request import UnreadablePostError

from config.errors import BadRequest, TooLarge, UnknownEncoding
from config.web.bodies.in_flight import FLIGHT, LARGE, LARGE_BYTES

PIECE = 1_000_000
# What Python makes of one value of JSON.
VALUE_BYTES = 100
# Below this size a body is not worth counting: it cannot hold so much, and a batch of points is that large.
COUNTED_FROM = 262_144


@contextmanager
def decompressed(body: bytes, encoding: str, *, most: int) -> Iterator[bytes]:
    """The body without its Content-Encoding, for the time of a block. Raises UnknownEncoding, BadRequest for broken data, TooLarge past `most` bytes.

    Raises Unavailable where the process holds too much already: a small body can become a large one.
    """
    if encoding in ("", "identity"):
        with LARGE.one() if len(body) > LARGE_BYTES else nullcontext():
            yield body
        return
    held, plain = 0, io.BytesIO()
    with ExitStack() as place:
        place.callback(lambda: FLIGHT.give(held))
        if len(body) > LARGE_BYTES:  # however little becomes of it
            place.enter_context(LARGE.one())
        for piece in unpacked(body, encoding, at_most=most + 1):
            FLIGHT.take(len(piece), own=held + len(body))
            held += plain.write(piece)
            if len(body) <= LARGE_BYTES and held - len(piece) <= LARGE_BYTES < held:
                place.enter_context(LARGE.one())
            if held > most:
                raise TooLarge(f"The body is larger than {most} bytes once decompressed: send it in parts.")
        yield plain.getvalue()


def unpacked(body: bytes, encoding: str, *, at_most: int) -> Iterator[bytes]:
    """The body without its Content-Encoding, in pieces of no more than `at_most` bytes. Raises UnknownEncoding or BadRequest."""
    stream: gzip.GzipFile | zstandard.ZstdDecompressionReader
    if encoding == "gzip":
        stream = gzip.GzipFile(fileobj=io.BytesIO(body))
    elif encoding == "zstd":
        stream = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
    else:
        raise UnknownEncoding(f"Content-Encoding {encoding!r} is not known: send gzip, zstd or none.")
    try:
        while piece := stream.read(min(PIECE, at_most)):
            yield piece
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise BadRequest(f"The body is not valid {encoding}: {error}") from error


def body_of(read: Callable[[], bytes]) -> bytes:
    """What `read` reads. Raises BadRequest where it breaks off."""
    try:
        return read()
    except (UnreadablePostError, OSError) as error:
        raise BadRequest("The body broke off before its end: nothing was written.") from error


def values_in(body: bytes) -> int:
    """How many values JSON holds at the most: what separates and opens them is counted, in texts too. 0 for a small body."""
    return sum(map(body.count, (b",", b"[", b"{"))) if len(body) >= COUNTED_FROM else 0


@contextmanager
def room_for_values(body: bytes, *, most: int) -> Iterator[None]:
    """Room for what is built of a JSON body. Raises TooLarge, with nothing built, for more than `most` values, Unavailable where there is no room."""
    count = values_in(body)
    if count > most:
        raise TooLarge(f"The body holds about {count:,} values, {most:,} are the most here: send less at once.")
    with FLIGHT.holding(count * VALUE_BYTES, own=len(body)):
        yield
