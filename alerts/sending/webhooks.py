"""One signed POST to an address that somebody else chose: never into our own network, never further than that address."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from config.errors import Fault, Invalid

CONNECT_S = 5.0
WHOLE_S = 10.0
ANSWER_BYTES = 4096
PORTS = {"http": 80, "https": 443}
# Clouds answer here with credentials, on addresses that do not look private.
METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
# IPv6 addresses that carry an IPv4 one to be reached through a translator.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotDelivered(Exception):
    """It did not arrive; the message says why, and holds nothing of the answer."""


# Where to ---------------------------------------------------------------------------------------------------------------------------------


def check_url(url: str) -> None:
    """Raise Invalid for what is no address to send to: one without TLS, or that leads into a network of our own, unless an operator allows its host.

    Where its name leads is looked at anew with every delivery; a host that cannot be found just now is no error here.
    """
    try:
        parts = parts_of(url)
        require_tls(parts)
        require_public(str(parts.hostname), found_at(str(parts.hostname), port_of(parts)))
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


def reachable(host: str, port: int) -> Address:
    """The one address that may be connected to. Raises NotDelivered where the name has none, or leads into a network of our own."""
    addresses = found_at(host, port)
    if not addresses:
        raise NotDelivered(f"There is no host {host} just now.")
    require_public(host, addresses)
    return addresses[0]


def require_tls(parts: SplitResult) -> None:
    """Raise NotDelivered for plain http, in which anybody on the way reads along, unless an operator allows the host."""
    if parts.scheme != "https" and parts.hostname not in settings.WEBHOOK_ALLOWED_HOSTS:
        raise NotDelivered("Alerts are sent over https alone: give https://host/path. An operator can allow a host by WEBHOOK_ALLOWED_HOSTS.")


def port_of(parts: SplitResult) -> int:
    """The port that is connected to."""
    return parts.port or PORTS[parts.scheme]


def found_at(host: str, port: int) -> list[Address]:
    """The addresses that a name leads to; none where it leads nowhere just now."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def require_public(host: str, addresses: Iterable[Address]) -> None:
    """Raise NotDelivered where one of them lies in a network of our own and no operator allows the host."""
    if host not in settings.WEBHOOK_ALLOWED_HOSTS and not all(is_public(address) for address in addresses):
        raise NotDelivered(f"{host} leads to a private, local or reserved address: an operator can allow it by WEBHOOK_ALLOWED_HOSTS.")


def is_public(address: Address) -> bool:
    """Whether an address lies on the open internet, also one that is wrapped in another."""
    inner = carried(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in METADATA


def carried(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


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
    """The status of one request to the address that was looked at. Raises NotDelivered."""
    host, port = str(parts.hostname), port_of(parts)
    address = reachable(host, port)
    kind = PinnedHTTPS if parts.scheme == "https" else PinnedHTTP
    connection = kind(host, port, address=str(address))
    try:
        with ended_after(connection, within_s):
            connection.connect()
            connection.request("POST", path, content, headers)
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES)
            return answer.status
    except (OSError, http.client.HTTPException) as error:
        raise NotDelivered(f"{host} did not take it: {error or type(error).__name__}.") from error
    finally:
        connection.close()


class PinnedHTTP(http.client.HTTPConnection):
    """Connects to the address that was looked at, whatever the name says by now; the Host header keeps the name."""

    def __init__(self, host: str, port: int, *, address: str) -> None:
        super().__init__(host, port, timeout=CONNECT_S)
        self.address = address

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.create_connection((self.address, self.port), self.timeout)


class PinnedHTTPS(PinnedHTTP):
    """The same with TLS: the certificate has to be the name's."""

    default_port = http.client.HTTPS_PORT

    def connect(self) -> None:
        """Open the socket and shake hands."""
        super().connect()
        secure = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = secure
        secure.do_handshake()


@contextmanager
def ended_after(connection: PinnedHTTP, seconds: float) -> Iterator[None]:
    """Break the connection off once the time is up: a server that sends a byte now and then would hold us for ever."""
    timer = threading.Timer(seconds, broken_off, [connection])
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
