"""What a chart shows as a file: every stored point, a line each."""

from __future__ import annotations

import csv
import io
import uuid
from typing import Any

import pyarrow.parquet as pq
import pytest

from experiments.models import Experiment
from metrics.store import point_rows
from metrics.store.shapes import Window
from projects.models import ProjectMetric
from tests.metrics.conftest import Points
from tests.metrics.test_conformance import logged

pytestmark = pytest.mark.differs_on_servers("a file is streamed from the metric store, block by block")
ADDRESS = "/api/v1/metrics/points/digits"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["step", "time", "relative"])
def test_pages_hold_every_point_once_in_the_order_of_steps(repository, place, kind):
    experiment = uuid.uuid4()
    logged(repository, Points(place, experiment, values=[float(n) for n in range(25)], steps=[-3, *[n // 2 for n in range(24)]]))
    pages = list(point_rows.pages(repository, place, experiment, "loss", Window(kind), most=7))
    assert [len(page.step) for page in pages] == [7, 7, 7, 4]
    assert [value for page in pages for value in page.value.tolist()] == [float(n) for n in range(25)]


@pytest.fixture
def api(store, bob, api_for):
    return api_for(bob)


@pytest.fixture
def two(project, experiment, log) -> list[Experiment]:
    """Two runs, one of a name that a spreadsheet would run."""
    other = Experiment.objects.create(project=project, name='=HYPERLINK("http://x")')
    log(experiment, {"loss": [0.1, "NaN", "Infinity", 1 / 3]}, timestamps=[1763900000.25, 1763900001, 1763900002, 1763900003])
    log(other, {"loss": [-5.0, 6.0]}, steps=[2, 9], timestamps=[1763900010, 1763900020])
    return [experiment, other]


def rows(api: Any, runs: list[Experiment], **query: str) -> list[dict[str, str]]:
    answer = api.get(ADDRESS, {"metric": "loss", "experiments": ",".join(str(run.pk) for run in runs), **query})
    assert answer.status_code == 200, answer.content
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


def test_every_point_is_a_line_and_names_are_no_formulas(api, two):
    found = rows(api, two)
    assert found[0] == {"run": "baseline", "slug": "baseline", "step": "0", "time": "2025-11-23T12:13:20.250000+00:00", "x": "0", "value": "0.1"}
    assert [row["value"] for row in found] == ["0.1", "NaN", "Infinity", repr(1 / 3), "-5.0", "6.0"]
    assert {row["run"] for row in found} == {"baseline", '\'=HYPERLINK("http://x")'}


def test_the_file_has_the_x_and_the_range_of_the_view(api, two):
    assert [(row["step"], row["x"]) for row in rows(api, two, x="relative", **{"from": "0.5", "to": "5"})] == [
        ("1", "0.75"),
        ("2", "1.75"),
        ("3", "2.75"),
    ]
    assert [row["step"] for row in rows(api, two, **{"from": "2", "to": "2"})] == ["2", "2"]
    assert [row["x"] for row in rows(api, two[1:], x="time")] == ["1763900010.0", "1763900020.0"]


def test_parquet_has_types_and_names_as_they_are(api, two):
    answer = api.get(ADDRESS, {"metric": "loss", "experiments": "baseline," + two[1].slug, "format": "parquet"})
    table = pq.read_table(io.BytesIO(answer.getvalue()))
    assert [str(kind) for kind in table.schema.types] == ["string", "string", "int64", "timestamp[us, tz=UTC]", "int64", "double"]
    assert table.column("run").to_pylist()[-1] == '=HYPERLINK("http://x")'
    assert table.num_rows == 6


def test_the_file_is_named_after_project_and_metric(api, experiment, log):
    log(experiment, {"val/top 5": [1.0]})
    answer = api.get(ADDRESS, {"metric": "val/top 5", "experiments": "baseline"})
    assert answer["Content-Disposition"] == 'attachment; filename="digits-val-top_5.csv"'


def test_a_metric_without_points_is_a_file_with_a_head(api, experiment):
    ProjectMetric.objects.create(project=experiment.project, name="loss")
    assert rows(api, [experiment]) == []


@pytest.mark.parametrize(
    "query", ["experiments=baseline", "metric=loss", "metric=loss&experiments=baseline&format=xml", "metric=loss&experiments=baseline&x=color"]
)
def test_what_is_wrong_is_said_before_a_file_begins(api, experiment, query):
    assert api.get(f"{ADDRESS}?{query}").status_code == 422


@pytest.mark.usefixtures("store")
def test_a_stranger_gets_no_file(api_for, carol, experiment):
    assert api_for(carol).get(f"{ADDRESS}?metric=loss&experiments=baseline").status_code == 404
