"""One HTTP request to the server and its answer. Nothing here retries."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from research_platform.errors import ConfigurationError
from research_platform.patience import Patience

COMPRESS_FROM_BYTES = 1_024
BAD_REQUEST, UNAUTHENTICATED, NOT_FOUND, NOT_ALLOWED, REQUEST_TIMEOUT, CONFLICT = 400, 401, 404, 405, 408, 409
TOO_LARGE, UNPROCESSABLE, TOO_EARLY, TOO_MANY = 413, 422, 425, 429
CUT_OFF = ("RemoteDisconnected", "ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError", "IncompleteRead", "TimeoutError", "timeout")
BAD_GATEWAY, GATEWAY_TIMEOUT = 502, 504


@dataclass(frozen=True)
class Body:
    """Bytes to send and the headers that describe them."""

    content: bytes
    headers: Mapping[str, str]


def packed(content: bytes) -> Body:
    """JSON bytes as a body, compressed where that pays."""
    headers = {"Content-Type": "application/json"}
    if len(content) <= COMPRESS_FROM_BYTES:
        return Body(content, headers)
    return Body(gzip.compress(content, compresslevel=4, mtime=0), {**headers, "Content-Encoding": "gzip"})


@dataclass(frozen=True)
class Answer:
    """What came back. `status` is 0 where nobody answered, and `reason` says why; `content` is the JSON object, {} where there is none."""

    status: int
    reason: str
    content: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether it is any 2xx."""
        return 200 <= self.status < 300

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later: nobody there, a server's fault, or too many requests."""
        return self.status in (0, REQUEST_TIMEOUT, TOO_EARLY, TOO_MANY) or self.status >= 500

    @property
    def is_untouched(self) -> bool:
        """Whether the server certainly did nothing, so that even a request without a key may be repeated."""
        return self.status in (TOO_MANY, 503) or (self.status == 0 and self.reason.startswith("ConnectionRefusedError"))

    @property
    def is_cut_off(self) -> bool:
        """Whether somebody was there and the answer did not come, whole or in time: what was asked may have been done."""
        return self.status == 0 and self.reason.startswith(CUT_OFF)

    @property
    def is_in_flight(self) -> bool:
        """Whether an earlier request under the same key is still at work."""
        error = self.content.get("error")
        return self.status == CONFLICT and isinstance(error, Mapping) and error.get("code") == "in_flight"

    @property
    def is_proxys(self) -> bool:
        """Whether a proxy speaks for a server that it did not reach, or did not hear from in time."""
        return self.status in (BAD_GATEWAY, GATEWAY_TIMEOUT)

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the server asks to wait, None where it does not say."""
        asked = self.headers.get("retry-after", "")
        try:
            return max(0.0, float(asked) if asked.strip().isdigit() else parsedate_to_datetime(asked).timestamp() - time.time())
        except (TypeError, ValueError, IndexError):  # what the date parser raises differs from one Python to the next
            return None

    def __str__(self) -> str:
        """The answer in words, for people."""
        error = self.content.get("error")
        message = error.get("message") if isinstance(error, Mapping) else None
        return str(message or self.reason) if self.status == 0 else f"{self.status} {message or self.headers.get('location') or self.reason}"


class Connection:
    """A server's address and the token to use there. Opens one TCP connection a request; safe for many threads.

    `renewed` is asked for the token that is valid now, where the server does not take the one that there was.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 20.0, renewed: Callable[[], str] | None = None) -> None:
        """Raise ConfigurationError where `url` is no http:// or https:// address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{url!r} is not an address: write it like http://127.0.0.1:8000.")
        self.url = url.rstrip("/")
        self._parts = parts
        self.token = token
        self._timeout_s = timeout_s
        self._renewed = renewed

    def ask(self, method: str, path: str, body: Body | None = None, *, headers: Mapping[str, str] | None = None, within_s: float | None = None) -> Answer:
        """Send one request to `path` (below the address) and return the answer; where nobody answers `within_s`, an Answer with status 0.

        Where the token is refused and there is another one by now, the request is sent again with that.
        """
        patience = Patience(self._timeout_s, within_s)
        answer = self._asked(method, path, body, headers, patience)
        if answer.status == UNAUTHENTICATED and self._has_new_token():
            answer = self._asked(method, path, body, headers, patience)
        return answer

    def _has_new_token(self) -> bool:
        """Take the token that is valid now. False where that is the one that was refused, or there is none."""
        refused = self.token
        with suppress(ConfigurationError, OSError):
            self.token = self._renewed() if self._renewed else refused
        return self.token != refused

    def _asked(self, method: str, path: str, body: Body | None, headers: Mapping[str, str] | None, patience: Patience) -> Answer:
        everything = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", "User-Agent": "research-platform-client"}
        everything.update(body.headers if body else {})
        everything.update(headers or {})
        line = self._opened(patience)
        try:
            return exchanged(line, method, self._parts.path.rstrip("/") + path, body.content if body else None, everything)
        except (OSError, http.client.HTTPException, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
            return Answer(0, f"{type(error).__name__}: {error}")
        finally:
            line.close()

    def _opened(self, patience: Patience) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        line = kind(self._parts.hostname or "", self._parts.port, timeout=patience.left_s)
        line._create_connection = patience.connected  # type: ignore[attr-defined]  # http.client's own seam for how it connects
        line.response_class = patience.response  # type: ignore[assignment]  # called as the class is
        return line


def exchanged(line: http.client.HTTPConnection, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
    """Send and receive on `line`. Raises OSError and HTTPException."""
    # The server may have answered and hung up before it read the whole body: that answer says why.
    with suppress(BrokenPipeError, ConnectionResetError):
        line.request(method, path, content, dict(headers))
    response = line.getresponse()
    found = {key.lower(): value for key, value in response.getheaders()}
    return Answer(response.status, response.reason, json_object(response.read()), found)


def json_object(content: bytes) -> dict[str, object]:
    """The JSON object in `content`, {} where there is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
