"""The short way for points: from the WSGI environ to the acknowledgement. Django's request cycle would cost more than the write."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import msgspec

from config.errors import BadRequest, Fault, Invalid, Refused
from config.logs import access_log
from config.web.answers import broken, refusal
from config.web.bodies import purposes
from config.web.bodies.reading import body_of
from config.web.query import refuse_unknown
from config.web.request_id import named
from metrics import meters
from metrics.ingest import accepting as ingest
from metrics.ingest import grants

logger = logging.getLogger(__name__)
WORDS = {"wait": False}
LOG = re.compile(r"/api/v1/metrics/(log|log-batch)/([^/]+)/([^/]+)")
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
Environ = Mapping[str, Any]  # Any: WSGI's environ holds text, streams and flags alike
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[Any, Any], Iterable[bytes]]


class PointsFirst:
    """A WSGI application that answers a POST of points itself, and leaves everything else to `application`.

    A browser's cross-origin POST (it has an Origin) takes the long way too: it needs the headers of the other middleware.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The acknowledgement or the refusal, with its X-Request-ID."""
        path = LOG.fullmatch(environ.get("PATH_INFO", "")) if environ["REQUEST_METHOD"] == "POST" and "HTTP_ORIGIN" not in environ else None
        if path is None:
            return self.application(environ, start_response)
        request_id, began = named(environ.get("HTTP_X_REQUEST_ID", "")), time.perf_counter()
        status, headers, body = answered(environ, path, request_id)
        seconds = time.perf_counter() - began
        meters.note_request(status, seconds)
        if status >= HTTPStatus.BAD_REQUEST:  # no line for what went well: it would cost more than the points
            access_log.line("POST", path.string, status, seconds, request_id=request_id)
        start_response(STATUS_LINES[status], [*headers.items(), ("Content-Length", str(len(body))), ("X-Request-ID", request_id)])
        return [body]


def answered(environ: Environ, path: re.Match[str], request_id: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of one POST of points."""
    try:
        kind, project, experiment = (part.encode("latin-1").decode() for part in path.groups())
        acknowledgement = taken(environ, project, experiment, is_single=kind == "log", read=lambda: whole_body(environ), request_id=request_id)
    except UnicodeDecodeError:
        return refusal(BadRequest("The address is no UTF-8."), request_id)
    except Refused as refused:
        return refusal(refused, request_id)
    except Exception:  # a thread of the server must answer, whatever it is
        logger.exception("A POST of points broke", extra={"request_id": request_id})
        return broken(request_id)
    return HTTPStatus.OK, *acknowledged(acknowledgement)


def acknowledged(acknowledgement: ingest.Acknowledgement) -> tuple[dict[str, str], bytes]:
    """(headers, body) of an acknowledgement."""
    headers = {"Content-Type": "application/json"}
    if acknowledgement.receipt.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers, msgspec.json.encode(ingest.answer(acknowledgement))


def taken(environ: Environ, project: str, experiment: str, *, is_single: bool, read: Callable[[], bytes], request_id: str) -> ingest.Acknowledgement:
    """Take the points of one request. Whether the caller may write is known before the body is read. Raises a Refused."""
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    grant = grants.granted(authorization, project, experiment)
    is_awaited = awaited(environ)
    refuse_length(environ)
    submission = ingest.Submission(
        authorization=authorization,
        project=project,
        experiment=experiment,
        body=body_of(read),
        encoding=environ.get("HTTP_CONTENT_ENCODING", "").strip().lower(),
        idempotency_key=environ.get("HTTP_IDEMPOTENCY_KEY", ""),
        is_single=is_single,
        is_awaited=is_awaited,
        request_id=request_id,
    )
    return ingest.accept(grant, submission)


def refuse_length(environ: Environ) -> None:
    """Raise TooLarge or BadRequest where the body's declared length says already that it cannot be taken."""
    declared = environ.get("CONTENT_LENGTH") or "0"
    if declared.isdigit():
        purposes.refuse_length(int(declared), purposes.POINTS)
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        raise BadRequest("Send the body with a Content-Length, not chunked.")


def whole_body(environ: Environ) -> bytes:
    """As many bytes as the request declares. Raises OSError where fewer come."""
    declared = environ.get("CONTENT_LENGTH") or "0"
    length = int(declared) if declared.isdigit() else 0
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    if len(body) < length:
        raise OSError(f"{len(body)} of {length} bytes came.")
    return body


def awaited(environ: Environ) -> bool:
    """Whether the caller waits until the points can be queried. Raises Invalid for another word than visible."""
    query = environ.get("QUERY_STRING")
    if not query:
        return False
    given = parse_qs(query, keep_blank_values=True)
    refuse_unknown(given, WORDS)
    wait = given["wait"][0]
    if wait != "visible":
        raise Invalid(f"wait={wait!r} is not known: the one thing to wait for is visible.", [Fault(None, "wait", "invalid", "visible, or nothing.")])
    return True
