"""Experiments: what was changed, what was measured, and where each came from."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import ApiToken, Membership
from accounts.slugs import free_slug, is_uuid, only, with_slug_or
from config.errors import Conflict, Invalid, NotFound
from config.kept_json import KeptJSONField
from config.web.words import COMPARED_MOST, meant, nearest
from experiments.arms import canonical_params, difference, is_spelled_out, key_of
from experiments.notation.params import written, written_apart
from projects.models import Project
from projects.seeds import Seeds

if TYPE_CHECKING:
    from accounts.access import Caller

LEAST_PATIENCE = timedelta(minutes=10)
CHUNK = 500


class AlreadyEnded(Conflict):
    """The experiment has ended; resume it first."""


class LineageCycle(Invalid):
    """The parent descends from the experiment itself."""


class Tag(models.Model):
    """A word on experiments of one project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=100)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="tag_once_in_project")]

    def __str__(self) -> str:
        return self.name


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    """Questions about experiments."""

    def visible_to(self, caller: Caller) -> Self:
        """The experiments of the caller's teams; those of the one project that a token is limited to."""
        return self.filter(caller.within("project"), project__team__in=caller.teams())

    def current(self) -> Self:
        """Those not archived."""
        return self.filter(archived=False)

    def named(self, reference: str) -> Experiment:
        """The one with this UUID or slug, else of this exact name. Raises NotFound, with the call that makes one, or Conflict where several have the name.

        The slug comes first, other than with projects: many runs may share a name, and no new one draws away the points of a script that uses a slug.
        """
        found = list(self.filter(pk=reference)) if is_uuid(reference) else with_slug_or("name", self, reference)
        experiment = only(found, reference, whose="Several experiments have the name")
        if experiment is None:
            call = 'POST /api/v1/experiments {"project": "<project>", "name": "<name>", "create_project": true}'
            near = "" if is_uuid(reference) else nearest(reference, self.order_by("-created_at").values_list("slug", flat=True)[:COMPARED_MOST])
            raise NotFound(f"There is no experiment {reference!r}, or it is not yours.{meant(near)} Make it with {call}")
        return experiment

    def with_writer(self) -> Self:
        """With what `writer.lost_writer` reads: the token that writes the run, and the role of its user in the team."""
        held = Membership.objects.filter(user=models.OuterRef("writer_token__user"), team=models.OuterRef("project__team"))
        return self.select_related("writer_token__user").annotate(writer_role=models.Subquery(held.values("role")[:1]))

    def misplaced(self) -> Self:
        """Those whose replicate_key a version wrote that has another notion of equal params, while both ran."""
        return self.exclude(placed_key=models.F("replicate_key"))

    def running(self) -> Self:
        """Those that run now."""
        return self.filter(status=Experiment.Status.RUNNING)


