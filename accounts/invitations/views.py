"""The page that an invitation's link opens: yes, with an account or with a new one."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.access import caller
from accounts.invitations import inviting
from accounts.invitations.forms import JoinForm
from accounts.models import Invitation, Membership
from config.errors import Invalid


@sensitive_post_parameters("password", "again", "key")
@never_cache
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Who invites you where, and yes. Who is signed in accepts; anybody else signs in first or makes an account."""
    key = (request.POST if request.method == "POST" else request.GET).get("key", "")
    invitation = inviting.opened_by(key)
    if request.user.is_authenticated:
        return accepting(request, invitation, key)
    form = JoinForm(request.POST or None, initial={"email": invitation.name if "@" in invitation.name else ""})
    joined = made(form, key) if request.method == "POST" else None
    if joined is None:
        content = {"invitation": invitation, "key": key, "form": form, "here": inviting.link_of(key)}
        return render(request, "accounts/join.html", content, status=422 if form.errors else 200)
    login(request, joined.user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return welcomed(request, joined)


def accepting(request: HttpRequest, invitation: Invitation, key: str) -> HttpResponse:
    """The page for who is signed in, and the way to the team after yes, or for who is in it already."""
    inside = Membership.objects.filter(team=invitation.team, user=caller(request).user).select_related("team").first()
    if inside is not None:
        messages.info(request, f"You are in {inside.team} already, as {inside.get_role_display().lower()}.")
        return redirect("teams:team", inside.team.slug)
    if request.method == "POST":
        return welcomed(request, inviting.accept(key, caller(request).user))
    return render(request, "accounts/join.html", {"invitation": invitation, "key": key})


def made(form: JoinForm, key: str) -> Membership | None:
    """The membership of a new account; None, with the form's errors, where there is something wrong with it."""
    if not form.is_valid():
        return None
    asked = {name: value for name, value in form.cleaned_data.items() if name != "again"}
    try:
        return inviting.join(key, **asked)
    except Invalid as invalid:
        for fault in invalid.faults:
            form.add_error(fault.field if fault.field in form.fields else None, fault.message)
        return None


def welcomed(request: HttpRequest, joined: Membership) -> HttpResponse:
    """The way to the first page."""
    messages.success(request, f"You are in {joined.team} now, as {joined.get_role_display().lower()}.")
    return redirect("projects:list")
