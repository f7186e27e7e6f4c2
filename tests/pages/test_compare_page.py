"""The compare page: who is compared, what the tables say, and that the address holds the whole view."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from experiments import lifecycle
from experiments.compare.comparison import Comparison
from experiments.compare.outlook import Outlook, outlook
from experiments.compare.runs import best_of
from experiments.models import Experiment
from experiments.notation.params import flat
from experiments.readings.arm_names import arm_name, cut_apart
from experiments.readings.selection import select
from metrics import process
from metrics.store import freshness
from projects.models import Project, ProjectMetric
from tests.counting import Counting

pytestmark = pytest.mark.differs_on_servers("PostgreSQL keeps the keys of JSON in an order of its own; answers are kept in the shared cache")


def url(project: Project, query: str = "") -> str:
    return reverse("experiments:compare", args=[project.team.slug, project.slug]) + (f"?{query}" if query else "")


def text_of(html: str) -> str:
    """What a reader sees, without tags and doubled spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


def section(html: str, id_: str) -> str:
    return html.split(f'id="{id_}"', 1)[1].split("</section>", 1)[0]


def row(html: str, name: str) -> str:
    return next(part for part in html.split("<tr")[1:] if f">{name}<" in part)


@pytest.fixture
def runs(project: Project) -> list[Experiment]:
    """A baseline and two that changed something."""
    base = lifecycle.create(project, by=None, name="baseline", params={"lr": 0.1, "layers": 2, "optimizer": {"name": "sgd", "momentum": 0.9}}, seed=1)
    wide = lifecycle.create(project, by=None, name="wider", parent=base, params={"lr": 0.1, "layers": 4, "optimizer": {"name": "sgd", "momentum": 0.9}}, seed=1)
    slow = lifecycle.create(project, by=None, name="slower", parent=base, params={"lr": 0.01, "layers": 2, "optimizer": {"name": "adam"}}, seed=1)
    return [base, wide, slow]


@pytest.fixture
def logged(runs: list[Experiment], project: Project, log: Any) -> list[Experiment]:
    """The same with points: wider is best in accuracy, slower in loss, and `odd` has no direction."""
    ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize", aggregation="max")
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize", aggregation="last")
    for run, accuracy, loss in zip(runs, (0.90, 0.95, 0.80), (0.5, 0.6, 0.4), strict=True):
        log(run, {"accuracy": [0.1, accuracy, 0.2], "loss": [2.0, 1.0, loss], "odd": [1.0, 2.0, 3.0]})
    return runs


@pytest.fixture
def store_away() -> Iterator[None]:
    """This process does not own the metric store, like one that starts or stops."""
    parts, process.Running.parts = process.Running.parts, None
    yield
    process.Running.parts = parts


# Choosing ----------------------------------------------------------------------------------------------------------------------------------


def test_without_a_choice_the_page_says_how_to_choose_and_offers_the_latest(bob, browser_for, project, runs):
    page = browser_for(bob).get(url(project))
    html = page.content.decode()
    assert page.status_code == 200
    assert "Compare experiments" in html
    assert "Choose 2 to 100" in text_of(html)
    assert all(f'name="e" value="{run.slug}"' in html for run in runs)


def test_one_experiment_is_not_enough_and_comes_ticked(bob, browser_for, project, runs):
    html = browser_for(bob).get(url(project, "e=wider")).content.decode()
    assert "Only wider is chosen" in text_of(html)
    assert 'value="wider" checked' in html


def test_an_empty_project_says_what_to_do(bob, browser_for, project):
    assert "Nothing to compare yet" in browser_for(bob).get(url(project)).content.decode()


@pytest.mark.parametrize("query", ["e=baseline&e=wider", "e=baseline,wider", "e=baseline,&e=%20wider%20&e=wider"])
def test_experiments_are_named_by_repeats_or_commas_and_a_repeat_counts_once(bob, browser_for, project, runs, query):
    html = browser_for(bob).get(url(project, query)).content.decode()
    assert "<h1>2 experiments</h1>" in html


