"""What people fill in about projects and their metrics."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.http import QueryDict

from accounts.access import Caller
from accounts.forms import TeamChoice
from accounts.models import Role, Team
from config.errors import Forbidden
from config.limits.sizes import VIEW_CHARACTERS
from config.web.names import NameInput
from metrics.points.valid import NAME_BYTES, is_name
from projects import services
from projects.models import Aggregation, Direction, Project, ProjectMetric, SavedView
from projects.seeds import entries_of

TEXT = {"class": "input", "autocomplete": "off", "dir": "auto"}

VIEWS_MOST = 200


class SeedList(forms.CharField):
    """The params that are seeds, one a line; empty for the default list."""

    def prepare_value(self, value: Any) -> Any:  # Any: Django's own signature
        """As the form shows it."""
        return value if value is None or isinstance(value, str) else "\n".join(value)

    def clean(self, value: Any) -> tuple[str, ...] | None:  # Any: Django's own signature
        """The entries. Raises ValidationError for one that means no param."""
        try:
            return entries_of(re.split(r"[\n,]", super().clean(value))) or None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    """Name and description of a project, and which params are seeds; for who may delete also how long it keeps its points."""

    seed_params = SeedList(
        required=False,
        label="Params that are seeds",
        widget=forms.Textarea(attrs={"class": "input area mono", "rows": 6, "dir": "ltr", "spellcheck": "false", "autocomplete": "off"}),
        help_text="One a line. Runs that differ in these alone are replicates. seed stands for trainer.seed and Seed, too; trainer.seed for itself alone;"
        " !data.seed is no seed. Empty gives the default list. Replicates are told anew when it changes; a hypothesis whose baseline is fixed keeps its own.",
    )

    class Meta:
        """Which fields of which model."""

        model = Project
        fields: tuple[str, ...] = ("name", "description", "retention_days", "archived")
        field_classes: ClassVar = {"name": NameInput}
        widgets: ClassVar = {
            "name": forms.TextInput(attrs={**TEXT, "autofocus": True}),
            "description": forms.Textarea(attrs={"class": "input area", "rows": 3, "dir": "auto"}),
            "retention_days": forms.NumberInput(attrs={"class": "input", "placeholder": "for ever", "inputmode": "numeric"}),
        }
        labels: ClassVar = {"retention_days": "Keep points for (days)"}
        help_texts: ClassVar = {"description": "One or two sentences: the question, the data.", "archived": "Leaves the list of projects. Its pages stay."}

    field_order: Sequence[str] = ("name", "description", "retention_days", "seed_params", "archived")

    def __init__(self, data: QueryDict | None = None, *, instance: Project | None = None, may_delete: bool = False) -> None:
        super().__init__(data, instance=instance)
        if instance is not None:
            self.initial["seed_params"] = instance.seeds.entries
        if not may_delete:
            self.fields.pop("retention_days", None)


class NewProjectForm(ProjectForm):
    """The same for a project that is not there yet, with the team it belongs to."""

    team = TeamChoice(queryset=Team.objects.none(), label="Team", empty_label=None)
    field_order = ("team", "name", "description")

    class Meta(ProjectForm.Meta):
        """Which fields of which model."""

        fields = ("team", "name", "description")

    def __init__(self, caller: Caller, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self.fields.pop("seed_params")  # said once there are params
        teams = Team.objects.filter(pk__in=writable_teams(caller))
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]
        if len(teams) == 1:
            self.fields["team"].widget = forms.HiddenInput()
            self.initial["team"] = teams[0].pk

    def make(self) -> Project:
        """The new project."""
        made = self.cleaned_data
        return services.create(made["team"], name=made["name"], description=made["description"])


def writable_teams(caller: Caller) -> list[uuid.UUID]:
    """The ids of the teams where the caller may make projects."""
    return [team for team, role in caller.roles.items() if role.allows(Role.EDITOR)]


def require_writable_team(caller: Caller) -> None:
    """Raise Forbidden where there is no team that the caller may make a project in."""
    if not writable_teams(caller):
        raise Forbidden("Making a project takes the role editor or admin in a team. An admin of your team can give it.")


class NewMetricForm(forms.ModelForm):  # type: ignore[type-arg]
    """A metric defined before the first point of it arrives."""

    class Meta:
        """Which fields of which model."""

        model = ProjectMetric
        fields = ("name", "direction", "aggregation", "watch_divergence")
        field_classes: ClassVar = {"name": NameInput}
        widgets: ClassVar = {
            "name": forms.TextInput(attrs={**TEXT, "placeholder": "val/accuracy"}),
            "direction": forms.Select(attrs={"class": "select"}),
            "aggregation": forms.Select(attrs={"class": "select"}),
        }
        labels: ClassVar = {"watch_divergence": "Watch for divergence"}
        help_texts: ClassVar = {"watch_divergence": ""}

    def __init__(self, project: Project, data: QueryDict | None = None) -> None:
        super().__init__(data, instance=ProjectMetric(project=project))
        self.project = project

    def clean_name(self) -> str:
        """The name. One that the project has already is refused."""
        name: str = self.cleaned_data["name"]
        if not is_name(name):
            raise forms.ValidationError(f"A metric name has at most {NAME_BYTES} bytes of UTF-8.")
        if self.project.metrics.filter(name=name).exists():
            raise forms.ValidationError(f"The project has {name} already: change it in the table.")
        return name


class MetricChangeForm(forms.Form):
    """One click on a metric's row: a direction, an aggregation, or the watch for divergence."""

    direction = forms.ChoiceField(choices=Direction.choices, required=False)
    aggregation = forms.ChoiceField(choices=Aggregation.choices, required=False)
    watch_divergence = forms.ChoiceField(choices=[("on", "On"), ("off", "Off")], required=False)

    def said(self) -> dict[str, Any]:  # Any: values of several fields
        """What was clicked, by field. A direction that was sent empty is unset."""
        made = self.cleaned_data
        found: dict[str, Any] = {"aggregation": made["aggregation"]} if made["aggregation"] else {}
        if "direction" in self.data:
            found["direction"] = made["direction"]
        if made["watch_divergence"]:
            found["watch_divergence"] = made["watch_divergence"] == "on"
        return found


class SavedViewForm(forms.Form):
    """A name for the table as it is asked for now."""

    name = NameInput(max_length=100, error_messages={"required": "Give the view a name."})
    query = forms.CharField(required=False, max_length=VIEW_CHARACTERS, strip=False)

    def __init__(self, project: Project, data: QueryDict) -> None:
        super().__init__(data)
        self.project = project

    def clean_name(self) -> str:
        """The name. One that is taken is refused: a view that others link to does not change under them."""
        name: str = self.cleaned_data["name"]
        if SavedView.objects.filter(project=self.project, name=name).exists():
            raise forms.ValidationError(f"There is a view {name} already: choose another name, or delete it first.")
        if SavedView.objects.filter(project=self.project).count() >= VIEWS_MOST:
            raise forms.ValidationError(f"A project has at most {VIEWS_MOST} views: delete one first.")
        return name
