"""The way in for points: one, or many, acknowledged once they are on disk."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from accounts.endpoints import ScopedEndpoint
from accounts.scopes import LOGS
from config.errors import Refused
from config.web.answers import json_answer
from config.web.request_id import request_id
from metrics import meters
from metrics.api.answering import ERRORS
from metrics.ingest import shortcut

VISIBLE = OpenApiParameter("wait", str, enum=["visible"], description="Answer once the points can be queried, after 10 s at the latest.")
KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key and body again gets the first answer again; kept 24 h.")
POINT = {"metric_name": "loss", "metric_value": 0.42, "step": 0, "timestamp": 1763900000.25, "host": "gpu7"}
ACKNOWLEDGED = {"status": "success", "accepted": 2, "visible": True, "batch_id": "8c6f…"}
TAKEN = {200: OpenApiResponse(OpenApiTypes.OBJECT, description="Every point is on disk", examples=[OpenApiExample("acknowledged", ACKNOWLEDGED)]), **ERRORS}


class Log(ScopedEndpoint):
    """One point. Behind a server these requests take the short way of `metrics.ingest.shortcut`; what comes through here is answered alike."""

    http_method_names = ["post", "options"]  # noqa: RUF012  # Django's own declaration
    is_single = True
    scopes: ClassVar = {"post": LOGS}  # asked for where the points are taken: metrics.ingest.grants

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """POST alone; every refusal as JSON."""
        if request.method != "POST":
            return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]
        began = time.perf_counter()
        response = self.answered(request, **kwargs)
        meters.note_request(response.status_code, time.perf_counter() - began)
        return response

    def answered(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The acknowledgement or the refusal."""
        try:
            done = shortcut.taken(request.META, **kwargs, is_single=self.is_single, read=lambda: request.body, request_id=request_id(request))
            headers, body = shortcut.acknowledged(done)
        except Refused as refused:
            return json_answer(request, refused)
        return HttpResponse(body, headers=headers)

    @extend_schema(
        operation_id="log_point",
        summary="Log one point",
        parameters=[VISIBLE, KEY],
        request={"application/json": OpenApiTypes.OBJECT},
        examples=[OpenApiExample("one point", POINT, request_only=True)],
        responses=TAKEN,
    )
    def post(self, request: Request) -> None:
        """Acknowledged means on disk. `step` is 0 where absent, `timestamp` (seconds since 1970 or ISO 8601 with an offset) is now."""


class LogBatch(Log):
    """Many points, in rows or columns."""

    is_single = False

    @extend_schema(
        operation_id="log_batch",
        summary="Log many points",
        parameters=[VISIBLE, KEY],
        request={"application/json": OpenApiTypes.OBJECT},
        examples=[
            OpenApiExample("rows", {"metrics": [POINT]}, request_only=True),
            OpenApiExample("columns", {"steps": [0, 1], "timestamps": [1763900000.25, 1763900001.0], "metrics": {"loss": [0.42, "NaN"]}}, request_only=True),
        ],
        responses=TAKEN,
    )
    def post(self, request: Request) -> None:
        """Rows or columns (null is no point), optionally gzip or zstd. One invalid point refuses the whole batch, and `errors` names all of them."""
