"""Scatter and parallel coordinates: the data behind them, their bounds, and what the pages offer without a script."""

from __future__ import annotations

import csv
import io
import math
import time
from typing import Any
from urllib.parse import urlencode

import pyarrow.parquet as pq
import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments.language.parsing import parse
from experiments.models import Experiment, Tag
from experiments.readings.numbers import Numbers
from experiments.scatter import axes as scatter
from experiments.scatter import views as scatter_views
from experiments.scatter.axes import AXES_MOST, DRAWN_MOST, LANES_MOST, WORDS_MOST, Choices, choices_of, chosen, literal, param_axis, param_term
from metrics import process
from projects.models import Project, ProjectMetric
from projects.seeds import Seeds
from tests.pages.test_compare_page import url
from tests.pages.test_project_table import store_away  # noqa: F401
from tests.pages.test_table_filters import insert_summaries

pytestmark = pytest.mark.differs_on_servers("params are read as JSON by SQL of each database's own")
LONG = "ل" * 250
ODD = '<script>alert("1")</script>'


@pytest.fixture
def runs(project: Project, log: Any) -> list[Experiment]:
    """Four runs: numbers, words, a missing value, mixed types, a NaN; names that are no plain text."""
    ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize", aggregation="max")
    params = [
        {"lr": 0.1, "optimizer": {"name": "adam"}, "layers": 2, "amp": True, LONG: 1},
        {"lr": 0.01, "optimizer": {"name": "sgd"}, "layers": "two", "amp": False, ODD: 2},
        {"lr": 1e-3, "optimizer": {"name": "adam"}, "layers": [2, 2], "seed": 3},
        {"layers": 4, "optimizer": {"name": 'a "b" \\c'}},
    ]
    names = ["plain", "تجربة", ODD, LONG]
    made = [Experiment.objects.create(project=project, name=name, slug=f"run-{i}", params=params[i]) for i, name in enumerate(names)]
    log(made[0], {"accuracy": [0.5, 0.9, 0.7], "train/loss": [3.0, 1.0, 2.0]})
    log(made[1], {"accuracy": [0.2, 0.4, 0.3], "train/loss": [3.0, 2.0, "NaN"]})
    log(made[2], {"accuracy": ["NaN"]})
    return made


def data_url(project: Project, **query: Any) -> str:
    return reverse("experiments:explore_data", args=[project.team.slug, project.slug]) + "?" + urlencode(query, doseq=True)


def page_url(project: Project, **query: Any) -> str:
    return reverse("experiments:explore", args=[project.team.slug, project.slug]) + "?" + urlencode(query, doseq=True)


def axis_of(answer: Any, key: str) -> dict[str, Any]:
    return next(axis for axis in answer.json()["axes"] if axis["key"] == key)


# The data ------------------------------------------------------------------------------------------------------------------------------------


def test_an_axis_of_numbers_has_none_where_there_is_no_value(bob, browser_for, project, runs):
    answer = browser_for(bob).get(data_url(project, axis="param:lr", e="run-0,run-1,run-2,run-3"))
    axis = axis_of(answer, "param:lr")
    assert answer.json()["slugs"] == ["run-0", "run-1", "run-2", "run-3"]
    assert answer.json()["ids"] == [str(run.pk) for run in runs]
    assert axis["values"] == [0.1, 0.01, 0.001, None]
    assert (axis["missing"], axis["odd"], axis["words"], axis["term"]) == (1, 0, [], "params.lr")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("metric:accuracy", [0.9, 0.4, "NaN", None]),
        ("last:accuracy", [0.7, 0.3, "NaN", None]),
        ("min:accuracy", [0.5, 0.2, "NaN", None]),
        ("avg:accuracy", [0.7, 0.3, "NaN", None]),
        ("metric:train/loss", [2.0, "NaN", None, None]),
        ("max:train/loss", [3.0, 3.0, None, None]),
        ("max:nowhere", [None, None, None, None]),
    ],
)
def test_a_metric_is_an_axis_by_its_own_aggregation_or_by_another(bob, browser_for, project, runs, key, values):
    axis = axis_of(browser_for(bob).get(data_url(project, axis=key, e="run-0,run-1,run-2,run-3")), key)
    assert [round(value, 6) if isinstance(value, float) else value for value in axis["values"]] == values
    assert axis["odd"] == values.count("NaN")
    assert axis["missing"] == values.count(None)


