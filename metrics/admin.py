"""Spools, the schedule and what it did, in the admin."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

from accounts.audit.admin_lines import Audited, acted
from config.celery import nudge
from config.web.admin_pages import ReadOnlyAdmin
from metrics.models import Difference, Drop, Occurrence, Spool


@admin.register(Spool)
class SpoolAdmin(ReadOnlyAdmin):
    """Every spool file that there ever was, and the number that keeps its points apart."""

    list_display = ("path", "host", "writer", "created_at")
    search_fields = ("path", "host")
    list_filter = ("created_at",)
    fields = ("path", "host", "writer", "created_at", "restore_asked_at", "restored_at")
    readonly_fields = fields


@admin.register(Occurrence)
class OccurrenceAdmin(ReadOnlyAdmin):
    """What ran by the clock, when it was due, and what it did."""

    list_display = ("task", "slot", "started_at", "finished_at", "note")
    list_filter = ("task", "slot")
    search_fields = ("task", "note")
    date_hierarchy = "slot"
    fields = list_display
    readonly_fields = fields


@admin.register(Drop)
class DropAdmin(ReadOnlyAdmin):
    """Points that were replaced by their hours."""

    list_display = ("project_id", "cut", "points", "frozen_at", "finished_at")
    search_fields = ("=project_id",)
    list_filter = ("cut",)
    fields = ("team_id", "project_id", "cut", "logged_until", "frozen_at", "finished_at", "points")
    readonly_fields = fields


@admin.register(Difference)
class DifferenceAdmin(ReadOnlyAdmin):
    """Series whose summary and points did not agree, and what became of it."""

    list_display = ("metric_name", "experiment_id", "accepted", "stored", "outcome", "found_at", "settled_at")
    list_filter = ("outcome", "found_at")
    search_fields = ("metric_name", "=experiment_id", "=project_id")
    fields = ("team_id", "project_id", "experiment_id", "metric_name", "accepted", "stored", "outcome", "found_at", "settled_at")
    readonly_fields = fields


admin.site.unregister(PeriodicTask)


def tell_of_each(done: str, tasks: QuerySet[PeriodicTask]) -> None:
    """Leave a line of each."""
    for each in tasks:
        acted(done, each)


@admin.register(PeriodicTask)
class ScheduleAdmin(Audited, PeriodicTaskAdmin):  # type: ignore[misc]  # comes without types
    """The schedule. Its own form page would add an inline script, which the content security policy forbids."""

    change_form_template = "admin/change_form.html"
    date_hierarchy = None
    list_display = ("name", "enabled", "scheduler", "last_run_at", "total_run_count", "description")
    list_filter = ("enabled", "last_run_at")

    @admin.action(description="Enable selected tasks", permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Let them run by the clock."""
        tell_of_each("enabled", queryset)
        super().enable_tasks(request, queryset)

    @admin.action(description="Disable selected tasks", permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Let them run no more."""
        tell_of_each("disabled", queryset)
        super().disable_tasks(request, queryset)

    @admin.action(description="Toggle activity of selected tasks", permissions=["change"])
    def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Enable those that are disabled, and disable the others."""
        tell_of_each("toggled", queryset)
        super().toggle_tasks(request, queryset)

    @admin.action(description="Run selected tasks now", permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Ask for an occurrence at this moment, beside those of the clock."""
        slot = timezone.now().isoformat()
        tell_of_each("ran", queryset)
        away = [entry.name for entry in queryset if not nudge(entry.task, slot=slot)]
        if away:
            self.message_user(request, f"The broker is away, not asked for: {', '.join(away)}.", level=messages.ERROR)
        else:
            self.message_user(request, f"Asked for {len(queryset)}. The occurrences say what came of it.")
