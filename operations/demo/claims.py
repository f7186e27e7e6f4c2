"""The demo's hypotheses: a recording of claims and of the real training runs that tested them (examples/record_demo.py --hypotheses makes it)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from experiments.models import Experiment
from hypotheses.claims.linking import link
from hypotheses.claims.stating import TargetTerm, propose
from hypotheses.models import Hypothesis, Link
from operations.demo import runs
from projects.models import Project

DEMO = Path(__file__).parent / "claims.json.gz"
AGO = timedelta(hours=2)


def load_demo(*, token: str) -> Project:
    """The demo project with its hypotheses, in the token's team."""
    project = runs.load(runs.DEMO, token=token)
    load(DEMO, project=project, token=token)
    return project


def load(path: Path, *, project: Project, token: str) -> list[Hypothesis]:
    """Make the recorded runs and hypotheses in the project, as if they had run two hours ago. Judging is left to whoever judges what is marked."""
    recorded, owner, began = runs.content(path), runs.owner_of(token), timezone.now() - AGO
    with transaction.atomic():
        experiments = runs.runs(project, recorded["experiments"], began=began, by=owner.user)
    # The claims come when every point is stored: the first judgement then finds all there is, and writes the history once.
    runs.send_all(experiments, recorded["experiments"], began=began, token=token)
    with transaction.atomic():
        return [state(project, each, experiments, began=began, by=owner.user) for each in recorded["hypotheses"]]


def state(project: Project, recorded: dict[str, Any], experiments: Sequence[Experiment], *, began: datetime, by: User) -> Hypothesis:  # Any: JSON
    """One hypothesis at the time when it was stated, and its links at the times when its runs named it."""
    words = {name: recorded[name] for name in ("title", "claim", "rationale", "require", "baseline", "paired")}
    targets = [TargetTerm(**target) for target in recorded["targets"]]
    hypothesis = propose(project, by=by, at=began + timedelta(seconds=recorded["stated_s"]), targets=targets, **words)
    for each in recorded["links"]:
        run = Experiment.objects.get(pk=experiments[each["experiment"]].pk)  # with the times that it was given since it was made
        link(hypothesis, [run], source=Link.Source.SCRIPT, by=by, at=began + timedelta(seconds=each["linked_s"]))
    return hypothesis
