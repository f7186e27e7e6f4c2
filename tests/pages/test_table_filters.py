"""The project's table by conditions: filters, columns, several sort keys, saved views, whole tables as files."""

from __future__ import annotations

import csv
import io
import re
import time
from html import unescape
from urllib.parse import quote, urlencode

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import Experiment, Tag
from metrics.drain.block import summary_columns
from metrics.points.states import states
from projects.models import ProjectMetric, SavedView
from tests.pages.test_project_table import BASE, PART, names, shown, store_away  # noqa: F401

pytestmark = pytest.mark.differs_on_servers("conditions on JSON, text and numbers are SQL of each database's own")
EXAMPLE = 'params.lr < 1e-3 and metrics.accuracy.max > 0.9 and tags has "final"'


def asked(**query) -> str:
    return BASE + "?" + urlencode(query, doseq=True)


@pytest.fixture
def runs(project, log) -> list[Experiment]:
    params = [
        {"lr": 1e-4, "optimizer": {"name": "adam", "beta": 0.9}, "amp": True, "layers": [1, 2], "note": "a=b"},
        {"lr": 1e-4, "optimizer": {"name": "sgd"}, "amp": False, "optimizer.name": "literal"},
        {"lr": 0.1, "optimizer": {"name": "adam"}, "layers": "1"},
    ]
    made = [Experiment.objects.create(project=project, name=f"run {i}", params=params[i], seed=i, host=f"gpu{i}") for i in range(3)]
    tag = Tag.objects.create(project=project, name="final")
    made[0].tags.add(tag)
    made[2].tags.add(tag)
    log(made[0], {"accuracy": [0.5, 0.95, 0.8], "train/loss": [3.0, 2.0, 1.0]})
    log(made[1], {"accuracy": [0.5, "NaN"], "train/loss": [9.0, 8.0]})
    Experiment.objects.filter(pk=made[1].pk).update(status="failed", failure_kind="diverged")
    return made


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (EXAMPLE, "0"),
        ("params.lr < 1e-3", "10"),
        ("not params.lr < 1e-3", "2"),
        ("params.optimizer.name = adam", "20"),
        ("params.optimizer.name = literal", "1"),
        ("params.optimizer.name != adam", "1"),
        ("params.optimizer.beta = none", "21"),
        ("params.amp = true", "0"),
        ("params.amp = 1", ""),
        ("params.amp != true", "21"),
        ("params.layers has 2", "0"),
        ('params.layers = "1"', "2"),
        ("params.layers = 1", ""),
        ('params.note = "a=b"', "0"),
        ('params.optimizer.name ~ "^a.a"', "20"),
        ("metrics.accuracy.max > 0.9", "0"),
        ("metrics.accuracy.max <= 0.5", "1"),
        ("metrics.accuracy.last = nan", "1"),
        ("metrics.accuracy.last = none", "2"),
        ("metrics.accuracy.last != 0.8", "21"),
        ("metrics.accuracy.avg > 0.7", "0"),
        ("metrics.`train/loss`.min < 5", "0"),
        ("metrics.train/loss < 5 or tags has final", "20"),
        ("metrics.train/loss in (1, 8)", "10"),
        ("seed in (0, 2) and seed > 0", "2"),
        ("status = diverged", "1"),
        ("status = failed", "1"),
        ("status != running", "1"),
        ("status = stalled", ""),
        ("status in (running, failed)", "210"),
        ("name contains RUN", "210"),
        ('name ~ "(r+)+u*n [01]$"', "10"),
        ("host = gpu2", "2"),
        ("created > 2020-01-01", "210"),
        ("created < 2020-01-01", ""),
        ("(seed = 0 or seed = 1) and not host = gpu1", "0"),
        ('"a=b"', "0"),
        ("run 1", "1"),
    ],
)
def test_the_table_shows_what_fits_the_filter(browser_for, bob, runs, where, found):
    answer = browser_for(bob).get(asked(q=where))
    assert [name[-1] for name in names(answer)] == list(found)
    assert answer.context["table"].trouble is None


