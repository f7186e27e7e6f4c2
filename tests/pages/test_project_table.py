from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from experiments.models import Experiment, Tag
from metrics import process
from metrics.clickhouse.errors import StoreUnavailable
from metrics.store.repository import MetricRepository
from projects.models import ProjectMetric

pytestmark = pytest.mark.differs_on_servers("the table is ordered, narrowed and counted by the database")
BASE = "/projects/vision-team/digits/"
PART = {"HX-Request": "true"}


def names(answer) -> list[str]:
    return [row.experiment.name for row in answer.context["table"].rows]


def shown(answer) -> list[str]:
    return [column.key for column in answer.context["table"].columns.shown]


@pytest.fixture
def runs(project) -> list[Experiment]:
    params = [{"lr": 0.1, "norm": "batch"}, {"lr": 0.01, "norm": "none"}, {"norm": "none", "配置": "中文"}]
    made = [
        Experiment.objects.create(project=project, name=f"run {i}", params=params[i], seed=i, status=("running", "complete", "complete")[i]) for i in range(3)
    ]
    made[1].tags.add(Tag.objects.create(project=project, name="sweep-1"))
    Experiment.objects.filter(pk=made[2].pk).update(notes="strange spike")
    return made


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ["run 2", "run 1", "run 0"]),
        ("?q=RUN+1", ["run 1"]),
        ("?q=spike", ["run 2"]),
        ("?q=batch", ["run 0"]),
        ("?q=中文", ["run 2"]),
        ("?q=0.01", ["run 1"]),
        ("?status=running", ["run 0"]),
        ("?status=complete", ["run 2", "run 1"]),
        ("?tag=sweep-1", ["run 1"]),
        ("?tag=sweep-1&status=running", []),
        ("?sort=name", ["run 0", "run 1", "run 2"]),
        ("?sort=-seed", ["run 2", "run 1", "run 0"]),
        ("?sort=param:lr", ["run 1", "run 0", "run 2"]),
        ("?sort=-param:lr", ["run 0", "run 1", "run 2"]),
        ("?sort=param:norm", ["run 0", "run 2", "run 1"]),
        ("?sort=nonsense&page=-3&status=%27&columns=metric:none", ["run 2", "run 1", "run 0"]),
        ("?page=99999999999999", ["run 2", "run 1", "run 0"]),
        ("?q=%00&tag=%00", ["run 2", "run 1", "run 0"]),
    ],
)
def test_the_table_shows_what_the_address_asks_for(browser_for, bob, runs, asked, found):
    assert names(browser_for(bob).get(BASE + asked)) == found


def test_archived_experiments_are_shown_only_where_asked_for(browser_for, bob, runs):
    Experiment.objects.filter(pk=runs[0].pk).update(archived=True)
    assert names(browser_for(bob).get(BASE)) == ["run 2", "run 1"]
    assert names(browser_for(bob).get(f"{BASE}?status=archived")) == ["run 0"]


def test_stalled_runs_can_be_asked_for(browser_for, bob, runs):
    assert names(browser_for(bob).get(f"{BASE}?status=stalled")) == []
    Experiment.objects.filter(pk=runs[0].pk).update(created_at=timezone.now() - timedelta(hours=1))
    answer = browser_for(bob).get(f"{BASE}?status=stalled")
    assert names(answer) == ["run 0"]
    assert 'class="status stalled"' in answer.content.decode()


def test_the_default_columns_are_the_metrics_and_the_params_that_vary(browser_for, bob, project):
    for i in range(2):
        Experiment.objects.create(project=project, name=f"e{i}", params={"lr": i, "epochs": 20, "seed": i})
    ProjectMetric.objects.bulk_create([ProjectMetric(project=project, name=f"m{i}") for i in range(8)])
    assert shown(browser_for(bob).get(BASE)) == [
        "status",
        *(f"metric:m{i}" for i in range(6)),
        "changed",
        "param:lr",
        "seed",
        "took",
        "created",
        "last_point",
        "tags",
    ]


