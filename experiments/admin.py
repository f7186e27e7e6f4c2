"""Experiments in the admin: what a person may say of a run is editable; its history and what follows from other things is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Field, QuerySet
from django.http import HttpRequest

from accounts.audit.admin_lines import Audited, acted
from accounts.audit.recording import Subject
from accounts.models import User
from config.errors import Conflict, Invalid
from config.web.admin_pages import BigTableAdmin, CountingDeletion, ReadOnlyAdmin
from experiments import content, deletion, lifecycle
from experiments.models import DeletedExperiment, Experiment, ExperimentEvent, MovedArm, Tag

Verb = Callable[..., None]
SIZED = frozenset({*content.OBJECTS, *content.TEXT_BYTES})
STARTS = (Experiment.Status.PLANNED, Experiment.Status.RUNNING)


class ExperimentForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person may say of an experiment."""

    class Meta:
        model = Experiment
        fields = "__all__"  # noqa: DJ007  # ExperimentAdmin names the fields

    def clean(self) -> dict[str, Any]:  # Any: values of several fields
        """Refuse a parent or a tag of another project, a cycle, and content that cannot be kept."""
        values: dict[str, Any] = super().clean() or {}
        values["slug"] = values.get("slug") or self.instance.slug
        values |= {name: {} for name in content.OBJECTS if name in values and values[name] is None}
        values |= {name: content.retyped(values[name], getattr(self.instance, name)) for name in content.TEXT_BYTES if name in values}
        project = values.get("project") or getattr(self.instance, "project", None)
        try:
            content.check(values)  # type: ignore[arg-type]  # fields of other names and types are passed over
            content.check_sizes(*self.new_content(values))
            given = {name: value for name, value in values.items() if name in content.OBJECTS and value != getattr(self.instance, name)}
            values |= content.with_kept_names(given)  # type: ignore[arg-type]
            if project and values.get("parent_experiment"):
                Experiment(pk=self.instance.pk, project=project, parent_experiment=values["parent_experiment"]).check_parent()
        except Invalid as invalid:
            raise ValidationError(str(invalid)) from invalid
        strange = [tag.name for tag in values.get("tags") or () if project and tag.project_id != project.pk]
        if strange:
            raise ValidationError({"tags": f"These tags belong to another project: {', '.join(strange)}."})
        return values

    def new_content(self, values: dict[str, Any]) -> tuple[content.Fields, list[str]]:  # Any: values of several fields
        """What of the content was changed, and the tags where they were."""
        told: Any = {name: value for name, value in values.items() if name in SIZED and value != getattr(self.instance, name)}  # Any: of these types
        return told, [tag.name for tag in values.get("tags") or ()] if "tags" in self.changed_data else []


def said(form: forms.ModelForm[Experiment]) -> dict[str, Any]:  # Any: values of several fields
    """What was changed on a form, as lifecycle.edit takes it."""
    changed = {name: form.cleaned_data[name] for name in form.changed_data}
    if "tags" in changed:
        changed["tags"] = [tag.name for tag in changed["tags"]]
    if "parent_experiment" in changed:
        changed["parent"] = changed.pop("parent_experiment")
    return changed


