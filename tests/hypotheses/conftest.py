"""A claim about a metric, a root, and runs that really log. Drawn examples have no deadline: a loaded machine is not a defect."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings

from experiments import lifecycle
from experiments.models import Experiment
from hypotheses.models import Hypothesis, Target
from projects.models import Project, ProjectMetric

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def metric(project: Project) -> ProjectMetric:
    return ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize", aggregation="last")


@pytest.fixture
def claim(project: Project, metric: ProjectMetric) -> Hypothesis:
    hypothesis = Hypothesis.objects.create(project=project, title="wider is better")
    Target.objects.create(hypothesis=hypothesis, metric=metric, smallest_effect=0.01)
    return hypothesis


@pytest.fixture
def root(project: Project) -> Experiment:
    return Experiment.objects.create(project=project, name="base", params={"width": 32}, seed=0, started_at=timezone.now())


@pytest.fixture
def ran(log: Callable[..., None], alice) -> Callable[..., None]:
    """ran(experiment, 0.9): log a short series that ends at the value, and complete the run."""

    def run(experiment: Experiment, value: float, *, failed: str = "") -> None:
        log(experiment, {"accuracy": [value - 0.002, value - 0.001, value + 0.001, value]})
        lifecycle.fail(experiment, failed, by=alice) if failed else lifecycle.complete(experiment, by=alice)

    return run
