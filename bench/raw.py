"""The engine alone, in this process, without the product around it: how fast it inserts, and how fast it answers the product's own queries."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = {1_000: 40, 10_000: 20, 100_000: 8}
REPEATS = 9


def measured(data_dir: Path, *, is_quick: bool) -> dict[str, float]:
    """Insert rates, and, on the data of a benchmark that nobody serves any more, the seconds of its queries and the bytes of its points."""
    command = [sys.executable, "-m", "bench.raw", str(data_dir), "quick" if is_quick else "full"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "DATA_DIR": str(data_dir)}, check=True, stdout=subprocess.PIPE, timeout=240)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(share: float) -> None:
    """In a process of its own."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    print(json.dumps(sizes() | overlay() | table() | inserts(share)))


def inserts(share: float) -> dict[str, float]:
    """Rows a second by block size, into a store of their own."""
    from django.conf import settings

    from metrics import process
    from metrics.clickhouse.embedded import EmbeddedEngine
    from metrics.clickhouse.migrate import migrate

    process.stop()
    with tempfile.TemporaryDirectory() as folder:
        limits = {"max_memory_bytes": settings.CHDB_MAX_MEMORY_BYTES, "max_threads": settings.CHDB_MAX_THREADS}
        engine = EmbeddedEngine(Path(folder) / "clickhouse", database=settings.CLICKHOUSE_DATABASE, timeout_s=60, **limits)
        migrate(engine, settings.CLICKHOUSE_DATABASE)
        found = {
            f"insert {rows}": rows / median_s(lambda rows=rows: engine.insert("metrics", block(rows)), max(3, int(count * share)))
            for rows, count in BLOCKS.items()
        }
        engine.close()
    return found


def block(rows: int) -> dict[str, Any]:
    """Columns of one series that nobody logged before."""
    from metrics.clickhouse.client import Coded

    same, steps = np.zeros(rows, dtype=np.uint32), np.arange(rows)
    owners = {name: Coded([uuid.uuid4()], same) for name in ("team_id", "project_id", "experiment_id")}
    texts = {"metric_name": Coded(["loss"], same), "host": Coded([""], same)}
    times = 1_763_900_000_000_000 + steps * 100_000
    numbers = {
        "step": steps,
        "timestamp": times,
        "point_id": steps.astype(np.uint64),
        "metric_value": np.random.default_rng().normal(size=rows),
        "logged_at": np.full(rows, times[0]),
        "created_month": np.full(rows, 202611, dtype=np.uint32),
    }
    return owners | texts | numbers


def repository_and_place(project: str) -> tuple[Any, Any, list[Any]]:
    """(repository, place, experiment ids) of a benchmark's project; no ids where it was not made."""
    from django.conf import settings

    from metrics import process
    from metrics.store.repository import MetricRepository
    from metrics.store.shapes import Place
    from projects.models import Project

    repository = MetricRepository(process.open_engine(), database=settings.CLICKHOUSE_DATABASE)
    found = Project.objects.filter(slug=project).first()
    if found is None:
        return repository, None, []
    return repository, Place(found.team_id, found.pk), list(found.experiments.values_list("pk", flat=True))


def overlay() -> dict[str, float]:
    """Seconds of the overlay's query: the first time after opening, warm, and as where steps hold several values; and of finding out whether they do."""
    from metrics.store import repeat_rows
    from metrics.store.shapes import Window

    repository, place, experiments = repository_and_place("overlay")
    if not experiments or not repository.summaries(place):
        return {}

    def ask() -> None:
        repository.grid(place, experiments, "loss", Window("step", 0, 9_999), width=10)

    def latest() -> None:
        repository.grid(place, experiments, "loss", Window("step", 0, 9_999), width=10, repeated=experiments)

    return {
        "overlay cold": median_s(ask, 1),
        "overlay warm": median_s(ask, REPEATS),
        "overlay noted": median_s(lambda: repeat_rows.unsure(repository, place, experiments), REPEATS),
        "overlay counted": median_s(lambda: repeat_rows.counted(repository, place, "loss", dict.fromkeys(experiments, repeat_rows.FIRST)), REPEATS),
        "overlay latest": median_s(latest, REPEATS),
    }


def table() -> dict[str, float]:
    """Seconds of the one number of each experiment that the table sorts by."""
    repository, place, experiments = repository_and_place("table")
    if not experiments or not repository.names(place):
        return {}
    return {"table": median_s(lambda: repository.values(place, "metric 3", "last"), REPEATS)}


def sizes() -> dict[str, float]:
    """Points of the store, and the bytes of their active parts."""
    repository, _, _ = repository_and_place("overlay")
    found = repository.engine.query(
        "SELECT sum(rows) AS n, sum(bytes_on_disk) AS size, count() AS parts FROM system.parts WHERE active AND database = 'metrics' AND table = 'metrics'"
    )
    return {"points": float(found["n"][0]), "bytes": float(found["size"][0]), "parts": float(found["parts"][0])}


def median_s(ask: Callable[[], object], count: int) -> float:
    """The median of `count` calls, in seconds."""
    taken = []
    for _ in range(count):
        before = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)


if __name__ == "__main__":
    main(0.3 if sys.argv[2] == "quick" else 1.0)