@pytest.mark.parametrize(
    "where",
    [
        "params.`gro\u0308ße` = 1",
        "params.nested.`la\u0308nge` = 2 or params.`gro\u0308ße` = 1",
        "metrics.`schwa\u0308che`.max > 0",
        "metrics.` schwäche `.max > 0",
        'tags has "fru\u0308h"',
        'name = "mu\u0308de"',
        'name contains "mu\u0308"',
        'name in ("x", "mu\u0308de")',
        'not name != "mu\u0308de"',
        'group = "gru\u0308n"',
    ],
)
def test_a_filter_finds_names_however_their_letters_are_composed(browser_for, bob, project, runs, log, where):
    named = Experiment.objects.create(project=project, name="müde", replicate_group="grün", params={"größe": 1, "nested": {"länge": 2}})
    named.tags.add(Tag.objects.create(project=project, name="früh"))
    log(named, {"schwäche": [1.0]})
    assert names(browser_for(bob).get(asked(q=where))) == ["müde"]


def test_a_filter_finds_names_from_before_they_were_composed(browser_for, bob, project, runs, log):
    old = Experiment.objects.create(project=project, name="mu\u0308de", params={"gro\u0308ße": 1})
    old.tags.add(Tag.objects.create(project=project, name="fru\u0308h"))
    for where in ("params.`gro\u0308ße` = 1", 'name = "mu\u0308de"', 'tags has "fru\u0308h"'):
        assert names(browser_for(bob).get(asked(q=where))) == ["mu\u0308de"]


def test_an_error_is_shown_under_the_box_and_points_at_the_word(browser_for, bob, runs):
    text = browser_for(bob).get(asked(q="seed = 1 and metrics.acuracy.max > 0.9")).content.decode()
    assert "The project has no metric acuracy." in text
    assert "seed = 1 and <mark>metrics.acuracy.max</mark> &gt; 0.9" in text
    mended = "?" + urlencode({"q": "seed = 1 and metrics.accuracy.max > 0.9"})
    assert f'href="{BASE}{mended}"' in text
    assert "The filter is not understood: nothing is shown." in text


def test_htmx_leaves_the_table_alone_while_a_filter_is_half_typed(browser_for, bob, runs):
    answer = browser_for(bob).get(asked(q="params.lr <"), headers=PART)
    assert answer["HX-Reswap"] == "none"
    assert answer["HX-Push-Url"] == "false"
    assert b'id="filter-error"' in answer.content
    assert b'hx-swap-oob="true"' in answer.content
    assert b'id="table"' not in answer.content
    assert b"<mark>" not in browser_for(bob).get(asked(q="params.lr < 1"), headers=PART).content


def test_what_is_typed_into_a_filter_is_shown_as_text(browser_for, bob, runs):
    text = browser_for(bob).get(asked(q='params.<script>alert(1)</script> = "x"')).content.decode()
    assert "<script>alert" not in text


def test_without_the_metric_store_a_filter_by_metrics_says_so(browser_for, bob, runs, store_away):  # noqa: F811
    text = browser_for(bob).get(asked(q="metrics.accuracy.max > 0.9")).content.decode()
    assert "The metric store is away" in text
    assert names(browser_for(bob).get(asked(q="seed = 1"))) == ["run 1"]
    assert browser_for(bob).get(asked(format="csv")).status_code == 503


def test_words_complete_what_is_typed(browser_for, bob, carol, runs):
    path = BASE + "filter-words?q=" + quote("seed = 1 and metrics.acc")
    assert '<option value="seed = 1 and metrics.accuracy.max">' in browser_for(bob).get(path).content.decode()
    assert browser_for(carol).get(path).status_code == 404
    text = browser_for(bob).get(BASE).content.decode()
    assert 'list="filter-words"' in text
    assert f'hx-get="{BASE}filter-words"' in text


