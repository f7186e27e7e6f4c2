"""Signing in, signing out, and the page about oneself."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import services
from accounts.access import Caller, caller
from accounts.forms import SignInForm, TokenForm
from accounts.models import ApiToken
from accounts.people.page import sections
from config.errors import NotFound

sign_in = LoginView.as_view(template_name="accounts/sign_in.html", authentication_form=SignInForm, redirect_authenticated_user=True)
sign_out = LogoutView.as_view()


@never_cache
@login_required
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Who am I, in which teams, with which tokens."""
    return render(request, "accounts/account.html", about(caller(request)) | sections(request))


@never_cache
@login_required
@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show its secret, this once."""
    form = TokenForm(caller(request), request.POST)
    if not form.is_valid():
        return render(request, "accounts/account.html", about(caller(request), form) | sections(request), status=422)
    token, secret = form.issue()
    shown = {"made": token, "secret": secret, "origin": request.build_absolute_uri("/")[:-1]}
    return render(request, "accounts/account.html", about(caller(request)) | sections(request) | shown)


@login_required
@require_POST
def revoke_token(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    """End one of one's own tokens."""
    token = ApiToken.objects.filter(user=caller(request).user, pk=token_id).first()
    if token is None:
        raise NotFound("There is no such token, or it is not yours.")
    services.revoke(token)
    messages.success(request, f"{token} is revoked. Scripts that carry it are refused from now on.")
    return redirect("accounts:account")


def about(asking: Caller, form: TokenForm | None = None) -> dict[str, Any]:  # Any: a template's context
    """What the account page shows of the caller."""
    tokens = ApiToken.objects.filter(user=asking.user, revoked_at=None).select_related("team")
    return {"tokens": tokens, "form": form or TokenForm(asking), "now": timezone.now()}
