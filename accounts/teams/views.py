"""The pages of teams. Whoever is in a team sees it; its admins change it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import services
from accounts.access import caller
from accounts.invitations import inviting
from accounts.invitations.forms import InviteForm
from accounts.models import Invitation, Membership, Role, Team
from accounts.teams import changing
from accounts.teams.forms import RoleForm, TeamForm
from accounts.teams.page import TeamPage
from config.errors import Conflict, Invalid, NotFound, TooManyRequests
from config.web.ignored import ignored


def refused_on_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What a verb on a team refuses is said on the page of the team, where something can be done about it."""

    @wraps(view)
    def said(request: HttpRequest, team_slug: str, **rest: object) -> HttpResponse:
        try:
            return view(request, team_slug, **rest)
        except (Conflict, TooManyRequests) as refused:
            messages.error(request, str(refused))
            return redirect("teams:team", team_slug)

    return said


# Teams ------------------------------------------------------------------------------------------------------------------------------------


@never_cache
@login_required
@require_safe
def teams(request: HttpRequest) -> HttpResponse:
    """The way to one's team; a choice where there are several."""
    asking = caller(request)
    found = list(asking.teams())
    if len(found) == 1 and not asking.user.is_superuser:
        return redirect("teams:team", found[0].slug)
    rows = [TeamPage(team, asking) for team in found]
    return render(request, "accounts/teams.html", {"rows": rows, "ignored": ignored(request.GET, ())})


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def new_team(request: HttpRequest) -> HttpResponse:
    """Make a team, and be its admin."""
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = changing.make(form.cleaned_data["name"], by=caller(request).user)
        messages.success(request, f"{made} is made. Invite those who work with you.")
        return redirect("teams:team", made.slug)
    return render(request, "accounts/team_form.html", {"form": form, "ignored": ignored(request.GET, ())}, status=422 if form.errors else 200)


@never_cache
@login_required
@require_safe
def team(request: HttpRequest, team_slug: str) -> HttpResponse:
    """One team: members, invitations, roles, and what was done last."""
    found = changing.seen(caller(request), team_slug)
    return shown(request, found, ignored=ignored(request.GET, ("q",)))


def shown(request: HttpRequest, found: Team, *, form: InviteForm | None = None, **content: Any) -> HttpResponse:  # Any: a template's context
    """The page of a team."""
    page = TeamPage(found, caller(request), request.GET.get("q", "").strip().replace("\0", ""))
    known = {"page": page, "form": form or InviteForm(), "roles": Role.choices[::-1]}
    return render(request, "accounts/team.html", known | content, status=422 if form is not None and form.errors else 200)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def rename(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Call a team otherwise."""
    found = changing.administered(caller(request), team_slug)
    form = TeamForm(request.POST or None, initial={"name": found.name})
    if request.method == "POST" and form.is_valid():
        changing.rename(found, form.cleaned_data["name"], by=caller(request).user)
        messages.success(request, f"The team is called {found} now.")
        return redirect("teams:team", found.slug)
    return render(request, "accounts/team_form.html", {"form": form, "team": found, "ignored": ignored(request.GET, ())}, status=422 if form.errors else 200)


# Members ----------------------------------------------------------------------------------------------------------------------------------


def member_of(found: Team, membership_id: int) -> Membership:
    """One member of a team. Raises NotFound."""
    membership = Membership.objects.select_related("team", "user").filter(team=found, pk=membership_id).first()
    if membership is None:
        raise NotFound("There is no such member.")
    return membership


@login_required
@require_POST
@refused_on_page
def change_role(request: HttpRequest, team_slug: str, membership_id: int) -> HttpResponse:
    """Give a member another role; who steps down as admin may go on looking at the team."""
    membership = member_of(changing.administered(caller(request), team_slug), membership_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise Invalid("The role is viewer, editor or admin.")
    services.change_role(membership, form.cleaned_data["role"], by=caller(request).user)
    messages.success(request, f"{membership.user} is {membership.get_role_display().lower()} now.")
    return redirect("teams:team", team_slug)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
@refused_on_page
def remove(request: HttpRequest, team_slug: str, membership_id: int) -> HttpResponse:
    """Let a member go, after a page that asks."""
    found = changing.administered(caller(request), team_slug)
    membership = member_of(found, membership_id)
    if request.method == "POST":
        services.remove_member(membership, by=caller(request).user)
        messages.success(request, f"{membership.user} is not in {found} any more.")
        return redirect("teams:team", team_slug)
    return render(request, "accounts/member_remove.html", {"team": found, "membership": membership})


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
@refused_on_page
def leave(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Go, after a page that asks."""
    found = changing.seen(caller(request), team_slug)
    if request.method == "POST":
        changing.leave(found, caller(request).user)
        messages.success(request, f"You are not in {found} any more.")
        return redirect("accounts:account")
    return render(request, "accounts/member_remove.html", {"team": found, "is_last_admin": changing.is_last_admin(found, caller(request).user)})


# Invitations ------------------------------------------------------------------------------------------------------------------------------


@never_cache
@login_required
@require_POST
@refused_on_page
def invite(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Make an invitation; the page after it shows its link, this once."""
    found = changing.administered(caller(request), team_slug)
    form = InviteForm(request.POST)
    if not form.is_valid():
        form.fields[next(iter(form.errors))].widget.attrs["autofocus"] = True
        return shown(request, found, form=form)
    invitation, key = inviting.invite(found, by=caller(request).user, **form.cleaned_data)
    return with_link(request, found, invitation, key)


def invitation_of(found: Team, invitation_id: uuid.UUID) -> Invitation:
    """One invitation of a team. Raises NotFound."""
    invitation = Invitation.objects.select_related("team").filter(team=found, pk=invitation_id).first()
    if invitation is None:
        raise NotFound("There is no such invitation.")
    return invitation


@never_cache
@login_required
@require_POST
@refused_on_page
def new_link(request: HttpRequest, team_slug: str, invitation_id: uuid.UUID) -> HttpResponse:
    """Another link for an invitation, shown once."""
    found = changing.administered(caller(request), team_slug)
    invitation = invitation_of(found, invitation_id)
    return with_link(request, found, invitation, inviting.renew(invitation, by=caller(request).user))


def with_link(request: HttpRequest, found: Team, invitation: Invitation, key: str) -> HttpResponse:
    """The page of a team with a link at its top."""
    sent = inviting.is_sent(invitation, key, by=caller(request).user)
    return shown(request, found, invited=invitation, link=request.build_absolute_uri(inviting.link_of(key)), sent=sent)


@login_required
@require_POST
@refused_on_page
def take_back(request: HttpRequest, team_slug: str, invitation_id: uuid.UUID) -> HttpResponse:
    """Let an invitation open nothing any more."""
    found = changing.administered(caller(request), team_slug)
    invitation = invitation_of(found, invitation_id)
    inviting.take_back(invitation, by=caller(request).user)
    messages.success(request, f"The invitation of {invitation.name} is taken back: its link opens nothing any more.")
    return redirect("teams:team", team_slug)
