"""What people fill in for a token: a name, what it may do, for which project, and until when."""

from __future__ import annotations

import uuid
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from accounts.access import Caller, caller
from accounts.models import ApiToken, Role, Scope, Team, User
from accounts.tokens import issuing
from config.errors import Invalid
from projects.models import Project

TEXT = {"class": "input"}
DAYS = 90
PROJECTS_MOST = 500
MAY = {
    Scope.INGEST: "make runs, log points and files; for a training script",
    Scope.READ: "export and query, change nothing; for a notebook",
    Scope.WRITE: "all you may do yourself, except people and deletions",
    Scope.ADMIN: "all you may do yourself, people and deletions too",
}


class TokenForm(forms.Form):
    """A new token. The password is asked for where it was given more than an hour ago."""

    name = forms.CharField(max_length=100, label="Name", widget=forms.TextInput(attrs={**TEXT, "placeholder": "gpu7", "autocomplete": "off"}))
    reach = forms.ChoiceField(label="Projects", widget=forms.Select(attrs={"class": "select"}))
    expires_on = forms.DateField(required=False, label="Last day", widget=forms.DateInput(attrs={**TEXT, "type": "date"}, format="%Y-%m-%d"))
    scope = forms.ChoiceField(required=False, choices=issuing.GIVEN)
    password = forms.CharField(
        strip=False,
        label="Your password",
        max_length=4096,
        error_messages={"required": issuing.ASK},
        widget=forms.PasswordInput(attrs={**TEXT, "autocomplete": "current-password"}),
    )

    def __init__(self, caller: Caller, data: QueryDict | None = None) -> None:
        super().__init__(data, initial={"expires_on": (timezone.now() + timedelta(days=min(settings.TOKEN_MAX_DAYS or DAYS, DAYS))).date()})
        self.caller = caller
        teams = list(caller.teams())
        self.fields["reach"].choices = reaches(caller, teams)  # type: ignore[attr-defined]
        self.fields["reach"].initial = next((team.pk for team in teams if caller.roles[team.pk].allows(Role.EDITOR)), None)
        if not issuing.needs_password(caller):
            del self.fields["password"]

    @property
    def scopes(self) -> list[tuple[str, str, str, bool]]:
        """(value, label, what it may do, whether it is chosen) of each scope."""
        chosen = self["scope"].value() or Scope.INGEST
        return [(scope.value, scope.label, words, scope == chosen) for scope, words in MAY.items()]

    def clean_expires_on(self) -> datetime | None:
        """The end of that day, UTC. A day that is over, or past TOKEN_MAX_DAYS, is refused."""
        day = self.cleaned_data["expires_on"]
        if day is not None and day < timezone.now().date():
            raise forms.ValidationError("This day is over: choose a later one, or leave it empty for a token without end.")
        try:
            return issuing.latest_end(None if day is None else datetime.combine(day, time.max, tzinfo=timezone.get_current_timezone()))
        except Invalid as refused:
            raise forms.ValidationError(str(refused)) from refused

    def issue(self) -> tuple[ApiToken, str]:
        """The new token and its secret."""
        made = self.cleaned_data
        scope = Scope(made["scope"] or Scope.INGEST)
        project = Project.objects.visible_to(self.caller).select_related("team").filter(pk=made["reach"]).first()
        team = project.team if project else self.caller.teams().get(pk=made["reach"])
        return issuing.mint(self.caller, issuing.Wanted(made["name"], team, scope, project, made["expires_on"]))


def reaches(caller: Caller, teams: list[Team]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a token may be for: of each team all, or one of its projects."""
    found: dict[uuid.UUID, list[tuple[str, str]]] = {team.pk: [(str(team.pk), f"all of {team.name}")] for team in teams}
    for pk, team_id, name in Project.objects.visible_to(caller).current().order_by("name").values_list("pk", "team", "name")[:PROJECTS_MOST]:
        found[team_id].append((str(pk), name))
    return [(team.name, found[team.pk]) for team in teams]


class NarrowForm(forms.Form):
    """A narrower scope for a token that is there."""

    scope = forms.ChoiceField(choices=issuing.GIVEN)


class AdminTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """A token in the admin. A new one is given a scope of today, and wants the password where it was given more than an hour ago."""

    request: HttpRequest
    password = forms.CharField(required=False, strip=False, label="Your password", widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))

    class Meta:
        model = ApiToken
        fields = ("user", "team", "project", "name", "scope", "expires_at")

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature
        super().__init__(*args, **options)
        if "scope" in self.fields:
            self.fields["scope"] = forms.ChoiceField(choices=issuing.GIVEN, initial=Scope.INGEST, required=False)

    def clean_user(self) -> User:
        """Whose the token is: the text of a new one is shown, and whoever has it speaks for that person. Operators make them for everybody."""
        user: User = self.cleaned_data["user"]
        if not self.request.user.is_superuser and user != self.request.user:
            raise forms.ValidationError("Only operators make tokens for somebody else: choose yourself.")
        return user

    def is_longer(self, ends_at: datetime | None) -> bool:
        """Whether a token that is there would end later, or again where it has ended: that is a new token, and the password is asked for one."""
        was: datetime | None = self.instance.expires_at
        if self.instance._state.adding or was is None or "expires_at" not in self.changed_data:
            return False
        return ends_at is None or ends_at > was or was <= timezone.now()

    def clean_scope(self) -> Scope:
        """The scope, the least that logs where none was given."""
        return Scope(self.cleaned_data["scope"] or Scope.INGEST)

    def clean_password(self) -> str:
        """The password of whoever makes the token."""
        given: str = self.cleaned_data["password"]
        try:
            issuing.prove(self.request, caller(self.request), given)
        except (issuing.PasswordNeeded, Invalid) as refused:
            raise forms.ValidationError(str(refused)) from refused
        return given

    def clean(self) -> dict[str, Any]:  # Any: values of several fields
        """A project is one of the team's; the end is within TOKEN_MAX_DAYS, no later than that of the token that made it, and no later than it was."""
        cleaned = super().clean() or {}
        project, team = cleaned.get("project"), cleaned.get("team")
        if project is not None and team is not None and project.team_id != team.pk:
            self.add_error("project", "This is a project of another team.")
        ends_at, maker = cleaned.get("expires_at"), self.instance.parent
        if maker is not None and maker.expires_at is not None and issuing.earliest(ends_at, maker.expires_at) != ends_at:
            self.add_error("expires_at", f"The token that made it ends on {maker.expires_at:%Y-%m-%d %H:%M} UTC: give no later end.")
        if self.is_longer(ends_at):
            self.add_error("expires_at", f"This token ends on {self.instance.expires_at:%Y-%m-%d %H:%M} UTC: give no later end, or make a new one.")
        try:
            issuing.latest_end(ends_at)
        except Invalid as refused:
            self.add_error("expires_at", str(refused))
        return cleaned
