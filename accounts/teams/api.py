"""The audit as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.viewsets import GenericViewSet

from accounts.access import caller
from accounts.audit.acts import ACTS, KINDS, acts_of
from accounts.endpoints import RecordView
from accounts.models import AuditEntry
from accounts.scopes import ADMINISTERS
from accounts.services import team_named
from accounts.teams import lines
from config.errors import Fault, Invalid
from config.web.query import AnyOf, ChosenFrom


class AuditRow(serializers.ModelSerializer[AuditEntry]):
    """One line."""

    what = serializers.CharField(source="sentence", read_only=True, help_text="In words, to read behind `who`.")
    kind = serializers.SerializerMethodField(help_text="The kind of the act.")
    details = serializers.JSONField(read_only=True)

    class Meta:
        model = AuditEntry
        fields = (
            "id", "at", "who", "user_id", "token", "act", "kind", "what", "on_kind", "on_id", "on_name", "team", "team_id", "project", "project_id",
            "details", "address", "request_id",
        )  # fmt: skip

    @extend_schema_field(OpenApiTypes.STR)
    def get_kind(self, line: AuditEntry) -> str:
        """Members and roles, tokens and sign-ins, …"""
        return line.meant.kind


class AuditFilter(django_filters.FilterSet):  # type: ignore[misc]  # comes without types
    """How the audit is narrowed."""

    team = django_filters.CharFilter(method="of_team", label="UUID, name or slug of the team.")
    by = django_filters.CharFilter(field_name="who", label="Username of whoever did it.")
    kind = ChosenFrom(choices=list(KINDS.items()), method="of_kind", label="Of one kind.")
    act = AnyOf(choices=[(name, name) for name in ACTS], label="Repeat it for any of several.")
    since = django_filters.IsoDateTimeFilter(method="within_time", label="From this time on.")
    until = django_filters.IsoDateTimeFilter(method="within_time", label="Before this time.")

    def of_team(self, found: QuerySet[AuditEntry], name: str, reference: str) -> QuerySet[AuditEntry]:
        """Those that one team's admins read. Raises NotFound."""
        return found.filter(pk__in=lines.of_team(team_named(caller(self.request), reference)).values("pk"))

    def within_time(self, found: QuerySet[AuditEntry], name: str, at: datetime) -> QuerySet[AuditEntry]:
        """Those from a time on, or before it. Raises Invalid for one that is outside of what UTC can say."""
        try:
            return found.filter(**{"at__gte" if name == "since" else "at__lt": at.astimezone(UTC)})
        except OverflowError as error:
            message = f"{name} is outside of the years that there are."
            raise Invalid(message, [Fault(None, name, "invalid", message)]) from error

    def of_kind(self, found: QuerySet[AuditEntry], name: str, kind: str) -> QuerySet[AuditEntry]:
        """Those of one kind."""
        return found.filter(act__in=acts_of(kind))


@extend_schema_view(list=extend_schema(operation_id="audit", summary="Who did what"))
class Audit(RecordView, mixins.ListModelMixin, GenericViewSet[Any]):  # Any: rows that only lists read
    """The audit of the teams that the caller administers, newest first; of the whole server for operators."""

    scopes: ClassVar = {"list": ADMINISTERS}
    of_the_team: ClassVar = frozenset(scopes)
    queryset = AuditEntry.objects.none()
    serializer_class = AuditRow
    filterset_class = AuditFilter
    ordering_fields = ("at",)

    def get_queryset(self) -> QuerySet[AuditEntry]:
        """Those that the caller may read."""
        return AuditEntry.objects.none() if self.is_schema else lines.of(self.caller)
