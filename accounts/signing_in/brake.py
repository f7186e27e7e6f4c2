"""A brake on guessing passwords: each try is counted before the password is looked at, and only a right one is taken back.

Counted in the record, by all processes together, where nothing that strangers ask for can push a count out. Three counts bound a stranger: of one
account from one network, of one account from anywhere, of one network for any account. A device that its owner signed in with before has one of its
own, so that nobody's guesses keep the owner out. A name that nobody has is counted as if it were somebody's.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import SignInCount, User
from accounts.signing_in import devices
from config.errors import TooManyRequests
from config.web.request_id import address_of

SPAN_S, MINUTE_S = 300, 60
SPAN = timedelta(seconds=SPAN_S)
# How many times SIGN_IN_FAILURES one account takes from everywhere together, and one network for all accounts.
EVERYWHERE = 5
ANYBODY = 5
NETWORK_BITS = 64


@dataclass(frozen=True)
class Count:
    """One count, and how far it may go."""

    counted: str
    most: int


@dataclass
class Attempt:
    """One try. Whoever finds the password right says so."""

    is_right: bool = False


def counts_of(request: HttpRequest | None, user: User | None, typed: str) -> list[Count]:
    """What a try is counted under: by the account that was found, whether by name or address; else by what was typed."""
    who, most = f"account {user.pk}" if user else f"name {spelled(typed)}", settings.SIGN_IN_FAILURES
    device = devices.known(request, user) if user else ""
    if device:
        return [count(most, "device", who, device)]
    network = network_of(address_of(request))
    return [count(most, "pair", who, network), count(most * EVERYWHERE, "account", who), count(most * ANYBODY, "network", network)]


def spelled(typed: str) -> str:
    """What was typed, as alike as it is when accounts are looked for: other counts for the names of nobody would tell which names somebody has."""
    return typed.lower() if "@" in typed else typed


def count(most: int, *parts: str) -> Count:
    """A count under a key that tells nobody who is meant."""
    return Count(hashlib.blake2b("\n".join(parts).encode(errors="replace"), digest_size=32, key=settings.SECRET_KEY.encode()[:64]).hexdigest(), most)


def network_of(address: str) -> str:
    """The network that one household or host has: an IPv4 address, the first 64 bits of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> NETWORK_BITS << NETWORK_BITS, NETWORK_BITS)))


@contextmanager
def attempt(request: HttpRequest | None, user: User | None, typed: str) -> Iterator[Attempt]:
    """One try, counted before it is made; a right one, and one that broke off before the password was looked at, is taken back.

    Raises TooManyRequests where too many failed, also for the right password: otherwise guessing would go on.
    """
    counts, now = counts_of(request, user, typed), timezone.now()
    refuse_full(counts, now)
    taken = reserved(counts, now)
    tried = Attempt()
    try:
        yield tried
    except BaseException:
        release(taken)
        raise
    if tried.is_right:
        release(taken)


def refuse_full(counts: Sequence[Count], now: datetime) -> None:
    """Raise TooManyRequests where a count is at its end, without writing anything: a flood costs one read each."""
    found = {each.counted: each for each in SignInCount.objects.filter(counted__in=[each.counted for each in counts], ends_at__gt=now)}
    for each in counts:
        if each.counted in found and found[each.counted].tried >= each.most:
            raise refusal(found[each.counted], now)


def reserved(counts: Sequence[Count], now: datetime) -> list[Count]:
    """One more in each count, all or none: of tries at one moment no more pass than there is room for. Raises TooManyRequests."""
    taken: list[Count] = []
    for each in counts:
        if not is_reserved(each, now):
            release(taken)
            raise refusal(SignInCount.objects.filter(counted=each.counted).first(), now)
        taken.append(each)
    return taken


def is_reserved(one: Count, now: datetime, *, span: timedelta = SPAN) -> bool:
    """Whether there was room for one more, which is taken then. Each step is one statement, so that none is counted twice or not at all."""
    row, ends_at = SignInCount.objects.filter(counted=one.counted), now + span
    if row.filter(ends_at__lte=now).update(tried=1, ends_at=ends_at):
        return True
    if SignInCount.objects.get_or_create(counted=one.counted, defaults={"tried": 1, "ends_at": ends_at})[1]:
        SignInCount.objects.filter(ends_at__lt=now).delete()
        return True
    return bool(row.filter(tried__lt=one.most).update(tried=F("tried") + 1))


def spend(counts: Sequence[Count], *, span: timedelta, message: str) -> None:
    """One more in each count for `span` from its first, of what an answer tells by itself. Outside a transaction: what is undone would not be counted.

    Raises TooManyRequests with this message where one is at its end.
    """
    now = timezone.now()
    for each in counts:
        if not is_reserved(each, now, span=span):
            raise TooManyRequests(message, retry_after_s=left_s(SignInCount.objects.filter(counted=each.counted).first(), now), code="too_many_attempts")


def release(taken: Sequence[Count]) -> None:
    """Take a try back."""
    for each in taken:
        SignInCount.objects.filter(counted=each.counted, tried__gt=0).update(tried=F("tried") - 1)


def refusal(full: SignInCount | None, now: datetime) -> TooManyRequests:
    """How long to wait."""
    wait_s = left_s(full, now)
    wait = f"{math.ceil(wait_s / MINUTE_S)} min" if wait_s > MINUTE_S else f"{wait_s} seconds"
    return TooManyRequests(f"Too many wrong passwords: wait {wait}, then try again.", retry_after_s=wait_s, code="too_many_attempts")


def left_s(full: SignInCount | None, now: datetime) -> int:
    """Seconds until a count begins anew, 1 at least."""
    return max(1, int((full.ends_at - now).total_seconds())) if full else 1
