"""The verbs of invitations. None looks up whom a name or an address belongs to: what it answers says nothing of who has an account."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from accounts import services
from accounts.audit.models import AuditEntry
from accounts.audit.recording import record
from accounts.models import Invitation, Membership, Role, Team, User
from accounts.people import changing
from accounts.signing_in import brake
from config.errors import Conflict, NotFound, TooManyRequests

logger = logging.getLogger(__name__)
OPEN_MOST, HOUR_MOST = 200, 60
LINKS_MOST = 60  # that one person makes within an hour, in all teams
# Accounts that were tried to be made and could not be, within an hour: what is refused tells which names and addresses are taken.
TRIED_SPAN, TRIED_MOST, TRIED_OF_MAKER = timedelta(hours=1), 10, 20
TRIED_ENOUGH = "Accounts that cannot be were tried very often with this invitation, or others of whoever sent it: wait an hour."
DAYS, DAYS_MOST = 7, 30
NOT_OPEN = "This invitation opens nothing: it was used or taken back, or its time is over. Ask whoever sent it for a new link."
LETTER = """{by} invites you to {team} on {app}, as {role}.

Accept here until {ends:%d %B %Y}, with an account or without one; the link works once:

{link}
"""

# Inviting ---------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def invite(team: Team, *, name: str, role: str, by: User, days: int = DAYS) -> tuple[Invitation, str]:
    """An invitation for `days` from now, and the key of its link, which is shown once. Raises TooManyRequests where a team or a person made very many."""
    refuse_too_many(team)
    refuse_too_many_links(by)
    invitation = Invitation(team=team, name=name, role=role, made_by=by, ends_at=timezone.now() + timedelta(days=days))
    key = invitation.new_key()
    invitation.save()
    record("invitation.made", on=invitation, by=by, details={"role": role, "days": days})
    return invitation, key


def refuse_too_many(team: Team) -> None:
    """Raise TooManyRequests where invitations are made as no people need them: each may send a letter."""
    now = timezone.now()
    if Invitation.objects.filter(team=team).open(at=now).count() >= OPEN_MOST:
        raise TooManyRequests(f"{OPEN_MOST} invitations of this team are open: take some back first.", retry_after_s=3600, code="too_many_invitations")
    if Invitation.objects.filter(team=team, created_at__gt=now - timedelta(hours=1)).count() >= HOUR_MOST:
        raise TooManyRequests(f"This team made {HOUR_MOST} invitations within an hour: wait a while.", retry_after_s=3600, code="too_many_invitations")


def refuse_too_many_links(by: User) -> None:
    """Raise TooManyRequests where somebody makes link after link, first ones or new ones: each may be a letter to whatever address, and teams cost nothing."""
    lately = AuditEntry.objects.filter(at__gt=timezone.now() - timedelta(hours=1), act__in=("invitation.made", "invitation.renewed"))
    if lately.filter(user_id=by.pk).count() >= LINKS_MOST:
        raise TooManyRequests(f"You made {LINKS_MOST} links of invitations within an hour: wait a while.", retry_after_s=3600, code="too_many_invitations")


@transaction.atomic
def renew(invitation: Invitation, *, by: User) -> str:
    """Another key, for as long as the invitation had at first; the link before opens nothing. It is this person's from now on.

    Raises NotFound, and TooManyRequests where the person made very many.
    """
    refuse_too_many_links(by)
    found = locked(pk=invitation.pk)
    key, now = found.new_key(), timezone.now()
    found.ends_at, found.made_by, found.created_at = now + (found.ends_at - found.created_at), by, now
    found.save(update_fields=["digest", "ends_at", "made_by", "created_at"])
    record("invitation.renewed", on=found, by=by)
    invitation.ends_at = found.ends_at
    return key


@transaction.atomic
def take_back(invitation: Invitation, *, by: User) -> None:
    """Let it open nothing any more. A second time changes nothing. Raises Conflict where somebody has accepted it."""
    if Invitation.objects.take_back(pk=invitation.pk):
        record("invitation.taken_back", on=invitation, by=by)
    elif Invitation.objects.filter(pk=invitation.pk).exclude(accepted_at=None).exists():
        raise Conflict("Somebody has accepted this invitation: remove the member instead.")


def link_of(key: str) -> str:
    """The path of the page that a key opens. The key stands in the query, which no log of ours keeps."""
    return f"{reverse('invitations:join')}?{urlencode({'key': key})}"


def is_sent(invitation: Invitation, key: str, *, by: User) -> bool:
    """Send the link where the invitation is for an e-mail address and there is a mail server; whether that went well."""
    if not settings.EMAIL_URL or not is_address(invitation.name):
        return False
    who, link = by.get_full_name() or by.username, settings.SITE_URL + link_of(key)
    text = LETTER.format(by=who, team=invitation.team, app=settings.APP_NAME, role=invitation.role, ends=invitation.ends_at, link=link)
    try:
        return send_mail(f"{settings.EMAIL_SUBJECT_PREFIX}An invitation", text, None, [invitation.name]) == 1
    except (OSError, ValueError) as error:  # a ValueError: what the mail library can write in no header
        logger.warning("The invitation %s could not be sent: %s", invitation.pk, error)
        return False


def is_address(name: str) -> bool:
    """Whether an invitation is for an e-mail address; whatever else its maker calls the person is no reason to write a letter."""
    try:
        validate_email(name)
    except ValidationError:
        return False
    return True


# Accepting --------------------------------------------------------------------------------------------------------------------------------


def opened_by(key: str) -> Invitation:
    """The open invitation that a key opens. Raises NotFound; also where whoever made it is no admin of the team any more."""
    now = timezone.now()
    found = Invitation.objects.open(at=now).select_related("team", "made_by").filter(digest=Invitation.hashed(key)).first()
    if found is None or not may_invite(found.made_by, found.team):
        raise NotFound(NOT_OPEN)
    return found


def may_invite(user: User | None, team: Team) -> bool:
    """Whether the user could invite now: an invitation holds no longer than the right to make it."""
    if user is None or not user.is_active:
        return False
    return user.is_superuser or Membership.objects.filter(team=team, user=user, role=Role.ADMIN).exists()


def locked(**which: object) -> Invitation:
    """The invitation that is this one now, and open, held until the transaction ends. Raises NotFound."""
    found = Invitation.objects.select_for_update(of=("self",)).select_related("team").open(at=timezone.now()).filter(**which).first()
    if found is None:
        raise NotFound(NOT_OPEN)
    return found


@transaction.atomic
def accept(key: str, user: User) -> Membership:
    """Join the team. Raises NotFound where the key opens nothing, Conflict for who is in the team already: the invitation stays open then."""
    # By the digest again: a new link may have been made since.
    invitation = locked(pk=opened_by(key).pk, digest=Invitation.hashed(key))
    membership = services.enter(invitation.team, user, invitation.role)
    invitation.accepted_at, invitation.accepted_by = timezone.now(), user
    invitation.save(update_fields=["accepted_at", "accepted_by"])
    record("invitation.accepted", on=invitation, by=user, details={"role": invitation.role})
    return membership


def join(key: str, *, username: str, password: str, name: str = "", email: str = "") -> Membership:
    """Make an account and join the team with it: both or neither. Raises as `accept` does, and Invalid for what no account can have.

    Each try is counted before names and addresses are looked at, and taken back where an account was made. Raises TooManyRequests after very many.
    """
    counts = tries_of(opened_by(key))
    brake.spend(counts, span=TRIED_SPAN, message=TRIED_ENOUGH)
    drafted = changing.draft(username=username, password=password, name=name, email=email)
    with transaction.atomic():
        joined = accept(key, changing.make(drafted))
    brake.release(counts)
    return joined


def tries_of(invitation: Invitation) -> list[brake.Count]:
    """What a try to make an account is counted under: by the invitation, whatever its link is now, and by its maker, whose invitations are many."""
    return [brake.count(TRIED_MOST, "joining", str(invitation.pk)), brake.count(TRIED_OF_MAKER, "joining by", str(invitation.made_by_id))]
