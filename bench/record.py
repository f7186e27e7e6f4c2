"""Projects and experiments for a benchmark, straight into the record of a data directory that nobody serves just now."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# Projects in which a claim is judged, and over how many arms its runs are spread.
ARMS = {"one-arm": 1, "hundred-arms": 100}
BASELINE_RUNS, JUDGED_RUNS = 10, 500
JUDGED_METRICS = tuple(f"m{n}" for n in range(5))
ROOT = Path(__file__).resolve().parent.parent


def prepare(data_dir: Path, sizes: dict[str, int]) -> None:
    """Make each project with its number of experiments, `e0`, `e1`, …"""
    sized = [f"{name}={count}" for name, count in sizes.items()]
    subprocess.run([sys.executable, "-m", "bench.record", *sized], cwd=ROOT, env={**os.environ, "DATA_DIR": str(data_dir)}, check=True)


def main(sized: list[str]) -> None:
    """In a process of its own."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from accounts.models import Team
    from experiments.models import Experiment
    from projects.models import Project

    team = Team.objects.get()
    for name, count in (part.split("=") for part in sized):
        project = Project.objects.create(team=team, name=name)
        made = [Experiment(project=project, name=f"e{i}", slug=f"e{i}", params=params(i), seed=i % 5, status=status(i)) for i in range(int(count))]
        for i, experiment in enumerate(made):
            hang(name, experiment, i, made)
            experiment.derive()
        Experiment.objects.bulk_create(made, batch_size=500)
        if name in ARMS:
            claim(project, made)


def hang(project: str, experiment: Any, number: int, made: list[Any]) -> None:
    """In some projects experiments come from others: three under each in the forest, all under the first where a claim is judged."""
    if project == "forest" and number:
        experiment.parent_experiment, experiment.features_diff = made[(number - 1) // 3], {"change": number}
    if project in ARMS:
        arm = 0 if number < BASELINE_RUNS else 1 + (number - BASELINE_RUNS) * ARMS[project] // JUDGED_RUNS
        experiment.params, experiment.status, experiment.finished_at = {"width": arm}, "complete", datetime.now(UTC) - timedelta(seconds=600)
        experiment.parent_experiment = made[0] if arm else None


def claim(project: Any, made: list[Any]) -> None:
    """A claim over five metrics that all but the first runs test, linked before they ended."""
    from hypotheses.models import Hypothesis, Link, Target
    from projects.models import ProjectMetric

    hypothesis = Hypothesis.objects.create(project=project, title="judged", epoch_began_at=datetime.now(UTC) - timedelta(seconds=1000))
    for name in JUDGED_METRICS:
        metric = ProjectMetric.objects.create(project=project, name=name, direction="maximize")
        Target.objects.create(hypothesis=hypothesis, metric=metric, smallest_effect=0.001)
    since = datetime.now(UTC) - timedelta(seconds=900)
    Link.objects.bulk_create([Link(hypothesis=hypothesis, experiment=run, linked_at=since) for run in made[BASELINE_RUNS:]], batch_size=500)


def params(number: int) -> dict[str, object]:
    """Params as a sweep has them."""
    chance = random.Random(number)
    return {
        "lr": 10 ** chance.uniform(-5, -2), "width": chance.choice([64, 128, 256]), "depth": chance.randint(2, 8), "optimizer": chance.choice(["adam", "sgd"]),
        "dropout": chance.choice([0.0, 0.1, 0.3]), "batch_size": chance.choice([32, 64, 128]), "seed": number % 5,
    }  # fmt: skip


def status(number: int) -> str:
    """Most runs have ended."""
    return "running" if number % 500 == 0 else "complete"


if __name__ == "__main__":
    main(sys.argv[1:])
