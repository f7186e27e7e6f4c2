"""Hypotheses in the admin: claim and terms are editable, through the verbs that keep the record; links, verdict and history are to look at."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms.formsets import DELETION_FIELD_NAME
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest

from accounts.audit.admin_lines import Audited
from accounts.models import User
from config.errors import Invalid
from config.web.admin_pages import BigTableAdmin, CountingDeletion, ReadOnlyAdmin
from hypotheses.claims import stating, wanting
from hypotheses.claims.terms import Content, TargetTerm, check, completed
from hypotheses.models import BaselineRun, Hypothesis, HypothesisEvent, HypothesisQuerySet, Link, Rule, Target

SAID = ("title", "claim", "rationale", "description", "require", "baseline", "baseline_experiment", "paired")


class HypothesisForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person may say of a hypothesis."""

    class Meta:
        model = Hypothesis
        fields = "__all__"  # noqa: DJ007  # HypothesisAdmin names the fields

    def clean(self) -> dict[str, Any]:  # Any: values of several fields
        """Refuse what could not be judged, but for the targets, which are a list of their own."""
        values: dict[str, Any] = super().clean() or {}
        project = values.get("project") or getattr(self.instance, "project", None)
        if project is None or self.errors:
            return values
        known = None if self.instance._state.adding else Hypothesis.objects.select_related("project", "baseline_experiment").get(pk=self.instance.pk)
        try:
            check(project, said(values, self.changed_data), hypothesis=known)
        except Invalid as invalid:
            raise ValidationError({field_of(fault.field): fault.message for fault in invalid.faults}) from invalid
        return values


def said(values: dict[str, Any], changed: list[str]) -> Content:  # Any: values of several fields
    """What a form says, in the verbs' words: what was changed on it, the baseline as a whole where a part of it was."""
    names = {name for name in SAID if name in changed and name in values}
    if names & {"baseline", "baseline_experiment"}:
        names |= {"baseline", "baseline_experiment"}
    content: Any = {name: values[name] for name in names}
    return completed(content)


def field_of(name: str) -> str:
    """The form's field of a fault; the form itself where it has none of that name."""
    return name if name in SAID else "__all__"


