"""One signed POST to an address that somebody else chose: never into our own network, never further than that address."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from alerts.sending import internet
from config.errors import Fault, Invalid

CONNECT_S = 5.0
WHOLE_S = 10.0
ANSWER_BYTES = 4096
PORTS = {"http": 80, "https": 443}
# One sentence for all of these: whoever chooses the target must not learn from it which names there are in our own network.
UNREACHED = "{host} cannot be reached from here: its name leads nowhere just now, or to an address that nothing is sent to, or nobody takes connections there."


class NotDelivered(Exception):
    """It did not arrive; the message says why, and holds nothing of the answer. `seen` is for the operators' log alone."""

    def __init__(self, message: str, *, seen: str = "") -> None:
        super().__init__(message)
        self.seen = seen or message


# Where to ---------------------------------------------------------------------------------------------------------------------------------


def check_url(url: str) -> None:
    """Raise Invalid for what is no address to send to: one without TLS, or that is written as one of our own network, unless an operator allows its host.

    Where a name leads is looked at with every delivery and never here, where the answer would tell it.
    """
    try:
        parts = parts_of(url)
        require_tls(parts)
        require_outside(str(parts.hostname))
    except NotDelivered as error:
        raise Invalid(str(error), [Fault(None, "target", "invalid", str(error))]) from error


def parts_of(url: str) -> SplitResult:
    """The address taken apart. Raises NotDelivered for another scheme, a user name in it, or no host."""
    try:
        parts = urlsplit(url)
        is_plain = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise NotDelivered(f"This is no address ({error}): give https://host/path.") from error
    if parts.scheme not in PORTS or not is_plain:
        raise NotDelivered("This is no address to send to: give https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise NotDelivered("An address with a user name in it is not sent to: put what is secret into the path or the query.")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise NotDelivered("The address holds characters that have to be encoded first.")
    return parts


def require_tls(parts: SplitResult) -> None:
    """Raise NotDelivered for plain http, in which anybody on the way reads along, unless an operator allows the host."""
    if parts.scheme != "https" and not is_allowed(str(parts.hostname)):
        raise NotDelivered("Alerts are sent over https alone: give https://host/path. An operator can allow a host by WEBHOOK_ALLOWED_HOSTS.")


def require_outside(host: str) -> None:
    """Raise NotDelivered for a host that is written as one of our own network, unless an operator allows it."""
    if internet.is_inside(host) and not is_allowed(host):
        raise NotDelivered(f"{host} leads to a private, local or reserved address: an operator can allow it by WEBHOOK_ALLOWED_HOSTS.")


def is_allowed(host: str) -> bool:
    """Whether an operator has it sent to wherever it leads."""
    return host in settings.WEBHOOK_ALLOWED_HOSTS


def port_of(parts: SplitResult) -> int:
    """The port that is connected to."""
    return parts.port or PORTS[parts.scheme]


def host_of(url: str) -> str:
    """The host that a target names, "" where it names none."""
    try:
        return str(parts_of(url).hostname)
    except NotDelivered:
        return ""


def reachable(host: str, port: int, *, within_s: float) -> internet.Address:
    """The one address that may be connected to. Raises NotDelivered where the name has none, or one of those that it has lies in a network of our own."""
    addresses = internet.found_at(host, port, within_s=within_s)
    if not addresses:
        raise NotDelivered(UNREACHED.format(host=host), seen=f"{host} leads nowhere just now.")
    if not is_allowed(host) and not all(map(internet.is_public, addresses)):
        seen = f"{host} leads to {', '.join(map(str, addresses))}, which is private, local or reserved, and WEBHOOK_ALLOWED_HOSTS does not name it."
        raise NotDelivered(UNREACHED.format(host=host), seen=seen)
    return addresses[0]


# Sending ----------------------------------------------------------------------------------------------------------------------------------


def post(url: str, body: dict[str, Any], *, secret: str, delivery: str, within_s: float = WHOLE_S) -> None:
    """Send the body as JSON and read the status, within seconds. No redirect is followed. Raises NotDelivered unless it is 2xx."""
    parts = parts_of(url)
    content = json.dumps(body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "research-platform", "X-Delivery": delivery, **signature(content, secret)}
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    status = asked(parts, path, content, headers, within_s=within_s)
    if not 200 <= status < 300:
        raise NotDelivered(f"The webhook answered {status}" + (": redirects are not followed." if 300 <= status < 400 else "."))


def signature(content: bytes, secret: str, *, now_s: int | None = None) -> dict[str, str]:
    """The headers by which a receiver knows who sent it, and when: HMAC-SHA256 over "<timestamp>.<body>"."""
    timestamp = str(int(time.time()) if now_s is None else now_s)
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + content, hashlib.sha256).hexdigest()
    return {"X-Timestamp": timestamp, "X-Signature": f"sha256={digest}"}


def asked(parts: SplitResult, path: str, content: bytes, headers: dict[str, str], *, within_s: float) -> int:
    """The status of one request to the address that was looked at, all of it within seconds. Raises NotDelivered."""
    until = time.monotonic() + within_s
    connection = connected(parts, until=until)
    host = str(parts.hostname)
    try:
        with ended_after(connection, until - time.monotonic()):
            connection.begin()
            connection.request("POST", path, content, headers)
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES)
            return answer.status
    except (OSError, http.client.HTTPException) as error:
        raise NotDelivered(f"{host} did not take it: {error or type(error).__name__}.") from error
    finally:
        connection.close()


def connected(parts: SplitResult, *, until: float) -> PinnedHTTP:
    """A connection to the one address that may be connected to. Raises NotDelivered, with one sentence for everything that keeps from it."""
    host, port = str(parts.hostname), port_of(parts)
    address = reachable(host, port, within_s=min(CONNECT_S, until - time.monotonic()))
    kind = PinnedHTTPS if parts.scheme == "https" else PinnedHTTP
    connection = kind(host, port, address=str(address), timeout_s=max(0.01, min(CONNECT_S, until - time.monotonic())))
    try:
        connection.connect()
    except OSError as error:
        raise NotDelivered(UNREACHED.format(host=host), seen=f"{host} ({address}) takes no connection: {error or type(error).__name__}.") from error
    return connection


class PinnedHTTP(http.client.HTTPConnection):
    """Connects to the address that was looked at, whatever the name says by now; the Host header keeps the name."""

    def __init__(self, host: str, port: int, *, address: str, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self.address = address

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.create_connection((self.address, self.port), self.timeout)

    def begin(self) -> None:
        """What comes after the socket is open and before anything is said."""


class PinnedHTTPS(PinnedHTTP):
    """The same with TLS: the certificate has to be the name's."""

    default_port = http.client.HTTPS_PORT

    def begin(self) -> None:
        """Shake hands."""
        secure = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = secure
        secure.do_handshake()


@contextmanager
def ended_after(connection: PinnedHTTP, seconds: float) -> Iterator[None]:
    """Break the connection off once the time is up: a server that sends a byte now and then would hold us for ever."""
    timer = threading.Timer(max(0.0, seconds), broken_off, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def broken_off(connection: PinnedHTTP) -> None:
    """End a connection that another thread waits on; one that is closed already has nothing to end."""
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
