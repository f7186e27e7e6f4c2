"""What people fill in about themselves: signing in, and tokens for their scripts."""

from __future__ import annotations

from datetime import datetime, time

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.http import QueryDict
from django.utils import timezone

from accounts.access import Caller
from accounts.models import ApiToken, Team

TEXT = {"class": "input"}


class SignInForm(AuthenticationForm):
    """Username or e-mail address, and password."""

    username = UsernameField(
        label="Username or e-mail", widget=forms.TextInput(attrs={**TEXT, "autocomplete": "username", "autocapitalize": "none", "autofocus": True})
    )
    password = forms.CharField(strip=False, widget=forms.PasswordInput(attrs={**TEXT, "autocomplete": "current-password"}))
    error_messages = {  # noqa: RUF012  # Django's own type
        "invalid_login": "Name and password do not fit together. Capital letters count in the password.",
        "inactive": "This account is switched off. An operator can switch it on again.",
    }


class TeamChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A team by its name."""

    widget = forms.Select(attrs={"class": "select"})


class TokenForm(forms.Form):
    """A name for the token, its team, and the day it ends."""

    name = forms.CharField(max_length=100, label="Name", widget=forms.TextInput(attrs={**TEXT, "placeholder": "gpu7", "autocomplete": "off"}))
    team = TeamChoice(queryset=Team.objects.none(), label="Team", empty_label=None)
    expires_on = forms.DateField(required=False, label="Last day", widget=forms.DateInput(attrs={**TEXT, "type": "date"}))

    def __init__(self, caller: Caller, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self.caller = caller
        self.fields["team"].queryset = caller.teams()  # type: ignore[attr-defined]

    def clean_expires_on(self) -> datetime | None:
        """The end of that day, UTC. A day that is over is refused."""
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        if day < timezone.now().date():
            raise forms.ValidationError("This day is over: choose a later one, or leave it empty for a token without end.")
        return datetime.combine(day, time.max, tzinfo=timezone.get_current_timezone())

    def issue(self) -> tuple[ApiToken, str]:
        """The new token and its secret."""
        made = self.cleaned_data
        return ApiToken.issue(user=self.caller.user, team=made["team"], name=made["name"], expires_at=made["expires_on"])