def test_experiments_are_named_by_uuid_too(bob, browser_for, project, runs):
    html = browser_for(bob).get(url(project, f"e={runs[2].pk}&e=baseline")).content.decode()
    assert html.index('data-slug="slower"') < html.index('data-slug="baseline"')


def test_an_unknown_name_is_said_and_the_rest_shown(bob, browser_for, project, runs):
    html = browser_for(bob).get(url(project, "e=baseline&e=nowhere&e=wider")).content.decode()
    assert "Not in this project: nowhere" in text_of(html)
    assert "<h1>2 experiments</h1>" in html


def test_an_experiment_of_another_project_is_unknown_here(bob, browser_for, project, team, runs):
    other = Experiment.objects.create(project=Project.objects.create(team=team, name="other"), name="foreign")
    html = browser_for(bob).get(url(project, f"e=baseline&e=wider&e={other.pk}")).content.decode()
    assert f"Not in this project: {other.pk}" in text_of(html)
    assert "foreign" not in html


def test_more_than_a_hundred_are_cut_with_a_sentence(project):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"run {i}", slug=f"run-{i}") for i in range(103)])
    selection = select(project, [f"run-{i}" for i in range(103)])
    assert (len(selection.experiments), selection.beyond, selection.total) == (100, 3, 103)


def test_more_than_a_hundred_are_said_on_the_page(bob, browser_for, project):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"run {i}", slug=f"run-{i}") for i in range(101)])
    html = browser_for(bob).get(url(project, "e=" + ",".join(f"run-{i}" for i in range(101)))).content.decode()
    assert "101 experiments are chosen, and a comparison holds 100: the first 100 are shown" in text_of(html)


def test_a_stranger_learns_nothing_and_nobody_in_particular_is_asked_to_sign_in(carol, browser_for, client, project, runs):
    assert browser_for(carol).get(url(project, "e=baseline&e=wider")).status_code == 404
    assert client.get(url(project)).status_code == 302


# The summary -------------------------------------------------------------------------------------------------------------------------------


def test_the_best_of_each_metric_is_marked_by_its_direction(bob, browser_for, project, logged):
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider&e=slower")).content.decode(), "summary")
    assert html.count("best </span>") == 2
    assert "best 0.9500" in text_of(row(html, "wider"))
    assert "best 0.4000" in text_of(row(html, "slower"))


def test_deltas_are_against_the_first_and_tell_better_from_worse(bob, browser_for, project, logged):
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider&e=slower")).content.decode(), "summary")
    wider = row(html, "wider")
    assert "delta better" in wider
    assert "delta worse" in wider
    assert "+0.0500 better" in text_of(wider)
    assert "+0.1000 worse" in text_of(wider)
    assert "delta" not in row(html, "baseline").replace("Δ", "")


def test_another_baseline_turns_the_deltas(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project, "e=baseline&e=wider&e=slower&base=wider")).content.decode()
    assert "deltas against wider" in text_of(section(html, "summary"))
    assert "−0.0500 worse" in text_of(row(section(html, "summary"), "baseline"))


def test_a_metric_without_direction_has_neither_best_nor_colour(bob, browser_for, project, logged, log):
    log(logged[1], {"odd": [9.0]}, steps=[9])
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider&metric=odd")).content.decode(), "summary")
    assert "best </span>" not in html
    assert "delta same" in html
    assert "delta better" not in html


def test_a_failed_run_has_no_delta_and_is_never_the_best(bob, browser_for, project, logged, log):
    log(logged[1], {"accuracy": [0.99]}, steps=[7])
    lifecycle.fail(logged[1], "diverged", by=None)
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider&e=slower")).content.decode(), "summary")
    assert 'class="delta' not in row(html, "wider")
    assert "best 0.9000" in text_of(row(html, "baseline"))


def test_nan_is_spelled_out_and_gives_no_delta(bob, browser_for, project, logged, log):
    log(logged[1], {"loss": ["NaN"]}, steps=[7])
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider&e=slower")).content.decode(), "summary")
    assert "NaN" in text_of(row(html, "wider"))


