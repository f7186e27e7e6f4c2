"""Where a form leads after its work is done: back to the page of this server that it was on."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def asked_page(request: HttpRequest, *, otherwise: str) -> str:
    """The address in `next` of the form, if that is a page of this server; else `otherwise`."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else otherwise
