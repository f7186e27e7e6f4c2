"""What charts ask for beside whole series: what is new in them, and all their points as a file."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from accounts.slugs import is_uuid
from metrics import charts, live, process
from metrics.api import COMPARED_MOST, ERRORS, StoreView, as_json, place_of, runs


class Live(StoreView):
    """What is new in charts of experiments that run."""

    @extend_schema(
        operation_id="live",
        summary="What is new in charts",
        parameters=[
            OpenApiParameter("experiments", str, required=True, description="Those that run; UUIDs, separated by commas."),
            OpenApiParameter("mark", str, many=True, description="For each chart `frame:track_track:metric`: what `compare?live=1` and this gave last, a track "
                             "for each of `experiments`, empty where it has none."),
            OpenApiParameter("seen", str, description="`seen` of the last answer: 204 if nothing changed since."),
        ],
        responses={200: OpenApiTypes.OBJECT, 204: None, 404: ERRORS[404], 422: ERRORS[422]},
    )  # fmt: skip
    def get(self, request: Request, project: str) -> HttpResponse:
        """`charts`: of each that changed its last buckets as they are now, or `anew` where it must be asked whole; `ended`: which get no more points."""
        owner = self.project(project)
        ids = identities(request.query_params.get("experiments", ""))
        marks = [live.read_mark(text, ids) for text in request.query_params.getlist("mark")]
        found = owner.experiments.filter(pk__in=ids)
        going, by_id = live.going(found), {run.id: run for run in runs(found)}
        now = live.seen(ids)
        ended = [str(one) for one in ids if one not in going]
        if now == request.query_params.get("seen") and not ended:
            return HttpResponse(status=204)
        return as_json({"seen": now, "ended": ended, "charts": live.news(process.repository(), place_of(owner), marks, by_id)})


def identities(text: str) -> list[uuid.UUID]:
    """UUIDs separated by commas. Raises Invalid."""
    parts = list(dict.fromkeys(part for part in text.split(",") if part))
    if not 1 <= len(parts) <= COMPARED_MOST or not all(is_uuid(part) for part in parts):
        raise charts.wrong("experiments", f"experiments names 1 to {COMPARED_MOST} experiments by their UUIDs, separated by commas.")
    return [uuid.UUID(part) for part in parts]
