"""Passwords: changed by their owner, or set anew by a link that works once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.hashers import make_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import base36_to_int, int_to_base36, urlencode

from accounts.audit.recording import Subject, record
from accounts.models import ApiToken, User
from accounts.people import changing, sessions
from accounts.people.changing import check_password, invalid
from accounts.signing_in import brake
from accounts.signing_in.backends import is_password_of
from accounts.tokens.ending import revoke
from config.errors import Conflict, NotFound, TooManyRequests
from config.web.request_id import address_of
from metrics.ingest.grants import GRANTS

logger = logging.getLogger(__name__)
ASKED_SPAN = timedelta(hours=1)
ASKED_OF_NETWORK, ASKED_OF_USER = 10, 3
ADDRESSES_SPAN, ADDRESSES_MOST = timedelta(hours=1), 5
NOT_OPEN = "This link opens nothing: it was used, is over, or its user has signed in since. Ask for another."
WRONG = "This is not your present password. Capital letters count."
LETTER = """Somebody asked for a new password for {username} at {app}.

Set one here, within a day; the link works once:

{link}

If it was not you, do nothing: the present password stays.
"""

# Changing it ------------------------------------------------------------------------------------------------------------------------------


def require_present(request: HttpRequest, user: User, password: str) -> None:
    """Raise Invalid where this is not the user's password. Tries are counted as those of signing in are."""
    if not is_password_of(request, user, password):
        record("sign_in.failed", on=user)
        raise invalid("present", WRONG, "wrong")


def edit(request: HttpRequest, user: User, *, name: str, email: str, present: str) -> None:
    """Change how the user is called and written to. Another address takes the present password, as it opens the account.

    Raises Invalid where that is wrong or the address somebody else's, and TooManyRequests after very many addresses: each answer tells whether one is taken.
    """
    if email != user.email:
        require_present(request, user, present)
        tried = brake.count(ADDRESSES_MOST, "address", str(user.pk))
        brake.spend([tried], span=ADDRESSES_SPAN, message="You tried many addresses within an hour: wait a while, then change it.")
    changing.edit(user, name=name, email=email)


def change(request: HttpRequest, user: User, *, present: str, new: str, ending: Iterable[ApiToken] = ()) -> int:
    """Give the user another password: every other session ends, every JWT, and of the tokens those in `ending`. How many sessions ended.

    Raises Invalid where `present` is wrong or `new` too weak.
    """
    require_present(request, user, present)  # not in the transaction: what a refusal undoes would not be counted
    hashed = hash_of(new, user)
    with transaction.atomic():
        put(user, hashed, by=user)
        was = request.session.session_key
        if was is not None:
            update_session_auth_hash(request, user)
            sessions.moved(request, was)
        for token in ending:
            revoke(token)
        return sessions.end(user, but=request.session.session_key)


def hash_of(password: str, user: User) -> str:
    """What is kept of a new password. Slow on purpose: not in a transaction, where everybody who writes would wait. Raises Invalid for one that is too weak."""
    check_password(password, user, field="new")
    return make_password(password)


def put(user: User, hashed: str, *, by: User | None) -> None:
    """Set a password, whose hash was made before; `by` is whoever asks where nobody is given."""
    user.password = hashed
    user.save(update_fields=["password"])
    record("password.changed", on=user, by=by)
    transaction.on_commit(GRANTS.forget)  # of JWTs, which end now


def give(user: User, password: str | None) -> None:
    """Set somebody else's password, or take it away with None, as staff may: all sessions and JWTs end. The password was looked at before."""
    hashed = make_password(password)  # not in the transaction
    with transaction.atomic():
        put(user, hashed, by=None)
        sessions.end(user)


# Setting it anew --------------------------------------------------------------------------------------------------------------------------


class Keys(PasswordResetTokenGenerator):
    """Django's own keys, which also end where the user is signed out everywhere or switched off."""

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        """Another one than before from then on."""
        times = user.times_signed_out
        return f"{super()._make_hash_value(user, timestamp)}{f' signed out {times}' if times else ''}"  # a key of the version before holds on


KEYS = Keys()


def key_for(user: User) -> str:
    """What opens the page for a new password: once, within a day, until the password changes, or the user signs in or is signed out everywhere."""
    return f"{int_to_base36(user.pk)}.{KEYS.make_token(user)}"


def user_of(key: str) -> User:
    """The active user whom a key is for. Raises NotFound."""
    number, _, token = key.partition(".")
    try:
        user = User.objects.filter(pk=base36_to_int(number), is_active=True).first()
    except (ValueError, OverflowError):
        user = None
    if user is None or not KEYS.check_token(user, token):
        raise NotFound(NOT_OPEN)
    return user


def link_of(key: str) -> str:
    """The path of the page that a key opens."""
    return f"{reverse('people:new_password')}?{urlencode({'key': key})}"


def link_by(operator: User, user: User) -> str:
    """The path of a link that an operator gives to somebody who forgot the password. Shown once. Raises Conflict for oneself."""
    if user == operator:
        raise Conflict("You make no link for yourself: change your password on the Account page, or ask another operator.")
    record("password.link", on=user, by=operator)
    return link_of(key_for(user))


def set_anew(key: str, password: str, *, ending: Iterable[ApiToken] = ()) -> User:
    """Set the password of whoever has the key; all sessions and JWTs end. Raises NotFound, or Invalid for one that is too weak."""
    whose = user_of(key)
    hashed = hash_of(password, whose)
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=whose.pk)
        if user != user_of(key):
            raise NotFound(NOT_OPEN)
        put(user, hashed, by=user)
        for token in ending:
            revoke(token)
        sessions.end(user, by=user)
    return user


def ask(request: HttpRequest, name: str) -> None:
    """Send a link to the address of whoever has this name or address, if there is one: the answer and its time are the same for all.

    Raises TooManyRequests where many were asked for from the same network.
    """
    now = timezone.now()
    here = brake.count(ASKED_OF_NETWORK, "password asked", brake.network_of(address_of(request)))
    if not brake.is_reserved(here, now, span=ASKED_SPAN):
        raise TooManyRequests("Many new passwords were asked for from here: wait an hour, or ask an operator.", retry_after_s=3600, code="too_many_attempts")
    typed = name.strip().replace("\0", "")
    user = User.objects.filter(is_active=True, **({"email__iexact": typed} if "@" in typed else {"username": typed})).exclude(email="").first()
    # Of letters that go out alone: whoever asks on and on keeps nobody from the next one. A name that nobody has is counted as if it were somebody's.
    letters = brake.count(ASKED_OF_USER, "password letter", f"account {user.pk}" if user else f"name {brake.spelled(typed)}")
    is_room = brake.is_reserved(letters, now, span=ASKED_SPAN)
    record("password.asked", on=user or Subject("user", "a name that nobody has"))
    threading.Thread(target=send, args=(user if is_room else None,), daemon=True).start()


def send(user: User | None) -> None:
    """Write to the user, on a thread of its own: whether there is somebody to write to shows in no answer's time."""
    if user is None:
        return
    text = LETTER.format(username=user.username, app=settings.APP_NAME, link=settings.SITE_URL + link_of(key_for(user)))
    try:
        send_mail(f"{settings.EMAIL_SUBJECT_PREFIX}A new password", text, None, [user.email])
    except (OSError, ValueError) as error:  # a ValueError: what the mail library can write in no header
        logger.warning("The link for a new password of user %d could not be sent: %s", user.pk, error)
