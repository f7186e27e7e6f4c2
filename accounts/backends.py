"""How people prove who they are."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.models import User


class UsernameOrEmailBackend(ModelBackend):
    """Signs in by the username, or by the e-mail address where the text holds an @."""

    def authenticate(self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **rest: Any) -> User | None:
        """The user, or None where name and password do not fit."""
        if username and "@" in username:
            known = User.objects.filter(email__iexact=username).values_list("username", flat=True).first()
            username = known or username
        return super().authenticate(request, username=username, password=password, **rest)
