"""Signing in, signing out, and the page about oneself."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access import caller
from accounts.forms import SignInForm
from accounts.people.page import sections
from accounts.signing_in import devices
from accounts.tokens.listing import section


class SignIn(LoginView):
    """The sign-in page. The browser is known from then on: nobody's guesses at the account keep its owner out."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in, and remember the browser."""
        response = super().form_valid(form)
        devices.remember(self.request, response, form.get_user())
        return response


sign_in = SignIn.as_view()
sign_out = LogoutView.as_view()


@never_cache
@login_required
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Who am I, where am I signed in, in which teams, with which tokens."""
    return render(request, "accounts/account.html", sections(request) | section(caller(request)))
