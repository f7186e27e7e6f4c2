"""What people fill in about a hypothesis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django import forms
from django.http import QueryDict

from config.errors import Invalid, NotFound
from config.web.names import NameInput
from experiments.models import Experiment
from experiments.readings.selection import select
from hypotheses.claims.stating import TargetTerm
from hypotheses.models import Hypothesis, Target
from projects.models import Project, ProjectMetric

TEXT = {"class": "input", "autocomplete": "off", "dir": "auto"}
AREA = {"class": "input area", "dir": "auto"}
TARGETS_MOST = 10
OFFERED = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the form's targets: the bound fields, and what is wrong."""

    metric: forms.BoundField
    effect: forms.BoundField
    unit: forms.BoundField

    @property
    def errors(self) -> list[str]:
        """All that is wrong with the line."""
        return [*self.metric.errors, *self.effect.errors, *self.unit.errors]


class HypothesisForm(forms.Form):
    """A claim with its targets. `rows` targets are offered, one more than are filled in."""

    title = NameInput(
        max_length=255,
        widget=forms.TextInput(attrs={**TEXT, "autofocus": True, "placeholder": "Dropout raises val/accuracy by more than 0.003"}),
        help_text="The claim, short: what changes, which metric, by how much.",
    )
    claim = forms.CharField(required=False, widget=forms.Textarea(attrs={**AREA, "rows": 2}), help_text="In a sentence, where the title is too short.")
    rationale = forms.CharField(required=False, label="Why it is believed", widget=forms.Textarea(attrs={**AREA, "rows": 2}))
    description = forms.CharField(required=False, label="Notes", widget=forms.Textarea(attrs={**AREA, "rows": 2}))
    require = forms.ChoiceField(
        choices=Hypothesis.Require.choices, label="Targets required", widget=forms.Select(attrs={"class": "select"}), help_text="Where there are several."
    )
    baseline = forms.ChoiceField(choices=Hypothesis.Baseline.choices, label="Compared with", widget=forms.Select(attrs={"class": "select"}))
    baseline_experiment = forms.CharField(
        required=False,
        max_length=255,
        label="Which experiment",
        widget=forms.TextInput(attrs={**TEXT, "list": "runs", "placeholder": "slug, where it is one experiment"}),
    )
    paired = forms.BooleanField(required=False, label="Pair runs by seed", help_text="Only where equal seeds make equal data; said before there are data.")
    experiments = forms.CharField(
        required=False,
        label="Runs to link",
        widget=forms.TextInput(attrs={**TEXT, "list": "runs", "placeholder": "slugs with commas between"}),
        help_text="Runs that have ended already are shown as post hoc: they suggested the claim and cannot confirm it.",
    )
    feature = forms.CharField(
        required=False,
        max_length=250,
        label="Link by rule",
        widget=forms.TextInput(attrs={**TEXT, "placeholder": "feature, for example: dropout"}),
        help_text="Every run of the project, now and later, whose change has this feature.",
    )

    def __init__(self, project: Project, data: QueryDict | None = None, *, initial: Mapping[str, Any] | None = None, is_new: bool = True) -> None:
        super().__init__(data, initial={"require": "all", "baseline": "root"} | dict(initial or {}))
        self.project = project
        self.fields["title"].keeps_old = not is_new  # type: ignore[attr-defined]  # a NameInput
        if not is_new:
            del self.fields["experiments"], self.fields["feature"]
        for index in range(self.row_count(data)):
            self.add_row(index)

    def row_count(self, data: QueryDict | None) -> int:
        """One line more than are filled in, two at least."""
        given: Mapping[str, Any] = data if data is not None else self.initial
        filled = [index for index in range(TARGETS_MOST) if given.get(f"metric_{index}")]
        return min(max(2, (filled[-1] if filled else -1) + 2), TARGETS_MOST)

    def add_row(self, index: int) -> None:
        """The fields of one target."""
        names = [("", "–"), *((metric.name, f"{metric.name} {metric.better.arrow}") for metric in self.metrics)]
        self.fields[f"metric_{index}"] = forms.ChoiceField(
            choices=names, required=index == 0, label="Metric", widget=forms.Select(attrs={"class": "select", "aria-label": f"Metric {index + 1}"})
        )
        self.fields[f"effect_{index}"] = forms.FloatField(
            required=False,
            min_value=0,
            label="Smallest improvement that matters",
            widget=forms.TextInput(
                attrs={"class": "input short", "inputmode": "decimal", "aria-label": f"Smallest improvement {index + 1}", "placeholder": "0"}
            ),
        )
        self.fields[f"unit_{index}"] = forms.ChoiceField(
            choices=Target.Unit.choices, required=False, label="In", widget=forms.Select(attrs={"class": "select", "aria-label": f"Unit {index + 1}"})
        )

    @cached_property
    def metrics(self) -> list[ProjectMetric]:
        """The project's metrics, those with a direction first."""
        return sorted(self.project.metrics.all(), key=lambda metric: (not metric.direction, metric.name))

    @property
    def rows(self) -> list[Row]:
        """The lines of targets."""
        count = sum(name.startswith("metric_") for name in self.fields)
        return [Row(self[f"metric_{i}"], self[f"effect_{i}"], self[f"unit_{i}"]) for i in range(count)]

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """The fields aside from the title and the targets."""
        return [field for field in self if not field.name.startswith(("metric_", "effect_", "unit_")) and field.name != "title"]

    def clean_baseline_experiment(self) -> Experiment | None:
        """The experiment with this slug or UUID in the project."""
        reference = self.cleaned_data["baseline_experiment"].strip()
        if not reference or self.cleaned_data.get("baseline") != Hypothesis.Baseline.EXPERIMENT:
            return None
        try:
            return Experiment.objects.filter(project=self.project).named(reference)
        except NotFound as error:
            raise forms.ValidationError(f"There is no experiment {reference} in this project: give the slug that stands in its address.") from error

    def clean_experiments(self) -> list[Experiment]:
        """The runs with these slugs or UUIDs."""
        try:
            found = select(self.project, [self.cleaned_data["experiments"]])
        except Invalid as error:
            raise forms.ValidationError(str(error)) from error
        if found.unknown:
            raise forms.ValidationError(f"There is no experiment {', '.join(found.unknown[:5])} in this project: give slugs, with commas between.")
        return found.experiments

    def wanted(self) -> list[tuple[ProjectMetric, float, str]]:
        """(metric, smallest improvement, unit) of every line that can be read, also while the form is not valid yet."""
        known = {metric.name: metric for metric in self.metrics}
        lines = [(row.metric.value(), row.effect.value(), row.unit.value()) for row in self.rows]
        return [(known[name], effect_of(effect), unit or Target.Unit.METRIC) for name, effect, unit in lines if name in known]

    def terms(self) -> dict[str, Any]:  # Any: values in the words of hypotheses.claims.stating
        """The cleaned fields in the words of hypotheses.claims.stating."""
        made = self.cleaned_data
        fields = {name: made[name] for name in ("title", "claim", "rationale", "description", "require", "baseline", "baseline_experiment", "paired")}
        return fields | {"targets": [self.target(i) for i in range(len(self.rows)) if made.get(f"metric_{i}")]}

    def target_field(self, index: int | None) -> str:
        """The field of the target that stands at `index` among those filled in."""
        filled = [name for name in self.fields if name.startswith("metric_") and self[name].value()]
        return filled[index] if index is not None and index < len(filled) else "metric_0"

    def target(self, index: int) -> TargetTerm:
        """One cleaned target."""
        made = self.cleaned_data
        return TargetTerm(made[f"metric_{index}"], made[f"effect_{index}"] or 0.0, made[f"unit_{index}"] or Target.Unit.METRIC)

    @property
    def offered(self) -> Iterable[tuple[str, str]]:
        """The newest experiments, by slug and name."""
        return Experiment.objects.filter(project=self.project).current().values_list("slug", "name")[:OFFERED]


def effect_of(text: Any) -> float:  # Any: what a bound field holds, text or number
    """The number in a field; 0 where there is none that can be one."""
    try:
        effect = float(text)
    except (TypeError, ValueError):
        return 0.0
    return effect if math.isfinite(effect) and effect > 0 else 0.0


def initial_of(hypothesis: Hypothesis) -> dict[str, Any]:  # Any: as forms take it
    """What the form shows of a hypothesis that is there."""
    fields = {name: getattr(hypothesis, name) for name in ("title", "claim", "rationale", "description", "require", "baseline", "paired")}
    fields["baseline_experiment"] = hypothesis.baseline_experiment.slug if hypothesis.baseline_experiment else ""
    for index, target in enumerate(hypothesis.targets.all()):
        fields |= {f"metric_{index}": target.metric.name, f"effect_{index}": target.smallest_effect, f"unit_{index}": target.unit}
    return fields
