"""People, teams and tokens in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers

from accounts import services
from accounts.access import Caller, caller
from accounts.audit.admin_lines import Audited
from accounts.audit.models import AuditEntry
from accounts.models import ApiToken, BrowserSession, Invitation, Membership, Role, Scope, Team, User
from accounts.people import changing, passwords
from accounts.people.admin_rights import ForOperators, PeopleWithinReach, may_change, refuse_own_membership
from accounts.people.forms import OperatorsPasswordForm
from accounts.tokens.ending import revoke, shrink_made
from accounts.tokens.forms import AdminTokenForm
from accounts.tokens.issuing import Wanted, earliest, mint, needs_password
from config.errors import Forbidden
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


class MembersAdmin(Audited):
    """Pages on which memberships stand: these change by the verbs, which keep every team an admin and have decisions forgotten."""

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # Any: Django's own signature
        """Save memberships through the verbs: who comes and rises first, so that an admin may be followed by another at once. Raises Conflict."""
        if formset.model is not Membership:
            super().save_formset(request, form, formset, change)
            return
        formset.save(commit=False)
        by: User = request.user  # type: ignore[assignment]  # staff only
        for made in formset.new_objects:
            refuse_own_membership(by, made.user)
            made.pk = services.add_member(made.team, made.user, made.role, by=by).pk
        for changed, _ in sorted(formset.changed_objects, key=lambda pair: pair[0].role != Role.ADMIN):
            put_membership(changed, by=by)
        for gone in formset.deleted_objects:
            services.remove_member(gone, by=by)


def put_membership(changed: Membership, *, by: User) -> None:
    """Bring a membership to what a form says of it: another person or team is another membership. Raises Conflict."""
    held = Membership.objects.select_related("team", "user").get(pk=changed.pk)
    refuse_own_membership(by, held.user, changed.user)
    if (held.team_id, held.user_id) == (changed.team_id, changed.user_id):
        services.change_role(held, changed.role, by=by)
        return
    services.add_member(changed.team, changed.user, changed.role, by=by)
    services.remove_member(held, by=by)


@admin.register(User)
class PeopleAdmin(PeopleWithinReach, MembersAdmin, CountingDeletion, UserAdmin):  # type: ignore[type-arg]
    """People. Switching one off keeps the name on runs and words; deleting one does not."""

    told_by_verbs = frozenset({"deleted"})
    actions = ("switch_off", "switch_on", "password_link")
    inlines = (MembershipInline,)
    change_password_form = OperatorsPasswordForm
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    show_full_result_count = False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # Any: the form that Django made
        """Save; switched off and on, and made operator or not, by the verbs. Raises Conflict for the last operator and for oneself."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        by: User = request.user  # type: ignore[assignment]  # staff only
        is_active = obj.is_active
        changing.refuse_last_operator(obj, stays=obj.is_superuser and is_active)
        held = User.objects.select_for_update().get(pk=obj.pk)  # after the operators, whom two who save each other would wait for in a circle
        obj.is_active = held.is_active
        obj.password, obj.times_signed_out = held.password, held.times_signed_out  # as they are by now: no page here changes them
        changing.tell_rights(obj, by=by)
        super().save_model(request, obj, form, change)
        (changing.switch_on if is_active else changing.switch_off)(obj, by=by)
        transaction.on_commit(GRANTS.forget)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Somebody else's password. One's own is changed where the present one is asked for."""
        if self.get_object(request, unquote(id)) == request.user:
            return redirect("people:password")
        return super().user_change_password(request, id, form_url)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete by the verb. Raises Conflict for the last admin of a team, the last operator, and oneself."""
        changing.delete(obj, by=request.user)  # type: ignore[arg-type]  # staff only

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """The same for several: all or none."""
        with transaction.atomic():
            for user in queryset:
                self.delete_model(request, user)

    @admin.action(description="Switch off selected accounts", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Let them in no more; their runs and words keep the name."""
        people = self.within_reach(request, queryset)
        with transaction.atomic():
            for user in people:
                changing.switch_off(user, by=request.user)  # type: ignore[arg-type]  # staff only
        messages.success(request, f"Switched off {len(people)}.")

    @admin.action(description="Switch on selected accounts", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Let them in again."""
        people = self.within_reach(request, queryset)
        for user in people:
            changing.switch_on(user, by=request.user)  # type: ignore[arg-type]  # staff only
        messages.success(request, f"Switched on {len(people)}.")

    def within_reach(self, request: HttpRequest, queryset: QuerySet[User]) -> list[User]:
        """Those who were selected. Raises Forbidden where one is an operator or staff, and whoever asks is no operator."""
        people, by = list(queryset), request.user
        if not all(may_change(by, user) for user in people):  # type: ignore[arg-type]  # staff only
            raise Forbidden("Only operators switch operators and staff off or on.")
        return people

    @admin.action(description="Make a link for a new password", permissions=["change"])
    def password_link(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """A link that works once, on a page that no cache keeps. For one person at a time."""
        if len(queryset) != 1 or not request.user.is_superuser:
            messages.error(request, "Select one person; only operators make such links.")
            return None
        link = request.build_absolute_uri(passwords.link_by(request.user, queryset[0]))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "A new password", "link": link, "whose": queryset[0]}
        response = render(request, "admin/accounts/user/link.html", context)
        add_never_cache_headers(response)
        return response


@admin.register(Team)
class TeamAdmin(MembersAdmin, CountingDeletion, BigTableAdmin):
    """Teams and their members. Deleting one deletes its projects, experiments and points."""

    told_by_verbs = frozenset({"deleted"})
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
class MembershipAdmin(Audited, BigTableAdmin):
    """Who is what in which team."""

    told_by_verbs = frozenset({"added", "changed", "deleted"})
    list_display = ("user", "team", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "team")
    search_fields = ("user__username", "user__email", "team__name")
    autocomplete_fields = ("user", "team")
    readonly_fields = ("created_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> tuple[str, ...]:
        """Whose it is cannot change."""
        return (*self.readonly_fields, "user", "team") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:  # Any: the form that Django made
        """Save by the verbs. Raises Conflict where a team would lose its last admin."""
        by: User = request.user  # type: ignore[assignment]  # staff only
        if change:
            put_membership(obj, by=by)
        else:
            refuse_own_membership(by, obj.user)
            obj.pk = services.add_member(obj.team, obj.user, obj.role, by=by).pk

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Let a member go by the verb that keeps the team an admin and ends the tokens that spoke for the member."""
        services.remove_member(obj, by=request.user)  # type: ignore[arg-type]  # staff only

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        """The same for several: all or none."""
        with transaction.atomic():
            for membership in queryset.select_related("team", "user"):
                services.remove_member(membership, by=request.user)  # type: ignore[arg-type]  # staff only


@admin.register(ApiToken)
class ApiTokenAdmin(Audited, BigTableAdmin):
    """Tokens. The text of one is shown once, on the page after it was made."""

    told_by_verbs = frozenset({"added", "deleted"})
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
            held = ApiToken.objects.select_for_update(of=("self",)).get(pk=obj.pk)
            obj.expires_at = earliest(held.expires_at, obj.expires_at)
            obj.save(update_fields=["name", "expires_at"])  # alone: whoever narrows or revokes it meanwhile keeps what was done
            shrink_made(obj)
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


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Who was invited where. Links are made on a team's page, and shown there once."""

    list_display = ("name", "team", "role", "made_by", "created_at", "ends_at", "accepted_at", "accepted_by", "taken_back_at")
    list_filter: ClassVar = [("accepted_at", admin.EmptyFieldListFilter), "role", "created_at"]
    list_select_related = ("team", "made_by", "accepted_by")
    search_fields = ("name", "team__name")
    exclude = ("digest",)


@admin.register(BrowserSession)
class BrowserSessionAdmin(ReadOnlyAdmin):
    """In which browsers people are signed in. What opens a session is not shown."""

    list_display = ("user", "device", "address", "created_at", "seen_at")
    list_filter = ("seen_at",)
    list_select_related = ("user",)
    search_fields = ("user__username", "address")
    exclude = ("session_key",)


admin.site.unregister(Group)


@admin.register(Group)
class GroupsAdmin(ForOperators, Audited, GroupAdmin):
    """Groups of people, and what each may do in the admin."""
