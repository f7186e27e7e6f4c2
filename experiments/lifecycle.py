"""The verbs of an experiment: what changes its record, its history and, in the end, its points. Each says who acts (`by`)."""

from __future__ import annotations

import json
import logging
import math
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypedDict, TypeVar, Unpack

from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Value
from django.utils import timezone

from accounts.models import User
from config.errors import Conflict, Fault, Invalid, Unavailable
from experiments.models import AlreadyEnded, DeletedExperiment, Experiment, ExperimentEvent, Tag, difference
from hypotheses import wanting
from hypotheses.linking import link_by_rules, note_deletion
from metrics import process
from metrics.clickhouse.errors import StoreError
from metrics.ingest.grants import GRANTS
from metrics.store import freshness
from metrics.store.shapes import Place
from projects.models import Project

logger = logging.getLogger(__name__)
T = TypeVar("T")

Status, Event = Experiment.Status, ExperimentEvent.Kind
JSON_BYTES = 1_000_000
JSON_DEPTH = 50
OBJECTS = frozenset({"params", "features_diff"})
CHUNK = 500
SLUG_ATTEMPTS = 50
COLUMNS = {"parent": "parent_experiment"}
STATE = ("status", "failure_kind", "started_at", "finished_at")
DERIVING = frozenset({"parent_experiment", "params", "features_diff", "replicate_group"})
DERIVED = ("root_experiment", "features_diff", "replicate_key")


class Fields(TypedDict, total=False):
    """What a person or a script may say of an experiment."""

    name: str
    slug: str
    parent: Experiment | None
    features_diff: dict[str, Any]  # Any: these hold whatever JSON a script holds, and so do params
    params: dict[str, Any]
    seed: int | None
    notes: str
    replicate_group: str
    host: str
    git_commit: str
    command: str


# Beginning ---------------------------------------------------------------------------------------------------------------------------------


def create(project: Project, *, by: User | None, status: str = Status.RUNNING, tags: Sequence[str] = (), **fields: Unpack[Fields]) -> Experiment:
    """A new experiment, running (and started now) unless `status` is planned.

    A name that is taken gets a slug with a number. Raises Invalid for content that cannot be kept or a parent of another project.
    """
    check(fields)
    for _ in range(SLUG_ATTEMPTS):
        try:
            return insert(Experiment(project=project, status=status, **columns(fields)), by=by, tags=tags)
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


def heartbeat(experiment: Experiment) -> None:
    """Note that the run is alive, and how far apart its heartbeats are."""
    now = timezone.now()
    gap = ExpressionWrapper(Value(now, output_field=DateTimeField()) - F("heartbeat_at"), output_field=DurationField())
    Experiment.objects.filter(pk=experiment.pk).update(heartbeat_gap=gap, heartbeat_at=now)


def note(experiment: Experiment, kind: ExperimentEvent.Kind, *, by: User | None, detail: str = "") -> None:
    """Add a line to the experiment's history."""
    ExperimentEvent.objects.create(experiment=experiment, kind=kind, by=by, detail=detail[:500])


# Changes -----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def edit(experiment: Experiment, *, by: User | None, tags: Sequence[str] | None = None, **fields: Unpack[Fields]) -> None:
    """Change what is given, and record which fields were changed; what is equal already changes nothing.

    A features_diff that followed from the params follows them again when params or parent change; one that a person wrote stays.
    Raises Invalid for content that cannot be kept or a parent of another project, LineageCycle for one that descends from it.
    """
    check(fields)
    changed = [name for name, value in fields.items() if getattr(experiment, COLUMNS.get(name, name)) != value]
    refresh_difference = bool({"parent", "params"} & set(changed)) and "features_diff" not in fields and is_worked_out(experiment)
    for name, value in columns(fields).items():
        setattr(experiment, name, value)
    if refresh_difference:
        experiment.features_diff = {}
    write(experiment, changed)
    if not DERIVING.isdisjoint(COLUMNS.get(name, name) for name in changed):
        link_by_rules(experiment, by=by)
    if tags is not None and set(tags) != {tag.name for tag in experiment.tags.all()}:
        experiment.tags.set(known_tags(experiment.project, tags))
        changed.append("tags")
    if changed:
        note(experiment, Event.EDITED, by=by, detail=", ".join(changed))


