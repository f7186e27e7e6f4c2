"""Hypotheses: what is claimed, which runs test it, and everything that was ever decided about it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.slugs import free_slug, is_uuid, only, with_slug_or
from config.errors import NotFound
from config.kept_json import KeptJSONField
from config.web.words import COMPARED_MOST, meant, nearest
from experiments.models import Experiment
from projects.models import Project, ProjectMetric

if TYPE_CHECKING:
    from accounts.access import Caller


class Known:
    """Whether this process knows of a hypothesis: where there is none, the way in of points asks for nothing. One made elsewhere is seen within seconds."""

    LOOK_AGAIN_S: ClassVar[float] = 5.0
    is_any: ClassVar[bool] = False
    looked_at: ClassVar[float] = -math.inf

    @classmethod
    def any(cls) -> bool:
        """Whether there are hypotheses at all; "yes" is remembered, "no" for a few seconds."""
        if not cls.is_any and time.monotonic() - cls.looked_at > cls.LOOK_AGAIN_S:
            cls.is_any, cls.looked_at = Hypothesis.objects.exists(), time.monotonic()
        return cls.is_any


class HypothesisQuerySet(models.QuerySet["Hypothesis"]):
    """Questions about hypotheses."""

    def visible_to(self, caller: Caller) -> Self:
        """Those of the caller's teams; of the one project that a token is limited to."""
        return self.filter(caller.within("project"), project__team__in=caller.teams())

    def named(self, reference: str) -> Hypothesis:
        """The one with this UUID or slug, else of this exact title. Raises NotFound, or Conflict where several have the title."""
        found = list(self.filter(pk=reference)) if is_uuid(reference) else with_slug_or("title", self, reference)
        hypothesis = only(found, reference, whose="Several hypotheses have the title")
        if hypothesis is None:
            near = "" if is_uuid(reference) else nearest(reference, self.values_list("slug", flat=True)[:COMPARED_MOST])
            raise NotFound(f"There is no hypothesis {reference!r}, or it is not yours.{meant(near)} GET /api/v1/hypotheses lists them.")
        return hypothesis

    def concerned_by(self, experiments: Iterable[uuid.UUID], **of_them: Any) -> Self:  # Any: a filter's values
        """Those that one of the experiments (narrowed by `of_them`) is linked to, or whose baseline it may belong to: by its arm, or as a candidate."""
        ours = Experiment.objects.filter(pk__in=list(experiments), **of_them)
        arms = ours.values("replicate_key")
        is_linked = models.Q(pk__in=Link.objects.filter(experiment__in=ours.values("pk")).values("hypothesis"))
        is_root = models.Q(baseline__in=("root", "best"), pk__in=Link.objects.filter(experiment__root_experiment__replicate_key__in=arms).values("hypothesis"))
        is_named = models.Q(baseline="experiment", baseline_experiment__replicate_key__in=arms)
        is_compared = models.Q(pk__in=BaselineRun.objects.filter(experiment__replicate_key__in=arms).values("hypothesis"))
        is_best = models.Q(baseline="best", project__in=ours.values("project"))
        keeps_arms = models.Q(kept_seeds__isnull=False, project__in=ours.values("project"))
        return self.filter(is_linked | is_root | is_named | is_compared | is_best | keeps_arms)

    def want(self, *, at: datetime) -> int:
        """Mark that they are to be judged (again): one mark each, however often it is asked. Returns how many had no mark yet.

        The rows are locked first: a judgement that ends meanwhile either has seen this change, or leaves the mark.
        """
        ids = list(self.values_list("pk", flat=True))
        if not ids:
            return 0
        with transaction.atomic():
            marks = dict(Hypothesis.objects.filter(pk__in=ids).order_by("pk").select_for_update().values_list("pk", "wanted_at"))
            marked = Hypothesis.objects.filter(pk__in=list(marks))
            marked.update(wanted_at=Coalesce("wanted_at", models.Value(at)), wants=models.F("wants") + 1)
        return sum(since is None for since in marks.values())

    def wanted(self) -> Self:
        """Those that wait for a judgement, the longest waiting first."""
        return self.exclude(wanted_at=None).order_by("wanted_at")

    def due(self, *, at: datetime) -> Self:
        """Those of them whose judgement did not fail just now."""
        return self.wanted().filter(models.Q(retry_at=None) | models.Q(retry_at__lte=at))

    def undecided(self) -> Self:
        """Those that are neither supported nor refuted."""
        return self.filter(status__in=(Hypothesis.Status.PROPOSED, Hypothesis.Status.TESTING))


