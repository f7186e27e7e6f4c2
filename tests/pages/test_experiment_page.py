"""An experiment's page: its numbers against the parent, its kin, its record, and what it shows while it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments import lifecycle
from experiments.models import Experiment
from experiments.page.overview import Overview
from metrics import process
from metrics.store import freshness
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("PostgreSQL keeps the keys of JSON in an order of its own; parts that live are kept in the shared cache")


def url(experiment: Experiment, query: str = "") -> str:
    project = experiment.project
    return reverse("experiments:experiment", args=[project.team.slug, project.slug, experiment.slug]) + query


def text_of(html: str) -> str:
    """What a reader sees, without tags and doubled spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


@pytest.fixture
def parent(project: Project) -> Experiment:
    return lifecycle.create(project, by=None, name="baseline", params={"lr": 0.1, "layers": 2})


@pytest.fixture
def child(parent: Experiment, alice) -> Experiment:
    made = lifecycle.create(
        parent.project,
        by=alice,
        name="wider",
        parent=parent,
        params={"lr": 0.1, "layers": 4},
        seed=3,
        tags=["final"],
        notes="Why <b>not</b>.",
        command="python train.py",
    )
    return lifecycle_named(made)


def lifecycle_named(experiment: Experiment) -> Experiment:
    return Experiment.objects.select_related("project__team").get(pk=experiment.pk)


@pytest.fixture
def logged(parent: Experiment, child: Experiment, log: Any) -> Experiment:
    ProjectMetric.objects.create(project=parent.project, name="accuracy", direction="maximize", aggregation="max")
    ProjectMetric.objects.create(project=parent.project, name="loss", direction="minimize")
    log(parent, {"accuracy": [0.1, 0.90], "loss": [2.0, 0.5]})
    log(child, {"accuracy": [0.1, 0.95], "loss": [2.0, 0.6]})
    return child


@pytest.fixture
def store_away() -> Iterator[None]:
    """This process does not own the metric store, like one that starts or stops."""
    parts, process.Running.parts = process.Running.parts, None
    yield
    process.Running.parts = parts


def test_each_metric_stands_with_its_change_against_the_parent(bob, browser_for, logged):
    html = browser_for(bob).get(url(logged)).content.decode()
    live = text_of(html.split('id="live"')[1].split("</dl>")[0])
    assert "accuracy max ↑ 0.9500 +0.0500 better parent" in live
    assert "loss last ↓ 0.6000 +0.1000 worse parent" in live
    assert "4 points" in live


def test_the_curves_are_this_run_over_its_parent_in_ink(bob, browser_for, logged, parent):
    html = browser_for(bob).get(url(logged)).content.decode()
    assert f'data-run="{logged.pk}"' in html
    assert f'data-run="{parent.pk}"' in html
    assert 'swatch base"' in html
    assert re.findall(r'data-metric="([^"]+)"', html) == ["accuracy", "loss"]


def test_a_long_value_opens_to_all_of_it_wherever_the_page_cuts_one(bob, browser_for, logged, store):
    long, name, commit = "y" * 5000, "n" * 200, "a" * 40
    run = lifecycle.create(logged.project, by=None, name="long", parent=logged, params={name: long, "none": None, "lr": 0.1}, git_commit=commit)
    html = browser_for(bob).get(url(run)).content.decode()
    whole = re.findall(r'<details class="whole"><summary[^>]*>([^<]*)</summary><div class="whole-text"[^>]*>([^<]*)</div>', html)
    assert [text for _, text in whole].count(long) == 2, "the param, and what it changed to"
    assert [text for _, text in whole].count(name) == 2
    assert (f"{commit[:11]}…", commit) in whole
    params = html.split("<h2>Params</h2>")[1].split("</section>")[0]
    assert "<p>2</p>" in params
    assert ">none<" not in params


def test_a_root_is_drawn_alone(bob, browser_for, logged, parent):
    html = browser_for(bob).get(url(lifecycle_named(parent))).content.decode()
    assert html.count("data-run=") == 1
    assert "a root: it has no parent" in text_of(html)


