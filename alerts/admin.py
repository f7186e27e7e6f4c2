"""Alerts, channels, what was sent, and the web processes, in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.audit.admin_lines import Audited, acted
from accounts.models import Team
from alerts import lifecycle as alerts
from alerts.models import Alert, Channel, Delivery, WebProcess
from alerts.sending import allowance, channels
from config.errors import Invalid
from config.web.admin_pages import BigTableAdmin, ReadOnlyAdmin


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What was seen. Alerts open and resolve by themselves; people acknowledge and silence them."""

    list_display = ("opened_at", "severity", "kind", "where", "metric", "count", "resolved_at", "acknowledged_at", "silenced_until")
    list_filter: ClassVar = [("resolved_at", admin.EmptyFieldListFilter), "severity", "kind", "opened_at"]
    list_select_related = ("project", "experiment__project")
    search_fields = ("message", "metric", "part", "experiment__name", "experiment__slug", "project__name", "project__slug")
    actions = ("acknowledge", "silence_for_a_day", "end_silence")

    @admin.action(description="Acknowledge selected alerts", permissions=["steering"])
    @transaction.atomic
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        """Somebody sees to them."""
        for alert in queryset.select_related(*alerts.RELATED):
            alerts.acknowledge(alert, by=request.user)  # type: ignore[arg-type]  # staff only
            acted("acknowledged", alert)
        self.message_user(request, f"Acknowledged {len(queryset)}.")

    @admin.action(description="Silence selected alerts for a day", permissions=["steering"])
    @transaction.atomic
    def silence_for_a_day(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        """Hear nothing of them until tomorrow."""
        for alert in queryset.select_related(*alerts.RELATED):
            alerts.silence(alert, until=timezone.now() + timedelta(days=1))
            acted("silenced for a day", alert)
        self.message_user(request, f"Silenced {len(queryset)} for a day.")

    @admin.action(description="End the silence of selected alerts", permissions=["steering"])
    @transaction.atomic
    def end_silence(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        """Hear of them again."""
        for alert in queryset.select_related(*alerts.RELATED):
            alerts.silence(alert, until=None)
            acted("ended the silence of", alert)
        self.message_user(request, f"{len(queryset)} can be heard again.")


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A channel. The secret is taken and never shown."""

    secret = forms.CharField(required=False, min_length=16, max_length=200, widget=forms.PasswordInput, help_text="Empty: the present one, or a new one.")

    class Meta:
        model = Channel
        fields = ("team", "name", "kind", "target", "secret", "least_severity", "enabled")

    def clean(self) -> dict[str, Any]:  # Any: values of several fields
        """Refuse a target that the kind could not send to."""
        values: dict[str, Any] = super().clean() or {}
        values["secret"] = values.get("secret") or self.instance.secret
        try:
            channels.check(values.get("kind", ""), values.get("target", ""))
        except Invalid as invalid:
            raise ValidationError({"target": str(invalid)}) from invalid
        self.refuse_too_many(values.get("team"))
        return values

    def refuse_too_many(self, team: Team | None) -> None:
        """Refuse one more channel than a team may have."""
        if self.instance._state.adding:
            try:
                allowance.refuse_too_many(team)
            except Invalid as invalid:
                raise ValidationError({"team": str(invalid)}) from invalid


@admin.register(Channel)
class ChannelAdmin(Audited, BigTableAdmin):
    """Where alerts are sent; without a team, those about the server."""

    form = ChannelForm
    list_display = ("name", "kind", "team", "least_severity", "enabled", "created_at")
    list_filter = ("kind", "enabled", "least_severity")
    list_select_related = ("team",)
    search_fields = ("name", "team__name")
    autocomplete_fields = ("team",)

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> tuple[str, ...]:
        """A channel stays in its team: what it was sent names that team's projects."""
        return ("team",) if obj else ()


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """What was sent, and what never arrived."""

    list_display = ("created_at", "event", "alert", "channel", "state", "attempts", "next_at", "last_error")
    list_filter = ("state", "event", "created_at")
    list_select_related = ("alert__project", "alert__experiment__project", "channel")
    search_fields = ("=id", "channel__name", "last_error")
    actions = ("try_again",)

    @admin.action(description="Try selected deliveries again", permissions=["steering"])
    @transaction.atomic
    def try_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Make them due, for another day."""
        now, failed = timezone.now(), list(queryset.exclude(state=Delivery.State.DONE).select_related("channel__team"))
        Delivery.objects.filter(pk__in=[each.pk for each in failed]).update(state=Delivery.State.WAITING, next_at=now, created_at=now)
        for each in failed:
            acted("had sent again", each, team=each.channel.team)
        self.message_user(request, f"{len(failed)} will be tried within a minute.")


@admin.register(WebProcess)
class WebProcessAdmin(ReadOnlyAdmin):
    """Web processes, and what they last said of themselves."""

    list_display = ("host", "pid", "started_at", "seen_at", "trouble", "waiting_points", "oldest_at", "dead_letters", "disk_free_bytes")
