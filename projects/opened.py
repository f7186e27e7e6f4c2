"""A project as a page has it open: the record, what the caller may do in it, and the counts that its tabs show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.http import HttpRequest
from django.urls import reverse

from accounts.access import caller
from accounts.models import Role
from alerts.models import Alert
from experiments.models import Experiment
from hypotheses.models import Hypothesis
from metrics.store.shapes import Place
from projects.models import Project


@dataclass(frozen=True)
class OpenProject:
    """One project on a page. Templates read it as `opened`."""

    project: Project
    role: Role

    @property
    def place(self) -> Place:
        """Where its series live in the metric store."""
        return Place(self.project.team_id, self.project.pk)

    @property
    def may_edit(self) -> bool:
        """Whether the caller may change its records."""
        return self.role.allows(Role.EDITOR)

    @property
    def may_delete(self) -> bool:
        """Whether the caller may delete its records."""
        return self.role.allows(Role.ADMIN)

    @property
    def url(self) -> str:
        """The page with its table of experiments."""
        return self.address("projects:project")

    def address(self, name: str, **more: str) -> str:
        """The address of one of the project's pages."""
        return reverse(name, kwargs={"team_slug": self.project.team.slug, "project_slug": self.project.slug, **more})

    @property
    def edit_url(self) -> str:
        """The form for its name and description."""
        return self.address("projects:edit")

    @property
    def new_experiment_url(self) -> str:
        """The form for another experiment."""
        return self.address("experiments:new")

    def experiment_url(self, experiment: Experiment) -> str:
        """The page of one of its experiments."""
        return self.address("experiments:experiment", experiment_slug=experiment.slug)

    @cached_property
    def experiment_count(self) -> int:
        """Experiments that are not archived."""
        return Experiment.objects.filter(project=self.project).current().count()

    @cached_property
    def metric_count(self) -> int:
        """Metrics that the project knows."""
        return self.project.metrics.count()

    @cached_property
    def hypothesis_count(self) -> int:
        """Claims that were made."""
        return Hypothesis.objects.filter(project=self.project).count()

    @cached_property
    def alert_count(self) -> int:
        """Alerts that are open."""
        return Alert.objects.filter(project=self.project).open().count()


def open_project(request: HttpRequest, team_slug: str, project_slug: str, *, role: Role = Role.VIEWER) -> OpenProject:
    """The project at an address. Raises NotFound where it is not there or not the caller's, Forbidden where the caller's role is below `role`."""
    asking = caller(request)
    project = Project.objects.visible_to(asking).filter(team__slug=team_slug).select_related("team").addressed(project_slug)
    asking.require(role, project.team_id)
    return OpenProject(project=project, role=asking.roles[project.team_id])
