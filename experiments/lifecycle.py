"""The verbs of an experiment: what changes its record, its history and, in the end, its points. Each says who acts (`by`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Unpack, cast

from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Value
from django.utils import timezone

from accounts.audit.recording import record
from accounts.models import ApiToken, User
from config.errors import Conflict
from experiments.content import COLUMNS, Fields, check, check_counts, check_sizes, columns, with_kept_names
from experiments.models import CHUNK, AlreadyEnded, Experiment, ExperimentEvent, Tag
from hypotheses.claims import wanting
from hypotheses.claims.linking import link_all_by_rules, link_by_rules
from metrics import process
from metrics.ingest.grants import GRANTS
from projects.models import Project

Status, Event = Experiment.Status, ExperimentEvent.Kind
SLUG_ATTEMPTS = 50
STATE = ("status", "failure_kind", "started_at", "finished_at")
DERIVING = frozenset({"parent_experiment", "params", "features_diff", "replicate_group"})
DERIVED = ("root_experiment", "features_diff", "features_diff_given", "replicate_key", "placed_key")


# Beginning ---------------------------------------------------------------------------------------------------------------------------------


def create(project: Project, *, by: User | None, status: str = Status.RUNNING, tags: Sequence[str] = (), **fields: Unpack[Fields]) -> Experiment:
    """A new experiment, running (and started now) unless `status` is planned.

    A name that is taken gets a slug with a number. Raises Invalid for content that cannot be kept or is too large, or a parent of another project.
    """
    check_counts(fields)
    check(fields)
    check_sizes(fields, tags)
    kept = columns(with_kept_names(fields))
    for _ in range(SLUG_ATTEMPTS):
        try:
            return insert(Experiment(project=project, status=status, **kept), by=by, tags=tags)
        except IntegrityError as error:
            # Runs that start together ask for one slug: the next attempt sees the winner's and takes another.
            if "slug" not in str(error):
                raise
    raise Conflict(f"{SLUG_ATTEMPTS} others took the slug of {fields.get('name')!r} at the same moment: try again, or choose another name.")


@transaction.atomic
def insert(experiment: Experiment, *, by: User | None, tags: Sequence[str] = ()) -> Experiment:
    """Save an experiment that is not stored yet, with its tags and the first line of its history."""
    experiment.created_by = by
    if experiment.status != Status.PLANNED:
        experiment.started_at = experiment.started_at or timezone.now()
    experiment.save()
    if tags:
        links = [Experiment.tags.through(experiment=experiment, tag=tag) for tag in known_tags(experiment.project, tags)]
        Experiment.tags.through.objects.bulk_create(links)
    note(experiment, Event.CREATED, by=by)
    link_by_rules(experiment, by=by)
    return experiment


def known_tags(project: Project, names: Sequence[str]) -> list[Tag]:
    """The project's tags with these names, made where missing."""
    wanted = list(dict.fromkeys(names))
    found = {tag.name: tag for tag in Tag.objects.filter(project=project, name__in=wanted)}
    if len(found) < len(wanted):
        Tag.objects.bulk_create([Tag(project=project, name=name) for name in wanted if name not in found], ignore_conflicts=True)
        found = {tag.name: tag for tag in Tag.objects.filter(project=project, name__in=wanted)}
    return list(found.values())


# Its life ----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def start(experiment: Experiment, *, by: User | None) -> None:
    """A planned run begins now. Raises AlreadyEnded if it has ended, Conflict if it runs already."""
    if experiment.is_live:
        raise Conflict(f"{experiment} is running already.")
    experiment.start(at=timezone.now())
    settle(experiment, Event.STARTED, by=by, came_from=(Status.PLANNED,))
    wanting.started(experiment)


@transaction.atomic
def complete(experiment: Experiment, *, by: User | None, at: datetime | None = None) -> None:
    """End the run well, `at` a time or now. Raises AlreadyEnded if it has ended."""
    experiment.complete(at=at or timezone.now())
    settle(experiment, Event.COMPLETED, by=by, came_from=(Status.PLANNED, Status.RUNNING))
    wanting.ended(experiment)
    transaction.on_commit(process.flush, robust=True)


@transaction.atomic
def fail(experiment: Experiment, kind: str = "", *, by: User | None, at: datetime | None = None) -> None:
    """End the run badly; `kind` is a FailureKind. Raises AlreadyEnded if it has ended."""
    experiment.fail(kind, at=at or timezone.now())
    settle(experiment, Event.FAILED, by=by, came_from=(Status.PLANNED, Status.RUNNING), detail=kind)
    wanting.ended(experiment)
    transaction.on_commit(process.flush, robust=True)


@transaction.atomic
def resume(experiment: Experiment, *, by: User | None) -> None:
    """An ended run goes on. Raises Conflict where it has not ended."""
    was = experiment.state
    experiment.resume()
    settle(experiment, Event.RESUMED, by=by, came_from=Status.ended(), detail=f"was {was}")
    wanting.ended(experiment)


def move(experiment: Experiment, status: str, kind: str = "", *, by: User | None) -> None:
    """Bring the run to `status` by the verb that leads there; the status that it has already changes nothing.

    Raises AlreadyEnded where another end stands already, Conflict for a way back to planned.
    """
    if status == experiment.status and kind in ("", experiment.failure_kind):
        return
    if status == Status.PLANNED:
        raise Conflict(f"{experiment} is {experiment.status}: a run that began cannot be planned again.")
    if status == Status.COMPLETE:
        complete(experiment, by=by)
    elif status == Status.FAILED:
        fail(experiment, kind, by=by)
    elif experiment.is_ended:
        resume(experiment, by=by)
    else:
        start(experiment, by=by)


