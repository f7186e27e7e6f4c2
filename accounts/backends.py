"""How people prove who they are: on the sign-in page, in the admin, and to /api/v1/auth/token."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts import brake
from accounts.models import User


class UsernameOrEmailBackend(ModelBackend):
    """Signs in by the username, or by the e-mail address where the text holds an @."""

    def authenticate(self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **rest: Any) -> User | None:
        """The user, or None where name and password do not fit. Raises TooManyRequests after too many that did not."""
        if not username or password is None:
            return None
        attempt = brake.attempt(request, username)
        brake.refuse_too_many(attempt)
        known = User.objects.filter(email__iexact=username).values_list("username", flat=True).first() if "@" in username else None
        user: User | None = super().authenticate(request, username=known or username, password=password, **rest)
        if user is None:
            brake.note_failure(attempt)
        return user