def is_worked_out(experiment: Experiment) -> bool:
    """Whether its features_diff is what its params say against its parent's."""
    parent = experiment.parent_experiment
    return bool(experiment.features_diff == (difference(parent.params, experiment.params) if parent else {}))


def write(experiment: Experiment, changed: Sequence[str]) -> None:
    """Store the named fields and nothing else: the drain and other requests write the others meanwhile."""
    if not changed:
        return
    names = [COLUMNS.get(name, name) for name in changed]
    if DERIVING.isdisjoint(names):
        experiment.updated_at = timezone.now()
        Experiment.objects.filter(pk=experiment.pk).update(**{name: getattr(experiment, name) for name in [*names, "updated_at"]})
    else:
        experiment.save(update_fields=[*names, *DERIVED, "updated_at"])
        wanting.changed([experiment.pk])


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
        transaction.on_commit(GRANTS.forget)


# What may be kept --------------------------------------------------------------------------------------------------------------------------


def columns(fields: Fields) -> dict[str, Any]:
    """The fields by the names of the model's columns."""
    return {COLUMNS.get(name, name): value for name, value in fields.items()}


def check(fields: Fields) -> None:
    """Raise Invalid, naming each field, where a database could not keep the content: NUL, half surrogate pairs, NaN, too deep, too long."""
    faults = [Fault(None, name, "invalid", flaw) for name, value in fields.items() if (flaw := flaw_in(name, value))]
    if faults:
        raise Invalid(f"Not valid: nothing was saved. {faults[0].field}: {faults[0].message}", faults)


def flaw_in(field: str, value: object) -> str:
    """What keeps a field's value from being stored, as a sentence; "" where nothing does."""
    if isinstance(value, str):
        return flaw_in_text(value)
    if field not in OBJECTS:
        return ""
    if not isinstance(value, dict):
        return "This is a JSON object: names with values, in braces."
    return next((flaw for place, leaf, depth in leaves(value) if (flaw := flaw_in_leaf(place, leaf, depth))), "") or flaw_in_length(value)


def flaw_in_text(text: str) -> str:
    """What is wrong with text."""
    if "\x00" in text:
        return "Text cannot hold the character NUL (\\u0000): leave it out."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "Text cannot hold half of a surrogate pair: send it as proper Unicode."
    return ""


def flaw_in_leaf(place: str, leaf: object, depth: int) -> str:
    """What is wrong with one value inside a JSON object."""
    if depth > JSON_DEPTH:
        return f"JSON is nested deeper than {JSON_DEPTH} levels: flatten it."
    if isinstance(leaf, float) and not math.isfinite(leaf):
        return f'{place} is {leaf}, which JSON cannot hold: send it as text ("NaN", "Infinity", "-Infinity") or leave it out.'
    return flaw_in_text(leaf) if isinstance(leaf, str) else ""


def flaw_in_length(value: dict[str, Any]) -> str:
    """What is wrong with the length of a JSON object."""
    size_bytes = len(json.dumps(value, ensure_ascii=False).encode())
    return "" if size_bytes <= JSON_BYTES else f"JSON takes {size_bytes:,} bytes: {JSON_BYTES:,} at most."


