"""Alerts as JSON, and the channels that they are sent to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import django_filters
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.access import caller
from accounts.endpoints import RecordView
from accounts.models import Role, Team
from accounts.scopes import ADMINISTERS, EDITS, READS
from accounts.services import team_named
from alerts import lifecycle as alerts
from alerts.models import Alert, AlertQuerySet, Channel, Delivery, Kind, Severity
from alerts.sending import channels, outbox
from config.web.query import AnyOf, ChosenFrom
from config.web.rest import StrictSerializer
from experiments.models import Experiment
from projects.api import OfProject

STATUSES = ("open", "waiting", "acknowledged", "silenced", "resolved")


class AlertRow(serializers.ModelSerializer[Alert]):
    """An alert."""

    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True, allow_null=True, help_text="Null where it is about the server.")
    project = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True, allow_null=True)
    experiment = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True, allow_null=True)
    acknowledged_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = Alert
        fields = (
            "id", "kind", "severity", "message", "team", "project", "project_id", "experiment", "experiment_id", "metric", "part",
            "opened_at", "last_seen_at", "count", "resolved_at", "resolution", "acknowledged_at", "acknowledged_by", "silenced_until",
        )  # fmt: skip


class AlertFilter(OfProject):
    """How a list of alerts is narrowed."""

    status = ChosenFrom(choices=[(word, word) for word in STATUSES], method="of_status", label="waiting: open, neither acknowledged nor silenced.")
    kind = AnyOf(choices=Kind.choices, label="Repeat it for any of several.")
    severity = AnyOf(choices=Severity.choices, label="Repeat it for any of several.")
    experiment = django_filters.CharFilter(method="of_experiment", label="UUID, slug or exact name of the experiment.")

    def of_status(self, rows: AlertQuerySet, name: str, word: str) -> AlertQuerySet:
        """Those in one state."""
        now = timezone.now()
        if word == "waiting":
            return rows.waiting(at=now)
        if word == "resolved":
            return rows.resolved()
        more = {"open": Q(), "acknowledged": Q(acknowledged_at__isnull=False), "silenced": Q(silenced_until__gt=now)}
        return rows.open().filter(more[word])

    def of_experiment(self, rows: AlertQuerySet, name: str, reference: str) -> AlertQuerySet:
        """Those of one experiment. Raises NotFound, or Conflict where several have the name."""
        return rows.filter(experiment=self.within(Experiment.objects.visible_to(caller(self.request))).named(reference))


class Silence(StrictSerializer):
    """Until when nobody wants to hear of it."""

    until = serializers.DateTimeField(allow_null=True, help_text="A time to come; null ends the silence.")

    def validate_until(self, value: datetime | None) -> datetime | None:
        """A time to come, or None."""
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This time has passed: give one to come, or null to end the silence.")
        return value


@extend_schema_view(list=extend_schema(operation_id="alerts", summary="Alerts"))
class Alerts(RecordView, mixins.ListModelMixin, GenericViewSet[Alert]):
    """The alerts of the caller's teams; those of the server too for operators."""

    scopes: ClassVar = {"list": READS, "retrieve": READS, "acknowledge": EDITS, "silence": EDITS}

    queryset = Alert.objects.none()
    serializer_class = AlertRow
    filterset_class = AlertFilter
    ordering_fields = ("opened_at", "last_seen_at", "resolved_at")

    def get_queryset(self) -> QuerySet[Alert]:
        """Those that the caller may read."""
        if self.is_schema:
            return Alert.objects.none()
        return Alert.objects.visible_to(self.caller).select_related("team", "project__team", "experiment__project__team", "acknowledged_by")

    def alert(self, *, role: Role = Role.VIEWER) -> Alert:
        """The alert in the address. Raises Http404 or Forbidden."""
        found: Alert = get_object_or_404(self.get_queryset(), pk=self.kwargs["alert"])
        if found.team_id is not None:
            self.require(role, found.team_id)
        return found

    @extend_schema(operation_id="alert", summary="One alert", responses=AlertRow)
    def retrieve(self, request: Request, alert: int) -> Response:
        """One alert."""
        return Response(self.get_serializer(self.alert()).data)

    @extend_schema(operation_id="alert_acknowledge", summary="Say that you see to it", request=None, responses=AlertRow)
    def acknowledge(self, request: Request, alert: int) -> Response:
        """Take it out of the badge; it stays open until its condition is gone. May be repeated: the first one counts."""
        found = self.alert(role=Role.EDITOR)
        alerts.acknowledge(found, by=self.caller.user)
        return Response(self.get_serializer(found).data)

    @extend_schema(operation_id="alert_silence", summary="Hear nothing of it until a time", request=Silence, responses=AlertRow)
    def silence(self, request: Request, alert: int) -> Response:
        """Silence its subject, even where it resolves and opens again; `until` null ends the silence."""
        found = self.alert(role=Role.EDITOR)
        alerts.silence(found, until=self.asked(Silence)["until"])
        return Response(self.get_serializer(found).data)


