"""The tables of a comparison as files: every number whole, every metric that fits, in the order and by the filter of the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from html import unescape
from typing import Any

import pyarrow.parquet as pq
import pytest

from experiments import lifecycle
from experiments.models import Experiment
from projects.models import Project, ProjectMetric
from tests.pages.test_compare_page import logged, runs, section, store_away, url  # noqa: F401

pytestmark = pytest.mark.differs_on_servers("PostgreSQL keeps the keys of JSON in an order of its own; rows are ordered by the database")
THREE = "e=baseline,wider,slower"


@pytest.fixture
def rows(bob: Any, browser_for: Any, project: Project) -> Callable[..., list[dict[str, str]]]:
    """rows("summary"): the lines of a table's CSV."""

    def read(table: str, query: str = THREE) -> list[dict[str, str]]:
        answer = browser_for(bob).get(url(project, f"{query}&table={table}&format=csv"))
        assert (answer.status_code, f'filename="digits-{table}.csv"' in answer["Content-Disposition"]) == (200, True)
        return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))

    return read


def test_the_summary_has_a_row_for_each_run_and_three_columns_for_each_metric(rows, logged):  # noqa: F811
    found = rows("summary")
    assert [(row["slug"], row["baseline"], row["seed"], row["replicates"]) for row in found] == [
        ("baseline", "True", "1", "1"),
        ("wider", "False", "1", "1"),
        ("slower", "False", "1", "1"),
    ]
    assert [row["metric:accuracy"] for row in found] == ["0.9", "0.95", "0.8"]
    assert [row["delta:accuracy"] for row in found] == ["", repr(0.95 - 0.9), repr(0.8 - 0.9)]
    assert {row["points:loss"] for row in found} == {"3"}
    assert [name for name in rows("summary", f"{THREE}&metric=los")[0] if ":" in name] == ["metric:loss", "delta:loss", "points:loss"]


def test_every_metric_is_in_the_file_though_the_page_shows_the_first(rows, bob, browser_for, project, log, runs):  # noqa: F811
    log(runs[0], {f"m{n:02d}": [float(n)] for n in range(30)})
    assert sum(name.startswith("metric:") for name in rows("summary")[0]) == 30
    html = browser_for(bob).get(url(project, THREE)).content.decode()
    for table, part in (("summary", "summary"), ("side", "differences")):
        assert f"{THREE}&table={table}&format=csv".replace(",", "%2C") in unescape(section(html, part))


def test_groups_have_mean_deviation_n_and_difference_of_those_that_are_shown(rows, project, log):
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    for name, width, loss in (("a", 1, 1.0), ("b", 1, 3.0), ("c", 2, 6.0), ("d", 2, 9.0)):
        log(lifecycle.create(project, by=None, name=name, params={"width": width}), {"loss": [loss]})
    found = rows("groups", "e=a,b,c,d&group=param:width")
    assert [(row["group"], row["runs"], row["mean:loss"], row["n:loss"], row["delta:loss"]) for row in found] == [
        ("width 1", "2", "2.0", "2", ""),
        ("width 2", "2", "7.5", "2", "5.5"),
    ]
    assert float(found[0]["sd:loss"]) == pytest.approx(2**0.5)
    hidden = rows("groups", "e=a,b,c,d&group=param:width&hide=d")
    assert (hidden[1]["counted"], hidden[1]["mean:loss"], hidden[1]["sd:loss"]) == ("1", "6.0", "")


def test_side_by_side_has_the_rows_that_the_reader_wants_whole(rows, project, store):
    long = "y" * 3000
    lifecycle.create(
        project, by=None, name="one", params={"same": 1, "lr": 0.1234567891, "text": long, "none": None, "gone": 1} | {f"p{n}": n for n in range(250)}
    )
    lifecycle.create(project, by=None, name="two", params={"same": 1, "lr": 0.1, "text": "=1+1"} | {f"p{n}": n + 1 for n in range(250)})
    found = {row["row"]: row for row in rows("side", "e=one,two")}
    assert "same" not in found
    assert len(found) == 253
    assert (found["lr"]["kind"], found["lr"]["values"], found["lr"]["run:one"], found["lr"]["run:two"]) == ("Params", "2", "0.1234567891", "0.1")
    assert (found["text"]["run:one"], found["text"]["run:two"]) == (long, "'=1+1")
    assert (found["gone"]["run:one"], found["gone"]["run:two"]) == ("1", "")
    assert "none" not in found
    assert "same" in {row["row"] for row in rows("side", "e=one,two&params=all")}
    assert [row["row"] for row in rows("side", "e=one,two&rows=mention")][:3] == ["lr", "text", "gone"]


def test_notes_are_whole_and_tags_with_commas_are_no_other_tags(rows, project, store):
    for slug, end, tags in (("one", "ONE", ["a, b"]), ("two", "TWO", ["a", "b"])):
        lifecycle.create(project, by=None, name=slug, notes="a" * 2500 + end, tags=tags)
    found = {row["row"]: row for row in rows("side", "e=one,two")}
    assert [found["Notes"][f"run:{slug}"][2500:] for slug in ("one", "two")] == ["ONE", "TWO"]
    assert [found["Tags"][f"run:{slug}"] for slug in ("one", "two")] == ['["a, b"]', '["a", "b"]']


def test_parquet_keeps_types_and_nan(bob, browser_for, project, log, runs):  # noqa: F811
    log(runs[0], {"loss": [1.0, float("nan")]})
    table = pq.read_table(io.BytesIO(browser_for(bob).get(url(project, f"{THREE}&table=summary&format=parquet")).getvalue()))
    kinds = [str(table.schema.field(name).type) for name in ("baseline", "seed", "metric:loss", "points:loss")]
    assert kinds == ["bool", "int64", "double", "int64"]
    assert [str(value) for value in table["metric:loss"].to_pylist()] == ["nan", "None", "None"]


def test_what_is_no_table_and_no_format_is_refused(bob, carol, browser_for, project, runs):  # noqa: F811
    assert browser_for(bob).get(url(project, f"{THREE}&table=all&format=csv")).status_code == 422
    assert browser_for(bob).get(url(project, f"{THREE}&table=side&format=xlsx")).status_code == 422
    assert browser_for(carol).get(url(project, f"{THREE}&table=side&format=csv")).status_code == 404


def test_no_file_lacks_its_numbers_because_the_store_is_away(bob, browser_for, project, runs, store_away):  # noqa: F811
    assert browser_for(bob).get(url(project, f"{THREE}&table=summary&format=csv")).status_code == 503


def test_without_groups_the_file_has_a_head_alone(rows, runs: list[Experiment], store):  # noqa: F811
    assert rows("groups") == []
