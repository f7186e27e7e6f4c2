"""Runs in groups, in a real browser: the numbers of centre and band against numpy's, and everything that a person does with groups, colours and first rows."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from scipy import stats

from tests.e2e.conftest import Opener, Site, photograph, settled

pytestmark = pytest.mark.browser

PATIENCE_MS = 20_000
PROJECT = "/projects/research-team/grouped/"
Lines = list[list[float | None]]
Numbers = list[float | None]


@pytest.fixture(scope="module")
def groups(browser: Browser, site: Site) -> Callable[..., Any]:
    """groups("student(3)", given): the value of an expression over the functions of charts/groups.js and what is `given`."""
    page = browser.new_page(base_url=site.url)
    page.goto("/sign-in")
    return lambda call, given=None: page.evaluate(f"async (given) => {{ const math = await import('/static/js/charts/groups.js'); return {call}; }}", given)


def series(lines: Lines) -> list[dict[str, Any]]:
    """Runs as the API answers them, one point a bucket."""
    return [{"experiment": str(i), "avg": line, "min": line, "max": line, "nonfinite": 0, "nonfinite_at": None} for i, line in enumerate(lines)]


def expected(xs: list[float], lines: Lines, centre: str, band: str) -> tuple[Numbers, Numbers, Numbers, list[int]]:
    """Centre, band and n as numpy and scipy have them: straight lines over gaps, nothing outside of a run's own points."""
    table = np.full((len(lines), len(xs)), np.nan)
    for row, line in zip(table, lines, strict=True):
        known = [(x, value) for x, value in zip(xs, line, strict=True) if value is not None]
        if known:
            at, values = zip(*known, strict=True)
            row[:] = np.interp(xs, at, values, left=np.nan, right=np.nan)
    n = np.isfinite(table).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a place where nobody is
        mean, middle = np.nanmean(table, axis=0), np.nanmedian(table, axis=0)
        spread = np.where(n > 1, np.nanstd(table, axis=0, ddof=1), np.nan)
        error = spread / np.sqrt(n)
        away = {"sd": spread, "se": error, "ci": error * stats.t.ppf(0.975, np.maximum(n - 1, 1)), "none": np.full(len(xs), np.nan)}
        low, high = (np.nanmin(table, axis=0), np.nanmax(table, axis=0)) if band == "range" else (mean - away[band], mean + away[band])
    return listed(middle if centre == "median" else mean), listed(low), listed(high), n.tolist()


def listed(values: np.ndarray[Any, Any]) -> Numbers:
    """As JSON has them: None for what is no number. Any: the array's shape."""
    return [float(value) if math.isfinite(value) else None for value in values]


def alike(one: Numbers, other: Numbers) -> bool:
    """Whether the same places are empty, and the others equal but for rounding."""
    return [value is None for value in one] == [value is None for value in other] and [value for value in one if value is not None] == pytest.approx(
        [value for value in other if value is not None], rel=1e-6, abs=1e-12
    )


CASES: dict[str, Lines] = {
    "five whole runs": [[5.0, 3.0, 2.0, 1.5], [5.5, 3.1, 1.9, 1.6], [4.8, 2.7, 2.2, 1.1], [5.1, 3.0, 2.0, 1.4], [9.0, 7.0, 6.0, 5.5]],
    "one run": [[3.0, 2.0, 1.0, 0.5]],
    "a run that is nowhere a number": [[1.0, 2.0, 3.0, 4.0], [None, None, None, None], [2.0, 3.0, 5.0, 8.0]],
    "a run that stops being a number": [[1.0, 2.0, 3.0, 4.0], [2.0, 2.5, None, None], [0.5, 1.0, 4.0, 2.0]],
    "gaps that a line goes over": [[1.0, None, None, 4.0], [2.0, 3.0, None, 9.0], [None, 5.0, None, 6.0]],
    "different lengths": [[1.0, None, None, None], [2.0, 3.0, None, None], [3.0, 5.0, 9.0, None], [7.0, 1.0, 2.0, 2.5]],
    "nobody at a place": [[None, 2.0, None, None], [None, 3.0, None, None]],
    "tiny and huge": [[1e-12, 1e12, -1e12, 0.0], [2e-12, 2e12, -3e12, 0.0]],
}