def test_a_metric_has_a_column_for_each_aggregate(browser_for, bob, runs):
    answer = browser_for(bob).get(asked(columns=["max:accuracy", "min:accuracy", "avg:train/loss", "last:accuracy", "sum:accuracy"], sort="name"))
    assert shown(answer) == ["max:accuracy", "min:accuracy", "avg:train/loss", "last:accuracy"]
    assert [cell.value for cell in answer.context["rows"][0].cells] == [0.95, 0.5, 2.0, 0.8]
    assert names(browser_for(bob).get(asked(sort="-max:accuracy"))) == ["run 0", "run 1", "run 2"]
    added = browser_for(bob).get(asked(columns="status", add="accuracy", how="max"))
    assert shown(added) == ["status", "max:accuracy"]
    assert 'value="min:accuracy"' in added.content.decode()


def test_a_column_shows_what_one_metric_was_where_another_was_best(browser_for, bob, runs, project, log):
    log(runs[2], {"accuracy": [0.9, 0.9]}, steps=[5, 7])
    log(runs[2], {"train/loss": [4.0, 6.0]}, steps=[4, 7])
    project.metrics.filter(name="accuracy").update(direction="maximize")
    answer = browser_for(bob).get(asked(columns="status", add="train/loss", best="accuracy", sort="name"))
    assert shown(answer) == ["status", "at:train/loss@accuracy"]
    assert [row.cells[1].value for row in answer.context["rows"]] == [2.0, 9.0, 4.0]
    project.metrics.filter(name="accuracy").update(direction="minimize")
    answer = browser_for(bob).get(asked(columns="at:train/loss@accuracy", sort="name"))
    assert [row.cells[0].value for row in answer.context["rows"]] == [3.0, 9.0, 4.0]


def test_where_nobody_said_which_way_is_better_there_is_no_best(browser_for, bob, runs):
    assert shown(browser_for(bob).get(asked(columns=["status", "at:train/loss@accuracy"]))) == ["status"]


def test_several_keys_sort_one_after_the_other(browser_for, bob, project, runs):
    assert names(browser_for(bob).get(asked(sort="param:lr,-seed"))) == ["run 1", "run 0", "run 2"]
    assert names(browser_for(bob).get(asked(sort="-param:lr,seed"))) == ["run 2", "run 0", "run 1"]
    answer = browser_for(bob).get(asked(sort="-param:lr,-max:accuracy"))
    assert names(answer) == ["run 2", "run 0", "run 1"]
    headings = {heading.column.key: heading for heading in answer.context["table"].headings}
    assert (headings["param:lr"].place, headings["param:lr"].sorted) == (1, "descending")
    assert headings["seed"].also == "?" + urlencode({"sort": "-param:lr,-max:accuracy,seed"})
    assert headings["param:lr"].also == "?" + urlencode({"sort": "param:lr,-max:accuracy"})
    assert headings["param:lr"].link == "?" + urlencode({"sort": "param:lr"})


def test_a_name_with_a_comma_can_be_sorted_by(browser_for, bob, project, log):
    for i, name in enumerate(("low", "high")):
        log(Experiment.objects.create(project=project, name=name), {"top,5%": [float(i)]})
    answer = browser_for(bob).get(BASE)
    link = next(heading.link for heading in answer.context["table"].headings if heading.column.name == "top,5%")
    assert names(browser_for(bob).get(BASE + link)) == ["high", "low"]


def test_columns_are_moved_pinned_and_hidden_by_links(browser_for, bob, runs):
    browser = browser_for(bob)
    page = browser.get(asked(columns=["status", "seed", "tags"], arrange="1"))

    def moved(page, key: str, word: str):
        heading = next(heading for heading in page.context["table"].headings if heading.column.key == key)
        return browser.get(BASE + heading.moves[word])

    assert shown(moved(page, "seed", "left")) == ["seed", "status", "tags"]
    assert shown(moved(page, "seed", "right")) == ["status", "tags", "seed"]
    pinned = moved(page, "tags", "pin")
    assert shown(pinned) == ["tags", "status", "seed"]
    assert "pinned pin-1" in pinned.content.decode()
    assert shown(moved(moved(pinned, "seed", "pin"), "seed", "left")) == ["seed", "tags", "status"]
    assert shown(moved(pinned, "tags", "unpin")) == ["status", "seed", "tags"]
    assert shown(moved(pinned, "tags", "hide")) == ["status", "seed"]
    assert "moves" not in browser.get(BASE).content.decode().split("<tbody>")[0].split("<thead>")[1]