def test_replicates_are_said_and_summed_up_as_arms(bob, browser_for, project, log):
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    base = [lifecycle.create(project, by=None, name=f"baseline · s{i}", params={"lr": 0.1, "seed": i}, seed=i) for i in (1, 2)]
    wide = [lifecycle.create(project, by=None, name=f"wider · s{i}", parent=base[i - 1], params={"lr": 0.1, "width": 9, "seed": i}, seed=i) for i in (1, 2)]
    for run, loss in zip(base + wide, (0.5, 0.7, 0.2, 0.4), strict=True):
        log(run, {"loss": [1.0, loss]})
    html = browser_for(bob).get(url(project, "&".join(f"e={run.slug}" for run in base + wide))).content.decode()
    assert "1 of 2" in text_of(row(section(html, "summary"), "baseline · s1"))
    arm = text_of(row(section(html, "arms"), "wider"))
    assert "wider 2 0.3000 ±0.1414" in arm
    assert "−0.3000 better" in arm


def test_a_seed_that_only_the_params_tell_is_shown(bob, browser_for, project, log):
    for n in range(2):
        log(Experiment.objects.create(project=project, name=f"told {n}", params={"lr": 1, "trainer": {"seed": 40 + n}}), {"loss": [1.0]})
    html = browser_for(bob).get(url(project, "e=told-0&e=told-1")).content.decode()
    assert "41 of 2" in text_of(row(section(html, "summary"), "told 1"))
    assert "seed 41, " in text_of(html)


def test_the_table_says_how_many_points_are_behind_a_number(bob, browser_for, project, logged):
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider")).content.decode(), "summary")
    assert 'title="0.95, 3 points"' in html


# Params ------------------------------------------------------------------------------------------------------------------------------------


def test_only_params_that_differ_are_shown_and_nested_ones_are_opened(bob, browser_for, project, runs):
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider&e=slower")).content.decode(), "differences")
    assert "4 of 4 params differ" in text_of(html)
    assert "optimizer.name" in html
    two = section(browser_for(bob).get(url(project, "e=baseline&e=wider")).content.decode(), "differences")
    assert "1 of 4 params differ" in text_of(two)
    assert "optimizer.name" not in two


def test_the_toggle_shows_all_params_and_holds_without_javascript(bob, browser_for, project, runs):
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider&params=all&log=1")).content.decode(), "differences")
    assert "optimizer.name" in html
    assert 'name="log" value="1"' in html
    assert html.count('name="e"') == 4
    assert 'value="differing" aria-pressed="false"' in html


def test_htmx_gets_the_differences_alone(bob, browser_for, project, runs):
    page = browser_for(bob).get(url(project, "e=baseline&e=wider"), headers={"HX-Request": "true"})
    assert page.content.decode().lstrip().startswith('<section class="section" id="differences"')
    assert "HX-Request" in page["Vary"]


def test_a_value_that_departs_from_the_baseline_is_marked(bob, browser_for, project, runs):
    html = section(browser_for(bob).get(url(project, "e=baseline&e=wider&e=slower&base=slower")).content.decode(), "differences")
    assert row(html, "lr").count("differs") == 2
    assert row(html, "layers").count("differs") == 1


def test_what_each_run_changed_against_its_parent_is_listed(bob, browser_for, project, runs):
    html = text_of(section(browser_for(bob).get(url(project, "e=baseline&e=wider")).content.decode(), "differences"))
    assert "Parent 2 root baseline" in html
    assert "layers 2 – 2 → 4" in html


# The view --------------------------------------------------------------------------------------------------------------------------------


def test_a_link_brings_back_axis_smoothing_zoom_and_hidden_runs(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project, "e=baseline&e=wider&x=relative&log=1&clip=1&smooth=0.6&from=0.5&to=2&hide=wider")).content.decode()
    assert 'data-x="relative" data-log="1" data-clip="1" data-smooth="0.6" data-from="0.5" data-to="2"' in html
    assert 'value="relative" aria-pressed="true"' in html
    assert 'name="log" value="1" aria-pressed="true"' in html
    assert '<li class="hidden" data-run=' in html
    assert "1 of 2 shown" in text_of(html)