class Hypothesis(models.Model):
    """A claim about a project: that its linked experiments are better than a baseline by more than what matters."""

    class Status(models.TextChoices):
        """What is known of the claim."""

        PROPOSED = "proposed", "Proposed"
        TESTING = "testing", "Testing"
        SUPPORTED = "supported", "Supported"
        REFUTED = "refuted", "Refuted"

    class Require(models.TextChoices):
        """Which of several target metrics must improve."""

        ALL = "all", "All targets"
        ANY = "any", "Any target"
        MEAN = "mean", "On average"

    class Baseline(models.TextChoices):
        """What linked experiments are compared with."""

        ROOT = "root", "Each experiment's own root"
        BEST = "best", "The best finished before"
        EXPERIMENT = "experiment", "One experiment"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="hypotheses")
    title = models.CharField(max_length=255)
    slug = models.SlugField(max_length=100, allow_unicode=True, blank=True)
    claim = models.TextField(blank=True, help_text="What should be true, in a sentence.")
    rationale = models.TextField(blank=True, help_text="Why it is believed.")
    description = models.TextField(blank=True)
    require = models.CharField(max_length=4, choices=Require.choices, default=Require.ALL)
    baseline = models.CharField(max_length=10, choices=Baseline.choices, default=Baseline.ROOT)
    baseline_experiment = models.ForeignKey(Experiment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    paired = models.BooleanField(default=False, help_text="Runs are compared seed by seed; said before there are data.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.TESTING)
    score = models.FloatField(null=True, blank=True, editable=False, help_text="From -1, surely worse, to 1, surely better; empty until judged.")
    sentence = models.CharField(max_length=1000, blank=True, editable=False, help_text="The verdict and its reason, as people read it.")
    missing = models.CharField(max_length=500, blank=True, editable=False, help_text="What would have to come for a verdict.")
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)
    judged_at = models.DateTimeField(null=True, blank=True, editable=False)
    epoch = models.PositiveIntegerField(default=1, editable=False, help_text="Counts up when terms change after data: older runs no longer count.")
    epoch_began_at = models.DateTimeField(default=timezone.now, editable=False)
    frozen = KeptJSONField(default=dict, blank=True, editable=False, help_text="The baseline as it was fixed: its arms, and the runs that chose it.")
    frozen_at = models.DateTimeField(null=True, blank=True, editable=False)
    kept_seeds = KeptJSONField(
        null=True, blank=True, editable=False, help_text="The seeds that made the arms when the baseline was fixed, where the project has others now."
    )
    wanted_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Since when a judgement is due; empty where none is.")
    wants = models.PositiveIntegerField(default=0, editable=False, help_text="How often a judgement was asked for: tells one that came meanwhile.")
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Since when somebody judges it.")
    failure = models.CharField(max_length=500, blank=True, editable=False, help_text="Why it could not be judged; empty once it was.")
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="How often in a row it could not be judged.")
    retry_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When that is tried again.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = HypothesisQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        verbose_name_plural = "hypotheses"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "slug"], name="hypothesis_slug_in_project"),
            models.CheckConstraint(
                condition=models.Q(baseline_experiment=None) | models.Q(baseline="experiment"), name="baseline_experiment_only_where_it_is_one"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["project", "status"], name="hypothesis_status"),
            models.Index(fields=["wanted_at"], name="hypothesis_wanted", condition=models.Q(wanted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, **options: Any) -> None:  # Any: Django's own save takes many keyword arguments
        """Save, with a slug made from the title where none is given."""
        if not self.slug:
            self.slug = free_slug(self.title, taken=Hypothesis.objects.filter(project_id=self.project_id), otherwise="hypothesis")
        super().save(**options)
        Known.is_any = True

    @property
    def is_decided(self) -> bool:
        """Whether it is supported or refuted."""
        return self.status in (self.Status.SUPPORTED, self.Status.REFUTED)


class Target(models.Model):
    """A metric that must improve, and by how much at least."""

    class Unit(models.TextChoices):
        """What the smallest effect that matters is given in."""

        METRIC = "metric", "The metric's unit"
        PERCENT = "percent", "% of the baseline"

    hypothesis = models.ForeignKey(Hypothesis, on_delete=models.CASCADE, related_name="targets")
    metric = models.ForeignKey(ProjectMetric, on_delete=models.RESTRICT, related_name="targeted_by")
    smallest_effect = models.FloatField(default=0.0, help_text="The smallest improvement that matters, 0 or more.")
    unit = models.CharField(max_length=7, choices=Unit.choices, default=Unit.METRIC)
    position = models.PositiveSmallIntegerField(default=0, help_text="The first decides which arm is best.")

    class Meta:
        ordering: ClassVar = ["position", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hypothesis", "metric"], name="target_once_in_hypothesis"),
            models.CheckConstraint(condition=models.Q(smallest_effect__gte=0), name="smallest_effect_not_negative"),
        ]

    def __str__(self) -> str:
        return self.metric.name


class Rule(models.Model):
    """Links every experiment of the project whose features_diff holds the feature."""

    hypothesis = models.ForeignKey(Hypothesis, on_delete=models.CASCADE, related_name="rules")
    feature = models.CharField(max_length=250)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["hypothesis", "feature"], name="rule_once_in_hypothesis")]

    def __str__(self) -> str:
        return self.feature


