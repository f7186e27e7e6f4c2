"""What each error answers: JSON to scripts, a page to people. Nowhere else decides a status."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as ModelInvalid
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve
from rest_framework import exceptions
from rest_framework import status as http
from rest_framework.response import Response
from rest_framework.views import exception_handler

from config.errors import CHALLENGE, BadRequest, Fault, Forbidden, Invalid, NotAllowed, NotFound, Refused, TooLarge, Unavailable
from config.web.request_id import request_id

logger = logging.getLogger(__name__)
FAULTS_SHOWN = 1_000
# What a database says that is away, restarts, or ended a transaction that stood in another's way: it may be asked again.
RECORD_AWAY = (OperationalError, InterfaceError)
API = ("/api/", "/health", "/ready", "/metrics")
JSON = "application/json"
BEYOND_TIME = "The request names a moment that no calendar holds in UTC: give one from year 1 to 9999."
NOWHERE = "There is nothing at this address, or it is not yours."
ANOTHER_VERB = "Nothing takes %s at this address: go back to the page, and send its form from there."
BROKEN = "Something broke on the server. Nothing you sent was acknowledged. Tell the operator this id: %s"


def body(request_id: str, *, code: str, message: str, faults: Sequence[Fault] = ()) -> dict[str, Any]:
    """The one shape of every error: {"error": {"code", "message", "errors"?}, "request_id"}."""
    error: dict[str, Any] = {"code": code, "message": message}
    if faults:
        error["errors"] = [fault_json(fault) for fault in faults[:FAULTS_SHOWN]]
    return {"error": error, "request_id": request_id}


def fault_json(fault: Fault) -> dict[str, Any]:  # Any: words and numbers
    """One entry of `errors`; where in a text it is wrong stands only in those that know."""
    where = {name: getattr(fault, name) for name in ("position", "length", "suggestion", "metric")}
    return {"index": fault.index, "field": fault.field, "code": fault.code, "message": fault.message} | {k: v for k, v in where.items() if v is not None}


def refusal(refused: Refused, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, JSON) of a refusal."""
    content = body(request_id, code=refused.code, message=str(refused), faults=refused.faults)
    return refused.status, {"Content-Type": JSON} | headers_of(refused), encoded(content)


def encoded(content: dict[str, Any]) -> bytes:
    """As JSON; a name that echoes half a character is escaped as it came, since UTF-8 has no bytes for it."""
    try:
        return msgspec.json.encode(content)
    except UnicodeEncodeError:
        return json.dumps(content).encode()


def headers_of(refused: Refused) -> dict[str, str]:
    """Retry-After and WWW-Authenticate where they belong."""
    headers = {}
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    if refused.status == http.HTTP_401_UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE
    return headers


def broken(request_id: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, JSON) where something went wrong that nobody expected."""
    return http.HTTP_500_INTERNAL_SERVER_ERROR, {"Content-Type": JSON}, msgspec.json.encode(body(request_id, code="server_error", message=BROKEN % request_id))


def json_answer(request: HttpRequest, refused: Refused) -> HttpResponse:
    """A refusal as JSON."""
    status, headers, content = refusal(refused, request_id(request))
    return HttpResponse(content, status=status, headers=headers)


def page(request: HttpRequest, *, status: int, title: str, message: str) -> HttpResponse:
    """An error as a page that says what to do."""
    return render(request, "error.html", {"title": title, "message": message, "status": status}, status=status)


TITLES = {
    401: "Sign in first", 403: "Not allowed", 404: "Not found", 405: "Not this way", 409: "Not now",
    413: "Too large", 422: "Not valid", 429: "Too many at once", 503: "Not available just now",
}  # fmt: skip


def answer(request: HttpRequest, refused: Refused) -> HttpResponse:
    """A refusal in the form that the caller reads."""
    if wants_json(request):
        return json_answer(request, refused)
    response = page(request, status=refused.status, title=TITLES.get(refused.status, "That did not work"), message=str(refused))
    for name, value in headers_of(refused).items():
        response[name] = value
    return response


def wants_json(request: HttpRequest) -> bool:
    """Whether a script asks."""
    return request.path.startswith(API) or request.headers.get("Accept") == JSON


def led_back(request: HttpRequest, refused: HttpResponse) -> HttpResponse:
    """Who opens the address of a form, by Enter in the address bar or after signing in, is led to the page above it; another verb is told of."""
    above = page_above(request.path) if request.method in ("GET", "HEAD") else ""
    response = redirect(above) if above else answer(request, NotAllowed(ANOTHER_VERB % request.method))
    response["Allow"] = refused["Allow"]
    return response


def page_above(path: str) -> str:
    """The nearest address above a path at which something answers."""
    parts = path.strip("/").split("/")
    for n in range(len(parts) - 1, 0, -1):
        for address in (f"/{'/'.join(parts[:n])}/", f"/{'/'.join(parts[:n])}"):
            try:
                resolve(address)
            except Resolver404:
                continue
            return address
    return "/"


class RefusalMiddleware:
    """Turns a Refused that a page raises, and a record that is away, into the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; whoever comes with the wrong verb is led to the page."""
        response = self.get_response(request)
        return led_back(request, response) if response.status_code == http.HTTP_405_METHOD_NOT_ALLOWED and not wants_json(request) else response

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: dict[str, object]) -> HttpResponse | None:
        """Nothing has a NUL in its address, and PostgreSQL would not even compare it."""
        return answer(request, NotFound(NOWHERE)) if any("\x00" in str(value) for value in kwargs.values()) else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer to a refusal; None for everything else, which is a 500."""
        if isinstance(error, RECORD_AWAY):
            return record_away(request, error)
        if isinstance(error, DataError) and "NUL" in str(error):
            return answer(as_nobody(request), BadRequest("The request holds the character NUL, which no text has: leave it out."))
        if is_beyond_time(error):
            return answer(request, BadRequest(BEYOND_TIME))
        return answer(request, error) if isinstance(error, Refused) else None


