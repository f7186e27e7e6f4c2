"""Who may write points to what: decided from the record, remembered for some seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from accounts.access import Caller
from accounts.models import ApiToken, Role
from accounts.scopes import LOGS, refuse_scope
from accounts.signing_in.authentication import UNKNOWN, bearer, bearer_of
from config.errors import Archived, Unauthenticated, Unavailable
from config.web.words import names_told
from experiments.models import Experiment
from metrics.spool.batches import Series
from projects.models import Project

GRANTS_REMEMBERED = 20_000


@dataclass(frozen=True)
class Grant:
    """That one caller may write to one series, until `until` (monotonic seconds). `whose` is the key of the caller's account."""

    series: Series
    whose: str
    until: float


class Grants:
    """Decisions remembered for at most METRICS_ACCESS_CACHE_S, so that no point waits for the record, and a revocation holds everywhere soon."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], Grant] = {}

    def forget(self) -> None:
        """Decide everything anew from here on: something about access changed in this process."""
        self.known = {}

    def remembered(self, secret: str, project: str, experiment: str) -> Grant | None:
        """That this token may write there, where it was decided already. Asks nobody."""
        grant = self.known.get((ApiToken.hashed(secret), project, experiment))
        return grant if grant is not None and grant.until >= time.monotonic() else None

    def of(self, secret: str, project: str, experiment: str) -> Grant:
        """That this token may write there. Raises the refusal."""
        asked = (ApiToken.hashed(secret), project, experiment)
        known = self.known  # a forget() meanwhile starts another one, and what is decided here is lost with this
        grant = known.get(asked)
        if grant is None or grant.until < time.monotonic():
            if len(known) >= GRANTS_REMEMBERED:
                self.forget()
            try:
                grant = Grant(*decided(secret, project, experiment), time.monotonic() + settings.METRICS_ACCESS_CACHE_S)
            finally:
                close_old_connections()  # the short way has no request that ends, and so nobody else who does it
            known[asked] = grant
        return grant


GRANTS = Grants()


def granted(authorization: str, project: str, experiment: str) -> Grant:
    """That the bearer of `authorization` may write there, and who that is. Raises Unauthenticated, NotFound, Forbidden, Archived, Conflict or Unavailable."""
    secret = bearer(authorization)
    if secret is None:
        raise Unauthenticated("No token came with the request: send Authorization: Bearer <token>. The Account page makes one.")
    return GRANTS.of(secret, project, experiment)


def decided(secret: str, project: str, experiment: str) -> tuple[Series, str]:
    """The decision from the record, and whose token it is. A refusal is raised, not remembered, so that what is mended works at once."""
    try:
        known = bearer_of(secret)
        if known is None:
            raise Unauthenticated(UNKNOWN)
        caller = Caller(user=known.user, token=known.token)
        refuse_scope(known.token, LOGS)
        with names_told(is_so=not caller.logs_alone):
            owner = Project.objects.visible_to(caller).named(project)
            found = Experiment.objects.filter(project=owner).only("id", "created_at", "archived", "name", "made_with").named(experiment)
    except DatabaseError as error:
        raise Unavailable("The record cannot be read just now: send again in a moment.", code="record_unavailable") from error
    caller.require(Role.EDITOR, owner.team_id)
    caller.require_made(found.made_with)
    if found.archived or owner.archived:
        raise Archived(f"{found.name} is archived: restore it to log to it.")
    return Series(owner.team_id, owner.pk, found.pk, found.created_month), str(caller.user.pk)
