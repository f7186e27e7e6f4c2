"""Finding experiments, projects and metrics by name, in all teams of whoever asks."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from accounts.access import Caller
from experiments.models import Experiment
from projects.models import Project, ProjectMetric

SHOWN = 50


@dataclass(frozen=True)
class Findings:
    """What was found, SHOWN of a kind at most; `more` says that a kind had more."""

    text: str
    projects: list[Project]
    experiments: list[Experiment]
    metrics: list[ProjectMetric]
    more: bool

    @property
    def count(self) -> int:
        """How many are shown."""
        return len(self.projects) + len(self.experiments) + len(self.metrics)


def search(caller: Caller, text: str) -> Findings:
    """Everything of the caller's whose name (or slug, or whole tag) holds the text. No text finds nothing."""
    text = text.replace("\x00", "").strip()
    if not text:
        return Findings("", [], [], [], more=False)
    mine = Project.objects.visible_to(caller)
    named = Q(name__icontains=text) | Q(slug__icontains=text)
    projects = list(mine.filter(named | Q(description__icontains=text)).select_related("team")[: SHOWN + 1])
    tagged = Experiment.tags.through.objects.filter(tag__project__in=mine, tag__name__iexact=text).values("experiment_id")
    found = Experiment.objects.filter(project__in=mine).filter(named | Q(pk__in=tagged)).select_related("project__team")
    experiments = list(found.defer("params", "notes", "command").order_by("archived", "-created_at")[: SHOWN + 1])
    metrics = list(ProjectMetric.objects.filter(project__in=mine, name__icontains=text).select_related("project__team")[: SHOWN + 1])
    kinds = (projects, experiments, metrics)
    return Findings(text, projects[:SHOWN], experiments[:SHOWN], metrics[:SHOWN], more=any(len(kind) > SHOWN for kind in kinds))