def test_columns_are_chosen_in_the_address_and_added_by_name(browser_for, bob, runs, project):
    ProjectMetric.objects.create(project=project, name="val/loss")
    assert shown(browser_for(bob).get(f"{BASE}?columns=param:norm&columns=metric:val/loss&columns=bogus")) == ["param:norm", "metric:val/loss"]
    added = browser_for(bob).get(f"{BASE}?columns=status&add=val/loss", headers=PART)
    assert shown(added) == ["status", "metric:val/loss"]
    assert b'id="columns-list" hx-swap-oob="true"' in added.content
    assert added["HX-Push-Url"] == f"{BASE}?columns=status&columns=metric%3Aval%2Floss"


def test_htmx_gets_the_table_alone_and_everyone_else_the_page(browser_for, bob, runs):
    whole, part = browser_for(bob).get(BASE), browser_for(bob).get(f"{BASE}?q=run", headers=PART)
    assert whole.content.startswith(b"<!doctype html>")
    assert part.content.strip().startswith(b'<section class="section tight" id="table"')
    assert b"<html" not in part.content
    assert part["HX-Push-Url"] == f"{BASE}?q=run"
    assert "HX-Request" in whole["Vary"]
    assert "HX-Request" in part["Vary"]
    restored = browser_for(bob).get(BASE, headers={**PART, "HX-History-Restore-Request": "true"})
    assert restored.content.startswith(b"<!doctype html>")


def test_a_live_refresh_leaves_the_address_alone(browser_for, bob, runs):
    assert "HX-Push-Url" not in browser_for(bob).get(BASE, headers={**PART, "HX-Trigger": "live"})


def test_every_part_that_htmx_loads_has_an_address_without_it(browser_for, bob, runs):
    text = browser_for(bob).get(BASE).content.decode()
    for heading in browser_for(bob).get(BASE).context["table"].headings:
        if heading.link:
            assert f'href="{BASE}{heading.link.replace("&", "&amp;")}"' in text
    assert f'<form id="filter" role="search" action="{BASE}"' in text
    assert '<form id="compare" action="/projects/vision-team/digits/compare"' in text
    assert 'name="e" value="run-0" form="compare"' in text


def test_rows_come_fifty_to_a_page(browser_for, bob, project):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"e{i:03d}", slug=f"e{i:03d}") for i in range(120)])
    first, last = browser_for(bob).get(f"{BASE}?sort=name"), browser_for(bob).get(f"{BASE}?sort=name&page=3")
    assert (len(names(first)), names(first)[0], len(names(last)), names(last)[-1]) == (50, "e000", 20, "e119")
    assert "1 to 50 of 120 experiments" in first.content.decode()
    assert "?sort=name&amp;page=2" in first.content.decode()
    assert "Next" not in last.content.decode()


def test_a_metric_sorts_by_its_aggregation_and_nan_comes_last_both_ways(browser_for, bob, runs, log, project):
    log(runs[0], {"loss": [9.0, 1.0]})
    log(runs[1], {"loss": [2.0, 3.0]})
    log(runs[2], {"loss": [1.0, "NaN"]})
    assert names(browser_for(bob).get(f"{BASE}?sort=metric:loss")) == ["run 0", "run 1", "run 2"]
    assert names(browser_for(bob).get(f"{BASE}?sort=-metric:loss")) == ["run 1", "run 0", "run 2"]
    project.metrics.update(aggregation="max", direction="minimize")
    answer = browser_for(bob).get(f"{BASE}?sort=-metric:loss")
    assert names(answer) == ["run 0", "run 1", "run 2"]
    cells = {row.experiment.name: cell.value for row in answer.context["rows"] for cell in row.cells if cell.kind == "metric"}
    assert cells == {"run 0": 9.0, "run 1": 3.0, "run 2": 1.0}
    assert 'aria-sort="descending"' in answer.content.decode()
    assert "max ↓" in answer.content.decode()


def test_nan_is_spelled_out_in_the_table(browser_for, bob, experiment, log):
    log(experiment, {"loss": [0.5, "NaN"]})
    answer = browser_for(bob).get(BASE)
    cell = next(cell for cell in answer.context["rows"][0].cells if cell.kind == "metric")
    assert math.isnan(cell.value)
    assert ">NaN</td>" in answer.content.decode()


