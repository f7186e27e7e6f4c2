"""What a data directory holds when nobody serves it: read in a process of its own, since only one may own the engine."""

from __future__ import annotations

import math
import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, Summaries, Summary

ROOT = Path(__file__).resolve().parent.parent.parent
# `bits` is the value as it lies in memory: NaN equals NaN, and -0.0 is not 0.0.
POINT = np.dtype([("step", "<i8"), ("time_us", "<i8"), ("bits", "<u8")])
EXACT = ("count", "nonfinite", "low", "high", "last", "first_step", "last_step", "first_time", "last_time")
SUM_TOLERANCE = 1e-9
SeriesKey = tuple[str, str]
WAITING = "SELECT coalesce(sum(points), 0) FROM batches WHERE id > coalesce((SELECT value FROM meta WHERE name = 'drained_to'), 0)"


@dataclass(frozen=True)
class Stored:
    """Every series by (experiment slug, metric), what is wrong with the summaries, and points that are still in the spool."""

    series: dict[SeriesKey, NDArray[np.void]]
    wrong_summaries: list[str]
    left_in_spool: int


def stored(data_dir: Path, **settings: str) -> Stored:
    """Read a data directory that no process owns, and the metric store of the settings."""
    with tempfile.NamedTemporaryFile() as answer:
        command = [sys.executable, "-m", "tests.faults.stored", str(data_dir), answer.name]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "DATA_DIR": str(data_dir), **settings}, check=True, timeout=300)
        return Stored(*pickle.loads(Path(answer.name).read_bytes()))


def points_of(steps: Any, times_us: Any, values: Any) -> NDArray[np.void]:
    """Columns as points."""
    made = np.empty(len(steps), POINT)
    made["step"], made["time_us"], made["bits"] = steps, times_us, np.asarray(values, dtype=np.float64).view(np.uint64)
    return made


def main(data_dir: Path, answer: Path) -> None:
    """Read everything and write it down."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings

    from metrics import process
    from metrics.store.repository import MetricRepository
    from projects.models import Project

    assert data_dir.resolve() == settings.DATA_DIR
    repository = MetricRepository(process.open_engine(), database=settings.CLICKHOUSE_DATABASE)
    series, wrong = {}, []
    for project in Project.objects.all():
        found, faults = of_project(repository, project)
        series |= found
        wrong += faults
    process.stop()
    answer.write_bytes(pickle.dumps((series, wrong, left_in_spool(data_dir))))


def of_project(repository: MetricRepository, project: Any) -> tuple[dict[SeriesKey, NDArray[np.void]], list[str]]:
    """The series of one project, and what is wrong with its summaries."""
    from metrics.store.shapes import Place

    place = Place(project.team_id, project.pk)
    slugs = dict(project.experiments.values_list("pk", "slug"))
    recomputed = repository.recomputed(place)
    found = {(slugs[experiment], metric): read(repository, place, experiment, metric) for experiment, metrics in recomputed.items() for metric in metrics}
    return found, list(differences(repository.summaries(place), recomputed))


def read(repository: MetricRepository, place: Place, experiment: Any, metric: str) -> NDArray[np.void]:
    """One series, every bit of it."""
    series = repository.series(place, experiment, metric, limit=100_000_000)
    return points_of(series.step, series.time, series.value)


def differences(kept: Summaries, recomputed: Summaries) -> Iterator[str]:
    """One sentence for every number of a summary that the points do not bear out."""
    wanted = {(experiment, metric): summary for experiment, found in recomputed.items() for metric, summary in found.items()}
    had = {(experiment, metric): summary for experiment, found in kept.items() for metric, summary in found.items()}
    for series in wanted.keys() ^ had.keys():
        yield f"{series}: {'no summary' if series in wanted else 'a summary without points'}"
    for series in wanted.keys() & had.keys():
        yield from (f"{series}: {fault}" for fault in compared(had[series], wanted[series]))


def compared(had: Summary, wanted: Summary) -> Iterator[str]:
    """The numbers of one summary that differ; the sum may by its tolerance."""
    for name in EXACT:
        one, other = getattr(had, name), getattr(wanted, name)
        if one != other and not (one != one and other != other):
            yield f"{name} {one} instead of {other}"
    if not math.isclose(had.total, wanted.total, rel_tol=SUM_TOLERANCE):
        yield f"sum {had.total} instead of {wanted.total}"


def left_in_spool(data_dir: Path) -> int:
    """Points that were acknowledged and are not marked drained, in all spool files."""
    left = 0
    for path in (data_dir / "spool").glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            left += int(connection.execute(WAITING).fetchone()[0])
    return left


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
