"""What people fill in about where alerts are sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.http import QueryDict

from accounts.access import Caller
from accounts.forms import TeamChoice
from accounts.models import Team
from alerts.models import Channel, Severity
from alerts.sending import channels
from config.errors import Invalid

TEXT = {"class": "input", "autocomplete": "off", "dir": "auto"}
TARGET_HINTS = {
    Channel.Kind.EMAIL: "An e-mail address; empty: the team's admins.",
    Channel.Kind.WEBHOOK: "An address on the open internet that begins with https://. Slack's incoming webhooks work as they are.",
}


class SettingsForm(forms.Form):
    """What may be set of any channel."""

    name = forms.CharField(max_length=100, label="Name", widget=forms.TextInput(attrs={**TEXT, "placeholder": "On call"}))
    target = forms.CharField(max_length=1000, required=False, label="Send to", widget=forms.TextInput(attrs={**TEXT, "dir": "ltr", "spellcheck": "false"}))
    least_severity = forms.ChoiceField(
        choices=Severity.choices, label="From severity", help_text="Alerts below it are not sent.", widget=forms.Select(attrs={"class": "select"})
    )
    enabled = forms.BooleanField(required=False, label="On", help_text="A channel that is off is sent nothing and keeps its settings.")

    def __init__(self, data: QueryDict | None = None, *, channel: Channel | None = None) -> None:
        first = {name: getattr(channel, name) for name in ("name", "target", "least_severity", "enabled")} if channel else {}
        super().__init__(data, initial={"least_severity": Severity.LOW, "enabled": True, **first})
        kinds = [Channel.Kind(channel.kind)] if channel else list(Channel.Kind)
        self.fields["target"].help_text = " ".join(f"{kind.label}: {TARGET_HINTS[kind]}" for kind in kinds)
        self.fields["target"].required = kinds == [Channel.Kind.WEBHOOK]

    def stored(self, store: Callable[..., Channel]) -> Channel | None:
        """What `store` makes of the values; None where something is wrong, which the fields then say: a target that the kind could not send to, too."""
        if not self.is_valid():
            return None
        try:
            return store(**self.cleaned_data)
        except Invalid as invalid:
            field = invalid.faults[0].field if invalid.faults else None
            self.add_error(field if field in self.fields else None, str(invalid))
            return None


class ChannelForm(SettingsForm):
    """What may be changed of a channel. Its kind and its team stay: a message that is on its way was written for them."""

    def __init__(self, data: QueryDict | None = None, *, channel: Channel) -> None:
        super().__init__(data, channel=channel)
        self.channel = channel

    def saved(self) -> Channel | None:
        """The channel changed as filled in; None where something is wrong."""
        return self.stored(partial(channels.change, self.channel))


class NewChannelForm(SettingsForm):
    """A channel that is not there yet, with what it is for."""

    team = TeamChoice(queryset=Team.objects.none(), label="Alerts of")
    kind = forms.ChoiceField(choices=Channel.Kind.choices, label="By", widget=forms.Select(attrs={"class": "select"}))
    field_order = ("team", "name", "kind", "target", "least_severity", "enabled")

    def __init__(self, caller: Caller, data: QueryDict | None = None, *, team: str = "") -> None:
        super().__init__(data)
        field: Any = self.fields["team"]  # Any: a field of this form, of which Django's types know the base alone
        field.queryset = Team.objects.filter(pk__in=channels.administered(caller)).order_by("name")
        field.empty_label = "the server itself" if caller.user.is_superuser else None
        field.required = not caller.user.is_superuser
        self.initial["team"] = field.queryset.filter(slug=team).first() or (field.queryset.first() if not caller.user.is_superuser else None)

    def saved(self) -> Channel | None:
        """The channel as filled in and stored; None where something is wrong."""
        return self.stored(channels.create)
