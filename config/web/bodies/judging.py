"""What Django does with a body before anything else: what is too large, a stranger's or a file is refused."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse

from config.errors import Refused, Unauthenticated
from config.web.answers import answer
from config.web.bodies.in_flight import FLIGHT
from config.web.bodies.purposes import ANYONES_BYTES, API, refuse_length
from config.web.bodies.reading import body_of

# What Python makes of one percent-encoded byte on its way through a form.
ESCAPED_BYTES = 80


class FileRefused(SuspiciousOperation):
    """A form came with a file, and the product takes none there. `said` is for whoever sent it."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class NoFiles(FileUploadHandler):
    """Takes no file, not even into a temporary folder."""

    def new_file(self, field_name: str, *args: object, **kwargs: object) -> None:
        """Raise FileRefused."""
        raise FileRefused(f"No file is taken here, and {field_name[:100]!r} holds one: nothing was saved.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Never asked for."""

    def file_complete(self, file_size: int) -> None:
        """Never asked for."""


class BodiesMiddleware:
    """Refuses a body that is larger than its address takes, a large form of somebody unknown, and one for whose fields there is no room just now."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        try:
            judge(request)
        except Refused as refused:
            return answer(request, refused)
        return self.get_response(request)


def judge(request: HttpRequest) -> None:
    """Raise the refusal of a body that cannot be taken. Reads a form's fields where they are many, while there is room for it."""
    declared = request.headers.get("Content-Length") or "0"
    length = int(declared) if declared.isdigit() else 0
    refuse_length(length, request.path_info)
    if length < ANYONES_BYTES or request.path_info.startswith(API) or request.content_type == "application/json":
        return
    if not request.user.is_authenticated:
        raise Unauthenticated("You are signed out: sign in in another tab, then send this form again.")
    body = body_of(lambda: request.body)
    with FLIGHT.holding(ESCAPED_BYTES * body.count(b"%"), own=len(body), whose=str(request.user.pk)):
        request.POST  # noqa: B018  # read here, within the room there is
