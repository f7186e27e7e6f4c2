"""Fields of bodies and queries that refuse early: lists that are counted before they are read, moments that UTC has a date for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django.forms import ValidationError
from django_filters.fields import IsoDateTimeField
from rest_framework import serializers

from config.limits.sizes import LISTED_MOST

BEYOND_TIME = "No calendar holds this moment in UTC: give one from year 1 to 9999."


class ShortList(serializers.ListField):
    """A list that is counted before its items are looked at, each of which costs time."""

    def __init__(self, *, max_length: int = LISTED_MOST, **options: Any) -> None:  # Any: DRF's own signature
        super().__init__(max_length=max_length, **options)
        self.most = max_length

    def to_internal_value(self, data: Any) -> list[Any]:  # Any: DRF's own signature
        """The items. Raises ValidationError where there are too many."""
        if isinstance(data, list | tuple) and len(data) > self.most:
            raise serializers.ValidationError(f"This list has {len(data):,} items: {self.most:,} at most.", code="max_length")
        return super().to_internal_value(data)


class MomentField(IsoDateTimeField):  # type: ignore[misc]  # comes without types
    """A moment in ISO 8601, as UTC."""

    def clean(self, value: Any) -> datetime | None:  # Any: Django's own signature
        """The moment. Raises ValidationError for one that UTC has no date for."""
        try:
            found: datetime | None = super().clean(value)
            return found and found.astimezone(UTC)
        except OverflowError as error:
            raise ValidationError(BEYOND_TIME, code="invalid") from error


class Moment(django_filters.IsoDateTimeFilter):  # type: ignore[misc]  # comes without types
    """A filter by a moment."""

    field_class = MomentField
