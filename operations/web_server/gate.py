"""Who sends a large body: asked before any of it is read."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from importlib import import_module

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError, close_old_connections

from accounts.signing_in.authentication import UNKNOWN, bearer, bearer_of
from config.errors import Unauthenticated, Unavailable
from metrics.ingest.grants import GRANTS, granted
from metrics.ingest.shortcut import LOG


class Gate:
    """Whom the server reads large bodies from."""

    def remembers(self, environ: Mapping[str, str]) -> str:
        """Who is known to write these points; "" for nobody. Asks nobody, so that it may be asked by the thread with the sockets."""
        points, secret = points_in(environ), bearer(environ.get("HTTP_AUTHORIZATION", ""))
        grant = None if points is None or secret is None else GRANTS.remembered(secret, *points)
        return grant.whose if grant else ""

    def ask(self, environ: Mapping[str, str]) -> str:
        """Who may write these points, or is at least somebody. Raises the refusal."""
        authorization, points = environ.get("HTTP_AUTHORIZATION", ""), points_in(environ)
        try:
            whose = granted(authorization, *points).whose if points is not None else somebody(authorization, environ.get("HTTP_COOKIE", ""))
        except DatabaseError as error:
            raise Unavailable("The record cannot be read just now: send again in a moment.", code="record_unavailable") from error
        finally:
            close_old_connections()
        if not whose:
            raise Unauthenticated(UNKNOWN if bearer(authorization) else "Nobody is signed in: sign in first, then send this again.")
        return whose


def points_in(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The project and the experiment of an address for points; None for any other."""
    found = LOG.fullmatch(environ["PATH_INFO"])
    if found is None:
        return None
    _, project, experiment = (part.encode("latin-1").decode(errors="replace") for part in found.groups())
    return project, experiment


def somebody(authorization: str, cookies: str) -> str:
    """Whose the token or the session is; "" where it is nobody's."""
    secret = bearer(authorization)
    if secret is not None:
        known = bearer_of(secret)
        return str(known.user.pk) if known else ""
    try:
        session = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return str(store(session.value).get(SESSION_KEY, "")) if session is not None else ""