def test_lineage_leads_from_the_root_by_what_changed(bob, browser_for, logged, parent):
    grandchild = lifecycle.create(parent.project, by=None, name="slower", parent=logged, params={"lr": 0.01, "layers": 4})
    html = text_of(browser_for(bob).get(url(lifecycle_named(grandchild))).content.decode())
    strip = html.split("from the root, one change at a step")[1].split("Curves")[0]
    assert strip.index("baseline") < strip.index("layers 2→4") < strip.index("wider") < strip.index("lr 0.1→0.01") < strip.index("slower")


def test_a_deep_lineage_shows_its_root_and_its_end(project, store):
    run = None
    for i in range(30):
        run = lifecycle.create(project, by=None, name=f"g{i}", parent=run, params={"i": i})
    names = [step.experiment.name for step in Overview(lifecycle_named(run)).strip]
    assert names[0] == "g0"
    assert names[-1] == "g29"
    assert len(names) == 14


def test_what_changed_is_told_against_the_parent(bob, browser_for, child, store):
    html = text_of(browser_for(bob).get(url(child)).content.decode())
    assert "Feature Parent This run layers 2 4" in html
    assert "One change, so its effect can be told apart." in html


def test_params_notes_tags_command_and_history_are_shown_as_text(bob, browser_for, child, store):
    html = browser_for(bob).get(url(child)).content.decode()
    for part in ("layers", "Why &lt;b&gt;not&lt;/b&gt;.", ">final<", "python train.py", "Created", "alice"):
        assert part in html


def test_children_stand_with_their_difference(bob, browser_for, logged, parent):
    html = text_of(browser_for(bob).get(url(lifecycle_named(parent))).content.decode())
    assert "Children 1, accuracy and its difference from this run" in html
    assert "wider running 0.9500 +0.0500 better layers 2 4" in html


def test_a_run_without_points_says_what_to_do(bob, browser_for, child, store):
    html = browser_for(bob).get(url(child)).content.decode()
    assert "No point has arrived yet" in html
    assert f"/api/v1/metrics/log/{child.project.slug}/{child.slug}" in html
    assert "data-charts" not in html


def test_an_ended_run_without_points_does_not_ask_for_some(bob, browser_for, child, store):
    lifecycle.complete(child, by=None)
    html = browser_for(bob).get(url(child)).content.decode()
    assert "This run ended without logging a point" in html
    assert "/api/v1/metrics/log/" not in html


def test_an_editor_may_change_it_an_admin_delete_it_and_a_viewer_neither(alice, erin, bob, browser_for, child, store):
    pages = {user: browser_for(user).get(url(child)).content.decode() for user in (alice, erin, bob)}
    edit, delete = f"{url(child)}edit", f"{url(child)}delete"
    assert [edit in pages[user] for user in (alice, erin, bob)] == [True, True, False]
    assert [delete in pages[user] for user in (alice, erin, bob)] == [True, False, False]
    assert "Mark complete" in pages[erin]


def test_a_stranger_gets_404_and_nobody_in_particular_signs_in(carol, browser_for, client, child):
    assert browser_for(carol).get(url(child)).status_code == 404
    assert client.get(url(child)).status_code == 302


def test_a_name_that_is_not_there_is_404(bob, browser_for, child):
    assert browser_for(bob).get(url(child).replace("wider", "nowhere")).status_code == 404


def test_a_uuid_in_the_address_works(bob, browser_for, child, store):
    assert browser_for(bob).get(url(child).replace("/wider/", f"/{child.pk}/")).status_code == 200


def test_nan_is_counted_where_it_is_seen(bob, browser_for, child, log):
    log(child, {"loss": [1.0, "NaN", "Infinity"]})
    html = text_of(browser_for(bob).get(url(child)).content.decode())
    assert "3 points, 2 non-finite" in html


def test_a_failed_run_shows_no_delta(bob, browser_for, logged):
    lifecycle.fail(logged, "diverged", by=None)
    html = browser_for(bob).get(url(logged)).content.decode()
    assert 'class="delta' not in html.split('id="live"')[1].split("</dl>")[0]
    assert "diverged" in html


