"""A body read whole and without its Content-Encoding, within what its address takes and what the process can hold."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import zstandard
from django.http.request import UnreadablePostError

from config.errors import BadRequest, TooLarge, UnknownEncoding
from config.web.bodies.in_flight import FLIGHT, LARGE, LARGE_BYTES

PIECE = 1_000_000
# So much of what is packed is looked at at once, and a file of blocks of 64 KiB each has so many members at 100 MB.
GIVEN = 65_536
MEMBERS_MOST = 2_000
# What Python makes of one value of JSON.
VALUE_BYTES = 100
# Below this size a body is not worth counting: it cannot hold so much, and a batch of points is that large.
COUNTED_FROM = 262_144


@contextmanager
def opened(body: bytes, encoding: str, *, most: int, values: int, whose: str = "") -> Iterator[bytes]:
    """A JSON body without its Content-Encoding, with room for what is built of it, for the time of a block. `whose` is the key of the sender's account.

    Raises UnknownEncoding, BadRequest for broken data, TooLarge past `most` bytes or `values` values, with nothing built, and Unavailable where the
    process holds too much already: a small body can become a large one.
    """
    is_plain = encoding in ("", "identity")
    held = size = count = 0
    pieces: list[bytes] = []
    with ExitStack() as place:
        place.callback(lambda: FLIGHT.give(held, whose=whose))
        if len(body) > LARGE_BYTES:  # however little becomes of it
            place.enter_context(LARGE.one(whose=whose))
        # Piece by piece, so that no thread keeps the others waiting, and no further than to the limit.
        for piece in parts_of(body) if is_plain else unpacked(body, encoding, at_most=most + 1):
            size += len(piece)
            if size > most:
                raise TooLarge(f"The body is larger than {most} bytes once decompressed: send it in parts.")
            found = values_in(piece) if size >= COUNTED_FROM else 0
            count += found
            if count > values:
                raise TooLarge(f"The body holds more than {values:,} values, the most here: send less at once.")
            need = found * VALUE_BYTES + (0 if is_plain else len(piece))
            FLIGHT.take(need, own=held + len(body), whose=whose)
            held += need
            if len(body) <= LARGE_BYTES and size - len(piece) <= LARGE_BYTES < size:
                place.enter_context(LARGE.one(whose=whose))
            if not is_plain:
                pieces.append(piece)
        yield body if is_plain else b"".join(pieces)


def parts_of(body: bytes) -> Iterator[bytes]:
    """A body that is not compressed, in pieces. One without many values comes whole: nothing of it has to be counted."""
    if len(body) < COUNTED_FROM:
        yield body
    else:
        yield from (body[at : at + PIECE] for at in range(0, len(body), PIECE))


def unpacked(body: bytes, encoding: str, *, at_most: int) -> Iterator[bytes]:
    """The body without its Content-Encoding, in pieces of no more than `at_most` bytes. Raises UnknownEncoding or BadRequest."""
    size = min(PIECE, at_most)
    try:
        if encoding == "gzip":
            yield from unzipped(memoryview(body), size)
        elif encoding == "zstd":
            stream = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
            yield from iter(lambda: stream.read(size), b"")
        else:
            raise UnknownEncoding(f"Content-Encoding {encoding!r} is not known: send gzip, zstd or none.")
    except (EOFError, zlib.error, zstandard.ZstdError) as error:
        raise BadRequest(f"The body is not valid {encoding}: {error}") from error


def unzipped(body: memoryview, size: int) -> Iterator[bytes]:
    """What gzip packed, in pieces of no more than `size` bytes. Members are counted: empty ones cost time, and no limit on what comes out sees them.

    Raises EOFError where it breaks off, zlib.error where it is broken or has too many members.
    """
    place = members = 0
    while place < len(body) or not members:
        member, members = zlib.decompressobj(wbits=zlib.MAX_WBITS + 16), members + 1
        if members > MEMBERS_MOST:
            raise zlib.error(f"it has more than {MEMBERS_MOST:,} members")
        while not member.eof:
            given = body[place : place + GIVEN]
            piece = member.decompress(given, size)
            place += len(given) - len(member.unused_data if member.eof else member.unconsumed_tail)
            if piece:
                yield piece
            elif not given and not member.eof:
                raise EOFError("it breaks off before its end")


def body_of(read: Callable[[], bytes]) -> bytes:
    """What `read` reads. Raises BadRequest where it breaks off."""
    try:
        return read()
    except (UnreadablePostError, OSError) as error:
        raise BadRequest("The body broke off before its end: nothing was written.") from error


def values_in(piece: bytes) -> int:
    """How many values a piece of JSON holds at the most: what separates and opens them is counted, in texts too."""
    return sum(map(piece.count, (b",", b"[", b"{")))