def test_an_editor_saves_a_view_and_a_viewer_uses_its_link(browser_for, erin, bob, carol, runs, project):
    query = "?" + urlencode({"q": EXAMPLE, "sort": "param:lr,-seed", "columns": ["seed", "max:accuracy"], "pin": "seed"}, doseq=True)
    saved = browser_for(erin).post(f"{BASE}views/", {"name": "best runs", "query": query + "&page=4&evil=//example.com"})
    assert saved.status_code == 302
    view = SavedView.objects.get(project=project)
    assert (view.name, view.by, view.query) == ("best runs", erin, query)
    answer = browser_for(bob).get(f"{BASE}views/{view.pk}", follow=True)
    assert names(answer) == ["run 0"]
    assert shown(answer) == ["seed", "max:accuracy"]
    assert f'href="{BASE}views/{view.pk}"' in answer.content.decode()
    assert browser_for(carol).get(f"{BASE}views/{view.pk}").status_code == 404
    assert browser_for(bob).post(f"{BASE}views/", {"name": "mine", "query": ""}).status_code == 403
    assert browser_for(bob).post(f"{BASE}views/{view.pk}/delete").status_code == 403
    assert browser_for(erin).post(f"{BASE}views/{view.pk}/delete").status_code == 302
    assert not SavedView.objects.exists()


def test_a_name_that_is_taken_changes_no_view(browser_for, erin, runs, project):
    SavedView.objects.create(project=project, name="mine", query="?q=a")
    answer = browser_for(erin).post(f"{BASE}views/", {"name": "mine", "query": "?q=b"}, follow=True)
    assert answer.redirect_chain == [(f"{BASE}?q=b", 302)]
    assert "There is a view mine already" in answer.content.decode()
    assert SavedView.objects.get().query == "?q=a"
    assert "Give the view a name." in browser_for(erin).post(f"{BASE}views/", {"name": " ", "query": "?q=b"}, follow=True).content.decode()
    assert SavedView.objects.count() == 1


def test_a_view_of_another_project_is_not_found(browser_for, erin, runs, team):
    other = SavedView.objects.create(project=team.projects.create(name="other"), name="theirs")
    assert browser_for(erin).get(f"{BASE}views/{other.pk}").status_code == 404
    assert browser_for(erin).post(f"{BASE}views/{other.pk}/delete").status_code == 404


def test_the_whole_filtered_table_is_exported_in_its_order_with_its_columns(browser_for, bob, project, runs):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"e{i:04d}", slug=f"e{i:04d}", params={"lr": i}) for i in range(1200)])
    query = {"columns": ["status", "metric:accuracy", "min:train/loss", "param:lr", "param:layers", "tags", "created"], "sort": "-seed,name"}
    answer = browser_for(bob).get(asked(**query, format="csv"))
    assert answer.streaming
    assert 'filename="digits.csv"' in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert list(rows[0]) == ["id", "slug", "name", "status", "accuracy", "min:train/loss", "param:lr", "param:layers", "tags", "created"]
    assert [row["name"] for row in rows[:4]] == ["run 2", "run 1", "run 0", "e0000"]
    assert len(rows) == 1203
    assert (rows[1]["accuracy"], rows[2]["accuracy"], rows[2]["min:train/loss"], rows[0]["accuracy"]) == ("NaN", "0.8", "1.0", "")
    assert (rows[2]["param:lr"], rows[2]["param:layers"], rows[0]["param:layers"], rows[2]["tags"]) == ("0.0001", "[1, 2]", "1", '["final"]')
    table = pq.read_table(io.BytesIO(browser_for(bob).get(asked(**query, format="parquet")).getvalue()))
    assert table.num_rows == 1203
    kinds = [str(table.schema.field(name).type) for name in ("accuracy", "param:lr", "param:layers", "created")]
    assert kinds == [
        "double",
        "double",
        "string",
        "timestamp[us, tz=UTC]",
    ]
    assert table["name"].to_pylist()[:4] == ["run 2", "run 1", "run 0", "e0000"]
    one = browser_for(bob).get(asked(q="seed = 1", format="csv")).getvalue().decode()
    assert one.count("\r\n") == 2


