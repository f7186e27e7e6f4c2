"""How large a body may be, by what its address is for. The server refuses by it before it reads, Django before it parses; deploy/nginx.conf says the same."""

from __future__ import annotations

import re

from django.conf import settings

from config.errors import TooLarge

# From this size on a body is read only of somebody who is known.
ANYONES_BYTES = 65_536
SIGNING_IN_BYTES = 16_000
FORM_BYTES = 2_000_000
RECORD_BYTES = 4_000_000
POINTS = "/api/v1/metrics/log"
# Where a password, a token or an invitation is sent: nothing long, and by people whom nobody knows yet.
SIGNING_IN = re.compile(
    "/(sign-in|sign-out|account|password|join|admin/login|admin/password_change|api/v1/auth|api/v1/tokens|api/v1/account|api/v1/invitations)(/|$)"
)
API = "/api/"


def most_bytes(path: str) -> int:
    """The most bytes that a body for this path may have, as sent and once decompressed."""
    if path.startswith(POINTS):
        return int(settings.METRICS_MAX_BODY_BYTES)
    if SIGNING_IN.match(path):
        return SIGNING_IN_BYTES
    return RECORD_BYTES if path.startswith(API) else FORM_BYTES


def refuse_length(length: int, path: str) -> None:
    """Raise TooLarge where a body of that many bytes is more than its address takes."""
    most = most_bytes(path)
    if length > most:
        raise TooLarge(f"The body has {length:,} bytes, the limit of this address is {most:,}: {advice(path)}.")


def advice(path: str) -> str:
    """What to do about a body that is too large."""
    if path.startswith(POINTS):
        return "send it in parts"
    if SIGNING_IN.match(path):
        return "a name, a password or a token is not that long"
    return "params and notes are for settings and words, log values as metrics" if path.startswith(API) else "shorten what is written"