def test_params_of_mixed_type_are_ordinal_numbers_first(bob, browser_for, project, runs):
    axis = axis_of(browser_for(bob).get(data_url(project, axis="param:layers", e="run-0,run-1,run-2,run-3")), "param:layers")
    assert axis["words"] == ["2", "4", "two", "[2, 2]"]
    assert axis["values"] == [0, 2, 3, 1]
    assert axis["literals"] == ["2", "4", '"two"', None]


def test_words_of_an_axis_that_differ_look_different_and_its_filter_takes_what_the_word_stands_for(bob, browser_for, project):
    for n, value in enumerate([1, 1.0, "1", True, "true"]):
        Experiment.objects.create(project=project, name=f"r{n}", slug=f"r{n}", params={"p": value})
    axis = axis_of(browser_for(bob).get(data_url(project, axis="param:p", e="r0,r1,r2,r3,r4")), "param:p")
    assert sorted(axis["words"]) == ['"1"', '"true"', "1", "true"]
    pairs, browser = zip(axis["words"], axis["literals"], strict=True), browser_for(bob)
    found = {word: browser.get(data_url(project, axis="param:p", q=f"params.p = {literal}")).json()["slugs"] for word, literal in pairs}
    assert found == {"1": ["r1", "r0"], '"1"': ["r2"], "true": ["r3"], '"true"': ["r4"]}


def test_nested_params_booleans_and_odd_names_are_axes(bob, browser_for, project, runs):
    keys = ["param:optimizer.name", "param:amp", f"param:{LONG}", f"param:{ODD}"]
    answer = browser_for(bob).get(data_url(project, axis=keys, e="run-0,run-1,run-2,run-3"))
    nested, amp, long, odd = answer.json()["axes"]
    assert (nested["term"], sorted(nested["words"])) == ("params.optimizer.name", ['a "b" \\c', "adam", "sgd"])
    assert (amp["words"], amp["literals"], amp["values"]) == (["false", "true"], ["false", "true"], [1, 0, None, None])
    assert long["values"] == [1.0, None, None, None]
    assert (odd["name"], odd["values"]) == (ODD, [None, 2.0, None, None])


def test_without_names_the_filter_of_the_table_decides(bob, browser_for, project, runs):
    runs[1].tags.add(Tag.objects.create(project=project, name="final"))
    browser = browser_for(bob)
    assert browser.get(data_url(project, axis="param:lr")).json()["slugs"] == ["run-3", "run-2", "run-1", "run-0"]
    assert browser.get(data_url(project, axis="param:lr", q="params.lr > 0.005")).json()["slugs"] == ["run-1", "run-0"]
    assert browser.get(data_url(project, axis="param:lr", tag="final")).json()["slugs"] == ["run-1"]
    assert browser.get(data_url(project, axis="param:lr", status="running")).json()["slugs"] == ["run-3", "run-2", "run-1", "run-0"]
    assert browser.get(data_url(project, axis="param:lr", q="plain")).json()["slugs"] == ["run-0"]


def test_every_literal_and_term_is_a_filter_that_finds_what_it_says(bob, browser_for, project, runs):
    browser = browser_for(bob)
    answer = browser.get(data_url(project, axis=["param:optimizer.name", "param:layers", "param:amp", f"param:{ODD}", f"param:{LONG}", "max:accuracy"]))
    tried = 0
    for axis in answer.json()["axes"]:
        for place, spelled in enumerate(axis["literals"] or []):
            if spelled is None:
                continue
            found = browser.get(data_url(project, axis=axis["key"], q=f"{axis['term']} = {spelled}")).json()["axes"][0]
            assert {found["words"][value] if found["words"] else f"{value:g}" for value in found["values"]} == {axis["words"][place]}
            tried += 1
    assert tried == 8
    numbers = browser.get(data_url(project, axis=f"param:{ODD}", q=f"{axis_of(answer, f'param:{ODD}')['term']} >= 2")).json()
    assert numbers["slugs"] == ["run-1"]
    assert browser.get(data_url(project, axis="max:accuracy", q=f"{axis_of(answer, 'max:accuracy')['term']} >= 0.9")).json()["slugs"] == ["run-0"]


