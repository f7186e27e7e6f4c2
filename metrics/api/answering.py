"""What the endpoints over the metric store share: its absence as an answer, the place that an address names, numbers as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.views import APIView

from accounts.access import caller
from config.errors import Unavailable
from config.names import known_spelling
from metrics.clickhouse.errors import StoreError, TooSlow
from metrics.store.shapes import Place
from projects.models import Project

ERRORS = {
    code: OpenApiResponse(OpenApiTypes.OBJECT, description=text)
    for code, text in {
        400: "Malformed JSON, too deep, broken compression",
        401: "No valid token",
        403: "No right to write in this team",
        404: "Not there, or not yours; says how to make it",
        409: "Archived, or the same Idempotency-Key is in flight",
        413: "Too many bytes or points",
        415: "Unknown Content-Encoding",
        422: "An invalid point: nothing was written; `errors` says which",
        429: "Quota used up; Retry-After",
        503: "Spool full, low disk or stopping; Retry-After",
    }.items()
}


class StoreReader(APIView):
    """A view that asks the metric store: its absence is 503, a query past its deadline too."""

    def handle_exception(self, error: Exception) -> HttpResponse:  # type: ignore[override]
        """A StoreError in the words of HTTP."""
        if isinstance(error, TooSlow):
            error = Unavailable("The question took too long: ask for fewer experiments or a narrower range.", code="too_slow")
        elif isinstance(error, StoreError):
            error = Unavailable("The metric store is unavailable: what you logged is safe and will show when it is back.", code="store_unavailable")
        return super().handle_exception(error)


class StoreView(StoreReader):
    """A read of one project's series."""

    def project(self, reference: str) -> Project:
        """The caller's project of this UUID, exact name or slug. Raises NotFound or Conflict."""
        return Project.objects.visible_to(caller(self.request)).named(reference)


def metric_asked(project: Project, name: str) -> str:
    """A metric's name as the store has it: as it came where the project has that (names from before they were tidied), else as names are kept."""
    return known_spelling(name, lambda word: project.metrics.filter(name=word).exists())


def place_of(project: Project) -> Place:
    """Where the project's series live."""
    return Place(project.team_id, project.pk)


def as_json(content: dict[str, Any]) -> HttpResponse:
    """Content as a JSON response."""
    return HttpResponse(msgspec.json.encode(content), content_type="application/json")
