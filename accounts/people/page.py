"""What the account page shows beside tokens: who one is, where one is signed in, in which teams."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from accounts.access import caller
from accounts.models import Membership, User
from accounts.people import sessions
from accounts.people.forms import PasswordForm, ProfileForm
from accounts.tokens.ending import living_of


def sections(request: HttpRequest) -> dict[str, Any]:  # Any: a template's context
    """The forms, the browsers and the teams of whoever asks."""
    user = caller(request).user
    browsers = list(sessions.of(user))
    return {
        "profile_form": ProfileForm(user),
        "password_form": PasswordForm(user),
        "tokens_to_end": living_of(user),
        "browsers": browsers,
        "here": request.session.session_key,
        "elsewhere": sum(one.session_key != request.session.session_key for one in browsers),
        "memberships": memberships_of(user),
    }


def memberships_of(user: User) -> QuerySet[Membership]:
    """The user's memberships, each with how many members and projects its team has."""
    members = Membership.objects.filter(team=OuterRef("team")).order_by().values("team").annotate(n=Count("pk")).values("n")
    projects = Membership.objects.filter(pk=OuterRef("pk")).order_by().values("team").annotate(n=Count("team__projects")).values("n")
    return Membership.objects.filter(user=user).select_related("team").annotate(member_count=Subquery(members), project_count=Subquery(projects))