def test_the_data_come_as_csv_and_parquet(bob, browser_for, project, runs):
    query = {"axis": ["param:lr", "param:layers", "metric:train/loss"], "e": "run-0,run-1,run-2,run-3"}
    text = browser_for(bob).get(data_url(project, format="csv", **query))
    rows = list(csv.DictReader(io.StringIO(b"".join(text).decode())))
    assert [row["param:layers"] for row in rows] == ["2", "two", "[2, 2]", "4"]
    assert [row["metric:train/loss"] for row in rows] == ["2.0", "NaN", "", ""]
    assert [row["name"] for row in rows] == ["plain", "تجربة", ODD, LONG]
    table = pq.read_table(io.BytesIO(b"".join(browser_for(bob).get(data_url(project, format="parquet", **query)))))
    assert table.column("param:lr").to_pylist() == [0.1, 0.01, 0.001, None]
    assert math.isnan(table.column("metric:train/loss").to_pylist()[1])


# Bounds and errors ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["lr", "at:loss@loss", "param:", "name", "param:" + "x" * 400, "median:loss"])
def test_what_is_no_axis_is_refused_in_a_sentence_that_scripts_read(bob, browser_for, project, runs, key):
    answer = browser_for(bob).get(data_url(project, axis=key), headers={"accept": "application/json"})
    assert answer.status_code == 422
    assert "axis is param:<name>" in answer.json()["error"]["message"]


def test_more_axes_than_are_drawn_at_once_are_refused(bob, browser_for, project, runs):
    fit, beyond = ([f"param:p{i}" for i in range(n)] for n in (AXES_MOST, AXES_MOST + 1))
    assert browser_for(bob).get(data_url(project, axis=fit)).status_code == 200
    answer = browser_for(bob).get(data_url(project, axis=beyond), headers={"accept": "application/json"})
    assert (answer.status_code, f"At most {AXES_MOST} axes" in answer.json()["error"]["message"]) == (422, True)


def test_a_filter_that_is_not_understood_and_an_unknown_format_are_refused(bob, browser_for, project, runs):
    answer = browser_for(bob).get(data_url(project, axis="param:lr", q="params.lrr > 1"), headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["suggestion"]) == (422, "params.lr")
    assert browser_for(bob).get(data_url(project, axis="param:lr", format="xls")).status_code == 422
    page = browser_for(bob).get(page_url(project, q="params.lrr > 1")).content.decode()
    assert "The project has no param lrr." in page
    assert "data-explore" not in page


def test_an_axis_with_too_many_words_says_so_and_draws_nothing(project):
    axis = param_axis("param:note", "note", [{"note": f"text {i}"} for i in range(WORDS_MOST + 1)])
    assert axis.refusal == "note has 1,001 different values that are no numbers; an axis takes 1,000 at most."
    assert set(axis.values) == {None}
    assert len(param_axis("param:note", "note", [{"note": f"text {i}"} for i in range(WORDS_MOST)]).words) == WORDS_MOST


def test_the_newest_ten_thousand_are_drawn_and_the_others_counted_and_said(bob, browser_for, project, store, capsys):
    made = [Experiment(project=project, name=f"e{i}", slug=f"e{i}", params={"lr": i, "optimizer": {"name": "adam"}}) for i in range(DRAWN_MOST + 1)]
    Experiment.objects.bulk_create(made)
    insert_summaries(store, project, made)
    browser, keys = browser_for(bob), ["param:lr", "param:optimizer.name", "max:accuracy"]
    began = time.perf_counter()
    response = browser.get(data_url(project, axis=keys))
    answer, took_ms = response.json(), 1000 * (time.perf_counter() - began)
    with capsys.disabled():
        print(f"\n10,000 experiments over three axes: {took_ms:.0f} ms, {len(response.content) / 1e6:.1f} MB")
    assert (len(answer["slugs"]), answer["beyond"]) == (DRAWN_MOST, 1)
    assert [axis["missing"] for axis in answer["axes"]] == [0, 0, 0]
    assert "1 more fit the filter: the newest 10,000 are drawn." in browser.get(page_url(project)).content.decode().replace("\u202f", ",")


