"""The lineage page: what it draws and lists, what it costs, and the form for a parent."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments import lifecycle
from experiments.models import Experiment
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("the tree is read by queries over parents, and its numbers from the metric store")
PAGE_MOST_BYTES = 900_000


def url(project: Project, query: str = "") -> str:
    return reverse("experiments:lineage", args=[project.team.slug, project.slug]) + (f"?{query}" if query else "")


def parent_url(run: Experiment) -> str:
    return reverse("experiments:parent", args=[run.project.team.slug, run.project.slug, run.slug])


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


@pytest.fixture
def runs(project: Project) -> dict[str, Experiment]:
    """Two replicates of a root, one that is wider, and one that changed two things."""
    made = {f"base-s{seed}": lifecycle.create(project, by=None, name=f"base-s{seed}", params={"lr": 0.1, "layers": 2}, seed=seed) for seed in (1, 2)}
    base = made["base-s1"]
    made["wide"] = lifecycle.create(project, by=None, name="wide", parent=base, params={"lr": 0.1, "layers": 4})
    made["both"] = lifecycle.create(project, by=None, name="both", parent=base, params={"lr": 0.2, "layers": 1})
    return made


@pytest.fixture
def logged(runs: dict[str, Experiment], project: Project, log: Any) -> dict[str, Experiment]:
    ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize", aggregation="max")
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize", aggregation="last")
    for name, accuracy in {"base-s1": 0.5, "base-s2": 0.7, "wide": 0.9, "both": 0.4}.items():
        log(runs[name], {"accuracy": [0.1, accuracy], "loss": [2.0, accuracy]})
    return runs


def group(html: str, name: str) -> str:
    """One arm of the drawing."""
    return next(part for part in html.split("<g class=")[1:] if f"<title>{name}:" in part)


def test_replicates_are_one_node_with_n_mean_and_spread(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project)).content.decode()
    assert "3 arms, 4 runs from one root" in text_of(html)
    assert "0.6000 ±0.1414" in group(html, "base").split("</title>")[0]
    assert ">n 2<" in group(html, "base")
    assert 'value="base-s1,base-s2"' in group(html, "base")


def test_colour_sign_and_word_follow_the_direction(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project)).content.decode()
    wide, both = group(html, "wide"), group(html, "both")
    assert "key d4" in wide
    assert "▲ +0.3000" in wide
    assert "key d-4" in both
    assert "▽ −0.2000" in both
    assert "+0.3000 against root, better; running" in wide
    loss = browser_for(bob).get(url(project, "metric=loss")).content.decode()
    assert "key d-4" in group(loss, "wide")
    assert "▽ +0.3000" in group(loss, "wide")


def test_the_best_path_is_marked_and_can_be_compared(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project)).content.decode()
    assert html.count('class="on-path"') == 1 + 1
    assert "compare?e=base-s1%2Cbase-s2%2Cwide" in html
    assert 'class="link path"' in html


def test_several_changes_are_marked_confounded_in_a_word_and_a_line(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project)).content.decode()
    assert html.count("link confounded") == 1
    assert "2 changes at once, confounded: layers 2→1; lr 0.1→0.2" in text_of(html)


def test_a_failed_run_shows_no_effect_and_says_so(bob, browser_for, project, logged):
    lifecycle.move(logged["both"], "failed", "diverged", by=None)
    both = group(browser_for(bob).get(url(project)).content.decode(), "both")
    assert 'class="gone' not in group(browser_for(bob).get(url(project)).content.decode(), "wide")
    assert "no value" in both
    assert "diverged" in both
    assert "n 0" in both


def test_without_a_direction_nothing_is_coloured_and_the_page_says_why(bob, browser_for, project, runs, log):
    log(runs["wide"], {"odd": [1.0]})
    html = browser_for(bob).get(url(project)).content.decode()
    assert "so nothing is coloured" in html
    assert not re.search(r"key d-?\d", html)


def test_picked_arms_lead_to_one_comparison_and_their_ways_to_another(bob, browser_for, project, logged):
    browser = browser_for(bob)
    assert 'value="wide" checked' in browser.get(url(project, "e=wide")).content.decode()
    answer = browser.get(url(project, "e=wide&e=both&with=path"))
    assert parse_qs(urlsplit(answer["Location"]).query)["e"] == ["base-s1,base-s2,wide,both"]
    assert "4 experiments" in browser.get(answer["Location"]).content.decode()


def test_from_an_experiment_its_arm_is_marked_and_its_page_leads_here(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project, "from=base-s2")).content.decode()
    assert "here" in group(html, "base").split('"')[1]
    page = browser_for(bob).get(reverse("experiments:experiment", args=[project.team.slug, project.slug, "base-s2"])).content.decode()
    assert f'href="{url(project)}?from=base-s2"' in page


def test_an_unknown_start_is_said_and_the_tree_shown(bob, browser_for, project, runs):
    html = browser_for(bob).get(url(project, "from=nowhere&top=nothing&after=x&open=%00&fold=zz&metric=none")).content.decode()
    assert "There is no experiment nowhere in this tree" in text_of(html)
    assert "3 arms" in html


def test_an_empty_project_says_what_to_do(bob, browser_for, project):
    assert "No lineage yet" in browser_for(bob).get(url(project)).content.decode()


def test_where_the_store_is_away_the_tree_stands_without_numbers_and_says_so(bob, browser_for, project, logged, store):
    away = "The metric store does not answer just now."
    assert away not in browser_for(bob).get(url(project)).content.decode()
    store.engine.is_closed = True  # the engine's own word for being away
    try:
        html = browser_for(bob).get(url(project)).content.decode()
    finally:
        store.engine.is_closed = False
    assert away in html
    assert "3 arms" in html
    assert "no value" in group(html, "wide")
    assert "scale-key" not in html


def test_one_arm_that_is_far_worse_leaves_the_others_their_colours_and_the_legend_says_so(bob, browser_for, project, log):
    ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize")
    base = lifecycle.create(project, by=None, name="base", params={"lr": 0})
    log(base, {"accuracy": [0.90]})
    for name, value in {"great": 0.92, "good": 0.91, "slightly": 0.905, "same": 0.9, "poor": 0.895, "awful": 0.1}.items():
        log(lifecycle.create(project, by=None, name=name, parent=base, params={"lr": name}), {"accuracy": [value]})
    html = browser_for(bob).get(url(project)).content.decode()
    levels = {name: re.search(r'class="key (\S+)"', group(html, name)) for name in ("great", "good", "slightly", "same", "poor", "awful")}
    assert {name: found and found.group(1) for name, found in levels.items()} == {
        "great": "d4", "good": "d2", "slightly": "d1", "same": "d-0", "poor": "d-2", "awful": "d-4",
    }  # fmt: skip
    assert "−0.0100 or worse" in text_of(html)
    assert "+0.0155 or better, against root; 1 beyond the scale" in text_of(html)


def test_a_picked_arm_in_a_folded_branch_stays_picked_and_is_named(bob, browser_for, project, logged):
    browser = browser_for(bob)
    html = browser.get(url(project, "e=wide&fold=base-s1")).content.decode()
    assert "<title>wide:" not in html
    unseen = html.split('id="unseen"', 1)[1].split("</p>", 1)[0]
    assert 'name="e" value="wide" checked' in unseen
    assert "wide" in text_of(unseen)
    assert 'type="hidden" name="e" value="wide"' in html.split("data-carries", 1)[1].split("</form>", 1)[0]
    for link in re.findall(r'href="([^"]*)" data-keeps', html):
        assert "e=wide" in link
    assert 'id="unseen"' not in browser.get(url(project, "e=wide")).content.decode()


def test_names_are_text_and_nothing_is_inline(bob, browser_for, project):
    base = lifecycle.create(project, by=None, name="<script>alert(1)</script>", params={"<b>": 1})
    for name in ("تجربة", "深度学习" * 10, "x" * 250):
        lifecycle.create(project, by=None, name=name, parent=base, params={"<b>": "<script>"})
    html = browser_for(bob).get(url(project)).content.decode()
    assert "<script>alert" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r'\sstyle="|<style|\son\w+="', html)


def test_the_list_is_well_formed(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project)).content.decode()
    part = html.split('<ul class="nested tree-list">', 1)[1].split("</div></section>", 1)[0]
    assert part.count("<ul>") + 1 == part.count("</ul>")
    assert part.count("<li>") == part.count("</li>") == 3


# What it costs -----------------------------------------------------------------------------------------------------------------------------


def forest(project: Project, arms: int, children: int) -> None:
    """A tree in which each arm has as many children; bulk, so that 2,000 take no minute."""
    rows: list[Experiment] = []
    for i in range(arms):
        above = rows[(i - 1) // children] if i else None
        diff = {"lr": {"from": i - 1, "to": i}} if i else {}
        rows.append(Experiment(project=project, name=f"arm {i}", slug=f"arm-{i}", replicate_key=f"k{i}", parent_experiment=above, features_diff=diff))
    Experiment.objects.bulk_create(rows)


def test_the_page_asks_the_record_as_often_for_many_arms_as_for_few(bob, browser_for, project, logged):
    browser, costs = browser_for(bob), []
    for many in (0, 60):
        forest(project, many, 3)
        with CaptureQueriesContext(connection) as asked:
            browser.get(url(project))
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 12


@pytest.mark.parametrize("children", [1, 3, 1999])
def test_two_thousand_arms_make_a_page_of_sane_size(bob, browser_for, project, store, children, capsys):
    forest(project, 2000, children)
    ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize")
    browser = browser_for(bob)
    start = time.perf_counter()
    page = browser.get(url(project))
    took = time.perf_counter() - start
    with capsys.disabled():
        print(f"\n2,000 arms, {children} children each: {took:.2f} s, {len(page.content):,} bytes")
    html = page.content.decode()
    assert "2 000 arms" in html.replace("\u202f", " ")
    assert len(page.content) < PAGE_MOST_BYTES


def test_opening_everything_draws_no_more_than_there_is_room_for(bob, browser_for, project, store):
    forest(project, 2000, 3)
    html = browser_for(bob).get(url(project, "&".join(f"open=arm-{i}" for i in range(600)))).content.decode()
    assert len(html) < 2 * PAGE_MOST_BYTES
    assert html.count('class="box"') < 600


# Another parent ----------------------------------------------------------------------------------------------------------------------------


def test_an_editor_hangs_a_run_elsewhere(erin, browser_for, runs):
    answer = browser_for(erin).post(parent_url(runs["both"]), {"parent": "wide"}, follow=True)
    both = Experiment.objects.get(pk=runs["both"].pk)
    assert both.parent_experiment == runs["wide"]
    assert both.features_diff == {"layers": {"from": 4, "to": 1}, "lr": {"from": 0.1, "to": 0.2}}
    assert "both comes from wide now" in text_of(answer.content.decode())
    assert browser_for(erin).get(url(both.project, "from=both")).content.decode().count('value="wide"') >= 3


def test_with_nothing_said_it_becomes_a_root(erin, browser_for, runs):
    browser_for(erin).post(parent_url(runs["both"]), {"parent": ""})
    assert Experiment.objects.get(pk=runs["both"].pk).parent_experiment is None


def test_a_cycle_is_refused_in_one_sentence_and_nothing_saved(erin, browser_for, runs):
    answer = browser_for(erin).post(parent_url(runs["base-s1"]), {"parent": "wide"})
    assert answer.status_code == 422
    assert "wide descends from base-s1: choose a parent that does not." in text_of(answer.content.decode())
    assert 'name="parent"' in answer.content.decode()
    assert f'href="{url(runs["wide"].project)}?from=base-s1&amp;fold=base-s1"' in answer.content.decode()
    assert Experiment.objects.get(pk=runs["base-s1"].pk).parent_experiment is None


def test_a_run_is_not_its_own_parent(erin, browser_for, runs):
    assert browser_for(erin).post(parent_url(runs["wide"]), {"parent": "wide"}).status_code == 422
    assert Experiment.objects.get(pk=runs["wide"].pk).parent_experiment == runs["base-s1"]


def test_an_experiment_of_another_project_is_refused_in_one_sentence(erin, browser_for, runs, team):
    foreign = Experiment.objects.create(project=Project.objects.create(team=team, name="other"), name="foreign")
    for reference in (foreign.slug, str(foreign.pk), "no\0where"):
        answer = browser_for(erin).post(parent_url(runs["wide"]), {"parent": reference})
        assert answer.status_code == 422
        assert "in this project: give the slug of one that is" in text_of(answer.content.decode())
    assert Experiment.objects.get(pk=runs["wide"].pk).parent_experiment == runs["base-s1"]


def test_the_metric_that_was_chosen_stays_when_the_parent_changed(erin, browser_for, runs):
    look = "?metric=val+loss&from=both&e=both&e=wide"
    html = browser_for(erin).get(url(runs["both"].project) + look).content.decode()
    assert f'action="{parent_url(runs["both"])}{look}"' in unescape(html)
    answer = browser_for(erin).post(parent_url(runs["both"]) + look, {"parent": "wide"})
    assert answer["Location"] == url(runs["both"].project) + look
    refused = browser_for(erin).post(parent_url(runs["both"]) + look, {"parent": "both"})
    assert f'action="{parent_url(runs["both"])}{look}"' in unescape(refused.content.decode())


def test_the_address_at_which_a_refusal_stands_leads_back_to_the_form(bob, carol, browser_for, runs):
    assert browser_for(bob).get(parent_url(runs["wide"]))["Location"] == url(runs["wide"].project, "from=wide")
    assert browser_for(bob).get(parent_url(runs["wide"]) + "?metric=loss&e=both")["Location"] == url(runs["wide"].project, "metric=loss&from=wide&e=both")
    assert browser_for(carol).get(parent_url(runs["wide"])).status_code == 404


def test_a_viewer_is_offered_no_form(bob, browser_for, runs, project):
    assert 'name="parent"' not in browser_for(bob).get(url(project, "from=wide")).content.decode()
