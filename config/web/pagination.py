"""How lists come in pages: by number, or by a cursor that skips and repeats nothing while rows come and go."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from config.errors import Fault, Invalid

PAGE_SIZE_MOST = 500
START = "start"
NEWEST, OLDEST = "-created_at", "created_at"


class Pages(PageNumberPagination):
    """50 rows a page; `page_size` up to PAGE_SIZE_MOST, and more is refused: a script would take the first rows for all."""

    page_size = 50
    page_size_query_param = "page_size"
    page_size_query_description = f"Rows a page, 1 to {PAGE_SIZE_MOST}; 50 where not given."
    max_page_size = PAGE_SIZE_MOST
    invalid_page_message = "There is no page {page_number!r}: pages count from 1, and `next` of each answer leads to the one after, as long as there is one."

    def get_page_size(self, request: Request) -> int:
        """Rows a page. Raises Invalid."""
        text = request.query_params.get("page_size", str(self.page_size))
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= PAGE_SIZE_MOST):
            raise wrong(
                "page_size", f"page_size is a whole number from 1 to {PAGE_SIZE_MOST}; got {text[:40]!r}. `next` of the answer leads to the rows after."
            )
        return int(text)


class Mark(NamedTuple):
    """Where a reader by cursor stands: the last row that it was given, None at the start, and which way it goes."""

    order: str
    at: datetime | None = None
    pk: uuid.UUID | None = None

    @property
    def text(self) -> str:
        """As it stands in an address."""
        plain = f"{self.order} {self.at.isoformat() if self.at else ''} {self.pk}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Mark:
        """From an address. Raises Invalid."""
        try:
            order, at, pk = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(" ")
            moment = datetime.fromisoformat(at)
            if order in (NEWEST, OLDEST) and moment.tzinfo:
                return cls(order, moment.astimezone(UTC), uuid.UUID(pk))
        except (ValueError, OverflowError, binascii.Error):
            pass
        raise wrong("cursor", f"This cursor is none that an answer gave: begin with cursor={START}, then send `next_cursor`.")

    def after(self, rows: QuerySet[Any]) -> QuerySet[Any]:  # Any: rows of any model with created_at
        """The rows behind the mark, in its order."""
        ordered = rows.order_by(self.order, "pk")
        if self.at is None:
            return ordered
        further = Q(created_at__lt=self.at) if self.order == NEWEST else Q(created_at__gt=self.at)
        return ordered.filter(further | Q(created_at=self.at, pk__gt=self.pk))


class CursorPages(Pages):
    """Pages by number or, with `cursor`, by what a row never changes: when it was made. `last` is the last row of a page, as the view has it."""

    def __init__(self) -> None:
        self.mark: Mark | None = None
        self.last: Any = None  # Any: a row of the list
        self.has_more = False

    def behind(self, rows: QuerySet[Any], request: Request) -> QuerySet[Any]:  # Any: rows of the list
        """What is left to read from the cursor on; all where none was sent. Raises Invalid."""
        if "cursor" not in request.query_params:
            return rows
        self.mark = mark_of(request)
        return self.mark.after(rows)

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any] | None:  # Any: DRF's own signature
        """One page."""
        if self.mark is None:
            return super().paginate_queryset(queryset, request, view)
        self.request, size = request, self.get_page_size(request)
        rows: Sequence[Any] = list(queryset[: size + 1])
        self.has_more = len(rows) > size
        return list(rows[:size])

    def get_paginated_response(self, data: Any) -> Response:  # Any: DRF's own signature
        """The page, and where the next one is."""
        if self.mark is None:
            return super().get_paginated_response(data)
        more = Mark(self.mark.order, self.last.created_at, self.last.pk).text if self.has_more and self.last else None
        link = replace_query_param(self.request.build_absolute_uri(), "cursor", more) if more and self.request else None
        return Response({"next": link, "next_cursor": more, "results": data})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:  # Any: DRF's own signature
        """What pages are asked by."""
        about = f"`{START}`, then `next_cursor` of each answer: every row once, even while rows come and go. By `created_at`; without `page` and `count`."
        cursor = {"name": "cursor", "required": False, "in": "query", "description": about, "schema": {"type": "string"}}
        return [*super().get_schema_operation_parameters(view), cursor]


def mark_of(request: Request) -> Mark:
    """Where a request by cursor stands. Raises Invalid where its order or a page number goes against it."""
    given, order = request.query_params, request.query_params.get("ordering", "")
    if "page" in given:
        raise wrong("page", "page and cursor are two ways to read a list: leave one out.")
    if order not in ("", NEWEST, OLDEST):
        raise wrong("ordering", f"A cursor reads by {OLDEST} or {NEWEST}: what a row holds else may change while you read, and it would appear twice or never.")
    mark = Mark(order or NEWEST) if given["cursor"] == START else Mark.read(given["cursor"])
    if order not in ("", mark.order):
        raise wrong("ordering", f"This cursor reads by {mark.order}: leave ordering as it was, or begin with cursor={START}.")
    return mark


def wrong(field: str, message: str) -> Invalid:
    """The refusal of one query word."""
    return Invalid(message, [Fault(None, field, "invalid", message)])
