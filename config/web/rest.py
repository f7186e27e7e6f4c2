"""What the endpoints of the record share: how a body is read, which fields it may have, who may ask, how lists are ordered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.filters import OrderingFilter
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from config.errors import BadRequest, Fault, Invalid
from config.limits.sizes import NESTED_MOST, ORDERED_MOST
from config.web.bodies.purposes import most_bytes, refuse_length
from config.web.bodies.reading import body_of, opened
from config.web.words import meant, nearest

# Values of one JSON body: far more than the params of a run may have.
VALUES = 400_000
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class RecordParser(BaseParser):
    """A JSON body, plain, gzip or zstd. What no database could keep as text is refused here; NaN is left for its field to refuse by name."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:  # Any: whatever JSON holds
        """The body's value. Raises BadRequest, TooLarge or UnknownEncoding."""
        request: Request = (parser_context or {})["request"]
        if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raise BadRequest("Send the body with a Content-Length, not chunked.")
        most = most_bytes(request.path_info)
        sent = body_of(lambda: stream.read(most + 1))
        refuse_length(len(sent), request.path_info)
        with opened(sent, request.headers.get("Content-Encoding", "").strip().lower(), most=most, values=VALUES, whose=str(request.user.pk or "")) as body:
            return loaded(body)


def loaded(body: bytes) -> Any:  # Any: whatever JSON holds
    """A JSON body. Raises BadRequest where it is none, is nested too deeply, or holds half of a surrogate pair."""
    try:
        value = json.loads(body)
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BadRequest("The body holds half of a surrogate pair (\\ud800 to \\udfff alone): send proper Unicode.") from error
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply: flatten it.") from error
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}") from error
    if is_deeper(value, NESTED_MOST):
        raise BadRequest("The body is nested too deeply: flatten it.")
    return value


def is_deeper(value: Any, most: int) -> bool:  # Any: whatever JSON holds
    """Whether lists and objects are nested in more than `most` levels: what looks at a value level by level would have no stack left."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(most):
        if not level:
            return False
        level = [each for node in level for each in (node.values() if isinstance(node, dict) else node) if isinstance(each, (dict, list))]
    return bool(level)


class StrictSerializer(serializers.Serializer[Any]):  # Any: validated values only, no instance
    """A body whose every field is known: a misspelt one is refused by name instead of forgotten."""

    def to_internal_value(self, data: Any) -> Any:  # Any: DRF's own signature
        """The valid values. Raises ValidationError for an unknown field."""
        known = [name for name, field in self.fields.items() if not field.read_only]
        unknown = [str(name) for name in data if name not in known] if isinstance(data, Mapping) else []
        if unknown:
            message = f"There is no such field to set; there are {', '.join(known)}."
            raise serializers.ValidationError({name[:100]: [serializers.ErrorDetail(message, code="unknown_field")] for name in unknown[:20]})
        return super().to_internal_value(data)


class StableOrdering(OrderingFilter):
    """`?ordering=`, with the key as the last word, so that no row shows on two pages or on none. A key that there is not is refused."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> Sequence[str]:  # Any: rows of any model
        """The fields to order by. Raises Invalid."""
        return [*(super().get_ordering(request, queryset, view) or queryset.query.order_by or queryset.model._meta.ordering), "pk"]

    def remove_invalid_fields(self, queryset: QuerySet[Any], fields: Iterable[str], view: APIView, request: Request) -> list[str]:  # Any: as above
        """The fields themselves: none is left out in silence."""
        asked = list(fields)
        refuse_many(asked)
        refuse_keys(asked, self.keys(view))
        refuse_twice(asked)
        return asked

    def keys(self, view: Any) -> list[str]:  # Any: a DRF list view
        """What a list can be ordered by."""
        return [each[0] for each in self.get_valid_fields(view.queryset, view, {"request": view.request})]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:  # Any: DRF's own signature
        """`ordering`, with the keys there are."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        return [each | {"description": f"Keys separated by commas, a minus for the largest first: {', '.join(self.keys(view))}."} for each in parameters]


def refuse_keys(asked: Sequence[str], keys: Sequence[str]) -> None:
    """Raise Invalid for the first key that a list cannot be ordered by, with the nearest that it can."""
    for key in asked:
        name = key.removeprefix("-")
        if name not in keys:
            near = nearest(name, keys)
            message = f"There is no order by {name[:100]!r}.{meant(near)} There are {', '.join(keys)}."
            raise Invalid(message, [Fault(None, "ordering", "unknown_key", message, suggestion=key[: len(key) - len(name)] + near if near else None)])


def refuse_many(asked: Sequence[str]) -> None:
    """Raise Invalid for an order of more keys than anybody reads."""
    if len(asked) > ORDERED_MOST:
        message = f"The order names {len(asked):,} keys: {ORDERED_MOST} at most."
        raise Invalid(message, [Fault(None, "ordering", "too_many", message)])


def refuse_twice(asked: Sequence[str]) -> None:
    """Raise Invalid for the first key that an order names twice: one would count."""
    names = [key.removeprefix("-") for key in asked]
    twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if twice is not None:
        message = f"The order names {twice[:100]!r} twice, and one would count: leave one out."
        raise Invalid(message, [Fault(None, "ordering", "repeated", message)])
