"""What somebody changes about the own account, and the way back in for who forgot the password."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import caller
from accounts.models import BrowserSession
from accounts.people import passwords, sessions
from accounts.people.forms import ForgottenForm, NewPasswordForm, PasswordForm, ProfileForm, Said
from accounts.tokens.ending import living_of
from config.errors import Invalid, NotFound
from config.web.ignored import ignored

# The account ------------------------------------------------------------------------------------------------------------------------------


@sensitive_post_parameters("present")
@never_cache
@login_required
@require_POST
def profile(request: HttpRequest) -> HttpResponse:
    """Change name and e-mail address."""
    user = caller(request).user
    form = ProfileForm(user, request.POST)
    if form.is_valid() and is_edited(request, form):
        messages.success(request, "Saved.")
        return redirect("accounts:account")
    return asked_again(request, form, "Your account", reverse("people:profile"), "Save")


def is_edited(request: HttpRequest, form: ProfileForm) -> bool:
    """Whether the verbs took what the form says; else the form has what is wrong."""
    user, said = caller(request).user, form.cleaned_data
    try:
        passwords.edit(request, user, name=said["name"], email=said["email"], present=said["present"])
    except Invalid as invalid:
        form.refuse(invalid)
        return False
    return True


@sensitive_post_parameters("present", "new", "again")
@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Change the password: every other session ends, and the tokens that were ticked."""
    user = caller(request).user
    form = PasswordForm(user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            ended = passwords.change(request, user, present=said["present"], new=said["new"], ending=said["end"])
        except Invalid as invalid:
            form.refuse(invalid)
        else:
            messages.success(request, f"The password is changed. Signed out elsewhere: {ended}; ended tokens: {len(said['end'])}.")
            return redirect("accounts:account")
    return asked_again(request, form, "Change password", reverse("people:password"), "Change password")


def asked_again(request: HttpRequest, form: Said, title: str, action: str, button: str) -> HttpResponse:
    """A page with one form alone."""
    content = {"form": form, "title": title, "action": action, "button": button, "ignored": ignored(request.GET, ())}
    if isinstance(form, PasswordForm):
        content["tokens_to_end"] = living_of(caller(request).user)
    return render(request, "accounts/account_form.html", content, status=422 if form.errors else 200)


@login_required
@require_POST
def sign_out_elsewhere(request: HttpRequest) -> HttpResponse:
    """End every other session, and every JWT."""
    ended = sessions.end(caller(request).user, but=request.session.session_key)
    messages.success(request, f"Signed out elsewhere: {ended}.")
    return redirect("accounts:account")


@login_required
@require_POST
def sign_out_one(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of the own sessions."""
    found = BrowserSession.objects.select_related("user").filter(user=caller(request).user, pk=session_id).first()
    if found is None:
        raise NotFound("There is no such session, or it is not yours.")
    sessions.end_one(found)
    messages.success(request, f"{found.device or 'It'} is signed out.")
    return redirect("accounts:account")


# Forgotten --------------------------------------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Ask for a link by e-mail. The answer is the same whoever asks for whom; without a mail server, an operator makes the link."""
    has_mail, form = bool(settings.EMAIL_URL), ForgottenForm(request.POST or None)
    if request.method == "POST" and has_mail and form.is_valid():
        passwords.ask(request, form.cleaned_data["name"])
        return render(request, "accounts/forgotten.html", {"is_sent": True})
    return render(request, "accounts/forgotten.html", {"form": form, "has_mail": has_mail}, status=422 if form.errors else 200)


@sensitive_post_parameters("new", "again", "key")
@never_cache
@require_http_methods(["GET", "POST"])
def new_password(request: HttpRequest) -> HttpResponse:
    """Set a password anew, by a link that works once. Everybody who was signed in with the one before is signed out."""
    key = (request.POST if request.method == "POST" else request.GET).get("key", "")
    user = passwords.user_of(key)
    form = NewPasswordForm(user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            passwords.set_anew(key, form.cleaned_data["new"], ending=form.cleaned_data["end"])
        except Invalid as invalid:
            form.refuse(invalid)
        else:
            messages.success(request, "The password is set: sign in with it.")
            return redirect("accounts:sign_in")
    content = {"form": form, "key": key, "whose": user, "tokens_to_end": living_of(user)}
    return render(request, "accounts/new_password.html", content, status=422 if form.errors else 200)