@pytest.mark.parametrize("query", ["x=sideways&smooth=lots&from=1&to=&log=yes", "smooth=nan&from=inf&to=1", "smooth=-3"])
def test_a_view_that_makes_no_sense_is_the_plain_one(query):
    assert outlook(QueryDict(query)) == Outlook()


def test_smoothing_ends_below_one():
    assert outlook(QueryDict("smooth=7")).smoothing == 0.99


def test_a_baseline_is_pinned_by_a_plain_link_that_keeps_the_rest(bob, browser_for, project, runs):
    html = browser_for(bob).get(url(project, "e=baseline&e=wider&log=1")).content.decode()
    assert 'href="?e=baseline&amp;e=wider&amp;log=1&amp;base=wider"' in html


def test_charts_are_asked_for_each_metric_that_any_run_has(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project, "e=baseline&e=wider")).content.decode()
    assert re.findall(r'data-metric="([^"]+)"', html) == ["accuracy", "loss", "odd"]
    assert f'data-charts="/api/v1/metrics/compare/{project.pk}"' in html


def test_many_metrics_are_all_drawn_and_narrowed_by_name(bob, browser_for, project, runs, log):
    log(runs[0], {f"layer/{i}/norm": [1.0] for i in range(60)})
    html = browser_for(bob).get(url(project, "e=baseline&e=wider")).content.decode()
    assert html.count("data-metric=") == 60
    assert "60 metrics" in text_of(html)
    assert browser_for(bob).get(url(project, "e=baseline&e=wider&metric=/7/")).content.decode().count("data-metric=") == 1


def test_runs_without_points_say_so(bob, browser_for, project, runs, store):
    assert "None of these runs has logged a point yet" in browser_for(bob).get(url(project, "e=baseline&e=wider")).content.decode()


def test_while_the_metric_store_is_away_the_record_is_shown_with_a_banner(bob, browser_for, project, runs, store_away):
    page = browser_for(bob).get(url(project, "e=baseline&e=wider"))
    assert page.status_code == 200
    assert "The metric store does not answer just now" in text_of(page.content.decode())
    assert "layers" in page.content.decode()


def test_names_and_params_are_text_and_never_markup(bob, browser_for, project, store):
    nasty = '"><script>alert(1)</script>'
    for i in (1, 2):
        lifecycle.create(project, by=None, name=f"{nasty} {i}", params={nasty: nasty * i}, tags=["<b>"])
    slugs = Experiment.objects.values_list("slug", flat=True)
    html = browser_for(bob).get(url(project, "&".join(f"e={slug}" for slug in slugs))).content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_no_inline_script_or_style(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project, "e=baseline&e=wider")).content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r'\sstyle="|<style|\son\w+="', html)


def test_a_hundred_runs_cost_as_many_questions_as_two(bob, browser_for, project, store):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"run {i}", slug=f"run-{i}", replicate_key=str(i)) for i in range(100)])
    browser = browser_for(bob)
    counts = []
    for many in (2, 100):
        with CaptureQueriesContext(connection) as asked:
            browser.get(url(project, "e=" + ",".join(f"run-{i}" for i in range(many))))
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert counts[1] <= 14 + freshness.can_be_away()


# Pure parts ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "sign", "best"),
    [([1.0, 3.0, 2.0], 1, 3.0), ([1.0, 3.0, 2.0], -1, 1.0), ([1.0, 2.0], 0, None), ([1.0, 1.0], 1, None), ([None, float("nan"), 2.0], 1, None), ([], 1, None)],
)
def test_the_best_is_told_from_finite_values_by_direction(values, sign, best):
    assert best_of(values, sign) == best