class ChannelRow(serializers.ModelSerializer[Channel]):
    """A channel, without its secret."""

    class Meta:
        model = Channel
        fields: tuple[str, ...] = ("id", "name", "kind", "target", "least_severity", "enabled", "created_at")


class IssuedChannel(ChannelRow):
    """A channel on the one occasion when its secret is shown."""

    class Meta(ChannelRow.Meta):
        fields = (*ChannelRow.Meta.fields, "secret")


class ChannelChange(StrictSerializer):
    """What may be changed."""

    name = serializers.CharField(max_length=100, required=False)
    target = serializers.CharField(max_length=1000, required=False, allow_blank=True, help_text="A URL; an e-mail address, or nothing for the admins.")
    secret = serializers.CharField(min_length=16, max_length=200, required=False, write_only=True, help_text="Signs webhooks; made where not given.")
    least_severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    enabled = serializers.BooleanField(required=False)


class NewChannel(ChannelChange):
    """A channel to be."""

    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(choices=Channel.Kind.choices)


class Sent(serializers.ModelSerializer[Delivery]):
    """What came of one message."""

    class Meta:
        model = Delivery
        fields = ("id", "event", "state", "attempts", "created_at", "last_error")


@extend_schema_view(list=extend_schema(operation_id="channels", summary="Where a team's alerts are sent"))
class Channels(RecordView, mixins.ListModelMixin, GenericViewSet[Channel]):
    """The channels of one team, for its admins."""

    scopes: ClassVar = dict.fromkeys(("list", "create", "partial_update", "destroy", "test"), ADMINISTERS)
    of_the_team: ClassVar = frozenset(scopes)

    queryset = Channel.objects.none()
    serializer_class = ChannelRow
    ordering_fields = ("name", "created_at")

    def team(self) -> Team:
        """The team in the address. Raises NotFound, or Forbidden for everybody but its admins."""
        team = team_named(self.caller, self.kwargs["team"])
        self.require(Role.ADMIN, team.pk)
        return team

    def get_queryset(self) -> QuerySet[Channel]:
        """The team's channels."""
        return Channel.objects.none() if self.is_schema else Channel.objects.filter(team=self.team())

    def channel(self) -> Channel:
        """The channel in the address. Raises Http404."""
        found: Channel = get_object_or_404(self.get_queryset(), pk=self.kwargs["channel"])
        return found

    @extend_schema(operation_id="channel_create", summary="Send alerts somewhere", request=NewChannel, responses={201: IssuedChannel})
    def create(self, request: Request, team: str) -> Response:
        """Make a channel. The secret that signs its webhooks is in this answer and nowhere else."""
        owner = self.team()
        made = channels.create(owner, **self.asked(NewChannel))
        return Response(IssuedChannel(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="channel_change", summary="Change a channel", request=ChannelChange, responses=ChannelRow)
    def partial_update(self, request: Request, team: str, channel: str) -> Response:
        """Change a channel."""
        found = self.channel()
        channels.change(found, **self.asked(ChannelChange))
        return Response(self.get_serializer(found).data)

    @extend_schema(operation_id="channel_delete", summary="Send no more there", responses={204: None})
    def destroy(self, request: Request, team: str, channel: str) -> Response:
        """Delete a channel and what it was still to be sent."""
        channels.delete(self.channel())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="channel_test", summary="Send a test", request=None, responses=Sent)
    def test(self, request: Request, team: str, channel: str) -> Response:
        """Send a message that tells of no alert, at once and once: `state` is done or failed, and `last_error` says why."""
        return Response(Sent(outbox.send_test(self.channel())).data)
