"""Projects and experiments for a benchmark, straight into the record of a data directory that nobody serves just now."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

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
        for experiment in made:
            experiment.derive()
        Experiment.objects.bulk_create(made, batch_size=500)


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