@pytest.mark.parametrize(
    ("names", "arm"),
    [
        (["wider · s1", "wider · s2"], "wider"),
        (["lr 0.2 · s1", "lr 0.2 · s10"], "lr 0.2"),
        (["resnet-seed1", "resnet-seed2"], "resnet"),
        (["biases 1", "biases 2"], "biases"),
        (["lr 1e-3, s1", "lr 1e-3, s2"], "lr 1e-3"),
        (["same", "same"], "same"),
        (["alone · s1"], "alone · s1"),
        (["1", "2"], "2 runs: 1 …"),
        (["run 1", "run 2"], "2 runs: run 1 …"),
        (["run", "root2"], "2 runs: run …"),
        (["lr1 s1", "lr1 s2", "lr2 s4"], "3 runs: lr1 s1 …"),
        (["lr=0.1", "lr=0.2"], "2 runs: lr=0.1 …"),
        (["lr1e-3 s1", "lr1e-4 s1"], "2 runs: lr1e-3 s1 …"),
        (["brave-otter", "calm-fox"], "2 runs: brave-otter …"),
    ],
)
def test_an_arm_is_named_by_whole_words_that_are_true_of_all_its_runs(names, arm):
    assert arm_name([Experiment(name=name) for name in names]) == arm


def test_an_arm_whose_names_share_nothing_is_named_by_what_all_its_runs_changed():
    made = [{"lr": {"from": 0.1, "to": 0.2}, "depth": depth, "wide": True} for depth in (1, 2)]
    runs = [Experiment(name=name, features_diff=diff) for name, diff in zip(("brave-otter", "calm-fox"), made, strict=True)]
    assert arm_name(runs) == "lr 0.2 · wide true"


def test_long_values_are_cut_with_a_mark_and_show_where_they_differ():
    short, one, other = "adam", "/data/" + "a" * 50 + "/one/" + "b" * 50, "/data/" + "a" * 50 + "/two/" + "b" * 50
    assert cut_apart([short, one]) == [short, one[:39] + "…"]
    told = cut_apart([short, one, other, one])
    assert (len(set(told)), "/one/b" in told[1], "/two/b" in told[2], told[1] == told[3]) == (3, True, True, True)
    assert max(map(len, told)) == 40


def test_nested_params_are_opened_by_dots_and_empty_objects_stay():
    assert dict(flat({"a": {"b": {"c": 1}}, "d": {}, "e": [1]})) == {"a.b.c": 1, "d": {}, "e": [1]}


def test_the_arms_of_a_selection_without_replicates_are_none(project, runs, store):
    assert Comparison(project, select(project, ["baseline", "wider"]), Outlook()).arms == []


def test_select_takes_no_harm_from_odd_references(project, runs):
    selection = select(project, ["", ",", "baseline", "%00", str(uuid.uuid4()), "a" * 5000])
    assert [run.slug for run in selection.experiments] == ["baseline"]
    assert len(selection.unknown) == 3


# While runs go on --------------------------------------------------------------------------------------------------------------------------

LIVE = {"HX-Request": "true", "HX-Target": "compare-live"}


def seen(html: str) -> str:
    return html.split('"X-Seen": "', 1)[1].split('"', 1)[0]


def test_the_numbers_of_runs_that_go_on_are_told_again_only_where_something_changed(bob, browser_for, project, logged, log):
    browser, address = browser_for(bob), url(project, "e=baseline,wider")
    for run in logged:
        run.start(at=timezone.now())
        run.save()
    version = seen(browser.get(address).content.decode())
    assert browser.get(address, headers=LIVE | {"X-Seen": version}).status_code == 204
    log(logged[1], {"accuracy": [0.1, 0.1, 0.1, 0.9875]})
    told = browser.get(address, headers=LIVE | {"X-Seen": version})
    assert (told.status_code, told["Content-Type"]) == (200, "text/html; charset=utf-8")
    html = told.content.decode()
    assert "0.9875" in row(section(html, "summary"), "wider")
    assert f'id="value-{logged[1].pk}" hx-swap-oob="true" title="0.9875"' in html
    assert seen(html) != version
    logged[1].fail(Experiment.FailureKind.CRASHED, at=timezone.now())
    logged[1].save()
    ended = browser.get(address, headers=LIVE | {"X-Seen": seen(html)}).content.decode()
    assert "crashed" in ended.split(f'id="state-{logged[1].pk}"', 1)[1][:100]
    logged[0].complete(at=timezone.now())
    logged[0].save()
    assert "X-Seen" not in browser.get(address, headers=LIVE | {"X-Seen": seen(ended)}).content.decode()


