"""The verbs of projects that reach beyond one row."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts.access import Caller
from accounts.audit.recording import changes, record
from accounts.models import ApiToken, Role, Team, User
from accounts.scopes import refuse_limited
from accounts.services import default_team
from accounts.slugs import base_slug
from accounts.tokens.ending import revoke
from config.errors import Conflict, Fault, Invalid
from config.names import flaw_in_name, tidied
from experiments import deletion, rekeying
from experiments.models import Experiment
from hypotheses.claims.epochs import redefining
from hypotheses.claims.grouping import keep_arms
from hypotheses.models import Hypothesis
from metrics.ingest.grants import GRANTS
from projects.models import Direction, Project, ProjectMetric, SavedView
from projects.seeds import DEFAULT, Seeds, entries_of

logger = logging.getLogger(__name__)
SLUG_ATTEMPTS = 20
NAME_CHARACTERS = 255
NAMED_MOST = 50


def create(team: Team, *, name: str, description: str = "") -> Project:
    """A new project; a name that is taken gets a slug with a number."""
    for _ in range(SLUG_ATTEMPTS):
        try:
            with transaction.atomic():
                made = Project.objects.create(team=team, name=name, description=description)
                record("project.made", on=made, team=team)
                return made
        except IntegrityError as error:
            if "slug" not in str(error):
                raise
    raise Conflict(f"Others took the slug of {name!r} at the same moment: try again, or choose another name.")


def place_for(caller: Caller, name: str) -> Team:
    """The team in which a project of this name may be made. Raises Invalid where no team is the default or the name gives no slug, Forbidden for a viewer."""
    flaw, kept = flaw_in_name(name), tidied(name)
    message = flaw.message if flaw else ""
    if not flaw and not base_slug(kept, "")[0]:
        message = f"{name!r} holds no letter and no digit: name the project with some."
    elif len(kept) > NAME_CHARACTERS:
        message = f"A project's name has {NAME_CHARACTERS} characters at most."
    if message:
        raise Invalid(message, [Fault(None, "project", "invisible" if flaw else "invalid", message, position=flaw.position if flaw else None)])
    team = default_team(caller)
    caller.require(Role.EDITOR, team.pk)
    refuse_limited(caller.token, "making a project")
    return team


@transaction.atomic
def make_named(caller: Caller, name: str) -> tuple[Project, bool]:
    """The project of this name in the caller's default team, and whether it was made now: several that ask at once make one. Raises as `place_for` does."""
    team = Team.objects.select_for_update(no_key=True).get(pk=place_for(caller, name).pk)  # whoever waited here finds what the first one made
    found = Project.objects.filter(team=team).select_related("team").meant_by(name)
    return (found[0], False) if found else (create(team, name=tidied(name)), True)


@transaction.atomic
def edit(project: Project, *, by: User | None = None, **fields: Any) -> None:  # Any: values of several fields
    """Change name, description, archived, retention_days or seed_params. Raises Invalid for names of seeds that mean nothing."""
    if "seed_params" in fields:
        set_seeds(project, fields.pop("seed_params"), by=by)
    changed = changes(project, fields)
    for name, value in fields.items():
        setattr(project, name, value)
    if fields:
        project.save(update_fields=[*fields, "updated_at"])
        tell(project, changed, by=by)
    if {"archived", "name"} & set(fields):
        transaction.on_commit(GRANTS.forget)


def tell(project: Project, changed: dict[str, list[Any]], *, by: User | None) -> None:  # Any: JSON
    """Leave lines in the audit: one that it was archived or restored, one of everything else that changed."""
    if "archived" in changed:
        record("project.archived" if changed.pop("archived")[1] else "project.restored", on=project, by=by)
    if changed:
        record("project.changed", on=project, by=by, details={"changed": ", ".join(changed), "values": changed})


def set_seeds(project: Project, entries: Iterable[str] | None, *, by: User | None) -> None:
    """Say which params are seeds, None for the default list. Where that is another list, runs are put into arms anew in the background.

    Hypotheses whose baseline is fixed keep the arms that it was fixed with, until a new epoch. Raises Invalid for names that mean nothing.
    """
    held = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before, after = held.seeds, seeds_of(entries)
    project.seed_params = held.seed_params
    if set(before.entries) == set(after.entries):
        return
    keep_arms(held, before)
    project.seed_params = None if set(after.entries) == set(DEFAULT) else list(after.entries)
    project.save(update_fields=["seed_params", "updated_at"])
    rekeying.want(project)
    record("project.changed", on=project, by=by, details={"changed": "seed_params", "values": {"seed_params": [list(before.entries), list(after.entries)]}})
    logger.info("%s set the seeds of the project %s (%s): %s", by, project, project.pk, ", ".join(after.entries) or "none")


