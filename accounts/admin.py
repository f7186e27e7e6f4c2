"""People, teams and tokens in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import services
from accounts.audit.models import AuditEntry
from accounts.models import ApiToken, Membership, Team, User
from config.web.admin_pages import BigTableAdmin, CountingDeletion, ReadOnlyAdmin
from projects.services import delete_team


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    """Members of a team, or teams of a user."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user", "team")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """With the names that each row shows."""
        return super().get_queryset(request).select_related("user", "team")


@admin.register(User)
class PeopleAdmin(UserAdmin):  # type: ignore[type-arg]
    """People."""

    inlines = (MembershipInline,)
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    show_full_result_count = False


@admin.register(Team)
class TeamAdmin(CountingDeletion, BigTableAdmin):
    """Teams and their members. Deleting one deletes its projects, experiments and points."""

    list_display = ("name", "slug", "created_at")
    search_fields = ("name", "slug", "=id")
    readonly_fields = ("id", "created_at")
    inlines = (MembershipInline,)

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        """Delete by the verb that takes the points along."""
        delete_team(obj, by=request.user)  # type: ignore[arg-type]  # staff only

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Team]) -> None:
        """The same for several."""
        for team in queryset:
            self.delete_model(request, team)


@admin.register(Membership)
class MembershipAdmin(BigTableAdmin):
    """Who is what in which team."""

    list_display = ("user", "team", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "team")
    search_fields = ("user__username", "user__email", "team__name")
    autocomplete_fields = ("user", "team")
    readonly_fields = ("created_at",)


@admin.register(ApiToken)
class ApiTokenAdmin(BigTableAdmin):
    """Tokens. The text of one is shown once, in the message after it was made."""

    list_display = ("name", "prefix", "user", "team", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter: ClassVar = [("revoked_at", admin.EmptyFieldListFilter), "created_at", "last_used_at"]
    list_select_related = ("user", "team")
    search_fields = ("name", "prefix", "user__username", "team__name")
    autocomplete_fields = ("user", "team")
    readonly_fields = ("prefix", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        """Whose it is cannot change."""
        return (*self.readonly_fields, "user", "team") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:  # Any: the form that Django made
        """Issue a new token and show its text, or save a changed one."""
        if change:
            super().save_model(request, obj, form, change)
            return
        issued, secret = ApiToken.issue(user=obj.user, team=obj.team, name=obj.name, expires_at=obj.expires_at)
        obj.pk = issued.pk
        obj.refresh_from_db()
        messages.warning(request, f"Copy the token now, it is not shown again: {secret}")

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """End the tokens now."""
        for token in queryset:
            services.revoke(token)
        messages.success(request, f"Revoked {len(queryset)}: every process has forgotten them within 30 s.")


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    """Who did what, from where, when. The product writes it and nobody changes it."""

    list_display = ("at", "who", "sentence", "team", "project", "address")
    list_filter = ("act",)
    search_fields = ("who", "on_name", "team", "project", "address", "=request_id")
    date_hierarchy = "at"
