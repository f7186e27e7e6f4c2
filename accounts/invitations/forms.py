"""What people fill in about invitations: whom they invite, and who they are where they have no account yet."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import UsernameField

from accounts.invitations.inviting import DAYS, DAYS_MOST
from accounts.models import Role
from accounts.passes.models import FOR_MOST
from config.names import flaw_in_name, tidied
from config.web.names import NameInput

TEXT = {"class": "input"}
ENDS = ((DAYS, f"{DAYS} days"), (DAYS_MOST, f"{DAYS_MOST} days"), (1, "1 day"))
ROLES = [(role.value, role.label) for role in (Role.EDITOR, Role.VIEWER, Role.ADMIN)]


class InviteForm(forms.Form):
    """For whom, as what, for how long."""

    name = forms.CharField(
        max_length=FOR_MOST, label="E-mail or name", widget=forms.TextInput(attrs={**TEXT, "placeholder": "someone@lab.example", "autocomplete": "off"})
    )
    role = forms.ChoiceField(choices=ROLES, initial=Role.VIEWER, widget=forms.Select(attrs={"class": "select"}))
    days = forms.TypedChoiceField(choices=ENDS, coerce=int, label="Ends in", widget=forms.Select(attrs={"class": "select"}))

    def clean_name(self) -> str:
        """Without blanks around it. Raises ValidationError for characters that show nowhere."""
        name: str = self.cleaned_data["name"]
        flaw = flaw_in_name(name)
        if flaw:
            raise forms.ValidationError(flaw.message)
        return tidied(name)


class JoinForm(forms.Form):
    """A new account."""

    username = UsernameField(max_length=150, label="Username", widget=forms.TextInput(attrs={**TEXT, "autocomplete": "username", "autocapitalize": "none"}))
    name = NameInput(max_length=150, required=False, label="Name", widget=forms.TextInput(attrs={**TEXT, "autocomplete": "name"}))
    email = forms.EmailField(required=False, label="E-mail", widget=forms.EmailInput(attrs={**TEXT, "autocomplete": "email"}))
    password = forms.CharField(
        max_length=4096,
        strip=False,
        help_text="At least 10 characters, not one of the common ones.",
        widget=forms.PasswordInput(attrs={**TEXT, "autocomplete": "new-password"}),
    )
    again = forms.CharField(max_length=4096, strip=False, label="Password again", widget=forms.PasswordInput(attrs={**TEXT, "autocomplete": "new-password"}))

    def clean_again(self) -> str:
        """The same password. Raises ValidationError for another."""
        again: str = self.cleaned_data["again"]
        if again != self.cleaned_data.get("password", again):
            raise forms.ValidationError("The two passwords differ.")
        return again