def test_a_table_is_offered_as_its_shown_columns_or_as_everything_and_both_are_named(browser_for, bob, project, runs):
    Experiment.objects.filter(pk=runs[0].pk).update(host="gpu7", params={"lr": 1e-4, "seed": 3, "text": "y" * 5000, "none": None})
    html = browser_for(bob).get(asked(columns=["status"])).content.decode()
    links = dict(re.findall(r'href="([^"]+format=csv)" download aria-label="CSV, ([^"]+)"', html))
    assert sorted(links.values()) == ["everything", "shown columns"]
    rows = {}
    for link, of in links.items():
        answer = browser_for(bob).get(unescape(link)).getvalue().decode()
        rows[of] = {row["name"]: row for row in csv.DictReader(io.StringIO(answer))}
    assert list(rows["shown columns"]["run 0"]) == ["id", "slug", "name", "status"]
    whole = rows["everything"]["run 0"]
    assert len(rows["everything"]) == len(rows["shown columns"]) == 3
    assert {"status", "changed", "seed", "took", "created", "last_point", "tags", "host", "git_commit", "accuracy", "min:train/loss", "avg:train/loss"} < set(
        whole
    )
    assert (whole["host"], whole["param:lr"], whole["param:seed"], whole["param:text"]) == ("gpu7", "0.0001", "3", "y" * 5000)
    assert "param:none" not in whole


def test_whole_numbers_are_exported_as_such_and_the_largest_as_they_can_be(browser_for, bob, project):
    params = [{"width": 18, "huge": 10**400}, {"width": 2**53 + 1, "huge": 1}, {"width": None}]
    Experiment.objects.bulk_create([Experiment(project=project, name=f"e{n}", slug=f"e{n}", params=each) for n, each in enumerate(params)])
    query = {"columns": ["param:width", "param:huge"], "sort": "name"}
    rows = list(csv.DictReader(io.StringIO(browser_for(bob).get(asked(**query, format="csv")).getvalue().decode())))
    assert [(row["param:width"], row["param:huge"]) for row in rows] == [("18", "Infinity"), (str(2**53 + 1), "1.0"), ("", "")]
    table = pq.read_table(io.BytesIO(browser_for(bob).get(asked(**query, format="parquet")).getvalue()))
    assert table["param:width"].to_pylist() == [18, 2**53 + 1, None]


def test_a_file_is_refused_where_the_filter_is_not_understood(browser_for, bob, runs):
    assert browser_for(bob).get(asked(q="params.lr <", format="csv")).status_code == 422
    assert browser_for(bob).get(asked(format="xlsx")).status_code == 422


def test_the_api_speaks_the_same_language(api_for, bob, runs, project):
    api = api_for(bob)
    answer = api.get("/api/v1/experiments", {"project": "digits", "where": EXAMPLE})
    assert [row["name"] for row in answer.json()["results"]] == ["run 0"]
    assert answer.json()["count"] == 1
    ordered = api.get("/api/v1/experiments", {"project": "digits", "where": "seed >= 0", "ordering": "name", "page_size": 2, "page": 2})
    assert [row["name"] for row in ordered.json()["results"]] == ["run 2"]
    table = api.get(f"/api/v1/metrics/summary/{project.slug}", {"where": "metrics.accuracy.max > 0.9"}).json()
    assert [row["name"] for row in table["experiments"]] == ["run 0"]


@pytest.mark.parametrize("path", ["/api/v1/experiments?project=digits&", "/api/v1/metrics/summary/digits?"])
def test_the_api_points_at_what_it_does_not_understand(api_for, bob, runs, path):
    answer = api_for(bob).get(path + urlencode({"where": "seed = 1 and metrics.acuracy.max > 0.9"}))
    assert answer.status_code == 422
    fault = answer.json()["error"]["errors"][0]
    assert (fault["field"], fault["position"], fault["length"]) == ("where", 13, 19)
    assert fault["suggestion"] == "metrics.accuracy.max"