def is_beyond_time(error: Exception) -> bool:
    """Whether a moment was asked for that no calendar holds in UTC, such as the first of year 1 in Tonga."""
    return isinstance(error, OverflowError) and "date" in str(error)


def record_away(request: HttpRequest, error: Exception) -> HttpResponse:
    """503: the record cannot be asked just now."""
    logger.warning("The record did not answer: %s", str(error)[:300])
    message = "The record cannot be read just now: try again in a moment. Points that were acknowledged are safe."
    return answer(as_nobody(request), Unavailable(message, code="record_unavailable"))


def as_nobody(request: HttpRequest) -> HttpRequest:
    """The request for a page about itself: who asks cannot be looked up."""
    request.user = AnonymousUser()
    request._caller = None  # type: ignore[attr-defined]
    return request


def api_exception(error: Exception, context: dict[str, Any]) -> Response | HttpResponse | None:
    """DRF's errors and ours in the one shape. None (a 500) for what nobody expected."""
    request: HttpRequest = context["request"]._request
    if isinstance(error, Refused):
        return json_answer(request, error)
    if isinstance(error, RECORD_AWAY):
        return record_away(request, error)
    if isinstance(error, ModelInvalid):
        return json_answer(request, invalid(request, model_faults(error)))
    if isinstance(error, exceptions.ValidationError):
        return json_answer(request, invalid(request, field_faults(error.detail)))
    if is_beyond_time(error):
        return json_answer(request, BadRequest(BEYOND_TIME))
    if isinstance(error, exceptions.ParseError):
        return json_answer(request, Refused(f"The body cannot be read: {error.detail}"))
    response = exception_handler(error, context)
    if response is None:
        return None
    code, message = str(getattr(error, "default_code", "error")), str(getattr(error, "detail", error))
    if isinstance(error, Http404):
        code, message = NotFound.code, "Not there, or not yours."
    if response.status_code == http.HTTP_403_FORBIDDEN:
        code = Forbidden.code
    response.data = body(request_id(request), code=code, message=message)
    return response


def invalid(request: HttpRequest, faults: list[Fault]) -> Invalid:
    """The refusal of what was sent; of what was only asked, in the words of the first fault."""
    is_asked = request.method in ("GET", "HEAD") and faults
    return Invalid(f"Not valid: {faults[0].field}: {faults[0].message}" if is_asked else "Not valid: nothing was saved.", faults)


def model_faults(error: ModelInvalid) -> list[Fault]:
    """Django's own validation errors, one fault a message."""
    fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    return [Fault(None, field, "invalid", message) for field, messages in fields.items() for message in messages]


def field_faults(detail: Any, path: str = "") -> list[Fault]:  # Any: DRF nests dicts, lists and strings freely
    """DRF's nested validation errors as a flat list, the field as a dotted path."""
    if isinstance(detail, dict):
        return [fault for key, value in detail.items() for fault in field_faults(value, f"{path}.{key}".lstrip("."))]
    if isinstance(detail, list):
        return [fault for value in detail for fault in field_faults(value, path)]
    code = getattr(detail, "code", "invalid")
    return [Fault(None, path, str(code), str(detail), position=getattr(code, "position", None))]


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 404."""
    return answer(request, NotFound(NOWHERE))


def forbidden(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    """Django's 403."""
    return answer(request, Forbidden(str(exception) or "This is not yours to do."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 400. What is refused for its content says why; what Django found suspicious does not."""
    if isinstance(exception, RequestDataTooBig):
        return answer(request, TooLarge("The form is too large: shorten what is written."))
    return answer(request, Refused(getattr(exception, "said", "This request cannot be read.")))


def server_error(request: HttpRequest) -> HttpResponse:
    """A 500 that names itself, so that the log can be searched for it; a record that went away below the views is a 503 here too."""
    error = sys.exception()
    if isinstance(error, RECORD_AWAY):
        return record_away(request, error)
    name = request_id(request)
    if request.path.startswith(API):
        status, headers, content = broken(name)
        return HttpResponse(content, status=status, headers=headers)
    return page(request, status=500, title="Something broke", message=BROKEN % name)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token: the page is old, or cookies are off."""
    return answer(request, Forbidden("This form is out of date, or the browser keeps no cookies: load the page again, then send it once more."))
