"""A brake on guessing passwords: after SIGN_IN_FAILURES failures in a span, one name from one address has to wait for the next.

Counted in the cache, and so by all processes together where that is Redis. While the cache is away nothing is counted and nobody is refused.
"""

from __future__ import annotations

import hashlib
import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from config.errors import TooManyRequests

SPAN_S = 300


def attempt(request: HttpRequest | None, username: str) -> str:
    """What failures of this name from this address are counted under, in the present span."""
    who = f"{address_of(request)}\n{username.strip().lower()}"
    return f"sign-in:{hashlib.blake2b(who.encode(errors='replace'), digest_size=16).hexdigest()}:{int(time.time() // SPAN_S)}"


def address_of(request: HttpRequest | None) -> str:
    """Where a request comes from: what our own proxy says, where there is one (X-Forwarded-For could be anybody's words otherwise)."""
    headers = request.META if request else {}
    forwarded = headers.get("HTTP_X_FORWARDED_FOR", "") if settings.PROXY_TRUSTED else ""
    return forwarded.rpartition(",")[2].strip() or headers.get("REMOTE_ADDR", "")


def refuse_too_many(counted: str) -> None:
    """Raise TooManyRequests where too many have failed, also for the right password: otherwise guessing would go on."""
    if cache.get(counted, 0) >= settings.SIGN_IN_FAILURES:
        left_s = SPAN_S - int(time.time() % SPAN_S)
        raise TooManyRequests(f"Too many wrong passwords for this name: wait {left_s} seconds, then try again.", retry_after_s=left_s, code="too_many_attempts")


def note_failure(counted: str) -> None:
    """Count one."""
    cache.add(counted, 0, timeout=SPAN_S)
    try:
        cache.incr(counted)
    except ValueError:
        return  # it has just gone from the cache, and its span with it