@pytest.mark.parametrize("centre", ["mean", "median"])
@pytest.mark.parametrize("band", ["sd", "se", "ci", "range", "none"])
@pytest.mark.parametrize("name", CASES)
def test_centre_band_and_n_are_those_of_numpy(groups: Callable[..., Any], name: str, centre: str, band: str):
    xs, lines = [0.0, 10.0, 15.0, 40.0], CASES[name]
    how = {"centre": centre, "band": band, "smoothing": 0, "isLog": False}
    made = groups("math.together(given.xs, given.members, given.how)", {"xs": xs, "members": series(lines), "how": how})
    middle, low, high, n = expected(xs, lines, centre, band)
    assert made["n"] == n
    assert alike(made["avg"], middle)
    assert alike(made["min"], low)
    assert alike(made["max"], high)


def test_students_t_is_that_of_scipy_for_every_number_of_runs(groups: Callable[..., Any]):
    degrees = list(range(1, 1000))
    made = groups("given.map(math.student)", degrees)
    assert made == pytest.approx(stats.t.ppf(0.975, degrees).tolist(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0, 0.9])
def test_the_range_of_thinned_runs_is_that_of_their_envelopes_smoothed_or_not(groups: Callable[..., Any], smoothing: float):
    members = series([[1.0, 2.0], [3.0, 4.0]])
    members[0]["min"], members[1]["max"] = [-5.0, 1.5], [3.5, 90.0]
    made = groups(f"math.together([0, 1], given, {{centre: 'mean', band: 'range', smoothing: {smoothing}}})", members)
    assert (made["min"], made["max"]) == ([-5.0, 1.5], [3.5, 90.0])


def test_runs_are_smoothed_one_by_one_before_they_are_put_together(groups: Callable[..., Any]):
    lines: Lines = [[0.0, 10.0, 0.0, 10.0], [1.0, 1.0, 1.0, 1.0]]
    made = groups("math.together([0, 1, 2, 3], given, {centre: 'mean', band: 'sd', smoothing: 0.5})", series(lines))
    smooth = []
    for line in lines:
        total, norm, out = 0.0, 1.0, []
        for value in line:
            assert value is not None
            total, norm = total * 0.5 + value * 0.5, norm * 0.5
            out.append(total / (1 - norm))
        smooth.append(out)
    assert made["avg"] == pytest.approx(np.mean(smooth, axis=0).tolist())
    spread = np.std(smooth, axis=0, ddof=1)
    assert made["max"] == pytest.approx((np.mean(smooth, axis=0) + spread).tolist())


def test_a_band_below_zero_ends_at_the_foot_of_a_log_axis(groups: Callable[..., Any]):
    assert groups("math.footed([-1, 0.5, null, 2], [1, 1, null, 3])") == [0.5, 0.5, None, 2]


def test_only_shown_runs_count_and_groups_keep_their_order(groups: Callable[..., Any]):
    runs = [{"id": str(i), "isHidden": i == 1, "name": "", "style": {"isBase": False}} for i in range(4)]
    listed_groups = [
        {"id": "g0", "name": "base", "style": {"isBase": True}, "members": ["0", "1"]},
        {"id": "g1", "name": "other", "style": {"isBase": False}, "members": ["2", "3"]},
    ]
    answer = {"x": [0], "width": 1, "count": 4, "series": series([[1.0], [100.0], [2.0], [4.0]])}
    answer["series"][3] |= {"nonfinite": 7, "nonfinite_at": 5.0}
    how = {"centre": "mean", "band": "sd", "smoothing": 0, "isLog": False}
    made = groups("math.inGroups(given.answer, given.runs, given.groups, given.how)", {"answer": answer, "runs": runs, "groups": listed_groups, "how": how})
    assert [(one["experiment"], one["avg"], one["n"]) for one in made["answer"]["series"]] == [("g0", [1.0], [1]), ("g1", [3.0], [2])]
    assert [one["nonfinite_at"] for one in made["answer"]["series"]] == [None, 5.0]
    assert [run["id"] for run in made["runs"]] == ["g0", "g1"]