def settle(experiment: Experiment, kind: ExperimentEvent.Kind, *, by: User | None, came_from: Sequence[str], detail: str = "") -> None:
    """Write the state that the model's verb has set, if the row is still where the verb found it. Raises AlreadyEnded otherwise."""
    values = {name: getattr(experiment, name) for name in STATE} | {"updated_at": timezone.now()}
    if Experiment.objects.filter(pk=experiment.pk, status__in=came_from).update(**values) != 1:
        experiment.refresh_from_db(fields=STATE)
        raise AlreadyEnded(f"{experiment} is {experiment.status}: another request was first. Look at it again.")
    experiment.updated_at = values["updated_at"]
    note(experiment, kind, by=by, detail=detail)


def heartbeat(experiment: Experiment, *, every: timedelta | None = None, token: ApiToken | None = None) -> None:
    """Note that the run is alive, by whose token, and how far apart its heartbeats are: as it says (`every`), else as they came."""
    now = timezone.now()
    gap = every or ExpressionWrapper(Value(now, output_field=DateTimeField()) - F("heartbeat_at"), output_field=DurationField())
    Experiment.objects.filter(pk=experiment.pk).update(heartbeat_gap=gap, heartbeat_at=now, **({"writer_token": token} if token else {}))


def note(experiment: Experiment, kind: ExperimentEvent.Kind, *, by: User | None, detail: str = "") -> None:
    """Add a line to the experiment's history."""
    ExperimentEvent.objects.create(experiment=experiment, kind=kind, by=by, detail=detail[:500])


# Changes -----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def edit(experiment: Experiment, *, by: User | None, tags: Sequence[str] | None = None, **fields: Unpack[Fields]) -> None:
    """Change what is given, and record which fields were changed; what is equal already changes nothing.

    A features_diff that nobody gave follows the params whenever they or the parent's change; one that somebody gave stays, until it is given empty.
    Raises Invalid for content that cannot be kept, or that is new and too large, or a parent of another project, LineageCycle for one that descends from it.
    """
    check_counts(fields, experiment)
    check(fields)
    kept = differing(experiment, with_kept_names(differing(experiment, fields)))
    changed = list(kept)
    is_tagged_anew = tags is not None and set(tags) != {tag.name for tag in experiment.tags.all()}
    check_sizes(kept, tags or () if is_tagged_anew else ())
    for name, value in columns(kept).items():
        setattr(experiment, name, value)
    if "features_diff" in changed:
        experiment.features_diff_given = bool(experiment.features_diff)
    link_all_by_rules(write(experiment, changed), by=by)
    if is_tagged_anew:
        experiment.tags.set(known_tags(experiment.project, tags or ()))
        changed.append("tags")
    if "name" in changed:
        transaction.on_commit(GRANTS.forget)
    if changed:
        note(experiment, Event.EDITED, by=by, detail=", ".join(changed))


def differing(experiment: Experiment, fields: Fields) -> Fields:
    """Those of the fields that are not so already."""
    return cast(Fields, {name: value for name, value in fields.items() if is_news(value, getattr(experiment, COLUMNS.get(name, name)))})


def is_news(value: object, known: object) -> bool:
    """Whether a value is another than the one that is kept. Of JSON each spelling is kept as it came: 1.0 is news where 1 was, and so is true."""
    is_json = isinstance(value, dict) and isinstance(known, dict)
    return json.dumps(value, sort_keys=True) != json.dumps(known, sort_keys=True) if is_json else value != known


def write(experiment: Experiment, changed: Sequence[str]) -> list[Experiment]:
    """Store the named fields and nothing else: the drain and other requests write the others meanwhile. Those whose change is another one now."""
    if not changed:
        return []
    names = [COLUMNS.get(name, name) for name in changed]
    if DERIVING.isdisjoint(names):
        experiment.updated_at = timezone.now()
        Experiment.objects.filter(pk=experiment.pk).update(**{name: getattr(experiment, name) for name in [*names, "updated_at"]})
        return []
    experiment.save(update_fields=[*names, *DERIVED, "updated_at"])
    moved = [experiment, *experiment.followers]
    for first in range(0, len(moved), CHUNK):
        wanting.changed([each.pk for each in moved[first : first + CHUNK]])
    return moved


@transaction.atomic
def archive(experiment: Experiment, *, by: User | None) -> None:
    """Put it away: no table shows it unless asked, and it takes no more points."""
    put(experiment, archived=True, kind=Event.ARCHIVED, by=by)


@transaction.atomic
def restore(experiment: Experiment, *, by: User | None) -> None:
    """Bring it back from the archive."""
    put(experiment, archived=False, kind=Event.RESTORED, by=by)


def put(experiment: Experiment, *, archived: bool, kind: ExperimentEvent.Kind, by: User | None) -> None:
    """Set `archived`, and record it where that changed anything."""
    experiment.archived = archived
    if Experiment.objects.filter(pk=experiment.pk, archived=not archived).update(archived=archived, updated_at=timezone.now()):
        note(experiment, kind, by=by)
        record("run.archived" if archived else "run.restored", on=experiment, by=by)
        transaction.on_commit(GRANTS.forget)
