"""The pages of the audit: of one team for its admins, of everything for operators. The same lines as CSV."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access import caller
from accounts.audit.acts import KINDS
from accounts.audit.recording import record
from accounts.models import AuditEntry, Team
from accounts.teams import changing, lines
from config.errors import Forbidden, Invalid
from config.web import files
from config.web.ignored import ignored

WORDS = ("by", "kind", "since", "until", "page", "format")
PEOPLE_MOST = 200


@never_cache
@login_required
@require_safe
def of_team(request: HttpRequest, team_slug: str) -> HttpResponse | StreamingHttpResponse:
    """What was done in a team. For its admins."""
    found = changing.administered(caller(request), team_slug)
    return answered(request, lines.of_team(found), found)


@never_cache
@login_required
@require_safe
def of_all(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """What was done on the whole server. For operators."""
    if not caller(request).user.is_superuser:
        raise Forbidden("This is for operators. Admins of a team read what was done in it on the team's page.")
    return answered(request, lines.of(caller(request)), None)


def answered(request: HttpRequest, all_lines: QuerySet[AuditEntry], found: Team | None) -> HttpResponse | StreamingHttpResponse:
    """The lines that the address asks for, as a page or a file."""
    asked = lines.Narrowed.read(request.GET)
    narrowed = asked.of(all_lines)
    if "format" in request.GET:
        if request.GET["format"] != "csv":
            raise Invalid("format is csv.")
        record("export.made", on=found, details={"what": "the audit", "format": "csv"})
        return files.answer(lines.csv_of(narrowed), "csv", files.file_name(found.slug if found else "server", "audit"))
    page = Paginator(narrowed, lines.SHOWN).get_page(request.GET.get("page"))
    return render(request, "accounts/audit.html", content_of(request, page, asked, found) | {"people": people_of(all_lines)})


def people_of(all_lines: QuerySet[AuditEntry]) -> list[str]:
    """Who did something, for the filter."""
    return list(all_lines.order_by("who").values_list("who", flat=True).distinct()[:PEOPLE_MOST])


def content_of(request: HttpRequest, page: Any, asked: lines.Narrowed, found: Team | None) -> dict[str, Any]:  # Any: a template's context
    """What the page shows."""
    kept = request.GET.copy()
    for word in ("page", "format"):
        kept.pop(word, None)
    shown = {"team": found, "page": page, "asked": asked, "kinds": KINDS, "keep_days": settings.AUDIT_KEEP_DAYS}
    return shown | {"kept": kept.urlencode(), "ignored": ignored(request.GET, WORDS)}
