"""What people fill in about themselves."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.http import QueryDict

from accounts.models import ApiToken, User
from accounts.people import passwords
from accounts.tokens.ending import living_of
from config.errors import Invalid
from config.web.names import NameInput

TEXT = {"class": "input"}
PRESENT = {**TEXT, "autocomplete": "current-password"}
NEXT = {**TEXT, "autocomplete": "new-password"}
WHO = {**TEXT, "autocomplete": "username", "autocapitalize": "none"}
LONGEST = 4096
HINT = "At least 10 characters, not one of the common ones."


class Said(forms.Form):
    """A form that a verb has the last word about."""

    def refuse(self, invalid: Invalid) -> None:
        """Show what a verb refused, each at its field."""
        for fault in invalid.faults:
            self.add_error(fault.field if fault.field in self.fields else None, fault.message)


class ProfileForm(Said):
    """How somebody is called and written to."""

    name = NameInput(max_length=150, required=False, label="Name", widget=forms.TextInput(attrs={**TEXT, "autocomplete": "name"}))
    email = forms.EmailField(required=False, label="E-mail", widget=forms.EmailInput(attrs={**TEXT, "autocomplete": "email"}))
    present = forms.CharField(
        max_length=LONGEST,
        required=False,
        strip=False,
        label="Present password",
        help_text="Only where the e-mail address changes: it opens the account.",
        widget=forms.PasswordInput(attrs=PRESENT),
    )

    def __init__(self, user: User, data: QueryDict | None = None) -> None:
        super().__init__(data, auto_id="profile_%s", initial={"name": user.get_full_name(), "email": user.email})


class NewPasswordForm(Said):
    """A new password, twice, and which tokens it ends."""

    new = forms.CharField(max_length=LONGEST, strip=False, label="New password", help_text=HINT, widget=forms.PasswordInput(attrs=NEXT))
    again = forms.CharField(max_length=LONGEST, strip=False, label="New password again", widget=forms.PasswordInput(attrs=NEXT))
    end = forms.ModelMultipleChoiceField(queryset=ApiToken.objects.none(), required=False, widget=forms.MultipleHiddenInput)

    def __init__(self, user: User, data: QueryDict | None = None) -> None:
        super().__init__(data, auto_id="password_%s")
        self.fields["end"].queryset = living_of(user)  # type: ignore[attr-defined]

    def clean_again(self) -> str:
        """The same password. Raises ValidationError for another."""
        again: str = self.cleaned_data["again"]
        if again != self.cleaned_data.get("new", again):
            raise forms.ValidationError("The two passwords differ.")
        return again


class PasswordForm(NewPasswordForm):
    """The present password, a new one, and which tokens end with it."""

    present = forms.CharField(max_length=LONGEST, strip=False, label="Present password", widget=forms.PasswordInput(attrs=PRESENT))
    field_order = ("present", "new", "again", "end")


class OperatorsPasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """A password that staff set for somebody else, or take away: either is a change of the password."""

    def save(self, commit: bool = True) -> User:
        """Set it or take it away by the verb, which leaves its line with it."""
        user: User = self.user
        passwords.give(user, self.cleaned_data["password1"] if self.cleaned_data["set_usable_password"] else None)
        return user

    @property
    def changed_data(self) -> list[str]:
        """The password, also where it was taken away: Django's form names no field then."""
        is_taken_away = not self.cleaned_data.get("set_usable_password", True)
        return ["password"] if is_taken_away else super().changed_data


class ForgottenForm(forms.Form):
    """Who forgot the password."""

    name = forms.CharField(max_length=254, label="Username or e-mail", widget=forms.TextInput(attrs=WHO))
