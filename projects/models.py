"""Projects, and the metrics that each defines."""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import urlencode

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.models import Team
from accounts.slugs import free_slug, is_uuid, meant, only, spellings
from config.errors import NotFound
from config.kept_json import KeptJSONField
from config.web.words import COMPARED_MOST, nearest
from config.web.words import meant as perhaps
from projects.seeds import Seeds

if TYPE_CHECKING:
    from accounts.access import Caller

NAME_BYTES = 250
PLAIN = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
RETENTION_DAYS = (1, 36_500)


class ProjectQuerySet(models.QuerySet["Project"]):
    """Questions about projects."""

    def visible_to(self, caller: Caller) -> Self:
        """The projects of the caller's teams; the one that a token is limited to."""
        return self.filter(caller.within("pk"), team__in=caller.teams())

    def current(self) -> Self:
        """Those not archived."""
        return self.filter(archived=False)

    def named(self, reference: str) -> Project:
        """The one with this UUID, else of this exact name, else with this slug. Raises NotFound, or Conflict where that is several."""
        found = list(self.filter(pk=reference)) if is_uuid(reference) else self.meant_by(reference)
        teams = {project.team_id for project in found}
        whose = "Several of your teams have a project" if len(teams) > 1 else "Several projects have the name"
        project = only(found, reference, whose=whose)
        if project is None:
            near = "" if is_uuid(reference) else nearest(reference, self.values_list("slug", flat=True)[:COMPARED_MOST])
            raise NotFound(f"There is no project {reference!r}, or it is not yours.{perhaps(near)} POST /api/v1/projects makes one.")
        return project

    def meant_by(self, reference: str) -> list[Project]:
        """In each team the one that a word means, several where it has several of that name."""
        words, teams = spellings(reference), defaultdict[uuid.UUID, list[Project]](list)
        for project in self.filter(models.Q(name__in=words) | models.Q(slug__in=words)):
            teams[project.team_id].append(project)
        return [project for ours in teams.values() for project in meant(ours, reference)]

    def addressed(self, reference: str) -> Project:
        """The one of a page's address: this UUID or slug and nothing else, as another may have the slug for a name. Raises NotFound."""
        found = self.filter(pk=reference) if is_uuid(reference) else self.filter(slug=reference)
        project = found.first()
        if project is None:
            raise NotFound(f"There is no project {reference!r} in this team, or it is not yours.")
        return project


class Project(models.Model):
    """One line of work of one team."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=255)
    slug = models.SlugField(max_length=100, allow_unicode=True, blank=True)
    description = models.CharField(max_length=1024, blank=True)
    archived = models.BooleanField(default=False)
    retention_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(RETENTION_DAYS[0]), MaxValueValidator(RETENTION_DAYS[1])],
        help_text="Points measured longer ago than this many days are replaced by one row an hour (mean, min, max). Empty keeps every point.",
    )
    seed_params = KeptJSONField(
        null=True, blank=True, help_text="Names of the params that are seeds, as a JSON list (see docs/groups.md). Empty: the default list."
    )
    keys_due_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when its runs are to be put into arms anew; empty where they are in place."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "slug"], name="project_slug_in_team")]

    def __str__(self) -> str:
        return self.name

    def save(self, **options: object) -> None:
        """Save, with a slug made from the name where none is given."""
        if not self.slug:
            self.slug = free_slug(self.name, taken=Project.objects.filter(team_id=self.team_id), otherwise="project", spoken="name")
        super().save(**options)  # type: ignore[arg-type]

    @property
    def seeds(self) -> Seeds:
        """Which params are seeds."""
        return Seeds() if self.seed_params is None else Seeds(tuple(self.seed_params))

    def address_of_metric(self, name: str) -> str:
        """The API's address of a metric: in its path where that can hold the name as it is, else in its query."""
        base = f"/api/v1/projects/{self.pk}/metrics"
        return f"{base}/{name}" if PLAIN.fullmatch(name) else f"{base}?{urlencode({'metric': name})}"


class Direction(models.TextChoices):
    """Which way is better."""

    UNSET = "", "Not said"
    MINIMIZE = "minimize", "Minimize"
    MAXIMIZE = "maximize", "Maximize"

    @property
    def sign(self) -> int:
        """+1 where more is better, -1 where less is, 0 where nobody said."""
        return {Direction.MINIMIZE: -1, Direction.MAXIMIZE: 1}.get(self, 0)

    @property
    def arrow(self) -> str:
        """The arrow of the better way, or nothing."""
        return {Direction.MINIMIZE: "↓", Direction.MAXIMIZE: "↑"}.get(self, "")

    @classmethod
    def suggested(cls, metric: str) -> Direction:
        """What the name of a metric suggests, by the words in it; UNSET where it suggests nothing."""
        words = "".join(c if c.isalnum() else " " for c in metric.lower()).split()
        if any(word in LESS_IS_BETTER or word.endswith("loss") for word in words):
            return cls.MINIMIZE
        if any(word in MORE_IS_BETTER or word.startswith("acc") for word in words):
            return cls.MAXIMIZE
        return cls.UNSET


LESS_IS_BETTER = frozenset(
    [
        "loss",
        "error",
        "err",
        "mse",
        "rmse",
        "mae",
        "mape",
        "perplexity",
        "ppl",
        "nll",
        "wer",
        "cer",
        "fid",
        "latency",
        "time",
        "duration",
        "seconds",
        "ms",
        "bpb",
        "bpc",
        "divergence",
        "regret",
        "memory",
    ]
)
MORE_IS_BETTER = frozenset(
    [
        "accuracy",
        "f1",
        "auc",
        "auroc",
        "auprc",
        "map",
        "recall",
        "precision",
        "iou",
        "dice",
        "bleu",
        "rouge",
        "meteor",
        "score",
        "reward",
        "return",
        "r2",
        "psnr",
        "ssim",
        "throughput",
        "top1",
        "top5",
        "em",
        "mcc",
        "kappa",
    ]
)


class Aggregation(models.TextChoices):
    """How the points of a series become its one number."""

    LAST = "last", "Last"
    MIN = "min", "Minimum"
    MAX = "max", "Maximum"
    AVG = "avg", "Average"


class ProjectMetric(models.Model):
    """A metric of a project: which way is better, and which number stands for a series."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="metrics")
    name = models.CharField(max_length=NAME_BYTES)
    direction = models.CharField(max_length=10, choices=Direction.choices, default=Direction.UNSET, blank=True)
    aggregation = models.CharField(max_length=10, choices=Aggregation.choices, default=Aggregation.LAST)
    watch_divergence = models.BooleanField(default=False, help_text="Alerts where a running experiment loses what it had gained.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="metric_once_in_project")]

    def __str__(self) -> str:
        return self.name

    @property
    def better(self) -> Direction:
        """The direction as an enum."""
        return Direction(self.direction)

    @property
    def suggestion(self) -> Direction:
        """What the name suggests."""
        return Direction.suggested(self.name)


class SavedView(models.Model):
    """A table of a project's experiments under a name, for everybody in the team: the query string that asks for it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="views")
    name = models.CharField(max_length=100)
    query = models.TextField(blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="view_once_in_project")]

    def __str__(self) -> str:
        return self.name
