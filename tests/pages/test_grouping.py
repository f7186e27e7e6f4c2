"""Groups of a comparison as the server makes them, what its tables and its list say of them, and the first rows of a table."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments import lifecycle
from experiments.compare.comparison import Comparison
from experiments.compare.grouping import PLAIN, Grouping, Key
from experiments.compare.groups import by_reading
from experiments.compare.outlook import outlook
from experiments.models import Experiment
from experiments.readings.selection import select
from metrics.store import freshness
from projects.models import Project, ProjectMetric
from tests.pages.test_compare_page import row, section, text_of, url

pytestmark = pytest.mark.differs_on_servers("groups are by params that are JSON, and ordered by the database")
ALL = "e=baseline-s1&e=baseline-s2&e=wide-s1&e=wide-s2&e=slow"


@pytest.fixture
def runs(project: Project) -> list[Experiment]:
    """Two widths by two seeds, and one that is slow, nested params and tags among them."""
    rows = []
    for name, width in (("baseline", 8), ("wide", 16)):
        for seed in (1, 2):
            params = {"width": width, "seed": seed, "optimizer": {"name": "adam"}}
            rows.append(lifecycle.create(project, by=None, name=f"{name} · s{seed}", params=params, seed=seed, tags=["final"] if seed == 2 else []))
    rows.append(lifecycle.create(project, by=None, name="slow", params={"width": 8, "optimizer": {"name": "sgd"}}, replicate_group="odd ones"))
    return rows


@pytest.fixture
def logged(runs: list[Experiment], project: Project, log: Any) -> list[Experiment]:
    """The same with a loss each, and an accuracy for all but the last."""
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize")
    for run, loss in zip(runs, (0.5, 0.7, 0.2, 0.4, 0.9), strict=True):
        log(run, {"loss": [1.0, loss]} | ({} if loss == 0.9 else {"accuracy": [0.1, 1 - loss]}))
    return runs


def compared(project: Project, query: str) -> Comparison:
    asked = QueryDict(f"{ALL}&{query}")
    return Comparison(project, select(project, asked.getlist("e")), outlook(asked))


def named(project: Project, query: str) -> dict[str, list[str]]:
    """The groups that a query asks for: the slugs of each by its name, in order."""
    return {group.name: [run.experiment.slug for run in group.runs] for group in compared(project, query).groups}


# Which runs are together -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("group=seed", {"baseline": ["baseline-s1", "baseline-s2"], "wide": ["wide-s1", "wide-s2"], "odd ones": ["slow"]}),
        ("group=param:width", {"width 8": ["baseline-s1", "baseline-s2", "slow"], "width 16": ["wide-s1", "wide-s2"]}),
        ("group=param:optimizer.name", {"optimizer.name adam": ["baseline-s1", "baseline-s2", "wide-s1", "wide-s2"], "optimizer.name sgd": ["slow"]}),
        ("group=param:seed", {"seed 1": ["baseline-s1", "wide-s1"], "seed 2": ["baseline-s2", "wide-s2"], "seed –": ["slow"]}),
        ("group=tag:final", {"final": ["baseline-s2", "wide-s2"], "not final": ["baseline-s1", "wide-s1", "slow"]}),
        ("group=replicate_group", {"odd ones": ["slow"], "no replicate group": ["baseline-s1", "baseline-s2", "wide-s1", "wide-s2"]}),
        (
            "group=param:width&group=tag:final",
            {
                "width 8 · final": ["baseline-s2"],
                "width 8 · not final": ["baseline-s1", "slow"],
                "width 16 · final": ["wide-s2"],
                "width 16 · not final": ["wide-s1"],
            },
        ),
    ],
)
def test_runs_are_grouped_by_what_the_address_says(project: Project, runs: list[Experiment], store: Any, query: str, expected: dict[str, list[str]]):
    made = named(project, query)
    assert made == expected
    assert list(made) == list(expected)


def test_all_but_seed_is_the_arm_that_replicates_and_hypotheses_go_by(project: Project, store: Any):
    root = lifecycle.create(project, by=None, name="root", params={"a": 1, "seed": 0})
    children = [lifecycle.create(project, by=None, name=f"child {n}", params={"a": 2, "seed": n}, parent=root) for n in (1, 2)]
    roots = [lifecycle.create(project, by=None, name=f"fresh {n}", params={"a": 2.0, "seed": n}) for n in (3, 4)]
    comparison = Comparison(project, select(project, [run.slug for run in (root, *children, *roots)]), outlook(QueryDict("group=seed")))
    assert [(group.name, len(group.runs)) for group in comparison.groups] == [("root", 1), ("child", 2), ("fresh", 2)]
    for group in comparison.groups:
        assert {run.replicates for run in group.runs} == {len(group.runs)}


def test_equal_params_are_one_group_by_that_param_wherever_the_runs_came_from(project: Project, store: Any):
    base = lifecycle.create(project, by=None, name="base · s1", params={"lr": 1, "seed": 1})
    again = lifecycle.create(project, by=None, name="base · s2", params={"lr": 1.0, "seed": 2}, parent=base)
    other = lifecycle.create(project, by=None, name="other code", params={"lr": 1, "seed": 3}, parent=base, features_diff={"augmented": True})
    assert len({Key("param:lr").value(run) for run in (base, again, other)}) == 1
    assert len({Key("seed").value(run) for run in (base, again, other)}) == 3


def test_groups_that_would_have_one_name_say_what_tells_them_apart(project: Project, store: Any):
    told = [(0.1, True), (0.1, True), (0.2, "true")]
    made = [lifecycle.create(project, by=None, name=f"ours {n}", params={"lr": lr, "amp": amp, "seed": n}) for n, (lr, amp) in enumerate(told)]
    bare = [lifecycle.create(project, by=None, name="ours", params={"lr": 0.3}, parent=made[0], features_diff={"depth": n}) for n in range(2)]
    comparison = Comparison(project, select(project, [run.slug for run in made + bare]), outlook(QueryDict("group=seed")))
    names = ["lr 0.1 · amp true · ours", "ours 2", "lr 0.3 · amp – · ours", "lr 0.3 · amp – · ours (2)"]
    assert [group.name for group in comparison.groups] == names
    by_param = Comparison(project, select(project, [run.slug for run in made]), outlook(QueryDict("group=param:amp")))
    assert {group.name for group in by_param.groups} == {"amp true", 'amp "true"'}


def test_runs_whose_names_share_no_word_are_told_apart_by_their_params(project: Project, store: Any):
    told = [("brave-otter", 0.1), ("calm-fox", 0.1), ("dusty-elk", 0.2), ("eager-owl", 0.2)]
    made = [lifecycle.create(project, by=None, name=name, params={"lr": lr, "trainer": {"seed": n}}) for n, (name, lr) in enumerate(told)]
    chosen = select(project, [run.slug for run in made])
    assert [group.name for group in Comparison(project, chosen, outlook(QueryDict("group=seed"))).groups] == ["lr 0.1", "lr 0.2"]
    assert [arm.name for arm in Comparison(project, chosen, outlook(QueryDict())).arms] == ["lr 0.1", "lr 0.2"]


@pytest.mark.parametrize("query", ["group=param:lr", "group=seed"])
def test_names_of_groups_show_the_digits_that_tell_floats_apart(project: Project, store: Any, query: str):
    names = [("a", 0.3), ("b", 0.3), ("c", 0.1 + 0.2), ("d", 0.1 + 0.2)]
    made = [lifecycle.create(project, by=None, name=name, params={"lr": lr, "seed": n}) for n, (name, lr) in enumerate(names)]
    comparison = Comparison(project, select(project, [run.slug for run in made]), outlook(QueryDict(query)))
    assert [group.name for group in comparison.groups] == ["lr 0.3", "lr 0.30000000000000004"]


@pytest.mark.parametrize("query", ["group=", "group=nothing&group=param:&group=tag:", "as=pie&centre=top&band=wide", "group=%00"])
def test_a_grouping_that_makes_no_sense_is_none(query: str):
    assert Grouping.read(QueryDict(query)) == PLAIN


def test_a_key_counts_once_and_two_at_most():
    keys = Grouping.read(QueryDict("group=seed&group=seed&group=tag:a&group=param:b")).keys
    assert [key.text for key in keys] == ["seed", "tag:a"]


def test_true_is_no_one_and_text_no_number():
    given = [True, 1, "1", None, [1]]
    values = [Key("param:p").value(Experiment(params={"p": value})) for value in given]
    assert len(set(values)) == len(given)


@pytest.mark.parametrize(("sign", "expected"), [(1, [3.0, 1.0]), (-1, [1.0, 3.0]), (0, [3.0, 1.0])])
def test_a_list_has_the_best_first_and_what_has_no_number_last(sign: int, expected: list[float]):
    readings = [None, 1.0, float("nan"), 3.0]
    order = sorted(readings, key=lambda reading: by_reading(reading, sign))
    assert order[:2] == expected


# How they are drawn ------------------------------------------------------------------------------------------------------------------------


def test_the_baselines_group_is_ink_and_the_others_have_the_colour_of_their_first_run(project: Project, runs: list[Experiment], store: Any):
    groups = compared(project, "group=seed").groups
    assert [group.style for group in groups] == ["base", "r3", "r5"]
    assert {run.style for run in groups[1].runs} == {"r3"}


def test_as_dash_one_key_has_one_colour_and_two_are_colour_and_dash(project: Project, runs: list[Experiment], store: Any):
    assert [group.style for group in compared(project, "group=param:seed&as=dash").groups] == ["base", "r1 dash2", "r1 dash3"]
    two = compared(project, "group=param:width&group=param:seed&as=dash&base=slow").groups
    assert [group.style for group in two] == ["r1", "r1 dash2", "base", "r2", "r2 dash2"]


# What the page says ------------------------------------------------------------------------------------------------------------------------


def test_group_rows_have_mean_sd_n_and_the_difference_from_the_baselines_group(bob, browser_for, project, logged):
    html = section(browser_for(bob).get(url(project, f"{ALL}&group=param:width")).content.decode(), "arms")
    wide, narrow = text_of(row(html, "width 16")), text_of(row(html, "width 8"))
    assert "width 16 2 0.7000 ±0.1414 +0.3000 better 0.3000 ±0.1414 −0.4000 better" in wide
    assert "width 8 3 n 2 0.4000 ±0.1414 – 0.7000 ±0.2000 –" in narrow


def test_only_runs_that_are_shown_and_did_not_fail_count(bob, browser_for, project, logged):
    lifecycle.fail(logged[3], "crashed", by=None)
    html = section(browser_for(bob).get(url(project, f"{ALL}&group=param:width&hide=slow&hide=baseline-s2")).content.decode(), "arms")
    assert "width 16 1 of 2 0.8000 – +0.3000 better" in text_of(row(html, "width 16"))
    assert "width 8 1 of 3 0.5000 – –" in text_of(row(html, "width 8"))


def test_a_failed_baseline_is_no_reference_for_groups(bob, browser_for, project, logged):
    lifecycle.fail(logged[0], "diverged", by=None)
    html = section(browser_for(bob).get(url(project, f"{ALL}&group=param:width")).content.decode(), "arms")
    assert "better" not in text_of(row(html, "width 16"))


def test_the_list_has_groups_as_headings_with_n_mean_and_delta(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project, f"{ALL}&group=param:width&hide=wide-s2")).content.decode()
    heads = re.findall(r'<li class="group.*?</li>', html, flags=re.DOTALL)
    assert [text_of(head) for head in heads] == ["width 8 n 3 , the baseline's 0.4000 reference", "width 16 n 1 0.8000 +0.4000 better"]
    assert html.count('data-member="group-0"') == 3
    assert 'aria-label="Show all of width 16"' in heads[1]


def test_the_list_is_sorted_by_a_metric_in_groups_and_without(bob, browser_for, project, logged):
    def listed(query: str) -> list[str]:
        return re.findall(r'data-slug="([^"]+)"', browser_for(bob).get(url(project, f"{ALL}&{query}")).content.decode())

    assert listed("order=loss") == ["wide-s1", "wide-s2", "baseline-s1", "baseline-s2", "slow"]
    assert listed("order=accuracy") == ["wide-s1", "wide-s2", "baseline-s1", "baseline-s2", "slow"]
    assert listed("order=loss&group=tag:final") == ["wide-s1", "baseline-s1", "slow", "wide-s2", "baseline-s2"]
    assert listed("order=nothing") == ["baseline-s1", "baseline-s2", "wide-s1", "wide-s2", "slow"]


def test_the_form_offers_what_tells_runs_apart_and_keeps_the_rest_of_the_address(bob, browser_for, project, logged):
    html = browser_for(bob).get(url(project, f"{ALL}&group=param:width&log=1")).content.decode()
    form = html.split("data-group-toolbar", 1)[1].split("</form>", 1)[0]
    assert re.findall(r'<option value="((?:param|tag):[^"]+)"', form)[:4] == ["param:width", "param:optimizer.name", "param:seed", "tag:final"]
    assert '<option value="param:width" selected>' in form
    assert 'name="log" value="1"' in form
    assert form.count('type="hidden" name="e"') == 5
    assert 'data-set="group" data-value="seed"' in form


def test_htmx_gets_the_table_of_groups_with_the_values_of_the_list(bob, browser_for, project, logged):
    page = browser_for(bob).get(url(project, f"{ALL}&group=seed"), headers={"HX-Request": "true", "HX-Target": "arms"})
    html = page.content.decode()
    assert html.lstrip().startswith('<section class="section" id="arms"')
    assert html.count('hx-swap-oob="true"') == 3
    assert 'id="differences"' not in html


def test_names_of_groups_are_text_and_never_markup(bob, browser_for, project, store):
    nasty = '"><script>alert(1)</script>'
    for n in (1, 2):
        lifecycle.create(project, by=None, name=f"{nasty} {n}", params={nasty: nasty * n}, tags=[nasty] if n == 1 else [], replicate_group=nasty)
    slugs = "&".join(f"e={slug}" for slug in Experiment.objects.values_list("slug", flat=True))
    for key in ("seed", "replicate_group", f"param:{nasty}", f"tag:{nasty}"):
        query = QueryDict(mutable=True)
        query["group"] = key
        assert "<script>alert" not in browser_for(bob).get(url(project, f"{slugs}&{query.urlencode()}")).content.decode()


def test_groups_cost_no_question_more(bob, browser_for, project, store):
    rows = [Experiment(project=project, name=f"run {i}", slug=f"run-{i}", replicate_key=str(i), params={"lr": i % 9}) for i in range(100)]
    Experiment.objects.bulk_create(rows)
    browser, counts = browser_for(bob), []
    for more in ("", "&group=param:lr", "&group=seed&group=tag:final&as=dash&order=loss"):
        with CaptureQueriesContext(connection) as asked:
            browser.get(url(project, "e=" + ",".join(f"run-{i}" for i in range(100)) + more))
        counts.append(len(asked))
    assert len(set(counts)) == 1
    assert counts[0] <= 14 + freshness.can_be_away()


# The first rows of a table -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(project: Project) -> Callable[[str], str]:
    """table("?sort=name"): the address of the project's table."""
    return lambda query: reverse("projects:project", args=[project.team.slug, project.slug]) + query


