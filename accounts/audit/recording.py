"""Writing a line: one verb, called where the act is done, in its transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from accounts.audit.acts import ACTS
from accounts.audit.models import NAME_MOST, AuditEntry
from config.web.request_id import address_of, request_id

SERVER, NOBODY = "the server", "not signed in"
ASKING: ContextVar[HttpRequest | None] = ContextVar("asking", default=None)
NAMED_MOST = 20
USER = "user"


class AskingMiddleware:
    """Lets a line know who asks, and from where: the request stands in a context variable while it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        before = ASKING.set(request)
        try:
            return self.get_response(request)
        finally:
            ASKING.reset(before)


class Person(Protocol):
    """Whoever acts: a user of the record."""

    pk: Any  # Any: Django's own type

    def get_username(self) -> str:
        """How it signs in."""


@dataclass(frozen=True)
class Subject:
    """What was acted on, where that is no row, or a row that says too little: an address that was invited, a table that was downloaded."""

    kind: str
    name: str
    id: str = ""


def record(
    act: str,
    *,
    team: Any = None,  # Any: a Team, which stands above this room
    on: Model | Subject | None = None,
    details: Mapping[str, Any] | None = None,  # Any: JSON
    by: Person | None = None,
) -> AuditEntry:
    """Write the line of one act, a word of ACTS, in the transaction that is open. Called before a row is deleted, after one is made.

    `team` and project are those of the row `on` where it has them; `by` is whoever asks where nobody is given, the server where nobody asks.
    """
    if act not in ACTS:
        raise ValueError(f"There is no act {act!r}: say in accounts/audit/acts.py how it reads.")
    project = project_of(on)
    team = team or (on if model_of(on) == "team" else getattr(project, "team", None) or getattr(on, "team", None))
    return AuditEntry.objects.create(
        act=act,
        **asked_by(by),
        **subject(on),
        team_id=getattr(team, "pk", None),
        team=named(team),
        project_id=getattr(project, "pk", None),
        project=named(project),
        about_id=on.pk if isinstance(on, Model) and model_of(on) == USER else None,
        details=dict(details or {}),
    )


def asked_by(by: Person | None) -> dict[str, Any]:  # Any: values of several fields
    """Who acts, with which token, from where, in which request."""
    request = ASKING.get()
    if request is None:
        return {"user_id": by.pk if by else None, "who": by.get_username()[:NAME_MOST] if by else SERVER}
    user: Person | None = by or getattr(request, "user", None)
    known = user if user is not None and user.pk is not None else None
    return {
        "user_id": known.pk if known else None,
        "who": known.get_username()[:NAME_MOST] if known else NOBODY,
        "token": str(getattr(getattr(request, "auth", None), "prefix", ""))[:20],
        "address": address_of(request)[:64],
        "request_id": request_id(request)[:64],
    }


def subject(on: Model | Subject | None) -> dict[str, str]:
    """What it was done on, as text."""
    if on is None:
        return {}
    if isinstance(on, Subject):
        return {"on_kind": on.kind[:40], "on_id": on.id[:64], "on_name": on.name.replace("\0", "")[:NAME_MOST]}
    return {"on_kind": str(on._meta.verbose_name)[:40], "on_id": str(on.pk)[:64], "on_name": named(on)}


def model_of(on: object) -> str:
    """The model of a row, "" for anything else."""
    return str(on._meta.model_name) if isinstance(on, Model) else ""


def project_of(on: object) -> Any:  # Any: a Project, which stands above this room
    """The project of a row, or that the row is."""
    return on if model_of(on) == "project" else getattr(on, "project", None)


def named(row: object) -> str:
    """What people call a row."""
    if row is None:
        return ""
    name = getattr(row, "name", None) or getattr(row, "title", None) or str(row)
    return str(name).replace("\0", "")[:NAME_MOST]


def changes(row: Model, fields: Mapping[str, Any]) -> dict[str, list[Any]]:  # Any: JSON
    """Of new values of a row, those that differ from what it holds: {field: [was, is]}, as text and short."""
    return {name: [short(getattr(row, name)), short(value)] for name, value in fields.items() if getattr(row, name) != value}


def short(value: object) -> Any:  # Any: JSON
    """A value as a line keeps it: numbers and truths as they are, everything else as the beginning of its text."""
    return value if value is None or isinstance(value, bool | int | float) else str(value).replace("\0", "")[:200]
