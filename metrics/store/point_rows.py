"""Every stored point of series, page by page, so that no length of a series has to fit into memory. Beside the repository, a module that knows the
columns of points.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from metrics.store.columns import floats, ints
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Floats, Ints, Place, Window

# The key leads to each page, in the order in which the points lie.
PAGE = """
    SELECT step, toUnixTimestamp64Micro(timestamp) AS time, {x} AS x, metric_value AS value, point_id
    FROM (
        SELECT experiment_id, step, timestamp, point_id, metric_value FROM {database}.metrics FINAL
        WHERE {of_metric}
              AND step >= %(step)s AND NOT (step = %(step)s AND point_id <= %(point)s)
    ) AS points {began}
    WHERE {x} >= %(first)s AND {x} <= %(last)s
    ORDER BY step, point_id LIMIT %(most)s
"""
PAGE_ROWS = 20_000


@dataclass(frozen=True)
class Page:
    """Some points by step and point_id: arrays of shape (points,); `time` and, where it is none of steps, `x` in microseconds."""

    step: Ints
    time: Ints
    x: Ints
    value: Floats


def pages(repository: MetricRepository, place: Place, experiment: uuid.UUID, metric: str, window: Window, *, most: int = PAGE_ROWS) -> Iterator[Page]:
    """The points of one series in the window, `most` at a time; nothing where there is none."""
    sql = repository.of_window(PAGE, window)
    step, point = -(2**63), -1
    while True:
        bound = repository.bound(place, [experiment], metric, window, step=step, point=point, most=most)
        found = repository.engine.query(sql, bound)
        ids = found.get("point_id", ())
        if len(ids):
            page = Page(ints(found, "step"), ints(found, "time"), ints(found, "x"), floats(found, "value"))
            step, point = int(page.step[-1]), int(ids[-1])
            yield page
        if len(ids) < most:
            return
