"""What people fill in about themselves: signing in."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField

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
