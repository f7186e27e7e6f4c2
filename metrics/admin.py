"""Spools in the admin."""

from django.contrib import admin

from config.admin import ReadOnlyAdmin
from metrics.models import Spool


@admin.register(Spool)
class SpoolAdmin(ReadOnlyAdmin):
    """Every spool file that there ever was, and the number that keeps its points apart."""

    list_display = ("path", "host", "writer", "created_at")
    search_fields = ("path", "host")
    list_filter = ("created_at",)
    fields = ("path", "host", "writer", "created_at")
    readonly_fields = fields
