"""What people fill in about an experiment."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.http import QueryDict

from config.errors import NotFound
from config.limits.sizes import NOTES_BYTES
from config.names import flaw_in_name, known_spelling
from config.web.names import NameInput
from experiments.content import Fields, is_too_long_for_a_form, retyped
from experiments.models import Experiment
from projects.models import Project

TEXT = {"class": "input", "autocomplete": "off", "dir": "auto"}
CODE = {"class": "input area mono", "spellcheck": "false", "autocomplete": "off", "dir": "ltr"}
TAG_CHARACTERS = 100
PARENTS_OFFERED = 200
TOO_LONG = "Too long for a form: it stays as it is. Change it by PATCH /api/v1/experiments/{}."


class JsonObject(forms.CharField):
    """A JSON object as text."""

    widget = forms.Textarea(attrs={**CODE, "rows": 10})

    def clean(self, value: str) -> dict[str, Any]:  # Any: whatever JSON holds
        """The object. Refuses what is no JSON, and says where it stops being so."""
        text = super().clean(value)
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f'This is not JSON: {error}. Write it like {{"lr": 0.001, "layers": 2}}.') from error
        if not isinstance(found, dict):
            raise forms.ValidationError(f'This is a JSON {type(found).__name__}: an object is needed, like {{"lr": 0.001}}.')
        return found


class ExperimentForm(forms.Form):
    """The record of an experiment, new or known."""

    name = NameInput(max_length=255, widget=forms.TextInput(attrs={**TEXT, "autofocus": True}))
    parent = forms.CharField(
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={**TEXT, "list": "parents", "placeholder": "slug, for example: baseline"}),
        help_text="The experiment that this one changes. Empty: a root.",
    )
    params = JsonObject(required=False, help_text="What this run is made of, as a JSON object. What changed against the parent is worked out from it.")
    tags = forms.CharField(
        required=False, strip=False, widget=forms.TextInput(attrs={**TEXT, "placeholder": "sweep-1, final"}), help_text="Separated by commas."
    )
    seed = forms.IntegerField(required=False, min_value=-(2**63), max_value=2**63 - 1, widget=forms.TextInput(attrs={"class": "input", "inputmode": "numeric"}))
    replicate_group = NameInput(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs=TEXT),
        help_text="Runs with one group are replicates. Empty: those with equal params, seed aside.",
    )
    notes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"class": "input area", "rows": 6, "dir": "auto"}),
        help_text=f"At most {NOTES_BYTES // 1000} KB.",
    )

    def __init__(self, project: Project, data: QueryDict | None = None, *, experiment: Experiment | None = None) -> None:
        super().__init__(data, initial=initial(experiment) if experiment else {})
        self.project, self.experiment = project, experiment
        for name in ("params", "notes"):
            if experiment is not None and is_too_long_for_a_form(getattr(experiment, name)):
                self.fields[name].disabled, self.fields[name].help_text = True, TOO_LONG.format(experiment.pk)

    def clean_notes(self) -> str:
        """The notes; those that are kept, where nothing but line ends differs."""
        given: str = self.cleaned_data["notes"]
        return given if self.experiment is None else retyped(given, self.experiment.notes)

    def clean_parent(self) -> Experiment | None:
        """The experiment with this slug or UUID in the project."""
        reference = self.cleaned_data["parent"].strip()
        if not reference:
            return None
        try:
            return Experiment.objects.filter(project=self.project).named(reference)
        except NotFound as error:
            raise forms.ValidationError(f"There is no experiment {reference} in this project: give the slug that stands in its address.") from error

    def clean_tags(self) -> list[str]:
        """The words, each once."""
        had = {tag.name for tag in self.experiment.tags.all()} if self.experiment else set()
        given = [word.removeprefix(" ") for word in self.cleaned_data["tags"].split(",") if word.strip()]  # as `initial` writes them
        words = list(dict.fromkeys(known_spelling(word, had.__contains__) for word in given))
        flawed = [(word, flaw) for word in words if word not in had and (flaw := flaw_in_name(word))]
        if flawed:
            raise forms.ValidationError(f"{flawed[0][0]!r}: {flawed[0][1].message}")
        if any(len(word) > TAG_CHARACTERS for word in words):
            raise forms.ValidationError(f"A tag has {TAG_CHARACTERS} characters at most.")
        return words

    def fields_given(self) -> Fields:
        """The cleaned fields in the words of experiments.lifecycle, tags aside."""
        made = self.cleaned_data
        return Fields(
            name=made["name"], parent=made["parent"], params=made["params"], seed=made["seed"], replicate_group=made["replicate_group"], notes=made["notes"]
        )

    def parents(self) -> list[tuple[str, str]]:
        """Slug and name of the experiments that are offered as a parent: the newest ones."""
        others = Experiment.objects.filter(project=self.project).current()
        if self.experiment is not None:
            others = others.exclude(pk=self.experiment.pk)
        return list(others.values_list("slug", "name")[:PARENTS_OFFERED])


class NewExperimentForm(ExperimentForm):
    """The same for one that is not there yet: planned, or running already."""

    status = forms.ChoiceField(
        choices=[(Experiment.Status.PLANNED, "Planned: it starts later"), (Experiment.Status.RUNNING, "Running: it starts now")],
        widget=forms.Select(attrs={"class": "select"}),
        label="State",
    )


def initial(experiment: Experiment) -> dict[str, Any]:  # Any: a form's initial values
    """An experiment as its form shows it."""
    return {
        "name": experiment.name,
        "parent": experiment.parent_experiment.slug if experiment.parent_experiment else "",
        "params": json.dumps(experiment.params, indent=2, ensure_ascii=False) if experiment.params else "",
        "tags": ", ".join(tag.name for tag in experiment.tags.all()),
        "seed": experiment.seed,
        "replicate_group": experiment.replicate_group,
        "notes": experiment.notes,
    }
