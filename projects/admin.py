"""Projects and their metrics in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.audit.admin_lines import Audited
from config.limits.sizes import VIEW_CHARACTERS
from config.web.admin_pages import BigTableAdmin, CountingDeletion
from hypotheses.claims.epochs import redefining
from metrics.ingest.grants import GRANTS
from projects import services
from projects.forms import SeedList
from projects.models import Project, ProjectMetric, SavedView


class ProjectAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """A project, its seeds one a line."""

    seeds = SeedList(required=False, widget=forms.Textarea(attrs={"rows": 6}), help_text="The params that are seeds, one a line. Empty: the default list.")

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature
        super().__init__(*args, **options)
        self.initial["seeds"] = self.instance.seeds.entries


@admin.register(Project)
class ProjectAdmin(Audited, CountingDeletion, BigTableAdmin):
    """Projects. Deleting one deletes its experiments and points."""

    told_by_verbs = frozenset({"deleted"})
    list_display = ("name", "slug", "team", "archived", "retention_days", "created_at", "updated_at")
    list_filter = ("archived", "created_at")
    list_select_related = ("team",)
    search_fields = ("name", "slug", "description", "team__name", "=id")
    autocomplete_fields = ("team",)
    readonly_fields = ("id", "keys_due_at", "created_at", "updated_at")
    exclude = ("seed_params",)
    form = ProjectAdminForm
    actions = ("archive", "restore")

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> tuple[str, ...]:
        """The team cannot change: the points lie under it."""
        return (*self.readonly_fields, "team") if obj else self.readonly_fields

    def delete_model(self, request: HttpRequest, obj: Project) -> None:
        """Delete by the verb that takes the points along."""
        services.delete(obj, by=request.user)  # type: ignore[arg-type]  # staff only

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        """The same for several."""
        for project in queryset:
            self.delete_model(request, project)

    @admin.action(description="Archive selected projects", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        """Put them away."""
        for project in queryset:
            services.edit(project, archived=True, by=request.user)  # type: ignore[arg-type]  # staff only
        self.message_user(request, f"Archived {len(queryset)}.")

    @admin.action(description="Restore selected projects", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        """Bring them back."""
        for project in queryset:
            services.edit(project, archived=False, by=request.user)  # type: ignore[arg-type]  # staff only
        self.message_user(request, f"Restored {len(queryset)}.")

    def save_model(self, request: HttpRequest, obj: Project, form: ProjectAdminForm, change: bool) -> None:
        """Save, and let who may write be decided anew: it may be archived. Seeds are set by the verb that puts runs into arms."""
        super().save_model(request, obj, form, change)
        services.edit(obj, by=request.user, seed_params=form.cleaned_data["seeds"])  # type: ignore[arg-type]  # staff only
        GRANTS.forget()


@admin.register(ProjectMetric)
class ProjectMetricAdmin(Audited, BigTableAdmin):
    """Which way each metric is better."""

    list_display = ("name", "project", "direction", "aggregation", "watch_divergence", "created_at")
    list_editable = ("direction", "aggregation", "watch_divergence")
    list_filter = ("direction", "aggregation", "watch_divergence")
    list_select_related = ("project",)
    search_fields = ("name", "project__name", "project__slug")
    autocomplete_fields = ("project",)
    readonly_fields = ("created_at",)

    def save_model(self, request: HttpRequest, obj: ProjectMetric, form: object, change: bool) -> None:
        """Save; hypotheses that target it and have data begin a new epoch where it is read another way now."""
        with redefining([obj] if change else [], by=request.user):  # type: ignore[arg-type]  # staff only
            super().save_model(request, obj, form, change)


class SavedViewAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """A saved view, its address no longer than where views are made."""

    query = forms.CharField(required=False, max_length=VIEW_CHARACTERS, strip=False, widget=forms.Textarea(attrs={"rows": 3}))


@admin.register(SavedView)
class SavedViewAdmin(Audited, BigTableAdmin):
    """Tables that people keep under a name."""

    form = SavedViewAdminForm
    list_display = ("name", "project", "by", "created_at")
    list_select_related = ("project", "by")
    search_fields = ("name", "project__name", "project__slug")
    autocomplete_fields = ("project",)
    readonly_fields = ("by", "created_at")