class TargetForms(BaseInlineFormSet):  # type: ignore[type-arg]
    """The targets as one list: together they can be judged, or they cannot."""

    def clean(self) -> None:
        """Refuse targets that could not be judged, in the words of the verbs."""
        super().clean()
        project = getattr(self.instance, "project", None)
        if any(self.errors) or project is None:
            return
        try:
            check(project, {"targets": self.terms()})
        except Invalid as invalid:
            raise ValidationError([fault.message for fault in invalid.faults]) from invalid

    def terms(self) -> list[TargetTerm]:
        """The targets that the list says, in its order."""
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data.get("metric") and not form.cleaned_data.get(DELETION_FIELD_NAME)]
        return [TargetTerm(one["metric"].name, one["smallest_effect"], one["unit"]) for one in sorted(kept, key=lambda one: one["position"] or 0)]


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    """Rows to look at: they are part of the record, and only its verbs write them."""

    extra = 0
    can_delete = False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:  # Any: Django's own signature
        """All of them."""
        return self.fields or ()

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes."""
        return False


class TargetInline(admin.TabularInline):  # type: ignore[type-arg]
    """The metrics that must improve."""

    model = Target
    formset = TargetForms
    fields = ("metric", "smallest_effect", "unit", "position")
    autocomplete_fields = ("metric",)
    extra = 0
    min_num = 1

    def get_queryset(self, request: HttpRequest) -> QuerySet[Target]:
        """With the names of the metrics."""
        return super().get_queryset(request).select_related("metric")


class LinkInline(ReadOnlyInline):
    """The runs that test it. They are linked on its page, by scripts and by rules."""

    model = Link
    fields = ("experiment", "source", "linked_at", "is_post_hoc", "unlinked_at", "counts_unlinked", "invalidated_at", "reason", "by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Link]:
        """With the names of runs and people."""
        return super().get_queryset(request).select_related("experiment", "hypothesis", "by")


class RuleInline(ReadOnlyInline):
    """The rules that link runs."""

    model = Rule
    fields = ("feature", "created_by", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        """With the names of those who made them."""
        return super().get_queryset(request).select_related("created_by")


class EventInline(ReadOnlyInline):
    """Its history."""

    model = HypothesisEvent
    fields = ("at", "kind", "sentence", "score", "epoch", "by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[HypothesisEvent]:
        """With the names of who acted."""
        return super().get_queryset(request).select_related("by")


@admin.register(Hypothesis)
class HypothesisAdmin(Audited, CountingDeletion, BigTableAdmin):
    """Hypotheses. Terms that change after data begin a new epoch, as they do everywhere; a verdict follows from runs alone."""

    told_by_verbs = frozenset({"added", "changed", "deleted"})
    form = HypothesisForm
    list_display = ("title", "project", "status", "score", "epoch", "judged_at", "wanted_at", "created_at")
    list_filter: ClassVar = ["status", "baseline", "created_at", ("project", admin.RelatedOnlyFieldListFilter)]
    search_fields = ("title", "slug", "claim", "project__name", "project__slug", "=id")
    autocomplete_fields = ("project", "baseline_experiment")
    inlines = (TargetInline, RuleInline, LinkInline, EventInline)
    actions = ("judge_again",)
    by_evidence: ClassVar[Any] = [
        "status",
        "score",
        "sentence",
        "missing",
        "decided_at",
        "judged_at",
        "wanted_at",
        "claimed_at",
    ]  # Any: field names, as Django's stubs want them

    derived: ClassVar[Any] = ["id", "slug", "epoch", "epoch_began_at", "frozen", "frozen_at", "created_by", "created_at", "updated_at"]
    fieldsets: ClassVar = [
        (None, {"fields": ["project", "title", "claim", "rationale", "description"]}),
        ("Terms: a change after data begins a new epoch", {"fields": ["require", "baseline", "baseline_experiment", "paired"]}),
        ("What its runs say", {"fields": by_evidence}),
        ("What follows from the rest", {"fields": derived}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hypothesis]:
        """With the project, which the table shows."""
        return super().get_queryset(request).select_related("project", "baseline_experiment")

    def get_readonly_fields(self, request: HttpRequest, obj: Hypothesis | None = None) -> list[str]:
        """The project is chosen once: runs and metrics are of it."""
        return [*self.by_evidence, *self.derived, *(["project"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: Hypothesis, form: forms.ModelForm[Hypothesis], change: bool) -> None:
        """Wait for the targets: claim and terms are saved together, by one verb."""

    def save_related(self, request: HttpRequest, form: forms.ModelForm[Hypothesis], formsets: Any, change: bool) -> None:  # Any: Django's own signature
        """Save through the verbs, so that history knows; only what was changed is written."""
        by: User = request.user  # type: ignore[assignment]  # staff only
        content = said(form.cleaned_data, form.changed_data)
        targets = next((one for one in formsets if isinstance(one, TargetForms)), None)
        if targets is not None and (targets.has_changed() or not change):
            content["targets"] = targets.terms()
        if change:
            stating.edit(Hypothesis.objects.get(pk=form.instance.pk), by=by, **content)
        else:
            form.instance.pk = stating.propose(form.cleaned_data["project"], by=by, **content).pk

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:  # Any: Django's own signature
        """What was changed on the form; the verbs' history has the rest."""
        return super().construct_change_message(request, form, [], add)

    def delete_model(self, request: HttpRequest, obj: Hypothesis) -> None:
        """Delete by the verb."""
        stating.delete(obj, by=request.user)  # type: ignore[arg-type]  # staff only

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Hypothesis]) -> None:
        """The same for several."""
        for hypothesis in queryset:
            self.delete_model(request, hypothesis)

    @admin.action(description="Judge selected hypotheses again", permissions=["change"])
    def judge_again(self, request: HttpRequest, queryset: HypothesisQuerySet) -> None:
        """Mark them; a worker judges them within a minute."""
        wanting.want(Hypothesis.objects.filter(pk__in=list(queryset.values_list("pk", flat=True))))
        self.message_user(request, f"{len(queryset)} will be judged within a minute.")


@admin.register(HypothesisEvent)
class HypothesisEventAdmin(ReadOnlyAdmin):
    """All history, newest first."""

    list_display = ("at", "kind", "hypothesis", "sentence", "score", "epoch", "by")
    list_filter = ("kind", "at")
    list_select_related = ("hypothesis", "by")
    search_fields = ("hypothesis__title", "hypothesis__slug", "sentence", "by__username")
    ordering = ("-at", "-pk")


@admin.register(Link)
class LinkAdmin(ReadOnlyAdmin):
    """Which run tests what, and since when. Links change on the hypothesis's page and over the API, where the reason is kept."""

    list_display = ("hypothesis", "experiment", "source", "linked_at", "is_post_hoc", "unlinked_at", "invalidated_at", "reason")
    list_filter: ClassVar = ["source", "is_post_hoc", ("invalidated_at", admin.EmptyFieldListFilter), "linked_at"]
    list_select_related = ("hypothesis", "experiment")
    search_fields = ("hypothesis__title", "hypothesis__slug", "experiment__name", "experiment__slug", "reason")
    ordering = ("-linked_at", "-pk")


@admin.register(BaselineRun)
class BaselineRunAdmin(ReadOnlyAdmin):
    """Which runs the last judgements compared with."""

    list_display = ("hypothesis", "experiment")
    list_select_related = ("hypothesis", "experiment")
    search_fields = ("hypothesis__title", "hypothesis__slug", "experiment__name", "experiment__slug")
