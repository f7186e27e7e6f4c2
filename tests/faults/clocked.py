"""What a data directory's hours hold, and its schedule made quick: read and written in a process of its own, since only one may own the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
QUICK = """
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks
from metrics.models import Occurrence
from metrics.clock.schedule import seed
seed()
Occurrence.objects.all().delete()
entry = PeriodicTask.objects.get(name="sweep")
entry.interval = IntervalSchedule.objects.create(every=1, period="seconds")
entry.save()
"""
KEEP_TWO_DAYS = """
from metrics.models import Occurrence
from projects.models import Project
Occurrence.objects.all().delete()
Project.objects.update(retention_days=2)
"""
HOURS = """
import json
from django.conf import settings
from metrics import process
from metrics.models import Drop, Occurrence
from metrics.store.repository import MetricRepository
from projects.models import Project
repository = process.open_repository()
found = repository.engine.query(repository.sql(
    "SELECT toString(project_id) AS project, toString(experiment_id) AS run, metric_name AS metric, toUnixTimestamp(date) AS hour, part > 0 AS frozen, count,"
    " min_value, max_value, avg_value, last_value FROM {database}.metrics_hourly FINAL WHERE count > 0 ORDER BY project, run, metric, hour, part"))
rows = [[value if isinstance(value, str) else float(value) for value in row] for row in zip(*found.values())]
points = repository.engine.query(repository.sql("SELECT count() AS n FROM {database}.metrics FINAL"))["n"].tolist()[0]
done = list(Occurrence.objects.filter(finished_at__isnull=False).values_list("task", flat=True).distinct())
process.stop()
print(json.dumps({"rows": rows, "points": points, "done": done, "drops": Drop.objects.filter(finished_at=None).count()}))
"""


def asked(data_dir: Path, script: str, **settings: str) -> str:
    """What a script prints that runs in the product's shell on a data directory, and the servers of the settings."""
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", script]
    given = {**os.environ, "DATA_DIR": str(data_dir), **settings}
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sweep_every_second(data_dir: Path, **settings: str) -> None:
    """What an operator could do in the admin; and no occurrence is done yet."""
    asked(data_dir, QUICK, **settings)


def keep_two_days(data_dir: Path) -> None:
    """Every project drops what is older; and no occurrence is done yet."""
    asked(data_dir, KEEP_TWO_DAYS)


def hours(data_dir: Path, **settings: str) -> dict[str, Any]:
    """{"rows": every hour, "points": how many are stored, "done": tasks that finished, "drops": how many are under way}."""
    found: dict[str, Any] = json.loads(asked(data_dir, HOURS, **settings))
    return found