def test_a_comparison_draws_a_hundred_and_says_how_many_more_there_are(bob, browser_for, project):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"n{i}", slug=f"n{i}", params={"lr": i}) for i in range(103)])
    answer = browser_for(bob).get(data_url(project, axis="param:lr", e=",".join(f"n{i}" for i in range(103)))).json()
    assert (len(answer["slugs"]), answer["beyond"]) == (100, 3)


def test_lanes_beyond_the_most_are_left_out_with_a_sentence(bob, browser_for, project, runs):
    html = browser_for(bob).get(page_url(project, pc=[f"param:p{i}" for i in range(LANES_MOST + 2)])).content.decode()
    assert "2 that the address names are left out." in html


def test_without_the_metric_store_params_are_drawn_and_a_file_is_refused(bob, browser_for, project, runs, store_away):  # noqa: F811
    answer = browser_for(bob).get(data_url(project, axis=["param:lr", "max:accuracy"])).json()
    assert (answer["isStoreAway"], answer["axes"][0]["missing"], answer["axes"][1]["missing"]) == (True, 1, 4)
    assert browser_for(bob).get(data_url(project, axis=["max:accuracy"], format="csv")).status_code == 503


def test_a_stranger_finds_neither_page_nor_data(carol, browser_for, project, runs):
    assert browser_for(carol).get(page_url(project)).status_code == 404
    assert browser_for(carol).get(data_url(project, axis="param:lr")).status_code == 404
    assert browser_for(carol).get(data_url(project, axis="param:lr", e="run-0")).status_code == 404


def test_experiments_of_another_project_are_not_drawn(bob, browser_for, project, team, runs):
    other = Experiment.objects.create(project=Project.objects.create(team=team, name="other"), name="foreign", params={"lr": 5})
    answer = browser_for(bob).get(data_url(project, axis="param:lr", e=f"run-0,{other.pk}")).json()
    assert answer["slugs"] == ["run-0"]