class LinkQuerySet(models.QuerySet["Link"]):
    """Questions about links."""

    def standing(self) -> Self:
        """Those that count or are shown: not taken back before the run ended, not invalidated."""
        return self.filter(invalidated_at=None).exclude(unlinked_at__isnull=False, counts_unlinked=False)


class Link(models.Model):
    """An experiment that tests a hypothesis, and since when it does."""

    class Source(models.TextChoices):
        """Who linked it."""

        HAND = "hand", "By hand"
        COMPARISON = "comparison", "From a comparison"
        RULE = "rule", "By a rule"
        SCRIPT = "script", "By its script"

    hypothesis = models.ForeignKey(Hypothesis, on_delete=models.CASCADE, related_name="links")
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="hypothesis_links")
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.HAND)
    linked_at = models.DateTimeField(default=timezone.now)
    is_post_hoc = models.BooleanField(default=False, help_text="Linked when the run had ended, or imported: it suggested the claim and cannot confirm it.")
    unlinked_at = models.DateTimeField(null=True, blank=True)
    counts_unlinked = models.BooleanField(default=False, help_text="Unlinked after the run had ended: it still counts, unless it is invalidated.")
    invalidated_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it does not count.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False)

    objects = LinkQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["linked_at", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hypothesis", "experiment"], name="link_once_in_hypothesis"),
            models.CheckConstraint(condition=models.Q(invalidated_at=None) | ~models.Q(reason=""), name="invalidated_with_a_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.experiment} for {self.hypothesis}"


class BaselineRun(models.Model):
    """A run that the last judgement compared with: what asks for another one when its points change."""

    hypothesis = models.ForeignKey(Hypothesis, on_delete=models.CASCADE, related_name="baseline_runs")
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["hypothesis", "experiment"], name="baseline_run_once_in_hypothesis")]

    def __str__(self) -> str:
        return str(self.experiment)


class HypothesisEvent(models.Model):
    """One line of a hypothesis's history: who changed what, when, and why. Only ever added."""

    class Kind(models.TextChoices):
        """What happened."""

        CREATED = "created", "Created"
        STATUS = "status", "Status"
        TERMS = "terms", "Terms"
        RESPECIFIED = "respecified", "Respecified"
        FROZEN = "frozen", "Baseline fixed"
        LINKED = "linked", "Linked"
        UNLINKED = "unlinked", "Unlinked"
        INVALIDATED = "invalidated", "Invalidated"
        RULE = "rule", "Rule"
        EDITED = "edited", "Edited"
        METHOD = "method", "Method"

    hypothesis = models.ForeignKey(Hypothesis, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    sentence = models.CharField(max_length=1000, help_text="The reason in one sentence.")
    detail = KeptJSONField(default=dict, blank=True, help_text="Before and after, for machines.")
    score = models.FloatField(null=True, blank=True)
    epoch = models.PositiveIntegerField(default=1)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["at", "pk"]

    def __str__(self) -> str:
        return self.sentence
