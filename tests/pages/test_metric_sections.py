"""Metrics found by name and folded into sections: on the compare page and on an experiment's page, as a form and as the part that typing swaps."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments import lifecycle
from experiments.models import Experiment
from experiments.readings import sections
from experiments.readings.sections import Found, Sought, sought, unmatched
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("metrics are found by name in the metric store, and ordered there")
TYPED = {"HX-Request": "true", "HX-Target": "metrics"}
NAMES = ["loss", "train/acc", "train/loss", "val/acc", "val/loss", "val/top/5"]


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


def drawn(html: str) -> list[str]:
    return re.findall(r'data-metric="([^"]+)"', html)


def compare_url(project: Project, query: str = "") -> str:
    return reverse("experiments:compare", args=[project.team.slug, project.slug]) + f"?e=one&e=two&{query}"


def experiment_url(project: Project, query: str = "") -> str:
    return reverse("experiments:experiment", args=[project.team.slug, project.slug, "one"]) + f"?{query}"


@pytest.fixture
def pair(project: Project) -> list[Experiment]:
    return [lifecycle.create(project, by=None, name=name) for name in ("one", "two")]


@pytest.fixture
def logged(pair: list[Experiment], log: Any) -> list[Experiment]:
    for run in pair:
        log(run, {name: [1.0, 2.0] for name in NAMES})
    return pair


def found(names: list[str], **asked: Any) -> Found:
    return Found([ProjectMetric(name=name) for name in names], Sought(**asked))


PAGES = pytest.mark.parametrize("address", [compare_url, experiment_url], ids=["compare", "experiment"])


# Sections ----------------------------------------------------------------------------------------------------------------------------------


@PAGES
def test_metrics_are_folded_by_prefix_those_without_one_first(bob, browser_for, project, logged, address):
    html = browser_for(bob).get(address(project)).content.decode()
    assert re.findall(r'data-section="([^"]+)"', html) == ["/", "train", "val"]
    assert drawn(html) == NAMES
    assert re.search(r'<details class="metric-section" data-section="val" data-own="open" open>\s*<summary><h3[^>]*>val/</h3><span class="count">3<', html)


@PAGES
def test_a_folded_section_has_no_charts_and_a_button_that_brings_them(bob, browser_for, project, logged, address):
    html = browser_for(bob).get(address(project, "fold=val&fold=/&log=1")).content.decode()
    assert drawn(html) == ["train/acc", "train/loss"]
    assert '<button type="submit" class="btn small" form="open-section" name="open" value="val">Draw 3 charts</button>' in html
    form = html.split('<form id="open-section"', 1)[1].split("</form>", 1)[0]
    assert 'name="log" value="1"' in form
    assert "val/acc" in drawn(browser_for(bob).get(address(project, "fold=val&open=val")).content.decode())


def test_metrics_without_prefixes_are_one_plain_grid(bob, browser_for, project, pair, log):
    log(pair[0], {"loss": [1.0], "acc": [1.0]})
    html = browser_for(bob).get(compare_url(project)).content.decode()
    assert "data-section" not in html
    assert drawn(html) == ["acc", "loss"]


def test_sections_are_open_as_far_as_a_page_holds_their_charts():
    names = [f"a/{i}" for i in range(300)] + [f"b/{i}" for i in range(300)] + [f"c/{i}" for i in range(100)]
    by_itself = found(names)
    assert [(s.prefix, s.is_open, len(s.drawn)) for s in by_itself.sections] == [("a", True, 300), ("b", False, 0), ("c", True, 100)]
    opened = found(names, opened=frozenset({"b"}))
    assert [(s.prefix, s.is_open, len(s.drawn), s.beyond) for s in opened.sections] == [("a", True, 200, 100), ("b", True, 300, 0), ("c", True, 0, 100)]
    assert len(opened.drawn) == sections.CHARTS_MOST


def test_one_section_larger_than_a_page_shows_its_first_charts_and_counts_the_rest():
    only = found([f"{i}" for i in range(700)])
    assert only.is_flat
    assert (len(only.drawn), only.sections[0].beyond) == (500, 200)


def test_more_sections_than_a_page_lists_are_counted_and_one_opened_by_hand_is_listed():
    names = [f"{i:04}/x" for i in range(1000)]
    assert (len(found(names).sections), found(names).unlisted) == (200, 800)
    assert found(names, opened=frozenset({"0999"})).sections[-1].drawn[0].name == "0999/x"


@pytest.mark.parametrize(("name", "prefix"), [("loss", ""), ("train/loss", "train"), ("a/b/c", "a"), ("/odd", ""), ("odd/", "odd")])
def test_a_prefix_ends_at_the_first_slash(name, prefix):
    assert sections.prefix_of(name) == prefix


# Finding -----------------------------------------------------------------------------------------------------------------------------------


@PAGES
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("metric=ACC", ["train/acc", "val/acc"]),
        ("metric=^(train|val)/loss$&regex=1", ["train/loss", "val/loss"]),
        ("metric=^LOSS&regex=1", ["loss"]),
        ("metric=^loss", []),
        ("metric=&regex=1", NAMES),
    ],
)
def test_metrics_are_found_by_text_and_by_expression(bob, browser_for, project, logged, address, query, names):
    assert drawn(browser_for(bob).get(address(project, query)).content.decode()) == names
    assert drawn(browser_for(bob).get(address(project, query), headers=TYPED).content.decode()) == names


@PAGES
def test_a_bad_expression_is_pointed_at_and_the_charts_stay(bob, browser_for, project, logged, address):
    page = browser_for(bob).get(address(project, "metric=(train%2Floss&regex=1"))
    assert page.status_code == 200
    assert drawn(page.content.decode()) == NAMES
    assert "This is no regular expression: this ( is never closed." in text_of(page.content.decode())
    assert '<code class="pointed" dir="ltr"><mark>(</mark>train/loss</code>' in page.content.decode()
    typed = browser_for(bob).get(address(project, "metric=(train%2Floss&regex=1"), headers=TYPED)
    assert typed["HX-Reswap"] == "none"
    assert drawn(typed.content.decode()) == []
    assert 'id="metric-trouble" class="filter-error" role="alert" hx-swap-oob="innerHTML"' in typed.content.decode()


@pytest.mark.parametrize(
    ("pattern", "before", "part"),
    [("a(b(c)", "a", "("), ("ab)c", "ab", ")"), ("x[a-", "x", "["), (r"\(a", "", ""), ("[(]a(", "[(]a", "("), ("a**", "a", "**"), ("+a", "", "+"),
     ("a{2000}", "a", "{2000}"), ("(?=x)", "", "(?="), ("[z-a]", "[", "z-a"), ("a" * 2000, "", "a" * 2000)],
)  # fmt: skip
def test_what_is_wrong_with_an_expression_is_found(pattern, before, part):
    trouble = found(["loss"], text=pattern, is_regex=True).trouble
    if not part:
        assert trouble is None
        return
    assert trouble
    assert (trouble.before, trouble.part, trouble.before + trouble.part + trouble.after) == (before, part, pattern)
    assert trouble.message.endswith("turn Regex off to look for it as text.")


@pytest.mark.parametrize(("pattern", "at"), [("a(b)", -1), ("(", 0), (")", 0), ("((a)", 0), (r"\[(", 2), ("[]a", 0), ("[])](", 4)])
def test_a_bracket_without_its_fellow_is_found(pattern, at):
    assert unmatched(pattern) == at


def test_an_expression_that_would_take_for_ever_elsewhere_answers_at_once():
    assert found(["a" * 240], text="(a*)*b", is_regex=True).metrics == []


@PAGES
def test_typing_gets_the_charts_and_what_hangs_on_them_alone(bob, browser_for, project, logged, address):
    page = browser_for(bob).get(address(project, "metric=acc"), headers=TYPED)
    html = page.content.decode()
    assert "<html" not in html
    assert "2 of 6 metrics" in text_of(html)
    assert "HX-Target" in page["Vary"]
    assert html.count("hx-swap-oob") >= 2


def test_typing_narrows_the_summary_and_the_claim_too(bob, erin, browser_for, project, logged):
    ProjectMetric.objects.filter(project=project, name="val/acc").update(direction="maximize")
    html = browser_for(erin).get(compare_url(project, "metric=acc"), headers=TYPED).content.decode()
    summaries = html.split('id="summaries"', 1)[1]
    assert "val/acc" in summaries
    assert "loss" not in summaries
    assert "metric=val%2Facc" in html.split('id="as-claim"', 1)[1].split("</span>", 1)[0]


def test_the_form_carries_the_view_and_works_without_scripts(bob, browser_for, project, pair, log):
    log(pair[0], {f"train/{i}": [1.0] for i in range(20)})
    html = browser_for(bob).get(compare_url(project, "log=1&metric=/1&fold=val")).content.decode()
    form = html.split('<form class="toolbar finder" method="get"', 1)[1].split("</form>", 1)[0]
    assert 'hx-trigger="input delay:300ms, submit"' in form
    for carried in ('name="log" value="1"', 'name="fold" value="val"', 'name="e" value="one"', 'name="metric" value="/1"'):
        assert carried in form
    assert "11 of 20 metrics" in text_of(form)


def test_what_the_address_says_is_read():
    read = sought(QueryDict("metric=+a+&regex=1&open=x&open=y&fold=/"))
    assert read == Sought("a", True, frozenset({"x", "y"}), frozenset({"/"}))


def test_metric_names_are_text_and_never_markup(bob, browser_for, project, pair, log):
    nasty = '"><script>alert(1)</script>'
    log(pair[0], {f"{nasty}/loss": [1.0], "b/x": [1.0], f"{nasty}": [2.0]})
    for query in ("", "metric=%3Cscript", "metric=%3Cscript(&regex=1"):
        html = browser_for(bob).get(compare_url(project, query)).content.decode()
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html


# Many --------------------------------------------------------------------------------------------------------------------------------------


def test_the_summary_has_few_columns_and_says_which(bob, browser_for, project, pair, log):
    ProjectMetric.objects.create(project=project, name="zz", direction="minimize")
    log(pair[0], {**{f"m{i:02}": [1.0] for i in range(40)}, "zz": [1.0]})
    html = browser_for(bob).get(compare_url(project)).content.decode().split('id="summary"', 1)[1].split("</section>", 1)[0]
    assert "The first 12 of 41 metrics: those whose direction is known, then by name." in text_of(html)
    assert re.findall(r'title="(zz|m\d\d)"', html.split("</thead>", 1)[0]) == ["zz", *(f"m{i:02}" for i in range(11))]


@pytest.mark.slow
def test_nine_thousand_names_make_no_heavy_page(bob, browser_for, project, pair, log):
    names = [f"layer{i % 90:02}/weight/{i}" for i in range(9000)]
    for first in range(0, 9000, 1000):  # each is waited for, and not for long
        log(pair[0], {name: [1.0] for name in names[first : first + 1000]})
    for address in (compare_url, experiment_url):
        html = browser_for(bob).get(address(project)).content
        assert len(html) < 700_000
        assert len(drawn(html.decode())) == 500
        assert html.count(b"data-section=") == 90
        assert "9 000 metrics" in text_of(html.decode())
        typed = browser_for(bob).get(address(project, "metric=%2F8999$&regex=1"), headers=TYPED).content
        assert drawn(typed.decode()) == ["layer89/weight/8999"]
        assert len(typed) < 20_000


@PAGES
def test_many_metrics_cost_as_many_questions_as_few(bob, browser_for, project, pair, log, address):
    browser, counts = browser_for(bob), []
    for many in (1, 200):
        log(pair[0], {f"train/{i}": [1.0] for i in range(many)})
        with CaptureQueriesContext(connection) as asked:
            browser.get(address(project))
        counts.append(len(asked))
    assert counts[0] == counts[1]
