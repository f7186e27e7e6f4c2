"""How people prove who they are: on the sign-in page, in the admin, and to /api/v1/auth/token."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from accounts.models import User
from accounts.signing_in import brake


class UsernameOrEmailBackend(ModelBackend):
    """Signs in by the username, or by the e-mail address where the text holds an @."""

    def authenticate(self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **rest: Any) -> User | None:
        """The user, or None where name and password do not fit. Raises TooManyRequests after too many that did not, Unavailable where too many try at once."""
        if not username or password is None:
            return None
        user = account_named(username)
        return user if is_password_of(request, user, password, typed=username) else None


def account_named(text: str) -> User | None:
    """Whose e-mail address or username this is. In what holds an @, small and capital letters are the same."""
    exact = User.objects.filter(username=text)
    if "@" not in text:
        return exact.first()
    return User.objects.filter(email__iexact=text).first() or exact.first() or User.objects.filter(username__iexact=text).order_by("pk").first()


def is_password_of(request: HttpRequest | None, user: User | None, password: str, *, typed: str = "") -> bool:
    """Whether an active user has this password; for nobody it takes as long. Counted, and raises as `authenticate` does."""
    with brake.attempt(request, user, typed) as tried:
        if user is None:
            make_password(password)
        else:
            tried.is_right = user.check_password(password) and user.is_active
    return tried.is_right
