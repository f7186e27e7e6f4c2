"""People, teams and tokens in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from accounts import services
from accounts.access import Caller, caller
from accounts.audit.models import AuditEntry
from accounts.models import ApiToken, Membership, Scope, Team, User
from accounts.tokens.ending import revoke
from accounts.tokens.forms import AdminTokenForm
from accounts.tokens.issuing import Wanted, mint, needs_password
from config.web.admin_pages import BigTableAdmin, CountingDeletion, ReadOnlyAdmin
from metrics.ingest.grants import GRANTS
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

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Let a member go by the verb that keeps the team an admin and ends the tokens that spoke for the member."""
        services.remove_member(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        """The same for several: all or none."""
        with transaction.atomic():
            for membership in queryset.select_related("team", "user"):
                services.remove_member(membership)


@admin.register(ApiToken)
class ApiTokenAdmin(BigTableAdmin):
    """Tokens. The text of one is shown once, on the page after it was made."""

    form = AdminTokenForm

    list_display = ("name", "prefix", "user", "team", "scope", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter: ClassVar = ["scope", ("revoked_at", admin.EmptyFieldListFilter), "created_at", "last_used_at"]
    list_select_related = ("user", "team")
    search_fields = ("name", "prefix", "user__username", "team__name")
    autocomplete_fields = ("user", "team", "project")
    readonly_fields = ("prefix", "parent", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        """Whose it is and what it may do cannot change: a narrower one is made by its owner."""
        return (*self.readonly_fields, "user", "team", "project", "scope") if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, obj: ApiToken | None = None, change: bool = False, **options: Any) -> Any:  # Any: Django's own signature
        """The form, which knows who asks: for a new token it may want the password again."""
        return type("AskedTokenForm", (super().get_form(request, obj, change, **options),), {"request": request})

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:  # Any: Django's own, names or tuples of them
        """Without the password, where it was given lately or nothing is made."""
        fields = [str(name) for name in super().get_fields(request, obj)]
        return fields if obj is None and needs_password(caller(request)) else [name for name in fields if name != "password"]

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:  # Any: the form that Django made
        """Make a new token, or save a changed one."""
        if change:
            super().save_model(request, obj, form, change)
            GRANTS.forget()
            return
        wanted = Wanted(obj.name, obj.team, Scope(obj.scope), obj.project, obj.expires_at)
        issued, secret = mint(Caller(obj.user), wanted, by=caller(request).user)
        obj.pk, request.minted = issued.pk, secret  # type: ignore[attr-defined]  # for the answer to this request
        obj._state.adding = False

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the token's text, this once; no browser and no cache keeps it."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": f"Token {obj.name}", "secret": request.minted, "token": obj}  # type: ignore[attr-defined]  # by save_model
        response = render(request, "admin/accounts/apitoken/made.html", context)
        add_never_cache_headers(response)
        return response

    def delete_model(self, request: HttpRequest, obj: ApiToken) -> None:
        """Delete it, and those that it made; this process has forgotten them at once."""
        revoke(obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """The same for several."""
        for token in queryset:
            self.delete_model(request, token)

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """End the tokens now."""
        for token in queryset:
            revoke(token)
        messages.success(request, f"Revoked {len(queryset)}: every process has forgotten them within 30 s.")


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    """Who did what, from where, when. The product writes it and nobody changes it."""

    list_display = ("at", "who", "sentence", "team", "project", "address")
    list_filter = ("act",)
    search_fields = ("who", "on_name", "team", "project", "address", "=request_id")
    date_hierarchy = "at"