class Experiment(models.Model):
    """One run: what was changed, what was measured, and where it came from."""

    class Status(models.TextChoices):
        """Where a run is in its life."""

        PLANNED = "planned", "Planned"
        RUNNING = "running", "Running"
        COMPLETE = "complete", "Complete"
        FAILED = "failed", "Failed"

        @classmethod
        def ended(cls) -> tuple[Experiment.Status, ...]:
            """The statuses that nothing follows but a resume."""
            return (cls.COMPLETE, cls.FAILED)

    class FailureKind(models.TextChoices):
        """Why a run failed."""

        NONE = "", "–"
        DIVERGED = "diverged", "Diverged"
        CRASHED = "crashed", "Crashed"
        INTERRUPTED = "interrupted", "Interrupted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="experiments")
    name = models.CharField(max_length=255)
    slug = models.SlugField(max_length=100, allow_unicode=True, blank=True)
    number = models.PositiveIntegerField(default=0, editable=False, help_text="Its place among all experiments ever made in the project: its colour.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    failure_kind = models.CharField(max_length=12, choices=FailureKind.choices, default=FailureKind.NONE, blank=True)
    parent_experiment = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children")
    root_experiment = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="tree", editable=False)
    features_diff = KeptJSONField(default=dict, blank=True, help_text="What changed against the parent; worked out from the params where not given.")
    features_diff_given = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="Whether somebody gave features_diff; else it follows from the params, whenever they change."
    )
    params = KeptJSONField(default=dict, blank=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="experiments")
    notes = models.TextField(blank=True)
    replicate_group = models.CharField(max_length=200, blank=True, help_text="Runs with one group are replicates of each other.")
    replicate_key = models.CharField(max_length=200, blank=True, editable=False)
    placed_key = models.CharField(
        max_length=200,
        default="",
        db_default="",
        blank=True,
        editable=False,
        help_text="What this version worked out; where it differs, another wrote it.",
    )
    seed = models.BigIntegerField(null=True, blank=True)
    host = models.CharField(max_length=255, blank=True)
    git_commit = models.CharField(max_length=64, blank=True)
    command = models.TextField(blank=True)
    writers = models.PositiveIntegerField(default=0, editable=False, help_text="Writer numbers handed out so far.")
    # Without a constraint: the row of a token may go, and the run still knows that it had one.
    writer_token = models.ForeignKey(
        ApiToken, null=True, blank=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", editable=False
    )
    made_with = models.UUIDField(null=True, blank=True, editable=False, help_text="The token that made it: one of the scope ingest reaches no other run.")
    missing = KeptJSONField(null=True, blank=True, editable=False, help_text="Points that did not arrive, as the writer says.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    last_point_at = models.DateTimeField(null=True, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    heartbeat_gap = models.DurationField(null=True, blank=True, editable=False, help_text="Between its last two heartbeats.")
    patience = models.DurationField(default=LEAST_PATIENCE, editable=False, help_text="How long it may be silent before it counts as stalled.")
    archived = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ExperimentQuerySet.as_manager()
    followers: list[Experiment]

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "slug"], name="experiment_slug_in_project"),
            models.CheckConstraint(condition=models.Q(failure_kind="") | models.Q(status="failed"), name="failure_kind_only_where_failed"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["project", "archived", "-created_at"], name="experiment_newest"),
            models.Index(fields=["project", "status"], name="experiment_status"),
            models.Index(fields=["project", "replicate_key"], name="experiment_replicates"),
            models.Index(fields=["project", "-number"], name="experiment_number"),
            models.Index(fields=["project"], name="experiment_misplaced", condition=~models.Q(placed_key=models.F("replicate_key"))),
            models.Index(fields=["made_with"], name="experiment_made_with", condition=models.Q(made_with__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, **options: Any) -> None:  # Any: Django's own save takes many keyword arguments
        """Save with slug, root, features_diff and replicate_key kept right, here and in all descendants; `followers` are those that became others.

        Raises LineageCycle where the parent descends from this experiment, Invalid where it is of another project.
        """
        if not self.slug:
            self.slug = free_slug(self.name, taken=Experiment.objects.filter(project_id=self.project_id), otherwise="experiment")
        is_new = self._state.adding
        if is_new:
            self.number = next_number(self.project_id)
            self.features_diff_given = bool(self.features_diff)
        self.check_parent()
        self.derive()
        super().save(**options)
        if is_new:
            del self.number  # the database knows it; whoever asks reads it from there
        self.followers = [] if is_new else self.derive_descendants()

    def check_parent(self) -> None:
        """Raise Invalid where the parent is of another project, LineageCycle where it descends from this one."""
        if self.parent_experiment is None:
            return
        if self.parent_experiment.project_id != self.project_id:
            raise Invalid(f"The parent {self.parent_experiment} belongs to another project: choose a parent in {self.project}.")
        if any(ancestor.pk == self.pk for ancestor in self.ancestors()):
            raise LineageCycle(f"{self.parent_experiment} descends from {self}: choose a parent that does not.")

    def ancestors(self) -> Iterator[Experiment]:
        """Parent, grandparent, … up to the root. One query a level."""
        seen: set[uuid.UUID] = set()
        ancestor = self.parent_experiment
        while ancestor is not None and ancestor.pk not in seen:
            yield ancestor
            seen.add(ancestor.pk)
            ancestor = ancestor.parent_experiment

    def seed_by(self, seeds: Seeds) -> int | None:
        """The seed that was given, else the one that the params tell of by these names."""
        return self.seed if self.seed is not None else seeds.told(self.params)

    def derive(self) -> None:
        """Set what follows from parent and params: root, features_diff (where none is given), replicate_key."""
        parent, seeds = self.parent_experiment, self.project.seeds
        self.root_experiment_id = self.pk if parent is None else parent.root_experiment_id
        if not self.features_diff_given:
            self.features_diff = {} if parent is None else difference(parent.params, self.params, seeds)
        above = canonical_params(self.params, seeds) if parent is None else parent.replicate_key
        self.replicate_key = self.placed_key = self.replicate_group or key_of(self.project_id, above, self.features_diff, seeds)

    def derive_descendants(self) -> list[Experiment]:
        """Bring what follows from this one in line with it in all descendants; those that became others. A query or two for CHUNK of them."""
        found: list[Experiment] = []
        level = [self]
        while level:
            changed = [child for child in children_of(level) if child.has_moved()]
            Experiment.objects.bulk_update(changed, FOLLOWING, batch_size=CHUNK)
            found += changed
            level = changed
        return found

    def has_moved(self) -> bool:
        """Derive once more; whether anything of it is another now."""
        before = [getattr(self, name) for name in FOLLOWING]
        self.derive()
        return [getattr(self, name) for name in FOLLOWING] != before

    @property
    def is_ended(self) -> bool:
        """Whether it is complete or failed."""
        return self.status in self.Status.ended()

    @property
    def is_live(self) -> bool:
        """Whether points are expected now."""
        return self.status == self.Status.RUNNING

    @property
    def state(self) -> str:
        """The word that people read: the failure's kind where there is one, else the status."""
        return self.failure_kind or self.status

    @property
    def created_month(self) -> int:
        """The month of creation as YYYYMM: the partition that all its points live in."""
        return self.created_at.year * 100 + self.created_at.month

    @property
    def changes(self) -> list[Change]:
        """features_diff as rows for people."""
        return changes(self.features_diff)

    def start(self, *, at: datetime) -> None:
        """A planned run begins. Raises AlreadyEnded if it has ended."""
        if self.is_ended:
            raise AlreadyEnded(f"{self} is {self.status} already: resume it to go on.")
        self.status, self.started_at = self.Status.RUNNING, self.started_at or at

    def complete(self, *, at: datetime) -> None:
        """End the run well. Raises AlreadyEnded if it has ended."""
        self.end(self.Status.COMPLETE, self.FailureKind.NONE, at=at)

    def fail(self, kind: str, *, at: datetime) -> None:
        """End the run badly: `kind` is a FailureKind. Raises AlreadyEnded if it has ended."""
        self.end(self.Status.FAILED, kind, at=at)

    def end(self, status: str, kind: str, *, at: datetime) -> None:
        """Set the final status. Raises AlreadyEnded if it has ended."""
        if self.is_ended:
            raise AlreadyEnded(f"{self} is {self.status} already: resume it to go on.")
        self.status, self.failure_kind, self.finished_at = status, kind, at
        self.started_at = self.started_at or at

    def resume(self) -> None:
        """An ended run goes on. Raises Conflict where it has not ended."""
        if not self.is_ended:
            raise Conflict(f"{self} is {self.status}: only a run that has ended can be resumed.")
        self.status, self.failure_kind, self.finished_at = self.Status.RUNNING, self.FailureKind.NONE, None

    def hand_out_writer(self, *, token: ApiToken | None = None) -> int:
        """The next writer number of this experiment, 1 or more, never given twice; `token` is what it will write with."""
        with transaction.atomic(savepoint=False):  # the row stays locked until the number is read
            Experiment.objects.filter(pk=self.pk).update(writers=models.F("writers") + 1, writer_token=token)
            self.refresh_from_db(fields=["writers"])
        self.writer_token = token
        return self.writers


FOLLOWING = ("root_experiment_id", "features_diff", "replicate_key", "placed_key")


def children_of(parents: Sequence[Experiment]) -> Iterator[Experiment]:
    """The children of experiments of one project, each with its parent and project as they are in memory."""
    by_id = {parent.pk: parent for parent in parents}
    ids = list(by_id)
    for first in range(0, len(ids), CHUNK):
        for child in Experiment.objects.filter(parent_experiment__in=ids[first : first + CHUNK]):
            child.parent_experiment = by_id[child.parent_experiment_id]  # type: ignore[index]  # asked for by it
            child.project = child.parent_experiment.project
            yield child


def next_number(project_id: uuid.UUID) -> Coalesce:
    """The number of the next experiment of a project, worked out in its INSERT. Two made at one moment may have the same: they share a colour, no more."""
    last = Experiment.objects.filter(project_id=project_id).order_by("-number").values("number")[:1]
    return Coalesce(models.Subquery(last) + 1, 0)


class ExperimentEvent(models.Model):
    """One entry of an experiment's history. Only ever added."""

    class Kind(models.TextChoices):
        """What happened."""

        CREATED = "created", "Created"
        STARTED = "started", "Started"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        RESUMED = "resumed", "Resumed"
        EDITED = "edited", "Edited"
        ARCHIVED = "archived", "Archived"
        RESTORED = "restored", "Restored"

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    detail = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class DeletedExperiment(models.Model):
    """The mark that an experiment's points must go from the metric store. `purged_at` is set once they are gone."""

    experiment_id = models.UUIDField(primary_key=True)
    project_id = models.UUIDField()
    team_id = models.UUIDField()
    name = models.CharField(max_length=255)
    deleted_at = models.DateTimeField(auto_now_add=True)
    purged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-deleted_at"]

    def __str__(self) -> str:
        return self.name


class MovedArm(models.Model):
    """An arm whose runs got another replicate_key, because another notion of equal params or other seeds hold: what has the old key finds them by it.

    An arm that fell apart has a row for each of its parts. Never chained: `new_key` is one that holds now.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="moved_arms")
    old_key = models.CharField(max_length=200)
    new_key = models.CharField(max_length=200)
    is_joined = models.BooleanField(default=False, help_text="Whether the new arm has runs of several old ones.")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-at", "pk"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "old_key", "new_key"], name="moved_arm_once")]
        indexes: ClassVar = [models.Index(fields=["old_key"], name="moved_arm_old"), models.Index(fields=["project", "new_key"], name="moved_arm_new")]

    def __str__(self) -> str:
        return f"{self.old_key} → {self.new_key}"


def current_keys(project_id: uuid.UUID, keys: Iterable[str], *, since: datetime | None = None) -> set[str]:
    """These replicate_keys, and those that arms have now that had one of these as of `since`: runs may be on their way from one to the other."""
    asked = set(keys)
    return asked.union(*moved_keys(project_id, asked, since=since).values())


def moved_keys(project_id: uuid.UUID, keys: Collection[str], *, since: datetime | None = None) -> dict[str, list[str]]:
    """The replicate_keys that each of these arms has now, those left out that did not move; several where it fell apart."""
    moved = MovedArm.objects.filter(project_id=project_id, old_key__in=keys).order_by("old_key", "new_key")
    found: dict[str, list[str]] = {}
    for old, new in (moved.filter(at__gt=since) if since else moved).values_list("old_key", "new_key") if keys else ():
        found.setdefault(old, []).append(new)
    return found


@dataclass(frozen=True)
class Change:
    """One row of a features_diff: `was` and `now` as text; `was` is None where it is not known."""

    feature: str
    was: str | None
    now: str


def changes(features_diff: dict[str, Any]) -> list[Change]:
    """A features_diff in any of its spellings ({"from", "to"} or just the new value) as rows."""
    rows = []
    for feature, value in features_diff.items():
        if is_spelled_out(value):
            rows.append(Change(feature, *written_apart([value["from"], value["to"]])))
        else:
            rows.append(Change(feature, None, written(value)))
    return rows
