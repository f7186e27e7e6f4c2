"""The verbs of projects that reach beyond one row."""

from __future__ import annotations

import logging
from typing import Any

from django.db import IntegrityError, transaction

from accounts.access import Caller
from accounts.models import Role, Team, User
from accounts.services import default_team
from accounts.slugs import free_slug
from config.errors import Conflict, Fault, Invalid
from experiments import deletion
from metrics.ingest.grants import GRANTS
from projects.models import Project

logger = logging.getLogger(__name__)
SLUG_ATTEMPTS = 20


def create(team: Team, *, name: str, description: str = "") -> Project:
    """A new project; a name that is taken gets a slug with a number."""
    for _ in range(SLUG_ATTEMPTS):
        try:
            with transaction.atomic():
                return Project.objects.create(team=team, name=name, description=description)
        except IntegrityError as error:
            if "slug" not in str(error):
                raise
    raise Conflict(f"Others took the slug of {name!r} at the same moment: try again, or choose another name.")


def find_named(caller: Caller, name: str) -> Project | None:
    """The project of this name in the caller's default team. Raises Invalid where no team is the default or the name gives no slug."""
    return Project.objects.filter(team=default_team(caller), slug=slug_of(name)).select_related("team").first()


def make_named(caller: Caller, name: str) -> Project:
    """The same, made where there is none, by several at once too. Raises Forbidden for a viewer."""
    team = default_team(caller)
    caller.require(Role.EDITOR, team.pk)
    project, _ = Project.objects.select_related("team").get_or_create(team=team, slug=slug_of(name), defaults={"name": name})
    return project


def slug_of(name: str) -> str:
    """The slug that a name always gives, so that the same name finds the same project again. Raises Invalid where it gives none."""
    slug = free_slug(name, taken=Project.objects.none(), otherwise="")
    if not slug:
        message = f"{name!r} holds no letter and no digit: name the project with some."
        raise Invalid(message, [Fault(None, "project", "invalid", message)])
    return slug


@transaction.atomic
def edit(project: Project, **fields: Any) -> None:  # Any: values of several fields
    """Change name, description, archived or retention_days."""
    for name, value in fields.items():
        setattr(project, name, value)
    if fields:
        project.save(update_fields=[*fields, "updated_at"])
    if "archived" in fields:
        transaction.on_commit(GRANTS.forget)


@transaction.atomic
def delete(project: Project, *, by: User | None) -> None:
    """Delete a project with its experiments at once, and their points as soon as the metric store lets them go."""
    deletion.mark(project.experiments.select_related("project").iterator(chunk_size=deletion.CHUNK))
    logger.info("%s deleted the project %s (%s)", by, project, project.pk)
    project.delete()
    transaction.on_commit(GRANTS.forget)
    transaction.on_commit(deletion.purge, robust=True)


def delete_team(team: Team, *, by: User | None) -> None:
    """Delete a team with its projects, as `delete` does."""
    with transaction.atomic():
        for project in team.projects.all():
            delete(project, by=by)
        team.delete()
