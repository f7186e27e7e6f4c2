"""Which addresses lie on the open internet, and where a name leads. Whoever chooses a target learns from here nothing about our own network."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Clouds answer here with credentials, on addresses that do not look private.
METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
# Not all of what is set aside is known to every version of Python: anycast relays of 6to4, and the protocols' own.
SET_ASIDE_4 = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24")))
# IPv6 of the open internet is this alone, and in it some is set aside: Teredo and other protocols, examples.
OPEN_6 = ipaddress.ip_network("2000::/3")
SET_ASIDE_6 = tuple(map(ipaddress.ip_network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
# IPv6 addresses that carry an IPv4 one, to be reached through a translator or a tunnel.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
ISATAP = frozenset((0x00005EFE, 0x02005EFE))
# An IPv4 address in one of the many ways in which the system reads it: 127.1, 0x7f.1, 2130706433.
NUMERIC = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+)){0,3}", re.IGNORECASE)
LOOKUPS_AT_ONCE = 32
lookups = threading.BoundedSemaphore(LOOKUPS_AT_ONCE)


def is_public(address: Address) -> bool:
    """Whether an address lies on the open internet, also one that is wrapped in another."""
    inner = carried(address)
    if inner is not None:
        return is_public(inner) and (address in OPEN_6 or address in NAT64)
    return is_open_4(address) if isinstance(address, ipaddress.IPv4Address) else is_open_6(address)


def is_open_4(address: ipaddress.IPv4Address) -> bool:
    """Whether an IPv4 address does."""
    is_special = address.is_multicast or address.is_reserved or address in METADATA or any(address in network for network in SET_ASIDE_4)
    return address.is_global and not is_special


def is_open_6(address: ipaddress.IPv6Address) -> bool:
    """Whether an IPv6 address does, which carries no other: site-local, unique-local, mapped and all that is not given out do not."""
    return address.is_global and address in OPEN_6 and not any(address in network for network in SET_ASIDE_6)


def carried(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an IPv6 one: of 6to4, a translator, an ISATAP tunnel, or mapped."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64 or (int(address) >> 32) & 0xFFFFFFFF in ISATAP:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address.ipv4_mapped


def spelled_out(host: str) -> Address | None:
    """The address that a host is by itself, in any spelling; None for a name."""
    with suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0])
    if NUMERIC.fullmatch(host):
        with suppress(OSError):
            return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def is_inside(host: str) -> bool:
    """Whether a host lies in our own network by how it is written, without asking any name server: an address that is not public, a name without a dot."""
    address = spelled_out(host)
    return "." not in host.strip(".") if address is None else not is_public(address)


def found_at(host: str, port: int, *, within_s: float) -> list[Address]:
    """The addresses that a name leads to; none where it leads nowhere just now, or nobody says so in time."""
    if not lookups.acquire(blocking=False):
        return []
    found: SimpleQueue[list[Address]] = SimpleQueue()
    threading.Thread(target=look_up, args=(host, port, found), name="look-up", daemon=True).start()
    try:
        return found.get(timeout=max(0.0, within_s))
    except Empty:
        return []


def look_up(host: str, port: int, found: SimpleQueue[list[Address]]) -> None:
    """Ask the system for a name. It may take as long as it likes, and nobody waits for it for longer than he wants to."""
    try:
        found.put(addresses(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, ValueError):  # ValueError: a name that can be none
        found.put([])
    finally:
        lookups.release()


def addresses(entries: Iterable[tuple[object, ...]]) -> list[Address]:
    """What the system said, as addresses."""
    places: list[tuple[object, ...]] = [entry[4] for entry in entries if isinstance(entry[4], tuple)]
    return [ipaddress.ip_address(str(place[0]).partition("%")[0]) for place in places]
