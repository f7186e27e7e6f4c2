"""Signing in, signing out, and the page about oneself."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access import caller
from accounts.forms import SignInForm
from accounts.people.page import sections
from accounts.tokens.listing import section


class SignIn(LoginView):
    """The sign-in page."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


sign_in = SignIn.as_view()
sign_out = LogoutView.as_view()


@never_cache
@login_required
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Who am I, where am I signed in, in which teams, with which tokens."""
    return render(request, "accounts/account.html", sections(request) | section(caller(request)))