@pytest.mark.parametrize(("counts", "text"), [([[5, 5], [5]], "n 5"), ([[3, 5], [0, 4]], "n 3 to 5"), ([[0]], ""), ([], "")])
def test_n_is_said_with_its_range(groups: Callable[..., Any], counts: list[list[int]], text: str):
    assert groups("math.said(given)", counts) == text


# On the page -------------------------------------------------------------------------------------------------------------------------------

# What stands left of a plot: the ticks of its y axis.
# The texts of the y axis alone: they end 36 px from the left, before the marks of what begins at the first x.
SCALE = """all => all.map((canvas) => {
  const copy = Object.assign(document.createElement('canvas'), { width: 36 * devicePixelRatio, height: canvas.height });
  copy.getContext('2d').drawImage(canvas, 0, 0);
  return copy.toDataURL();
})"""
RATES = {0.1: (0.9, 0.8, 0.7), 0.01: (0.5, 0.4, 0.3)}


@pytest.fixture(scope="module")
def made(site: Site) -> list[str]:
    """Two learning rates by three seeds, one of them half as long, and a run apart; a metric where less is better, one where more is."""
    slugs = []
    for rate, ends in RATES.items():
        for seed, end in enumerate(ends):
            length = 10 if (rate, seed) == (0.01, 2) else 20
            points: dict[str, list[Any]] = {
                "loss": [end + 1 / (step + 1) for step in range(length)],
                "accuracy": [1 - end / (step + 1) for step in range(length)],
            }
            slugs.append(
                site.run("grouped", f"<b>تعلم {rate}</b> · s{seed}", points, params={"lr": rate, "seed": seed}, seed=seed, tags=["final"] if seed else [])
            )
    slugs.append(site.run("grouped", "نتيجة apart", {"loss": [2.0, "NaN", "NaN"]}, params={"lr": 0.5, "depth": 3}))
    site.call("PATCH", "/api/v1/projects/grouped/metrics/loss", {"direction": "minimize"})
    site.call("PATCH", "/api/v1/projects/grouped/metrics/accuracy", {"direction": "maximize"})
    return slugs


def compare(slugs: list[str], more: str = "") -> str:
    return f"{PROJECT}compare?e={','.join(slugs)}{more}"


def heads(page: Page) -> Locator:
    return page.locator(".runs li.group")


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def card(page: Page, metric: str) -> Locator:
    return page.locator(f'.chart[data-metric="{metric}"]')


def over(page: Page, metric: str, share: float) -> None:
    """Move the mouse into a chart."""
    area = card(page, metric).locator(".u-over").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)


def test_one_click_groups_all_but_the_seed_and_n_is_said_in_legend_head_and_tooltip(visit: Opener, made: list[str]):
    page = settled(visit(compare(made)))
    expect(heads(page)).to_have_count(0)
    page.get_by_role("link", name="All but seed").click()
    page.wait_for_url(re.compile("group=seed"))
    settled(page)
    expect(heads(page)).to_have_count(3)
    expect(heads(page).nth(0).locator("small").first).to_contain_text("n 3")
    expect(card(page, "accuracy").locator(".how")).to_contain_text("mean, ± sd, n 2 to 3")
    over(page, "accuracy", 0.2)
    tip = page.locator(".chart-tooltip:visible")
    expect(tip.locator("header")).to_contain_text("band, n")
    expect(tip.locator("li")).to_have_count(2)
    assert all(re.search(r", n 3$", text) for text in tip.locator(".spread").all_inner_texts())
    over(page, "accuracy", 0.95)
    expect(tip.locator(".spread").filter(has_text="n 2")).to_have_count(1)
    photograph(page, "groups-seed-light")
    page.get_by_role("link", name="All but seed").click()
    page.wait_for_url(lambda address: "group=" not in address)


