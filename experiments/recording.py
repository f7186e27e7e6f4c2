"""The demo project: a recording of real training runs (examples/record_demo.py makes it), sent through the same ingest as any script's points."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import ApiToken, User
from experiments import lifecycle
from experiments.models import Experiment
from metrics import ingest
from projects.models import Project, ProjectMetric

DEMO = Path(__file__).parent / "demo" / "digits.json.gz"
AGO = timedelta(hours=3)


def load(path: Path, *, token: str) -> Project:
    """Make the recorded project and its experiments in the token's team, as if it had run three hours ago, and send its points."""
    recording = json.loads(gzip.decompress(path.read_bytes()))
    owner = ApiToken.objects.select_related("user", "team").get(digest=ApiToken.hashed(token))
    began = timezone.now() - AGO
    project, experiments = record(recording, owner, began=began)
    for experiment, recorded in zip(experiments, recording["experiments"], strict=True):
        send(experiment, recorded, began=began, token=token)
    return project


@transaction.atomic
def record(recording: dict[str, Any], owner: ApiToken, *, began: datetime) -> tuple[Project, list[Experiment]]:
    """The project, its metrics and its experiments in the order recorded."""
    described = recording["project"]
    project = Project.objects.create(team=owner.team, name=described["name"], description=described["description"])
    ProjectMetric.objects.bulk_create([ProjectMetric(project=project, **metric) for metric in described["metrics"]])
    experiments: list[Experiment] = []
    for recorded in recording["experiments"]:
        parent = None if recorded["parent"] is None else experiments[recorded["parent"]]
        experiments.append(one(project, recorded, parent=parent, began=began, by=owner.user))
    return project, experiments


def one(project: Project, recorded: dict[str, Any], *, parent: Experiment | None, began: datetime, by: User) -> Experiment:
    """One experiment, ended as it was recorded."""
    named = {name: recorded[name] for name in ("name", "params", "features_diff", "seed", "tags", "notes")}
    experiment = lifecycle.create(project, by=by, parent=parent, **named)
    started, finished = (began + timedelta(seconds=recorded[name]) for name in ("started_s", "finished_s"))
    ending = {"status": recorded["status"], "failure_kind": recorded["failure_kind"]}
    Experiment.objects.filter(pk=experiment.pk).update(created_at=started, started_at=started, finished_at=finished, **ending)
    return experiment


def send(experiment: Experiment, recorded: dict[str, Any], *, began: datetime, token: str) -> None:
    """The points of one experiment as one batch in columns."""
    times = [began.timestamp() + offset for offset in recorded["times_s"]]
    body = {"steps": recorded["steps"], "timestamps": times, "metrics": recorded["metrics"]}
    ingest.take(
        ingest.Submission(authorization=f"Bearer {token}", project=str(experiment.project_id), experiment=str(experiment.pk), body=json.dumps(body).encode())
    )