class EventInline(admin.TabularInline):  # type: ignore[type-arg]
    """The history of an experiment."""

    model = ExperimentEvent
    fields = ("at", "kind", "detail", "by")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExperimentEvent]:
        """With the names of who acted."""
        return super().get_queryset(request).select_related("by")

    def has_add_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        """History adds itself."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        """History stays."""
        return False


@admin.register(Experiment)
class ExperimentAdmin(Audited, CountingDeletion, BigTableAdmin):
    """Experiments. Status changes by action, so that history knows of it; deleting takes the points along."""

    told_by_verbs = frozenset({"deleted"})
    form = ExperimentForm
    list_display = ("name", "project", "status", "failure_kind", "parent_experiment", "archived", "created_at", "last_point_at")
    list_filter: ClassVar = ["status", "failure_kind", "archived", "created_at", ("project", admin.RelatedOnlyFieldListFilter)]
    search_fields = ("name", "slug", "project__name", "project__slug", "=id")
    autocomplete_fields = ("project", "parent_experiment", "tags")
    inlines = (EventInline,)
    actions = ("archive", "restore", "mark_complete", "mark_failed", "resume")
    derived: ClassVar = [
        "id",
        "root_experiment",
        "features_diff_given",
        "replicate_key",
        "writers",
        "last_point_at",
        "heartbeat_at",
        "writer_token",
        "missing",
        "patience",
        "created_by",
        "created_at",
        "updated_at",
    ]
    by_action: ClassVar = ["failure_kind", "archived", "started_at", "finished_at"]
    fieldsets: ClassVar = [
        (None, {"fields": ["project", "name", "slug", "status", "notes", "tags"]}),
        ("What changed", {"fields": ["parent_experiment", "params", "features_diff", "seed", "replicate_group"]}),
        ("Where it ran", {"fields": ["host", "git_commit", "command"]}),
        ("What follows from the rest", {"fields": [*by_action, *derived]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        """With the project, which every verb needs, and the parent, which the table shows."""
        return super().get_queryset(request).select_related("project", "parent_experiment")

    def get_readonly_fields(self, request: HttpRequest, obj: Experiment | None = None) -> list[str]:
        """Project and status are chosen once: the points lie under the one, and the other changes by action. What no form could send back is only shown."""
        too_long = [name for name in sorted(SIZED) if content.is_too_long_for_a_form(getattr(obj, name))] if obj else []
        return [*self.derived, *self.by_action, *too_long, *(["project", "status"] if obj else [])]

    def formfield_for_choice_field(self, db_field: Field[Any, Any], request: HttpRequest, **options: Any) -> Any:  # Any: Django's own signature
        """A new experiment is planned or running."""
        if db_field.name == "status":
            options["choices"] = [(status.value, status.label) for status in STARTS]
        return super().formfield_for_choice_field(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Experiment, form: forms.ModelForm[Experiment], change: bool) -> None:
        """Save through the verbs, so that history knows; only what was changed is written."""
        by: User = request.user  # type: ignore[assignment]  # staff only
        if change:
            lifecycle.edit(self.get_queryset(request).get(pk=obj.pk), by=by, **said(form))
        else:
            lifecycle.insert(obj, by=by)

    def delete_model(self, request: HttpRequest, obj: Experiment) -> None:
        """Delete by the verb that takes the points along."""
        deletion.delete([obj], by=request.user)  # type: ignore[arg-type]  # staff only

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        """The same for several."""
        deletion.delete(queryset, by=request.user)  # type: ignore[arg-type]  # staff only

    def carry_out(self, request: HttpRequest, queryset: QuerySet[Experiment], verb: Verb) -> None:
        """Do one verb to each, and say to how many it could not be done, and why."""
        refused = []
        for experiment in queryset:
            try:
                verb(experiment, by=request.user)
            except Conflict as conflict:
                refused.append(str(conflict))
        self.message_user(request, f"Done: {len(queryset) - len(refused)}.")
        if refused:
            self.message_user(request, f"Not done: {len(refused)}. {refused[0]}", messages.WARNING)

    @admin.action(description="Archive selected experiments", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        """Put them away."""
        self.carry_out(request, queryset, lifecycle.archive)

    @admin.action(description="Restore selected experiments", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        """Bring them back."""
        self.carry_out(request, queryset, lifecycle.restore)

    @admin.action(description="Mark selected experiments complete", permissions=["change"])
    def mark_complete(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        """End them well."""
        self.carry_out(request, queryset, lifecycle.complete)

    @admin.action(description="Mark selected experiments failed", permissions=["change"])
    def mark_failed(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        """End them badly."""
        self.carry_out(request, queryset, lifecycle.fail)

    @admin.action(description="Resume selected experiments", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        """Let ended ones go on."""
        self.carry_out(request, queryset, lifecycle.resume)


@admin.register(Tag)
class TagAdmin(Audited, BigTableAdmin):
    """Tags of projects."""

    list_display = ("name", "project")
    list_select_related = ("project",)
    search_fields = ("name", "project__name", "project__slug")
    autocomplete_fields = ("project",)


@admin.register(MovedArm)
class MovedArmAdmin(ReadOnlyAdmin):
    """Which replicate_key became which: what holds an old one finds its runs by it."""

    list_display = ("at", "project", "old_key", "new_key", "is_joined")
    list_filter = ("is_joined", "at")
    list_select_related = ("project",)
    search_fields = ("old_key", "new_key", "project__name", "project__slug")
    ordering = ("-at", "-pk")


@admin.register(ExperimentEvent)
class ExperimentEventAdmin(ReadOnlyAdmin):
    """All history, newest first."""

    list_display = ("at", "kind", "experiment", "detail", "by")
    list_filter = ("kind", "at")
    list_select_related = ("experiment", "by")
    search_fields = ("experiment__name", "experiment__slug", "detail", "by__username")
    ordering = ("-at", "-pk")


@admin.register(DeletedExperiment)
class DeletedExperimentAdmin(ReadOnlyAdmin):
    """What was deleted, and whether its points are gone from the metric store."""

    list_display = ("name", "experiment_id", "project_id", "team_id", "deleted_at", "purged_at")
    list_filter: ClassVar = [("purged_at", admin.EmptyFieldListFilter), "deleted_at"]
    search_fields = ("name", "=experiment_id", "=project_id")
    actions = ("purge",)

    @admin.action(description="Take the points of all deleted experiments out of the metric store now", permissions=["steering"])
    def purge(self, request: HttpRequest, queryset: QuerySet[DeletedExperiment]) -> None:
        """Do now what would be done within a minute."""
        count = deletion.purge()
        acted("took out of the metric store", Subject("deleted experiments", f"the points of {count} deleted experiments"))
        self.message_user(request, f"The points of {count} experiments are gone.")