def test_the_eye_of_a_group_hides_its_runs_and_the_tables_count_what_is_shown(visit: Opener, made: list[str]):
    page = settled(visit(compare(made, "&group=param:lr")))
    arms = page.locator("#arms tbody tr")
    expect(arms).to_have_count(3)
    row = arms.filter(has_text="lr 0.01")
    expect(row.locator("td").first).to_have_text("3")
    box = heads(page).filter(has_text="lr 0.01").locator("input")
    page.locator(f'.runs li[data-slug="{made[5]}"] .eye').click()
    expect(row.locator("td").first).to_have_text("2 of 3", timeout=PATIENCE_MS)
    assert box.evaluate("box => box.indeterminate")
    expect(heads(page).filter(has_text="lr 0.01").locator("small").first).to_contain_text("n 2 of 3")
    expect(card(page, "accuracy").locator(".how")).to_contain_text("n 2 to 3")
    heads(page).filter(has_text="lr 0.01").locator(".eye").click()
    expect(row.locator("td").first).to_have_text("0 of 3", timeout=PATIENCE_MS)
    assert set(query(page)["hide"]) == set(made[3:6])
    over(page, "accuracy", 0.5)
    expect(page.locator(".chart-tooltip:visible li")).to_have_count(1)
    page.reload()
    settled(page)
    expect(page.locator(".runs li.hidden")).to_have_count(4)


def test_centre_and_band_are_drawn_at_once_and_kept_in_the_address(visit: Opener, made: list[str]):
    page = settled(visit(compare(made, "&group=param:lr")))
    canvas = card(page, "accuracy").locator("canvas").last
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    page.get_by_label("Centre").select_option("median")
    page.get_by_label("Band").select_option("ci")
    expect(card(page, "accuracy").locator(".how")).to_contain_text("median, 95% CI of the mean")
    page.wait_for_url(re.compile("centre=median.*band=ci"))
    assert canvas.evaluate("canvas => canvas.toDataURL()") != before
    page.reload()
    settled(page)
    expect(page.get_by_label("Band")).to_have_value("ci")
    expect(card(page, "accuracy").locator(".how")).to_contain_text("median, 95% CI of the mean")


def test_two_keys_are_chosen_and_shown_as_colour_and_dash(visit: Opener, made: list[str]):
    page = settled(visit(compare(made)))
    page.get_by_label("Group by", exact=True).select_option("param:lr")
    page.wait_for_url(re.compile("group=param"))
    settled(page)
    page.get_by_label("Group by this as well").select_option("tag:final")
    page.wait_for_url(re.compile("group=param.*group=tag"))
    settled(page)
    assert [text.split("\n")[0] for text in heads(page).locator("h3").all_inner_texts()] == [
        "lr 0.01 · final", "lr 0.01 · not final", "lr 0.1 · final", "lr 0.1 · not final", "lr 0.5 · not final",
    ]  # fmt: skip
    page.get_by_role("button", name="Dash").click()
    page.wait_for_url(re.compile("as=dash"))
    settled(page)
    styles = heads(page).locator(".swatch").evaluate_all("all => all.map((each) => each.getAttribute('class').replace('swatch ', ''))")
    assert styles == ["r1", "r1 dash2", "r2", "base", "r3 dash2"]
    assert query(page)["group"] == ["param:lr", "tag:final"]


def test_small_charts_share_one_scale_and_one_cursor(visit: Opener, made: list[str]):
    page = settled(visit(compare(made, "&group=param:lr")))
    page.get_by_role("button", name="Small charts").click()
    page.wait_for_url(re.compile("as=charts"))
    settled(page)
    facets = card(page, "loss").locator(".facet")
    expect(facets).to_have_count(3)
    assert facets.locator("p span").all_inner_texts() == ["lr 0.01", "lr 0.1", "lr 0.5"]
    expect(card(page, "accuracy").locator(".facet")).to_have_count(2)
    assert len(set(facets.locator("canvas:not(.hot-line)").evaluate_all(SCALE))) == 1
    over(page, "accuracy", 0.5)
    expect(card(page, "accuracy").locator(".cursor-x:visible")).to_have_count(2)
    expect(page.locator(".chart-tooltip:visible li")).to_have_count(2)
    photograph(page, "groups-charts-light")
    heads(page).filter(has_text="lr 0.01").locator(".eye").click()
    expect(card(page, "accuracy").locator(".facet")).to_have_count(1)
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.locator(".facet")).to_have_count(0)
    page.get_by_role("button", name="All", exact=True).click()
    expect(card(page, "accuracy").locator(".facet")).to_have_count(2)
    card(page, "accuracy").focus()
    page.keyboard.press("ArrowRight")
    expect(card(page, "accuracy").locator(".cursor-x:visible")).to_have_count(2)


