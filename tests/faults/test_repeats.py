"""A batch that comes twice counts once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from experiments.models import Experiment
from metrics.process import Process
from metrics.store.shapes import Place

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": "batch 1"},
        {},
    ],
    ids=["under a key", "under its writer number alone"],
)
def test_a_repeated_batch_counts_once(store: Process, erin: User, api_for: Callable[[User], Client], experiment: Experiment, headers: dict[str, str]) -> None:
    client = api_for(erin)
    body = json.dumps({"steps": [0, 1, 2], "metrics": {"loss": [3.0, 2.0, 1.0]}, "writer": 1, "ordinal": 0})
    for _ in range(2):
        path = f"/api/v1/metrics/log-batch/digits/{experiment.slug}?wait=visible"
        assert client.post(path, body, content_type="application/json", headers=headers).json()["visible"]
    place = Place(experiment.project.team_id, experiment.project_id)
    assert store.repository.series(place, experiment.pk, "loss").value.tolist() == [3.0, 2.0, 1.0]
    assert store.repository.summaries(place) == store.repository.recomputed(place)
