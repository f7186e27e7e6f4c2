"""How the API learns who calls: `Authorization: Bearer <API token or JWT>`, or the session of a signed-in page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken, Token

from accounts.models import ApiToken, User
from accounts.signing_in.proof import PROVED_AT, moment, seconds_now
from config.errors import CHALLENGE

UNKNOWN = "This token is not known, or it is revoked or expired: make a new one on the Account page, or sign in again at /api/v1/auth/token."
SCHEME = "An API token, from the Account page or `credentials.json`; or the access token of /api/v1/auth/token."
JWT_DOTS = 2
SIGNED_OUT = "times_signed_out"  # when a JWT was made; one of the version before, which says nothing, is as old as can be
KEY_DIGITS = 18  # below the largest key that a database has


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


@dataclass(frozen=True)
class Bearer:
    """Who carries a token: an API token speaks for its one team, a JWT (then `token` is None) for all teams of its user."""

    user: User
    token: ApiToken | None
    proved_at: datetime | None = None  # when the password was given for a JWT


def bearer_of(secret: str) -> Bearer | None:
    """Who may call with this API token or JWT; None where nobody may."""
    if secret.count(".") == JWT_DOTS:
        return jwt_bearer(secret)
    token = token_for(secret)
    return Bearer(token.user, token) if token else None


def jwt_bearer(secret: str) -> Bearer | None:
    """Who carries an access JWT that holds: signed here, not expired, of an active user who was not signed out everywhere since. Else None."""
    try:
        token = JWTAuthentication().get_validated_token(secret.encode())
    except exceptions.AuthenticationFailed:
        return None
    user = known_user(token)
    return Bearer(user, None, moment(token.get(PROVED_AT))) if user else None


def known_user(token: Token) -> User | None:
    """The user that a JWT with a good signature speaks for; None for one who is deactivated or deleted, or was signed out everywhere since."""
    if not is_key(token.get(api_settings.USER_ID_CLAIM)):
        return None
    try:
        user = JWTAuthentication().get_user(token)
    except (exceptions.AuthenticationFailed, ValueError):
        return None
    return user if isinstance(user, User) and token.get(SIGNED_OUT, 0) == user.times_signed_out else None


def is_key(claim: object) -> bool:
    """Whether a claim may be a user's key: a JWT of another making could hold anything there."""
    text = str(claim) if isinstance(claim, str | int) and not isinstance(claim, bool) else ""
    return text.isascii() and text.isdigit() and len(text) <= KEY_DIGITS


def pair_for(user: User) -> tuple[str, str]:
    """(access, refresh): the JWTs of a user who gave the password just now. Both say when that was."""
    refresh = RefreshToken.for_user(user)
    refresh[PROVED_AT] = seconds_now()
    refresh[SIGNED_OUT] = user.times_signed_out
    return str(refresh.access_token), str(refresh)


def refreshed(secret: str) -> str | None:
    """A new access JWT for a refresh JWT that holds, else None."""
    try:
        token = RefreshToken(secret.encode())  # type: ignore[arg-type]  # its own annotation is too narrow
    except TokenError:
        return None
    return str(token.access_token) if known_user(token) else None


class TokenAuthentication(authentication.BaseAuthentication):
    """API tokens and JWTs."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken | None] | None:
        """(user, API token), or None where the request carries no Bearer token. Raises AuthenticationFailed for a bad one."""
        secret = bearer(request.headers.get("Authorization", ""))
        if secret is None:
            return None
        known = bearer_of(secret)
        if known is None:
            raise exceptions.AuthenticationFailed(UNKNOWN)
        request._request.bearer = known  # type: ignore[attr-defined]  # for accounts.access.caller
        return known.user, known.token

    def authenticate_header(self, request: HttpRequest) -> str:
        """What a 401 asks for."""
        return CHALLENGE


class SessionAuthentication(authentication.SessionAuthentication):
    """The signed-in browser, with the CSRF check."""


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema names TokenAuthentication."""

    target_class = "accounts.signing_in.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """An HTTP Bearer scheme."""
        return {"type": "http", "scheme": "bearer", "description": SCHEME}
