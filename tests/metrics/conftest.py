"""A metric store of the test's own, apart from the one that the test process serves from."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from metrics.clickhouse.client import Coded, Columns
from metrics.repository import MetricRepository, Place

NOW_US = 1_763_900_000_000_000


@dataclass
class Points:
    """Columns of one series, ready for the repository; every column can be given."""

    place: Place
    experiment: uuid.UUID
    metric: str = "loss"
    values: Sequence[float] = (0.5,)
    steps: Sequence[int] | None = None
    ids: Sequence[int] | None = None
    times: Sequence[int] | None = None
    logged_at: int = NOW_US
    extra: dict[str, Any] = field(default_factory=dict)

    def columns(self) -> Columns:
        n = len(self.values)
        same = np.zeros(n, dtype=np.uint32)
        steps = np.arange(n) if self.steps is None else np.array(self.steps, dtype=np.int64)
        return {
            "team_id": Coded([self.place.team_id], same),
            "project_id": Coded([self.place.project_id], same),
            "experiment_id": Coded([self.experiment], same),
            "metric_name": Coded([self.metric], same),
            "step": steps,
            "timestamp": NOW_US + np.arange(n) * 1_000_000 if self.times is None else np.array(self.times, dtype=np.int64),
            "point_id": np.arange(n, dtype=np.uint64) if self.ids is None else np.array(self.ids, dtype=np.uint64),
            "metric_value": np.array(self.values, dtype=np.float64),
            "host": Coded([""], same),
            "logged_at": np.full(n, self.logged_at, dtype=np.int64),
            "created_month": np.full(n, 202611, dtype=np.uint32),
        }


@pytest.fixture
def place() -> Place:
    """A team and a project that no other test has."""
    return Place(uuid.uuid4(), uuid.uuid4())


@pytest.fixture(params=["embedded"])
def repository(request: pytest.FixtureRequest) -> MetricRepository:
    """The repository over each engine that there is."""
    return request.getfixturevalue(f"{request.param}_repository")


@pytest.fixture
def embedded_repository(_process: Any) -> MetricRepository:
    return _process.repository
