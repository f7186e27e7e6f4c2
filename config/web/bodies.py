"""A request's body, read whole and without its Content-Encoding: what broke off, is broken or grows too large is refused."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable

import zstandard
from django.conf import settings
from django.http.request import UnreadablePostError

from config.errors import BadRequest, TooLarge, UnknownEncoding


def decompressed(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding. Raises UnknownEncoding, BadRequest for broken data, TooLarge past the cap."""
    cap = settings.METRICS_MAX_BODY_BYTES
    if encoding in ("", "identity"):
        return body
    try:
        if encoding == "gzip":
            plain = gzip.GzipFile(fileobj=io.BytesIO(body)).read(cap + 1)
        elif encoding == "zstd":
            plain = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read(cap + 1)
        else:
            raise UnknownEncoding(f"Content-Encoding {encoding!r} is not known: send gzip, zstd or none.")
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise BadRequest(f"The body is not valid {encoding}: {error}") from error
    if len(plain) > cap:
        raise TooLarge(f"The body is larger than {cap} bytes once decompressed: send it in parts.")
    return bytes(plain)


def body_of(read: Callable[[], bytes]) -> bytes:
    """What `read` reads. Raises BadRequest where it breaks off."""
    try:
        return read()
    except (UnreadablePostError, OSError) as error:
        raise BadRequest("The body broke off before its end: nothing was written.") from error
