"""The verbs of accounts: made, changed, switched off and on. Each leaves a line in the audit."""

from __future__ import annotations

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts import services
from accounts.audit.recording import changes, record
from accounts.models import ApiToken, Role, User
from accounts.people import sessions
from accounts.tokens.ending import revoke
from config.errors import Conflict, Fault, Invalid
from metrics.ingest.grants import GRANTS

TAKEN = "This {} is taken, or it cannot be used: choose another."


def invalid(field: str, message: str, code: str = "invalid") -> Invalid:
    """The refusal of one field."""
    return Invalid(message, [Fault(None, field, code, message)])


def draft(*, username: str, password: str, name: str = "", email: str = "") -> User:
    """An account to be made. Hashing is slow on purpose: not in a transaction, where everybody who writes would wait. Raises Invalid as `make` does, and
    for a password that is too weak.
    """
    user = User(username=User.normalize_username(username), first_name=name, email=email)
    refuse_taken_name(user)
    refuse_taken_address(user)
    check_password(password, user, field="password")
    user.set_password(password)
    return user


@transaction.atomic
def make(user: User) -> User:
    """Make the account that was drafted. Raises Invalid for a name or an address that is taken or cannot be."""
    refuse_taken_name(user)
    refuse_taken_address(user)
    try:
        user.full_clean(exclude=["password"])
        user.save()
    except ValidationError as error:
        faults = [Fault(None, field, "invalid", message) for field, messages in error.message_dict.items() for message in messages]
        raise Invalid(faults[0].message, faults) from error
    record("account.made", on=user, by=user)
    return user


@transaction.atomic
def edit(user: User, *, name: str, email: str) -> None:
    """Change how the user is called and written to. Raises Invalid for an address that somebody else signs in with."""
    changed = [field for field, was, now in (("name", user.get_full_name(), name), ("email", user.email, email)) if was != now]
    if "name" in changed:
        user.first_name, user.last_name = name, ""
    if "email" in changed:
        user.email = email
        refuse_taken_address(user)
    if not changed:
        return
    try:
        with transaction.atomic():
            user.save(update_fields=["first_name", "last_name", "email"])
    except IntegrityError as error:
        raise invalid("email", TAKEN.format("address"), "taken") from error
    record("account.changed", on=user, details={"changed": ", ".join(changed)})


def refuse_taken_name(user: User) -> None:
    """Raise Invalid where somebody else has the user's name, in whatever case, or signs in with it as an address."""
    others = User.objects.exclude(pk=user.pk)
    if others.filter(username__iexact=user.username).exists() or others.filter(email__iexact=user.username).exists():
        raise invalid("username", TAKEN.format("name"), "taken")


def refuse_taken_address(user: User) -> None:
    """Raise Invalid where somebody else signs in with the user's address, as an address or as a name."""
    others = User.objects.exclude(pk=user.pk)
    if user.email and (others.filter(email__iexact=user.email).exists() or others.filter(username__iexact=user.email).exists()):
        raise invalid("email", TAKEN.format("address"), "taken")


def check_password(password: str, user: User, *, field: str) -> None:
    """Raise Invalid for a password that is too weak."""
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise invalid(field, " ".join(error.messages)) from error


@transaction.atomic
def switch_off(user: User, *, by: User) -> None:
    """Let the user in no more: sessions, tokens, JWTs and links for a new password end for good, and the user's invitations. Runs and words keep the name.

    The last admin of a team, too: whoever must be kept out is kept out at once, and operators see to the team. Raises Conflict for oneself and for the
    last operator: nobody could switch either on again.
    """
    if user == by:
        raise Conflict("You cannot switch off yourself: another operator can.")
    refuse_last_operator(user, stays=False)
    if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        return
    user.is_active = False
    sessions.end(user, by=by)
    for token in ApiToken.objects.filter(user=user, revoked_at=None):
        revoke(token)
    services.take_back_invitations(by=by, made_by=user)
    record("account.switched_off", on=user, by=by)
    transaction.on_commit(GRANTS.forget)


@transaction.atomic
def switch_on(user: User, *, by: User) -> None:
    """Let the user in again, with the memberships of before, and nothing else: tokens, JWTs and links for a new password of before open nothing."""
    if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        user.is_active = True
        record("account.switched_on", on=user, by=by)


def refuse_last_operator(user: User, *, stays: bool) -> None:
    """Raise Conflict where nobody would be operator any more. Locks the operators until the transaction ends."""
    operators = list(User.objects.select_for_update().filter(is_superuser=True, is_active=True))
    if operators == [user] and not stays:
        raise Conflict(f"{user} is the last operator: make another one first.")


def tell_rights(user: User, *, by: User) -> None:
    """Leave a line where the user, not saved yet, may do more or less on the whole server than before; an operator's tokens for other teams end."""
    before = User.objects.get(pk=user.pk)
    changed = changes(before, {"is_superuser": user.is_superuser, "is_staff": user.is_staff})
    if changed:
        said = ", ".join(f"{name} {was} to {now}" for name, (was, now) in changed.items())
        record("account.rights", on=user, by=by, details={"changed": said})
    if before.is_superuser and not user.is_superuser:
        end_tokens_beyond(user)


def end_tokens_beyond(user: User) -> None:
    """End for good the tokens for teams where the user is no member: an operator's reach ends, and none of them comes back with a later membership."""
    for token in ApiToken.objects.filter(user=user, revoked_at=None).exclude(team__in=user.memberships.values("team")):
        revoke(token)


@transaction.atomic
def delete(user: User, *, by: User) -> None:
    """Delete an account with its memberships, tokens and sessions; runs stay, without the name. Raises Conflict for oneself, and for the last of something."""
    if user == by:
        raise Conflict("You cannot delete yourself: another operator can.")
    refuse_last_operator(user, stays=False)
    for membership in user.memberships.filter(role=Role.ADMIN).select_related("team", "user"):
        services.keep_an_admin(membership)
    record("account.deleted", on=user, by=by, details={"teams": [each.team.name for each in user.memberships.select_related("team")[:50]]})
    services.take_back_invitations(by=by, made_by=user)
    sessions.end(user, by=by)
    user.delete()
    transaction.on_commit(GRANTS.forget)