def chosen(response: Any) -> list[str]:
    """The runs that a redirect leads to compare."""
    assert response.status_code == 302, response.content
    assert urlsplit(response["Location"]).path.endswith("/compare")
    return parse_qs(urlsplit(response["Location"]).query).get("e", [""])[0].split(",")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?compare=5&sort=metric:loss", ["wide-s1", "wide-s2", "baseline-s1", "baseline-s2", "slow"]),
        ("?compare=5&sort=-metric:loss&q=params.width<10", ["slow", "baseline-s2", "baseline-s1"]),
        ("?compare=10&sort=name&tag=final", ["baseline-s2", "wide-s2"]),
        ("?compare=5&q=seed =", [""]),
    ],
)
def test_the_first_rows_are_compared_in_the_order_and_by_the_filter_of_the_table(bob, browser_for, table, logged, query, expected):
    assert chosen(browser_for(bob).get(table(query))) == expected


def test_the_links_say_how_many_and_keep_filter_and_sort(bob, browser_for, project, table):
    Experiment.objects.bulk_create([Experiment(project=project, name=f"run {i}", slug=f"run-{i}") for i in range(12)])
    html = browser_for(bob).get(table("?sort=-name&q=run")).content.decode()
    assert re.findall(r'href="[^"]*\?q=run&amp;sort=-name&amp;compare=(\d+)"', html) == ["5", "10", "25"]
    assert chosen(browser_for(bob).get(table("?sort=-name&q=run&compare=5"))) == ["run-9", "run-8", "run-7", "run-6", "run-5"]
    assert "Compare the first" not in browser_for(bob).get(table("?q=run 11")).content.decode()


def test_a_number_that_is_not_offered_is_no_comparison(bob, browser_for, table, runs):
    assert browser_for(bob).get(table("?compare=7")).status_code == 200


def test_long_names_leave_the_address_short(bob, browser_for, project, table):
    made = [lifecycle.create(project, by=None, name="实验" * 40 + str(n)) for n in range(3)]
    assert set(chosen(browser_for(bob).get(table("?compare=5")))) == {str(run.pk) for run in made}


def test_the_first_rows_of_a_project_are_nothing_to_a_stranger(carol, browser_for, table, runs):
    assert browser_for(carol).get(table("?compare=5")).status_code == 404


def test_a_run_has_the_same_swatch_in_table_and_comparison(bob, browser_for, project, table, runs):
    in_table = row(browser_for(bob).get(table("?sort=name")).content.decode(), "wide · s1")
    assert 'class="swatch r3"' in in_table
    compare = browser_for(bob).get(url(project, "e=slow&e=wide-s1")).content.decode()
    assert 'class="swatch r3"' in compare.split('data-slug="wide-s1"', 1)[1].split("</li>", 1)[0]