def test_to_ask_again_costs_a_hundred_runs_no_more_than_two_and_the_store_nothing_where_nothing_changed(bob, browser_for, project, store):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"run {i}", slug=f"run-{i}", status="running") for i in range(100)])
    counting = process.repository().engine = Counting(store.engine)
    browser, counts = browser_for(bob), []
    try:
        for many in (2, 100):
            address = url(project, "e=" + ",".join(f"run-{i}" for i in range(many)))
            version = seen(browser.get(address).content.decode())
            before = len(counting.asked)
            with CaptureQueriesContext(connection) as asked:
                assert browser.get(address, headers=LIVE | {"X-Seen": version}).status_code == 204
            counts.append((len(asked), len(counting.asked) - before))
    finally:
        process.repository().engine = store.engine
    assert counts[0] == counts[1]
    assert counts[1] <= (7 + freshness.can_be_away(), 0)


def test_a_page_whose_runs_are_no_longer_all_there_is_loaded_anew(bob, browser_for, project, runs):
    browser, address = browser_for(bob), url(project, "e=baseline,wider,slower")
    version = seen(browser.get(address).content.decode())
    for gone in runs[2:0:-1]:  # the second leaves too few for a comparison
        gone.delete()
        answer = browser.get(address, headers=LIVE | {"X-Seen": version})
        assert (answer.status_code, answer["HX-Refresh"], answer.content) == (200, "true", b"")


def test_a_metric_that_came_is_in_the_menus_of_the_page(bob, browser_for, project, logged, log):
    browser, address = browser_for(bob), url(project, "e=baseline,wider")
    page = browser.get(address).content.decode()
    log(logged[0], {"brand new": [1.0]})
    told = browser.get(address, headers=LIVE | {"X-Seen": seen(page), "X-Metrics": "3"}).content.decode()
    assert "<option>brand new</option>" in told.split('id="order"', 1)[1].split("</select>")[0]
    assert '<option value="brand new">' in told.split('id="x-metrics"', 1)[1].split("</datalist>")[0]
    assert "brand new, last" in section(told, "differences")
    assert "<form" not in told.split('id="compare-live"')[0] + told.split('id="order"')[1]
    assert 'id="order"' not in browser.get(address, headers=LIVE | {"X-Seen": seen(page), "X-Metrics": "4"}).content.decode()


def test_the_list_is_searched_by_params_too(bob, browser_for, project, runs):
    html = browser_for(bob).get(url(project, "e=baseline,wider")).content.decode()
    words = html.split('data-slug="baseline"', 1)[1].split('data-words="', 1)[1].split('"', 1)[0]
    assert words == "lr 0.1 layers 2 optimizer.name sgd optimizer.momentum 0.9"


@pytest.mark.parametrize(("seed", "said"), [(1, "seed 1, crashed"), (None, "crashed")])
def test_the_list_says_how_every_run_ended(bob, browser_for, project, runs, seed, said):
    for run in runs[:2]:
        run.seed = seed
        run.fail(Experiment.FailureKind.CRASHED, at=timezone.now())
        run.save()
    html = browser_for(bob).get(url(project, "e=baseline,wider")).content.decode()
    states = [text_of(html.split(f'id="state-{run.pk}">', 1)[1].split("</small>")[0]) for run in runs[:2]]
    assert states == ["baseline, crashed", said]


def test_a_comparison_of_ended_runs_does_not_ask_again(bob, browser_for, project, logged):
    for run in logged:
        run.complete(at=timezone.now())
        run.save()
    html = browser_for(bob).get(url(project, "e=baseline,wider")).content.decode()
    assert "compare-live" not in html
    assert "numbers as of" not in text_of(html)
