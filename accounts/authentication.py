"""How the API learns who calls: `Authorization: Bearer <API token>`, or the session of a signed-in page."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.models import ApiToken, User

CHALLENGE = 'Bearer realm="api"'


def bearer(header: str) -> str | None:
    """The token's text in an Authorization header, or None where it holds no Bearer token."""
    scheme, _, secret = header.partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def token_for(secret: str) -> ApiToken | None:
    """The usable token with this text, its use noted; None where there is none."""
    now = timezone.now()
    token = ApiToken.objects.usable(at=now).select_related("user").filter(digest=ApiToken.hashed(secret)).first()
    if token is not None:
        token.record_use(at=now)
    return token


class TokenAuthentication(authentication.BaseAuthentication):
    """API tokens."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """(user, token), or None where the request carries no Bearer token. Raises AuthenticationFailed for a bad one."""
        secret = bearer(request.headers.get("Authorization", ""))
        if secret is None:
            return None
        token = token_for(secret)
        if token is None:
            raise exceptions.AuthenticationFailed("This token is not known, or it is revoked or expired: make a new one on the Account page.")
        return token.user, token

    def authenticate_header(self, request: HttpRequest) -> str:
        """What a 401 asks for."""
        return CHALLENGE


class SessionAuthentication(authentication.SessionAuthentication):
    """The signed-in browser, with the CSRF check."""


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema names TokenAuthentication."""

    target_class = "accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """An HTTP Bearer scheme."""
        return {"type": "http", "scheme": "bearer", "description": "An API token, from the Account page or `credentials.json`."}
