"""The demo project: a recording of real training runs (examples/record_demo.py makes it), sent through the same ingest as any script's points."""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import ApiToken, User
from experiments import lifecycle
from experiments.models import Experiment
from metrics import process
from metrics.ingest import accepting as ingest
from projects.models import Project, ProjectMetric

logger = logging.getLogger(__name__)
DEMO = Path(__file__).parent / "runs.json.gz"
AGO = timedelta(hours=3)
NOTED_S, PAUSE_S = 10.0, 0.02
Recorded = dict[str, Any]  # Any: one experiment of the recording, as JSON has it


def load(path: Path, *, token: str) -> Project:
    """Make the recorded project and its experiments in the token's team, as if it had run three hours ago, and send its points."""
    recording, owner, began = content(path), owner_of(token), timezone.now() - AGO
    project, experiments = record(recording, owner, began=began)
    send_all(experiments, recording["experiments"], began=began, token=token)
    return project


def content(path: Path) -> dict[str, Any]:
    """The recording in a file."""
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def owner_of(token: str) -> ApiToken:
    """Whose token it is, and of which team."""
    return ApiToken.objects.select_related("user", "team").get(digest=ApiToken.hashed(token))


@transaction.atomic
def record(recording: dict[str, Any], owner: ApiToken, *, began: datetime) -> tuple[Project, list[Experiment]]:
    """The project, its metrics and its experiments in the order recorded."""
    described = recording["project"]
    project = Project.objects.create(team=owner.team, name=described["name"], description=described["description"])
    ProjectMetric.objects.bulk_create([ProjectMetric(project=project, **metric) for metric in described["metrics"]])
    return project, runs(project, recording["experiments"], began=began, by=owner.user)


def runs(project: Project, recorded: Sequence[Recorded], *, began: datetime, by: User) -> list[Experiment]:
    """Experiments in the order recorded, each after its parent."""
    experiments: list[Experiment] = []
    for each in recorded:
        parent = None if each["parent"] is None else experiments[each["parent"]]
        experiments.append(one(project, each, parent=parent, began=began, by=by))
    return experiments


def one(project: Project, recorded: Recorded, *, parent: Experiment | None, began: datetime, by: User) -> Experiment:
    """One experiment, ended as it was recorded."""
    named = {name: recorded[name] for name in ("name", "params", "features_diff", "seed", "tags", "notes")}
    experiment = lifecycle.create(project, by=by, parent=parent, **named)
    started, finished = (began + timedelta(seconds=recorded[name]) for name in ("started_s", "finished_s"))
    ending = {"status": recorded["status"], "failure_kind": recorded["failure_kind"]}
    Experiment.objects.filter(pk=experiment.pk).update(created_at=started, started_at=started, finished_at=finished, **ending)
    return experiment


def send_all(experiments: Sequence[Experiment], recorded: Sequence[Recorded], *, began: datetime, token: str) -> None:
    """The points of every experiment, and when the last one of each came."""
    for experiment, each in zip(experiments, recorded, strict=True):
        send(experiment, each, began=began, token=token)
    if not are_noted(experiments):
        logger.warning(
            "The metric store took no points of the demo in %s s: its experiments will show the time of loading as that of their last point.", NOTED_S
        )
        return
    with transaction.atomic():
        for experiment, each in zip(experiments, recorded, strict=True):
            Experiment.objects.filter(pk=experiment.pk).update(last_point_at=began + timedelta(seconds=each["times_s"][-1]))


def send(experiment: Experiment, recorded: Recorded, *, began: datetime, token: str) -> None:
    """The points of one experiment as one batch in columns."""
    times = [began.timestamp() + offset for offset in recorded["times_s"]]
    body = {"steps": recorded["steps"], "timestamps": times, "metrics": recorded["metrics"]}
    ingest.take(
        ingest.Submission(authorization=f"Bearer {token}", project=str(experiment.project_id), experiment=str(experiment.pk), body=json.dumps(body).encode())
    )


def are_noted(experiments: Sequence[Experiment]) -> bool:
    """Whether the drain has stored the points and noted their arrival, waiting for it: a later note would be that of the loading."""
    process.flush()
    silent = Experiment.objects.filter(pk__in=[experiment.pk for experiment in experiments], last_point_at=None)
    until = time.monotonic() + NOTED_S
    while silent.exists():
        if time.monotonic() > until:
            return False
        time.sleep(PAUSE_S)
    return True
