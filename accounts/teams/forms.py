"""What people fill in about a team."""

from __future__ import annotations

from django import forms

from accounts.models import Role
from config.web.names import NameInput

NAME_MOST = 255


class TeamForm(forms.Form):
    """A team's name."""

    name = NameInput(max_length=NAME_MOST, label="Name", widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off"}))


class RoleForm(forms.Form):
    """What a member may do."""

    role = forms.ChoiceField(choices=Role.choices)