def test_the_list_is_sorted_by_a_metric_and_the_first_of_it_are_shown(visit: Opener, made: list[str]):
    page = settled(visit(compare(made)))
    page.get_by_label("Sort by").select_option("accuracy")
    page.wait_for_url(re.compile("order=accuracy"))
    settled(page)
    order = page.locator(".runs [data-run]").evaluate_all("items => items.map((item) => item.dataset.slug)")
    assert order[-1] == made[-1]
    assert order[0] in made[3:6]
    page.get_by_role("button", name="First", exact=True).click()
    expect(page.locator(".runs li[data-run]:not(.hidden)")).to_have_count(5)
    assert set(query(page)["hide"]) == set(order[5:])


def test_the_first_of_grouped_runs_are_groups(visit: Opener, site: Site, made: list[str]):
    page = settled(visit(compare(made, "&group=seed&order=loss")))
    expect(heads(page).first).to_contain_text("0.01")
    page.get_by_role("button", name="None", exact=True).click()
    page.get_by_role("button", name="First", exact=True).click()
    expect(page.locator(".runs li.hidden")).to_have_count(0)


def test_a_group_is_lit_in_list_and_tooltip_from_any_of_its_runs(visit: Opener, made: list[str]):
    page = settled(visit(compare(made, "&group=param:lr")))
    page.mouse.move(2, 2)
    blank = card(page, "accuracy").locator(".hot-line").evaluate("canvas => canvas.toDataURL()")
    page.locator(f'.runs li[data-slug="{made[4]}"]').hover()
    expect(heads(page).filter(has_text="lr 0.01")).to_have_class(re.compile("hot"))
    assert card(page, "accuracy").locator(".hot-line").evaluate("canvas => canvas.toDataURL()") != blank


def test_the_first_rows_of_the_table_are_compared_in_its_order(visit: Opener, made: list[str]):
    page = visit(f"{PROJECT}?sort=metric:loss")
    page.get_by_role("link", name="Compare the first 5").click()
    page.wait_for_url(re.compile("/compare"))
    settled(page)
    expect(page.get_by_role("heading", name="5 experiments")).to_be_visible()
    readings = [float(text) for text in page.locator("#summary tbody tr td.num.group:nth-of-type(2)").all_inner_texts() if re.fullmatch(r"[\d.]+", text)]
    assert readings == sorted(readings)


def test_a_run_has_one_colour_in_table_comparisons_and_on_its_page(visit: Opener, made: list[str]):
    style = "all => all.map((each) => each.getAttribute('class'))"
    page = visit(PROJECT)
    row = page.locator("#table tbody tr").filter(has=page.locator(f'input[value="{made[1]}"]'))
    (in_table,) = row.locator(".swatch").evaluate_all(style)
    for pair in ([made[0], made[1]], [made[6], made[2], made[1]]):
        page.goto(compare(pair))
        assert settled(page).locator(f'.runs li[data-slug="{made[1]}"] .swatch').evaluate_all(style) == [in_table]
    page.goto(f"{PROJECT}experiments/{made[1]}/")
    assert settled(page).locator(".runs-of-charts .swatch").evaluate_all(style) == [in_table]


def test_without_javascript_the_form_groups_and_the_tables_say_it(visit: Opener, made: list[str]):
    page = visit(compare(made), script=False)
    page.get_by_label("Group by", exact=True).select_option("param:lr")
    page.get_by_role("button", name="Apply").last.click()
    expect(page.locator("#arms tbody tr")).to_have_count(3)
    expect(heads(page)).to_have_count(3)
    page.get_by_role("button", name="Small charts").click()
    page.wait_for_url("**as=charts**")
    assert query(page)["group"] == ["param:lr"]
    assert query(page)["as"][-1] == "charts"


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_of_it_overflows(visit: Opener, made: list[str], width: int, dark: bool):
    for shown in ("colour", "charts"):
        page = settled(visit(compare(made, f"&group=seed&as={shown}"), width=width, dark=dark))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        photograph(page, f"groups-{shown}-{width}-{'dark' if dark else 'light'}")
