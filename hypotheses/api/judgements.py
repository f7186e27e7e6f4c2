"""Hypotheses judged on request, and their evidence, for scripts."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Role
from accounts.scopes import EDITS, READS
from config.errors import Fault, Invalid
from config.limits.lane import Heavy
from experiments.models import moved_keys
from hypotheses.api.claims import HypothesisView
from hypotheses.judgements import as_json as judgement_json
from hypotheses.judgements import judge as judgements
from hypotheses.judgements.gathering import place_of
from metrics import process
from metrics.store.evidence_rows import as_json, rows

EVIDENCE = (100, 1000)
DIGITS_MOST = 12


class HypothesisEvaluation(Heavy, HypothesisView):
    """A judgement on request."""

    scopes: ClassVar = {"post": EDITS}

    @extend_schema(operation_id="hypothesis_evaluate", summary="Judge now", request=None, responses={200: OpenApiTypes.OBJECT})
    def post(self, request: Request, hypothesis: str) -> Response:
        """Judge the runs as they are now, and write it down. Where another judges at the same moment, this says what the runs say, and writes nothing."""
        found = self.hypothesis(role=Role.EDITOR)
        return Response(judgement_json.as_json(judgements.judge(found.pk) or judgements.read_stored(found)))


class HypothesisEvidence(HypothesisView):
    """What was judged, row by row."""

    scopes: ClassVar = {"get": READS}

    @extend_schema(
        operation_id="hypothesis_evidence",
        summary="Evidence rows",
        parameters=[
            OpenApiParameter("limit", int, description=f"At most {EVIDENCE[1]}; {EVIDENCE[0]} where not given."),
            OpenApiParameter("offset", int, description="How many of the newest to leave out."),
        ],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, hypothesis: str) -> Response:
        """Rows as they were written, the newest first: one for each target of each judgement, pooled and by arm.

        `moved_arms` gives the replicate_keys that an arm of them has now, where runs were put into arms anew since.
        """
        found = self.hypothesis()
        limit, offset = whole(request, "limit", EVIDENCE[0], EVIDENCE[1]), whole(request, "offset", 0, 2**31)
        kept = rows(process.repository(), place_of(found), [found.pk], limit=limit, offset=offset)
        moved = moved_keys(found.project_id, {row.arm for row in kept if row.arm})
        return Response({"hypothesis": found.pk, "limit": limit, "offset": offset, "rows": [as_json(row) for row in kept], "moved_arms": moved})


def whole(request: Request, name: str, default: int, most: int) -> int:
    """A count in the query string. Raises Invalid."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MOST and int(text) <= most):
        message = f"{name} is a whole number from 0 to {most}."
        raise Invalid(message, [Fault(None, name, "invalid", message)])
    return int(text)
