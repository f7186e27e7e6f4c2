"""The tokens on the account page: made, narrowed, revoked."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import caller
from accounts.models import ApiToken, Scope
from accounts.tokens import ending, issuing
from accounts.tokens.forms import NarrowForm, TokenForm
from accounts.tokens.listing import section
from config.errors import Invalid, NotFound


@never_cache
@login_required
@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show its secret, this once."""
    asking = caller(request)
    form = TokenForm(asking, request.POST)
    if not form.is_valid() or not is_proved(request, form):
        return render(request, "accounts/tokens.html", section(asking, form), status=422)
    token, secret = form.issue()
    made = {"made": token, "secret": secret, "origin": request.build_absolute_uri("/")[:-1]}
    return render(request, "accounts/tokens.html", section(asking) | made)


def is_proved(request: HttpRequest, form: TokenForm) -> bool:
    """Whether the password was given lately, or is given now; the form says what is missing."""
    try:
        issuing.prove(request, form.caller, form.cleaned_data.get("password", ""))
    except (issuing.PasswordNeeded, Invalid) as refused:
        form.add_error("password", str(refused))
        return False
    return True


@login_required
@require_POST
def narrow_token(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    """Let one of one's own tokens do less."""
    token, form = own(request, token_id), NarrowForm(request.POST)
    if not form.is_valid():
        raise Invalid("Say which scope the token shall have: log, read, edit or administer.")
    ending.narrow(token, scope=Scope(form.cleaned_data["scope"]))
    messages.success(request, f"{token} has the scope {Scope(token.scope).label} from now on.")
    return redirect("accounts:account")


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def revoke_token(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    """End one of one's own tokens, after a page that asks."""
    token = own(request, token_id)
    made = list(ApiToken.objects.usable(at=timezone.now()).made_by([token]))
    if request.method == "POST":
        ending.revoke(token)
        too = f", and {len(made)} token{'s' * (len(made) != 1)} that it made" if made else ""
        messages.success(request, f"{token} is revoked{too}. Scripts that carry it are refused from now on.")
        return redirect("accounts:account")
    return render(request, "accounts/token_revoke.html", {"token": token, "made": made})


def own(request: HttpRequest, token_id: uuid.UUID) -> ApiToken:
    """One of one's own tokens. Raises NotFound."""
    token = ApiToken.objects.filter(user=caller(request).user, pk=token_id).first()
    if token is None:
        raise NotFound("There is no such token, or it is not yours.")
    return token