def seeds_of(entries: Iterable[str] | None) -> Seeds:
    """The setting that these entries are. Raises Invalid for one that means nothing."""
    try:
        return Seeds() if entries is None else Seeds(entries_of(entries))
    except ValueError as error:
        raise Invalid(f"Not valid: nothing was saved. seed_params: {error}", [Fault(None, "seed_params", "invalid", str(error))]) from error


@transaction.atomic
def delete(project: Project, *, by: User | None) -> None:
    """Delete a project with its experiments and the tokens limited to it at once, and the points as soon as the metric store lets them go."""
    end(ApiToken.objects.filter(project=project))
    deletion.mark(project.experiments.select_related("project").iterator(chunk_size=deletion.CHUNK))
    record("project.deleted", on=project, by=by, details={"runs": project.experiments.count(), "hypotheses": project.hypotheses.count()})
    logger.info("%s deleted the project %s (%s)", by, project, project.pk)
    project.delete()
    transaction.on_commit(GRANTS.forget)
    transaction.on_commit(deletion.purge, robust=True)


def end(tokens: QuerySet[ApiToken]) -> None:
    """Revoke tokens, with a line of each: they are about to be deleted with what they are for."""
    for token in tokens.filter(revoked_at=None).select_related("team", "project"):
        revoke(token)


def delete_team(team: Team, *, by: User | None) -> None:
    """Delete a team with its projects, as `delete` does, and its tokens."""
    with transaction.atomic():
        end(ApiToken.objects.filter(team=team))
        runs = Experiment.objects.filter(project__team=team).count()
        record("team.deleted", on=team, by=by, details={"projects": team.projects.count(), "runs": runs, "members": team.memberships.count()})
        for project in team.projects.all():
            delete(project, by=by)
        team.delete()
        transaction.on_commit(GRANTS.forget)


# Metrics and views -------------------------------------------------------------------------------------------------------------------------


def redefine(metric: ProjectMetric, *, by: User | None, **fields: Any) -> list[Hypothesis]:  # Any: values of several fields
    """Change direction, aggregation or watch of a metric; the hypotheses that target it, have data, and so begin a new epoch."""
    changed = changes(metric, fields)
    with redefining([metric], by=by) as begun:
        for name, value in fields.items():
            setattr(metric, name, value)
        metric.save(update_fields=list(fields))
        if changed:
            record("metric.changed", on=metric, by=by, details={"changed": ", ".join(changed), "values": changed})
    return begun


def accept_suggestions(project: Project, *, by: User | None) -> tuple[list[ProjectMetric], list[Hypothesis]]:
    """Set every direction that a metric's name suggests, where nobody set one: the metrics, and the hypotheses that begin a new epoch."""
    waiting = [metric for metric in project.metrics.filter(direction=Direction.UNSET) if metric.suggestion]
    for metric in waiting:
        metric.direction = metric.suggestion
    with redefining(waiting, by=by) as begun:
        ProjectMetric.objects.bulk_update(waiting, ["direction"], batch_size=500)
        if waiting:
            values = {metric.name: metric.direction for metric in waiting[:NAMED_MOST]}
            record("project.changed", on=project, by=by, details={"changed": f"the direction of {len(waiting)} metrics", "values": values})
    return waiting, begun


@transaction.atomic
def forget_metric(metric: ProjectMetric, *, by: User | None) -> None:
    """Forget what was said of a metric. Its points stay. Raises Conflict while a hypothesis targets it."""
    if metric.targeted_by.exists():
        raise Conflict(f"{metric} is a target of a hypothesis: take it out of its targets, or delete the hypothesis, first.")
    record("metric.deleted", on=metric, by=by)
    metric.delete()


@transaction.atomic
def delete_view(view: SavedView, *, by: User | None) -> None:
    """Forget a saved view."""
    record("view.deleted", on=view, by=by)
    view.delete()