class Dead:
    """An engine that is away: the far side of the repository's port."""

    def query(self, *args, **kwargs):
        raise StoreUnavailable("gone")


@pytest.fixture
def store_away(store) -> Iterator[None]:
    process.Running.parts = dataclasses.replace(store, repository=MetricRepository(Dead(), database="metrics"))
    yield
    process.Running.parts = store


def test_without_the_metric_store_the_records_are_shown_and_the_page_says_so(browser_for, bob, erin, runs, project, store_away):
    ProjectMetric.objects.create(project=project, name="loss")
    for path in (BASE, f"{BASE}?sort=metric:loss"):
        answer = browser_for(bob).get(path)
        assert names(answer) == ["run 2", "run 1", "run 0"]
        assert "Metric store unavailable: numbers will return." in answer.content.decode()
    assert "Metric store unavailable" in browser_for(bob).get(f"{BASE}metrics/").content.decode()


def test_points_that_cannot_be_queried_yet_are_counted(browser_for, bob, experiment, store):
    with store.spool.arrived:
        store.spool.waiting[experiment.pk] += 7
    try:
        assert "1 running, 7 points pending" in browser_for(bob).get(BASE).content.decode()
    finally:
        with store.spool.arrived:
            store.spool.waiting[experiment.pk] -= 7


@pytest.mark.parametrize("asked", ["", "?sort=metric:loss", "?sort=-param:lr", "?q=e&tag=t&status=running"])
def test_the_table_takes_as_many_queries_for_two_rows_as_for_fifty(browser_for, bob, project, store, asked):
    ProjectMetric.objects.create(project=project, name="loss")
    browser, tag = browser_for(bob), Tag.objects.create(project=project, name="t")
    first = Experiment.objects.create(project=project, name="e", params={"lr": 1})
    add(1, first, tag)
    few = queries(browser, BASE + asked)
    add(60, first, tag)
    many = queries(browser, BASE + asked)
    assert few == many <= 23  # two of them count alerts: for the badge, and for the tab
    assert len(names(browser.get(BASE + asked))) == 50


def add(count: int, parent: Experiment, tag: Tag) -> None:
    for i in range(count):
        Experiment.objects.create(project=parent.project, name=f"e{i}", params={"lr": i}, parent_experiment=parent).tags.add(tag)


def queries(browser: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(path).status_code == 200
    return len(asked)


def test_what_changed_against_the_parent_is_shown(browser_for, bob, experiment):
    Experiment.objects.filter(pk=experiment.pk).update(params={"lr": 0.1})
    experiment.refresh_from_db()
    Experiment.objects.create(project=experiment.project, name="child", parent_experiment=experiment, params={"lr": 0.2})
    text = browser_for(bob).get(BASE).content.decode()
    assert 'lr <span class="was">0.1</span>0.2' in text
    assert ">root</span>" in text


def test_the_seed_that_params_tell_of_is_shown_filtered_sorted_and_sent_in_files(erin, browser_for, project, api_for):
    told = [{"trainer": {"seed": 3}}, {"random_state": 1}, {"lr": 1}, {"seed": 10**30}]
    for n, params in enumerate(told):
        Experiment.objects.create(project=project, name=f"run {n}", params=params)
    Experiment.objects.create(project=project, name="run 4", params={"seed": 7}, seed=2)
    browser = browser_for(erin)
    page = browser.get(BASE, {"sort": "seed", "columns": "seed"})
    assert names(page) == ["run 1", "run 4", "run 0", "run 3", "run 2"]
    assert [row.cells[0].value for row in page.context["table"].rows] == [1, 2, 3, 10**30, None]
    assert names(browser.get(BASE, {"q": "seed = 3 or seed = 2"})) == ["run 4", "run 0"]
    file = b"".join(browser.get(BASE, {"sort": "seed", "columns": "seed", "format": "csv"})).decode()
    assert [line.rsplit(",", 1)[1] for line in file.split("\r\n" if "\r" in file else "\n") if "run-" in line] == ["1", "2", "3", "", ""]
    rows = api_for(erin).get("/api/v1/experiments", {"project": "digits", "where": "seed = 1"}).json()["results"]
    assert [row["slug"] for row in rows] == ["run-1"]