def test_where_needs_a_project_that_is_the_callers(api_for, bob, carol, runs):
    answer = api_for(bob).get("/api/v1/experiments", {"where": "seed = 1"})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["field"]) == (422, "project")
    assert api_for(carol).get("/api/v1/experiments", {"project": "digits", "where": "seed = 1"}).status_code == 404


def test_without_the_metric_store_the_api_says_to_come_back(api_for, bob, runs, store_away):  # noqa: F811
    answer = api_for(bob).get("/api/v1/experiments", {"project": "digits", "where": "metrics.accuracy.max > 0.9"})
    assert answer.status_code == 503


def test_the_summary_is_exported_as_csv_and_parquet(api_for, bob, runs):
    path = "/api/v1/metrics/summary/digits"
    rows = list(csv.DictReader(io.StringIO(api_for(bob).get(path, {"format": "csv", "where": "seed = 0"}).getvalue().decode())))
    assert [(row["slug"], row["metric"], row["value"], row["max"], row["count"]) for row in rows] == [
        ("run-0", "accuracy", "0.8", "0.95", "3"),
        ("run-0", "train/loss", "1.0", "3.0", "3"),
    ]
    table = pq.read_table(io.BytesIO(api_for(bob).get(path, {"format": "parquet"}).getvalue()))
    assert table.num_rows == 4
    assert api_for(bob).get(path, {"format": "xml"}).status_code == 422


COUNTED = [
    {"q": EXAMPLE},
    {"q": "metrics.accuracy.max > 0", "sort": "-metric:accuracy,param:lr"},
    {"q": "params.lr < 1", "columns": ["at:train/loss@accuracy", "max:accuracy"]},
]


@pytest.mark.parametrize("query", COUNTED)
def test_a_filtered_table_takes_as_many_queries_for_few_rows_as_for_many(browser_for, bob, project, runs, query):
    project.metrics.filter(name="accuracy").update(direction="maximize")
    browser = browser_for(bob)

    def count() -> int:
        with CaptureQueriesContext(connection) as made:
            assert browser.get(asked(**query)).context["table"].trouble is None
        return len(made)

    few = count()
    Experiment.objects.bulk_create([Experiment(project=project, name=f"e{i}", slug=f"e{i}", params={"lr": 1e-4}) for i in range(80)])
    assert few == count() <= 26


@pytest.mark.slow
def test_ten_thousand_experiments_are_filtered_and_sorted(browser_for, bob, project, runs, store, capsys):
    params = {"optimizer": {"name": "adam"}, "depth": 4}
    made = [Experiment(project=project, name=f"e{i}", slug=f"e{i}", params={"lr": 10 ** -(i % 5), "width": i, **params}) for i in range(10_000)]
    Experiment.objects.bulk_create(made)
    insert_summaries(store, project, made)
    browser = browser_for(bob)
    queries = {
        "param": {"q": "params.lr < 1e-3"},
        "param, sorted by a metric": {"q": "params.lr < 1e-3", "sort": "-metric:accuracy"},
        "param and metric, two keys": {"q": "params.lr < 1e-2 and metrics.accuracy.max > 0.5", "sort": "param:lr,-max:accuracy"},
    }
    browser.get(asked(q="params.lr < 1"))
    for name, query in queries.items():
        took_ms = []
        for _ in range(5):
            began = time.perf_counter()
            answer = browser.get(asked(**query))
            took_ms.append(1000 * (time.perf_counter() - began))
        with capsys.disabled():
            print(f"\n10,000 experiments, {name}: {answer.context['table'].total} found, {min(took_ms):.0f} to {max(took_ms):.0f} ms")
        assert answer.context["table"].total > 1000


def insert_summaries(store, project, experiments) -> None:
    """One series of accuracy for each, as the drain would write it."""
    ProjectMetric.objects.get_or_create(project=project, name="accuracy")
    ids = np.arange(len(experiments))
    found = states(ids, ids, ids + 10**15, ids.astype(np.uint64), ids / len(experiments), ids)
    rows = [(each.pk.bytes, "accuracy", project.team_id.bytes, project.pk.bytes, 1, found[n].packed(), found[n].once, 0) for n, each in enumerate(experiments)]
    store.repository.insert_summaries(summary_columns(rows, spool=7))