def live_of(page) -> str:
    return re.search(r'hx-get="([^"]+)"', page.content.decode().split('id="live"')[1]).group(1).replace("&amp;", "&")


def test_a_live_page_asks_only_for_what_changed(bob, browser_for, logged, log):
    browser = browser_for(bob)
    again = live_of(browser.get(url(logged)))
    assert browser.get(again, headers={"HX-Request": "true"}).status_code == 204
    log(logged, {"loss": [0.1]}, steps=[9])
    part = browser.get(again, headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "5 points" in text_of(part.content.decode())
    assert "<html" not in part.content.decode()
    assert "<h1" not in part.content.decode(), "an open menu in the head must not be swapped away"


def test_the_live_part_brings_the_new_state_along(bob, browser_for, logged):
    browser = browser_for(bob)
    again = live_of(browser.get(url(logged)))
    lifecycle.complete(logged, by=None)
    html = browser.get(again, headers={"HX-Request": "true"}).content.decode()
    assert 'hx-swap-oob="true"' in html
    assert "complete" in html
    assert "hx-get" not in html


def test_an_ended_run_is_not_asked_again(bob, browser_for, logged):
    lifecycle.complete(logged, by=None)
    assert "hx-get" not in browser_for(bob).get(url(logged)).content.decode().split('id="live"')[1].split("<dl")[0]


def test_while_the_metric_store_is_away_the_record_is_shown_with_a_banner(bob, browser_for, child, store_away):
    page = browser_for(bob).get(url(child))
    assert page.status_code == 200
    assert "The metric store does not answer just now" in text_of(page.content.decode())
    assert "layers" in page.content.decode()


def test_the_link_to_the_comparison_puts_the_parent_first(bob, browser_for, child, store):
    assert "compare?e=baseline&amp;e=wider" in browser_for(bob).get(url(child)).content.decode()


def test_many_metrics_are_all_in_a_table_and_the_first_as_facts(bob, browser_for, child, log):
    log(child, {f"layer/{i}": [1.0] for i in range(50)})
    html = browser_for(bob).get(url(child)).content.decode()
    assert html.count("data-metric=") == 50
    facts = html.split('<dl class="facts">', 1)[1].split("</dl>", 1)[0]
    assert facts.count("layer/") < 20
    assert "layer/49" in html.split('id="readings"', 1)[1]


def test_no_inline_script_or_style(bob, browser_for, logged):
    html = browser_for(bob).get(url(logged)).content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r'\sstyle="|<style|\son\w+="', html)


def test_the_number_of_questions_does_not_grow_with_children(bob, browser_for, parent, store):
    browser, counts = browser_for(bob), []
    for many in (1, 20):
        for i in range(many):
            lifecycle.create(parent.project, by=None, name=f"child {many} {i}", parent=parent)
        with CaptureQueriesContext(connection) as asked:
            browser.get(url(lifecycle_named(parent)))
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert counts[1] <= 18 + 2 * freshness.can_be_away()  # a cache that can be away asks for its epoch, too


def test_blanks_that_could_be_missed_in_a_name_are_shown(bob, browser_for, project, log):
    odd = Experiment.objects.create(project=project, name=" wide  r", params={"l\u00a0r": 1}, features_diff={"a\u200bb": 1})
    log(odd, {"val loss": [1.0], "val\u00a0loss": [2.0]})
    html = browser_for(bob).get(url(lifecycle_named(odd))).content.decode()
    blank = '<span class="blank" data-mark="␣" title="{}">{}</span>'
    space, fixed = blank.format("space (U+0020)", " "), blank.format("no-break space (U+00A0)", "\u00a0")
    assert f'<h1 dir="auto">{space}wide{space}{space}r</h1>' in html
    cards = re.findall(r'data-metric="([^"]+)".*?<h3[^>]*>(.*?)</h3>', html)
    assert cards == [("val loss", "val loss"), ("val\u00a0loss", f"val{fixed}loss")]
    assert f"l{fixed}r" in html
    assert f"a{blank.format('zero width space (U+200B)', chr(0x200B))}b" in html
