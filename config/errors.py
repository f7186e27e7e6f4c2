"""Every error this product raises on purpose. What each answers over HTTP is in config/web/answers.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SetupError(Exception):
    """The machine or the settings are not ready. The message is one sentence that says what to do."""


class Refused(Exception):
    """A request that cannot be carried out; the message tells the caller what is wrong and what to do.

    `status` is the HTTP status, `code` a stable word for scripts, `retry_after_s` the seconds to wait (or None).
    """

    status = 400
    code = "bad_request"
    retry_after_s: int | None = None
    faults: Sequence[Fault] = ()


class BadRequest(Refused):
    """The body or a parameter cannot be read at all."""


CHALLENGE = 'Bearer realm="api"'  # what a 401 asks for


class Unauthenticated(Refused):
    """No valid token or session came with the request."""

    status = 401
    code = "unauthenticated"


class Forbidden(Refused):
    """The caller belongs to the team but lacks the right."""

    status = 403
    code = "forbidden"


class NotFound(Refused):
    """Not there, or not the caller's: the two are told apart by nobody. `faults` may say which of several names, and which is near."""

    status = 404
    code = "not_found"

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class NotAllowed(Refused):
    """The address is there, and takes another verb."""

    status = 405
    code = "method_not_allowed"


class Conflict(Refused):
    """The record's state forbids it."""

    status = 409
    code = "conflict"


class Archived(Conflict):
    """The experiment or its project is archived."""

    code = "archived"


class InFlight(Conflict):
    """The first request with this Idempotency-Key is still being written."""

    code = "in_flight"


class TooLarge(Refused):
    """Body, decompressed body or point count over the limit."""

    status = 413
    code = "too_large"


class TooSlow(Refused):
    """A body that does not come."""

    status = 408
    code = "too_slow"


class Broken(Refused):
    """The application broke before its answer began."""

    status = 500
    code = "server_error"


class HeadTooLarge(Refused):
    """A request line and headers over the limit."""

    status = 431
    code = "head_too_large"


class UnknownEncoding(Refused):
    """A Content-Encoding or Content-Type that is not understood."""

    status = 415
    code = "unsupported_encoding"


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a body: `index` of the point (None for the whole body), `field`, `code`, `message`.

    Where a text is wrong at one place, `position` (characters from 0) and `length` say where, and `suggestion` what may stand there instead. `metric` is
    the metric whose points cannot be taken: the one at `index`, or all where that is None.
    """

    index: int | None
    field: str
    code: str
    message: str
    position: int | None = None
    length: int | None = None
    suggestion: str | None = None
    metric: str | None = None


class Invalid(Refused):
    """The body was read, and one or more of its values are not valid. Nothing was written."""

    status = 422
    code = "invalid"

    def __init__(self, message: str, faults: list[Fault] | None = None) -> None:
        super().__init__(message)
        self.faults: Sequence[Fault] = faults or []


class TooManyRequests(Refused):
    """A quota is used up for now, or too many attempts failed."""

    status = 429
    code = "quota_exceeded"

    def __init__(self, message: str, *, retry_after_s: int, code: str = "quota_exceeded") -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s


class Unavailable(Refused):
    """The server cannot do it now and can later: spool full, low disk, stopping, store away."""

    status = 503
    code = "unavailable"

    def __init__(self, message: str, *, code: str = "unavailable", retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s
