"""What the endpoints over the metric store share: its absence as an answer, the place that an address names, numbers as JSON."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse

from accounts.access import caller
from accounts.endpoints import ScopedEndpoint
from config.errors import Fault, NotFound, Unavailable
from config.names import known_spelling
from config.web import files
from config.web.words import COMPARED_MOST, meant, nearest
from metrics import process
from metrics.clickhouse.errors import StoreError, TooSlow
from metrics.store.caching import cached
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
# Answers that may be files: beside JSON, or instead of it.
FILES = {(200, kind.partition(";")[0]): OpenApiTypes.BINARY for kind in files.TYPES.values()}
JSON_OR_FILES = {(200, "application/json"): OpenApiTypes.OBJECT, **FILES}


class StoreReader(ScopedEndpoint):
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


def refuse_unknown_metrics(project: Project, names: Iterable[str]) -> None:
    """Raise NotFound for a metric that the project does not have, and of which no point waits on this host; the nearest that it has is named."""
    for name in unknown_metrics(project, list(names)):
        near = nearest(name, project.metrics.values_list("name", flat=True)[:COMPARED_MOST])
        message = f"{project} has no metric {name!r}.{meant(near)} GET /api/v1/metrics/names/{project.slug} lists them."
        raise NotFound(message, [Fault(None, "metric", "unknown", message, suggestion=near or None)])


def unknown_metrics(project: Project, names: list[str]) -> list[str]:
    """Which of these are neither defined, nor stored (a definition may be forgotten, points stay), nor on their way."""
    defined = set(project.metrics.filter(name__in=names).values_list("name", flat=True))
    missing = [name for name in names if name not in defined]
    stored = counted_names(project, None) if missing else {}
    return [name for name in missing if name not in stored and not process.is_coming(project.pk, name)]


def counted_names(project: Project, ids: list[uuid.UUID] | None) -> dict[str, int]:
    """Every stored metric with the number of experiments that have it, of these alone where some are named."""

    def make() -> bytes:
        return msgspec.json.encode(process.repository().names(place_of(project), ids))

    return msgspec.json.decode(cached(["names", project.pk, ids], ids or [project.pk], make), type=dict[str, int])


def as_kept(project: Project, name: str) -> str:
    """A metric's name as the store has it: as it came where the project has that (names from before they were tidied), else as names are kept."""
    return known_spelling(name, lambda word: project.metrics.filter(name=word).exists())


def place_of(project: Project) -> Place:
    """Where the project's series live."""
    return Place(project.team_id, project.pk)


def as_json(content: dict[str, Any]) -> HttpResponse:
    """Content as a JSON response."""
    return HttpResponse(msgspec.json.encode(content), content_type="application/json")


def with_pending(body: bytes, experiments: Iterable[uuid.UUID]) -> HttpResponse:
    """A JSON object that was kept, and how many points of these experiments are acknowledged and not in it yet."""
    return HttpResponse(b'%s,"pending":%d}' % (body.removesuffix(b"}"), process.pending(experiments)), content_type="application/json")


def file_with_pending(file: StreamingHttpResponse, experiments: Iterable[uuid.UUID]) -> StreamingHttpResponse:
    """The same of a file, which has no place for it, as the header X-Pending-Points."""
    file["X-Pending-Points"] = str(process.pending(experiments))
    return file