def leaves(value: dict[str, Any]) -> Iterator[tuple[str, object, int]]:
    """(where, what, depth) of every key and every value inside a JSON object, without recursion; stops below JSON_DEPTH."""
    waiting: list[tuple[str, object, int]] = [("", value, 1)]
    while waiting:
        place, node, depth = waiting.pop()
        yield place, node, depth
        if depth > JSON_DEPTH or not isinstance(node, (dict, list)):
            continue
        if isinstance(node, dict):
            yield from ((str(key), key, depth) for key in node)
        inside = node.items() if isinstance(node, dict) else enumerate(node)
        waiting += [(f"{place}.{key}".lstrip("."), leaf, depth + isinstance(leaf, (dict, list))) for key, leaf in inside]


# The end -----------------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def delete(experiments: Iterable[Experiment], *, by: User | None) -> None:
    """Delete the record at once, and the points as soon as the metric store lets them go.

    Children of a deleted experiment go to its own parent; those of a deleted root become roots.
    """
    doomed = {experiment.pk: experiment for experiment in experiments}
    mark(doomed.values())
    for child in orphans(doomed):
        adopt(child, heir(child, doomed), by=by)
    for ids in chunks(doomed):
        wanting.changed(ids)
        note_deletion(ids, by=by)
        Experiment.objects.filter(pk__in=ids).delete()
    logger.info("%s deleted %d experiments: %s", by, len(doomed), ", ".join(map(str, islice(doomed, 20))))
    transaction.on_commit(GRANTS.forget)
    transaction.on_commit(purge, robust=True)


def mark(experiments: Iterable[Experiment]) -> None:
    """Write down, in the transaction that deletes the experiments, that their points must go. `project` is loaded with each."""
    marks = (DeletedExperiment(experiment_id=e.pk, project_id=e.project_id, team_id=e.project.team_id, name=e.name) for e in experiments)
    DeletedExperiment.objects.bulk_create(marks, batch_size=CHUNK, ignore_conflicts=True)


def orphans(doomed: dict[uuid.UUID, Experiment]) -> list[Experiment]:
    """The children that stay while their parent goes."""
    found = [child for ids in chunks(doomed) for child in Experiment.objects.filter(parent_experiment__in=ids).select_related("parent_experiment")]
    return [child for child in found if child.pk not in doomed]


def heir(child: Experiment, doomed: dict[uuid.UUID, Experiment]) -> uuid.UUID | None:
    """The nearest ancestor that stays, None where there is none."""
    ancestor = child.parent_experiment_id
    while ancestor in doomed:
        ancestor = doomed[ancestor].parent_experiment_id
    return ancestor


def adopt(child: Experiment, parent_id: uuid.UUID | None, *, by: User | None) -> None:
    """Give a child another parent, or make it a root, because its own parent is deleted."""
    if parent_id is None or is_worked_out(child):
        child.features_diff = {}
    was = child.parent_experiment
    child.parent_experiment_id = parent_id
    child.save(update_fields=["parent_experiment", *DERIVED, "updated_at"])
    note(child, Event.EDITED, by=by, detail=f"parent: {was} was deleted")


def purge() -> int:
    """Take the points of deleted experiments out of the metric store; returns how many experiments are done with.

    May run at any time and twice at once. What the store cannot do now stays marked for the next time.
    """
    done = 0
    for place, ids in waiting():
        try:
            process.repository().forget(place, ids)
        except (StoreError, Unavailable) as error:
            logger.warning("The points of %d deleted experiments wait for the metric store: %s", len(ids), error)
            continue
        freshness.touch([*ids, place.project_id])
        done += DeletedExperiment.objects.filter(pk__in=ids).update(purged_at=timezone.now())
    return done


def waiting() -> Iterator[tuple[Place, list[uuid.UUID]]]:
    """The deleted experiments whose points are still there, by place."""
    by_place: dict[Place, list[uuid.UUID]] = {}
    for mark_ in DeletedExperiment.objects.filter(purged_at=None):
        by_place.setdefault(Place(mark_.team_id, mark_.project_id), []).append(mark_.experiment_id)
    for place, found in by_place.items():
        yield from ((place, ids) for ids in chunks(found))


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of at most CHUNK, so that no statement has too many parameters."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
