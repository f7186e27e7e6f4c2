"""Runs side by side: every kind of row, by how much it varies, and which params the tooltip shows."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments import lifecycle
from experiments.compare.comparison import Comparison
from experiments.compare.outlook import Outlook
from experiments.compare.side_by_side import ROWS_MOST, SideBySide
from experiments.compare.variation import Variation, relative_spread, variation
from experiments.models import Experiment
from experiments.readings.selection import select
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("PostgreSQL keeps the keys of JSON in an order of its own, and numbers in JSON in its own way")


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html))).strip()


def url(project: Project, query: str = "") -> str:
    return reverse("experiments:compare", args=[project.team.slug, project.slug]) + f"?e=base&e=wide&e=slow&{query}"


def table(html: str) -> str:
    return html.split('id="differences"', 1)[1].split("</section>", 1)[0]


def rows(html: str) -> list[str]:
    return [unescape(name) for name in re.findall(r'<th scope="row"><code dir="auto" title="([^"]*)"', table(html))]


@pytest.fixture
def runs(project: Project) -> list[Experiment]:
    base = lifecycle.create(project, by=None, name="base", params={"name": "x", "lr": 0.1, "width": 64, "opt": "sgd"}, notes="First try.\nPlain.", tags=["a"])
    wide = lifecycle.create(project, by=None, name="wide", parent=base, params={"name": "x", "lr": 0.1, "width": 128, "opt": "adam"}, tags=["a", "final"])
    slow = lifecycle.create(project, by=None, name="slow", parent=base, params={"name": "x", "lr": 1e-4, "width": 65, "opt": "lion"}, notes="Slower.")
    return [base, wide, slow]


# The measure -------------------------------------------------------------------------------------------------------------------------------


def test_the_spread_is_the_deviation_over_the_mean_size():
    values = np.random.default_rng(3).normal(size=50)
    assert relative_spread(values.tolist()) == pytest.approx(values.std() / np.abs(values).mean())


@pytest.mark.parametrize(
    ("values", "spread"),
    [([2, 2, 2], 0.0), ([0, 0.0], 0.0), ([-1, 1], 1.0), ([1e308, -1e308], 1.0), ([1, math.nan, 1], 0.0), ([1, "a"], None), ([True, 2], None), ([], None),
     ([10**400, 1], None), ([math.inf], None)],
)  # fmt: skip
def test_the_spread_of_odd_values(values, spread):
    assert relative_spread(values) == spread


def test_the_spread_knows_no_unit():
    assert relative_spread([1, 2, 4]) == pytest.approx(relative_spread([1e-9, 2e-9, 4e-9]) or 0)


def test_more_values_come_first_then_the_wider_spread_then_text():
    few, wide, text, many = Variation(2, 0.1), Variation(3, 2.0), Variation(3), Variation(3, 0.5)
    assert sorted([text, few, many, wide], key=lambda each: each.order) == [wide, many, text, few]


def test_no_value_counts_as_one_value():
    assert variation([1, None, 1], ["1", "–", "1"]) == Variation(2, 0.0)


# The page ----------------------------------------------------------------------------------------------------------------------------------


def test_rows_are_ordered_by_how_much_they_vary(bob, browser_for, project, runs, store):
    html = browser_for(bob).get(url(project)).content.decode()
    assert rows(html)[:3] == ["width", "opt", "lr"]


def test_the_order_of_first_mention_is_a_choice(bob, browser_for, project, runs, store):
    html = browser_for(bob).get(url(project, "rows=mention&params=all")).content.decode()
    assert rows(html)[:4] == ["name", "lr", "width", "opt"]
    assert 'value="mention" aria-pressed="true"' in html


def test_notes_tags_changes_and_summaries_stand_beside_the_params(bob, browser_for, project, runs, log):
    for run, loss in zip(runs, (0.5, 0.25, 0.5), strict=True):
        log(run, {"loss": [loss], "same": [1.0]})
    html = browser_for(bob).get(url(project)).content.decode()
    said = text_of(table(html))
    assert "Summaries 1 of 2 differ loss, last 2 0.5000 0.2500 0.5000" in said
    assert "Notes 3 First try. Plain. – Slower." in said
    assert "Tags 3 a a, final –" in said
    assert "Parent 2 root base base" in said
    assert "width 3 – 64 → 128 64 → 65" in said


def test_differences_only_holds_for_every_kind_of_row(bob, browser_for, project, runs, log):
    for run in runs:
        log(run, {"same": [1.0]})
    assert not {"name", "same, last"} & set(rows(browser_for(bob).get(url(project)).content.decode()))
    assert {"name", "same, last"} <= set(rows(browser_for(bob).get(url(project, "params=all")).content.decode()))


def test_a_hundred_runs_stand_beside_each_other(bob, browser_for, project, store):
    made = [Experiment(project=project, name=f"run {i}", slug=f"run-{i}", params={"lr": i / 7, "seed": i}) for i in range(100)]
    Experiment.objects.bulk_create(made)
    counts = []
    for many in (2, 100):
        address = url(project).split("?", 1)[0] + "?e=" + ",".join(f"run-{i}" for i in range(many))
        with CaptureQueriesContext(connection) as asked:
            html = browser_for(bob).get(address).content.decode()
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert table(html).count('scope="col"') == 102


def test_more_rows_than_a_table_holds_are_counted(project, runs, store):
    runs[1].params = {f"p{i}": i for i in range(ROWS_MOST + 5)}
    runs[1].save()
    side = SideBySide(Comparison(project, select(project, ["base", "wide"]), Outlook()))
    assert (len(side.params.shown), side.params.beyond) == (ROWS_MOST, 9)


def test_all_alike_says_so(bob, browser_for, project, store):
    for name in ("base", "wide"):
        lifecycle.create(project, by=None, name=name, params={"lr": 1})
    html = browser_for(bob).get(url(project)).content.decode()
    assert "All 1 params are alike." in text_of(table(html))


# The tooltip -------------------------------------------------------------------------------------------------------------------------------


def tips(html: str) -> Any:
    return json.loads(unescape(html.split('data-tips="', 1)[1].split('"', 1)[0]))


def test_the_two_params_that_vary_most_stand_in_the_tooltip(bob, browser_for, project, runs, store):
    html = browser_for(bob).get(url(project)).content.decode()
    assert 'data-tips-said dir="auto">width, opt<' in html
    known = tips(html)
    assert known["names"] == ["width", "opt", "lr", "name"]
    assert known["runs"][str(runs[1].pk)] == ["128", "adam", "0.1", "x"]


@pytest.mark.parametrize(("query", "said"), [("tip=lr", "lr"), ("tip=name&tip=lr", "name, lr"), ("tip=.", "names alone"), ("tip=unknown", "names alone")])
def test_the_address_says_which_params_stand_in_the_tooltip(bob, browser_for, project, runs, store, query, said):
    html = browser_for(bob).get(url(project, query)).content.decode()
    assert f'data-tips-said dir="auto">{said}<' in html


def test_what_comes_for_the_tooltip_is_bounded(bob, browser_for, project, store):
    for name in ("base", "wide"):
        lifecycle.create(project, by=None, name=name, params={f"p{i}": f"{name} {'x' * 500}" for i in range(100)})
    html = browser_for(bob).get(url(project, "tip=p99")).content.decode()
    known = tips(html)
    assert len(known["names"]) == 12
    assert "p99" in known["names"]
    assert all(len(text) <= 40 for texts in known["runs"].values() for text in texts)
    assert "88 more are in the table below" in text_of(html)


@pytest.mark.parametrize(
    ("first", "second", "written"),
    [(True, "true", ["true", '"true"']), (1, "1", ["1", '"1"']), (None, "null", ["–", '"null"']), (0.1000000001, 0.1, ["0.1000000001", "0.1"])],
)
def test_values_that_only_look_alike_differ_and_can_be_told_apart(project: Project, store: Any, first: object, second: object, written: list[str]):
    made = [lifecycle.create(project, by=None, name=f"r{n}", params={"p": value, "same": 1}) for n, value in enumerate((first, second))]
    shown = SideBySide(Comparison(project, select(project, [run.slug for run in made]), Outlook())).params.shown
    assert [[cell.text for cell in row.cells] for row in shown] == [written]


def test_a_param_that_is_null_is_one_that_is_absent(project: Project, store: Any):
    made = [lifecycle.create(project, by=None, name=f"r{n}", params=params) for n, params in enumerate(({"p": None, "lr": 1}, {"lr": 2}, {"p": 3, "lr": 2}))]
    both = [SideBySide(Comparison(project, select(project, [run.slug for run in some]), Outlook())).params.shown for some in (made[:2], made)]
    assert [[row.name, *(cell.text for cell in row.cells)] for row in both[0]] == [["lr", "1", "2"]]
    assert ["p", "–", "–", "3"] in [[row.name, *(cell.text for cell in row.cells)] for row in both[1]]
