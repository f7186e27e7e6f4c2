"""The browsers in which somebody is signed in: noted, listed, ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.audit.recording import record
from accounts.models import BrowserSession, User
from accounts.people.devices import device
from config.web.request_id import address_of
from metrics.ingest.grants import GRANTS

logger = logging.getLogger(__name__)
SEEN_RESOLUTION_S = 300
REMEMBERED_MOST = 20_000


class SeenMiddleware:
    """Notes when a signed-in browser was last seen, and from where, every few minutes. A request that opens no session costs nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on, then look whether it was somebody's."""
        response = self.get_response(request)
        session = request.session
        opened = getattr(session, "_session_cache", {})  # what was read of it; one that could not be read is not asked for again
        if session.session_key and SESSION_KEY in opened and SEEN.is_due(session.session_key):
            see(request, int(session[SESSION_KEY]))
        return response


class Seen:
    """When this process last noted each session; of the oldest it forgets."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def is_due(self, session_key: str) -> bool:
        """Whether a session is to be noted now; it counts as noted then."""
        now = time.monotonic()
        if now - self.at.get(session_key, -SEEN_RESOLUTION_S) < SEEN_RESOLUTION_S:
            return False
        if len(self.at) >= REMEMBERED_MOST:
            self.at = {}
        self.at[session_key] = now
        return True


SEEN = Seen()


def see(request: HttpRequest, user_id: int) -> None:
    """Note the browser of a request. The answer does not wait for a record that is away."""
    what = {"device": device(request.headers.get("User-Agent", "")), "address": address_of(request)[:64], "seen_at": timezone.now()}
    try:
        BrowserSession.objects.update_or_create(session_key=request.session.session_key, defaults={"user_id": user_id, **what})
    except DatabaseError as error:
        logger.warning("A browser that was seen is not noted: %s", error)


def begin(request: HttpRequest, user: User) -> None:
    """Note a browser that has just signed in."""
    if request.session.session_key is None:
        request.session.create()
    SEEN.is_due(str(request.session.session_key))
    see(request, user.pk)


def moved(request: HttpRequest, was: str | None) -> None:
    """Follow a session that goes on under another key."""
    BrowserSession.objects.filter(session_key=was).update(session_key=request.session.session_key)


def of(user: User) -> QuerySet[BrowserSession]:
    """The user's browsers whose sessions go on, the one seen last first."""
    return BrowserSession.objects.filter(user=user).alive(at=timezone.now())


@transaction.atomic
def end(user: User, *, but: str | None = None, by: User | None = None) -> int:
    """Sign the user out of every browser `but` the one with this session key; how many. Every JWT and every link for a new password ends with them."""
    User.objects.filter(pk=user.pk).update(times_signed_out=F("times_signed_out") + 1)
    user.refresh_from_db(fields=["times_signed_out"])
    transaction.on_commit(GRANTS.forget)  # of JWTs
    keys = ({one.session_key for one in of(user)} | unlisted(user)) - {but}
    gone = Session.objects.filter(session_key__in=keys).delete()[0]
    BrowserSession.objects.filter(user=user).exclude(session_key=but).delete()
    if gone:
        record("sessions.ended", on=user, by=by, details={"count": gone})
    return gone


@transaction.atomic
def end_one(session: BrowserSession) -> None:
    """Sign out one browser."""
    Session.objects.filter(session_key=session.session_key).delete()
    session.delete()
    record("sessions.ended", on=session.user, details={"count": 1, "device": session.device})


def unlisted(user: User) -> set[str]:
    """The keys of the user's sessions that no browser is noted for: from before browsers were."""
    unknown = Session.objects.filter(expire_date__gt=timezone.now()).exclude(session_key__in=BrowserSession.objects.values("session_key"))
    return {session.session_key for session in unknown.iterator() if session.get_decoded().get(SESSION_KEY) == str(user.pk)}
