"""One metric against another: y of a run over the value of a second metric of the same run at the same step.

The two are joined by step, each by its last value there. Such a curve may turn back, so it is cut into buckets of x, each with the mean and the extremes
of what fell into it, as on every other axis. Where one does turn back, buckets are wide enough for POINTS_EACH points of a run, FEW at least: in finer ones
the line would jump between the ways there and back. A point without a finite x at its step has no place: it is counted. Where old points were dropped, only
their hours are left, and these have no steps to join by: a chart against a metric shows what is stored point by point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from metrics.charts import series as charts
from metrics.store.caching import cached
from metrics.store.crossed_rows import Asked, Row, crossed
from metrics.store.repeats import repeated_steps
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place

KIND = "metric"
X = (*charts.X, KIND)


def comparison(repository: MetricRepository, place: Place, runs: Sequence[charts.Run], metric: str, asked: Asked) -> bytes:
    """One metric of many runs over another, as the JSON of GET /metrics/compare. x is exact, y has 6 significant digits."""
    ids = [run.id for run in runs]

    def make() -> bytes:
        found = crossed(repository, place, ids, metric, asked)
        several = repeated_steps(repository, place, ids, metric), repeated_steps(repository, place, ids, asked.x_metric)
        series = [series_json(run, found.rows[run.id], max(of.get(run.id, 0) for of in several)) for run in runs if run.id in found.rows]
        head = {"metric": metric, "x_metric": asked.x_metric, "width": found.width, "count": found.points}
        return msgspec.json.encode({**head, "x": found.x.tolist(), "series": series})

    return cached(["crossed", place.project_id, metric, asked, *((run.id, run.name, run.slug) for run in runs)], ids, make)


def series_json(run: charts.Run, row: Row, repeats: int) -> dict[str, Any]:
    """One run of a comparison; NaN becomes null in the encoder. In `repeats` of its steps one of the metrics holds several values."""
    values = {name: charts.significant(each).tolist() for name, each in (("avg", row.centre), ("min", row.low), ("max", row.high))}
    counts = {"nonfinite": row.nonfinite, "nonfinite_at": row.nonfinite_at, "unplaced": row.unplaced, "nonfinite_words": charts.odd_words(row.nonfinite_kinds)}
    return {"experiment": str(run.id), "name": run.name, "slug": run.slug, **values, **counts, "repeated_steps": repeats}


def read_asked(query: Any, *, most: int = 10_000) -> Asked:  # Any: Django's QueryDict
    """x_metric, from, to and max_points of a query string with x=metric. Raises Invalid with the field that is wrong."""
    x_metric = query.get("x_metric", "")
    if not x_metric:
        raise charts.wrong("x_metric", "x=metric needs x_metric: name the metric whose values are x.")
    buckets = charts.number(query, "max_points", 1000)
    if buckets is None or not 1 <= buckets <= most or buckets != int(buckets):
        raise charts.wrong("max_points", f"max_points is a whole number from 1 to {most}.")
    return Asked(x_metric, end(query, "from"), end(query, "to"), int(buckets))


def end(query: Any, name: str) -> float | None:  # Any: Django's QueryDict
    """One end of the range of x, None where it is open. Raises Invalid."""
    text = query.get(name, "")
    if text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise charts.wrong(name, f"{name} is a finite number; got {text[:40]!r}.")
    return value
