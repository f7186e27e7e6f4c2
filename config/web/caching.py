"""What browsers and proxies may keep of an answer: nothing that was made for one person is kept for another, and what did not change is not sent again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers

# Tokens, passwords, sessions and people: never written down by anybody on the way.
NEVER_KEPT = re.compile("/(sign-in|sign-out|account|password|join|admin|audit|teams|new-team|api/v1/(auth|tokens|account|invitations|teams|people|audit))(/|$)")
PUBLIC = ("/static/", "/health", "/ready", "/metrics")
# It is drawn anew for each page, and any of them holds as long as the cookie that it is checked against.
CSRF_FIELD = re.compile(rb'(name="csrfmiddlewaretoken" value=")[A-Za-z0-9]+')
WHOSE = ("Cookie", "Authorization", "HX-Request")


class CachingMiddleware:
    """Says of each answer how long it may be kept: `no-store`, or `private, no-cache` with an ETag by which it is asked again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, or 304 where whoever asks has it already."""
        response = self.get_response(request)
        path = request.path_info
        if path.startswith(PUBLIC):
            return response
        if "no-store" in response.get("Cache-Control", ""):
            return response
        if NEVER_KEPT.match(path):
            patch_cache_control(response, private=True, no_store=True)
        elif not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_cache=True)
            patch_vary_headers(response, WHOSE)
            if request.method == "GET" and response.status_code == 200 and not response.streaming:  # HTTP's own number
                response["ETag"] = response.get("ETag") or tag_of(request, response)
                return get_conditional_response(request, etag=response["ETag"], response=response)  # type: ignore[return-value]  # an answer goes in, one comes out
        return response


def tag_of(request: HttpRequest, response: HttpResponse) -> str:
    """A weak ETag of what the answer says. A page with a form is another one once the form's cookie is."""
    content = response.content
    if b"csrfmiddlewaretoken" in content:
        content = CSRF_FIELD.sub(rb"\1", content) + request.COOKIES.get("csrftoken", "").encode(errors="replace")
    digest = hashlib.blake2b(content, digest_size=16)
    digest.update(response.get("Content-Type", "").encode())
    return f'W/"{digest.hexdigest()}"'
