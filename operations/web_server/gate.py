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
from metrics.ingest.grants import GRANTS, writable_series
from metrics.ingest.shortcut import LOG


class Gate:
    """Whom the server reads large bodies from."""

    def remembers(self, environ: Mapping[str, str]) -> bool:
        """Whether the sender is known to write these points. Asks nobody, so that it may be asked by the thread with the sockets."""
        points, secret = points_in(environ), bearer(environ.get("HTTP_AUTHORIZATION", ""))
        return points is not None and secret is not None and GRANTS.remembers(secret, *points)

    def ask(self, environ: Mapping[str, str]) -> None:
        """Return where the sender may write these points, or is at least somebody. Raises the refusal."""
        authorization, points = environ.get("HTTP_AUTHORIZATION", ""), points_in(environ)
        try:
            if points is not None:
                writable_series(authorization, *points)
            elif not is_somebody(authorization, environ.get("HTTP_COOKIE", "")):
                raise Unauthenticated(UNKNOWN if bearer(authorization) else "Nobody is signed in: sign in first, then send this again.")
        except DatabaseError as error:
            raise Unavailable("The record cannot be read just now: send again in a moment.", code="record_unavailable") from error
        finally:
            close_old_connections()


def points_in(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The project and the experiment of an address for points; None for any other."""
    found = LOG.fullmatch(environ["PATH_INFO"])
    if found is None:
        return None
    _, project, experiment = (part.encode("latin-1").decode(errors="replace") for part in found.groups())
    return project, experiment


def is_somebody(authorization: str, cookies: str) -> bool:
    """Whether the token or the session is somebody's."""
    secret = bearer(authorization)
    if secret is not None:
        return bearer_of(secret) is not None
    try:
        session = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return False
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return session is not None and SESSION_KEY in store(session.value)