class Counting:
    """The engine, and how many queries it was asked."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.asked = engine, 0

    def query(self, *args: Any, **more: Any) -> Any:
        self.asked += 1
        return self.engine.query(*args, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


def test_however_many_axes_and_experiments_there_are_the_queries_are_the_same(bob, browser_for, project, runs, log):
    browser, counts, engine = browser_for(bob), [], process.repository().engine
    for many in (1, 40):
        Experiment.objects.bulk_create([Experiment(project=project, name=f"m{many}-{i}", slug=f"m{many}-{i}", params={"lr": i}) for i in range(many)])
        keys = ["param:lr", "param:layers", "max:accuracy", "last:accuracy", "metric:train/loss", "min:train/loss"][: 6 if many > 1 else 5]
        counting = process.repository().engine = Counting(engine)
        try:
            with CaptureQueriesContext(connection) as asked:
                assert browser.get(data_url(project, axis=keys)).status_code == 200
            with CaptureQueriesContext(connection) as paged:
                assert browser.get(page_url(project)).status_code == 200
        finally:
            process.repository().engine = engine
        counts.append((len(asked), len(paged), counting.asked))
    assert counts[0] == counts[1]
    assert counts[1][2] == 1
    assert counts[1][0] <= 7
    assert counts[1][1] <= 14


# The pages -----------------------------------------------------------------------------------------------------------------------------------


def test_the_table_leads_to_explore_with_its_filter(bob, browser_for, project, runs):
    html = browser_for(bob).get(reverse("projects:project", args=[project.team.slug, project.slug]) + "?q=plain").content.decode()
    assert f'href="{page_url(project).rstrip("?")}?q=plain"' in html


def test_names_are_text_on_the_page_and_long_ones_are_cut_with_a_title(bob, browser_for, project, runs):
    html = browser_for(bob).get(page_url(project)).content.decode()
    assert "<script>alert" not in html
    assert f'title="{LONG}"' in html
    assert LONG[:39] + "…" in html


def test_the_section_of_a_comparison_is_folded_until_asked_for_or_brushed(bob, browser_for, project, runs):
    browser, chosen_runs = browser_for(bob), "e=run-0,run-1"
    assert 'id="axes">' in browser.get(url(project, chosen_runs)).content.decode()
    assert 'id="axes" open>' in browser.get(url(project, f"{chosen_runs}&axes=open")).content.decode()
    assert 'id="axes" open>' in browser.get(url(project, f"{chosen_runs}&br=param%3Alr,0,1")).content.decode()


def test_without_a_script_a_form_draws_a_still_scatter_and_says_what_has_no_place(bob, browser_for, project, runs):
    html = browser_for(bob).get(page_url(project, draw="1", sx="param:lr", sy="metric:accuracy", syhow="max", lg="param:lr")).content.decode()
    figure = html.split("still-scatter", 1)[1].split("</figure>", 1)[0]
    assert figure.count("h0") == 4
    assert "1 have no place on lr (1 without a value, 0 NaN or infinite; a log axis shows what is above zero)" in " ".join(figure.split())
    assert "2 have no place on accuracy (1 without a value, 1 NaN or infinite)" in " ".join(figure.split())
    assert "<option selected>max</option>" in html


def test_a_still_scatter_of_a_comparison_has_its_runs_alone(bob, browser_for, project, runs):
    html = browser_for(bob).get(url(project, "e=run-0,run-1&draw=1&sx=param:lr&sy=param:layers")).content.decode()
    assert html.split("still-scatter", 1)[1].split("</figure>", 1)[0].count("h0") == 2


def test_a_project_without_params_and_metrics_says_that_there_is_nothing_to_draw(bob, browser_for, project):
    Experiment.objects.create(project=project, name="empty")
    assert "nothing to draw" in browser_for(bob).get(page_url(project)).content.decode()
    assert "No experiment fits this filter." in browser_for(bob).get(page_url(project, q="nowhere")).content.decode()


# Pure parts ----------------------------------------------------------------------------------------------------------------------------------


def test_what_an_address_does_not_say_the_names_decide():
    choices = choices_of([{"lr": 1, "seed": 1, "same": 0}, {"lr": 2, "seed": 2, "same": 0}], ["accuracy", "loss"], Seeds())
    assert choices == Choices(["lr", "seed", "same"], ["accuracy", "loss"], 0, 1)
    made = chosen(QueryDict(), choices)
    assert (made.x, made.y, made.colour, made.lanes) == ("param:lr", "metric:accuracy", "", ["param:lr", "metric:accuracy", "metric:loss"])
    asked = chosen(QueryDict("sx=min:loss&sy=nonsense&sc=param:seed&pc=param:same&pc=param:same&pc=&lg=param:lr"), choices)
    assert (asked.x, asked.y, asked.colour, asked.lanes, asked.logs) == ("min:loss", "metric:accuracy", "param:seed", ["param:same"], ["param:lr"])


@pytest.mark.parametrize("name", ["lr", "a.b", "a b", "a..b", ".a", "max", "`a`", 'say "hi"', "<b>", LONG])
def test_the_term_of_a_param_reads_as_that_param(name):
    term = param_term(name, tuple(name.split(".")))
    assert term is not None
    subject = parse(f"{term} = 1").subject  # type: ignore[union-attr]
    assert ".".join(subject.path) == name


def test_a_name_that_no_filter_can_spell_has_no_term():
    assert param_term("`\"'", ("`\"'",)) is None


@pytest.mark.parametrize(
    ("value", "spelled"),
    [(True, "true"), (2, "2"), (1e-7, "1e-07"), ("none", '"none"'), ('a"\\', '"a\\"\\\\"'), ([1], None), ("x" * 251, None), (math.inf, None)],
)
def test_a_literal_is_spelled_as_the_language_reads_it(value, spelled):
    assert literal(value) == spelled


def test_numbers_too_large_for_a_float_are_infinite():
    axis = param_axis("param:n", "n", [{"n": 10**400}, {"n": -(10**400)}, {"n": 1}])
    assert (axis.values, axis.odd) == (["Infinity", "-Infinity", 1.0], 2)


def test_points_of_no_experiment_ask_nothing(project):
    made = scatter.Scatter(project, scatter_views.NOTHING, Numbers(), ["max:loss"])
    assert made.as_json()["axes"][0]["values"] == []
