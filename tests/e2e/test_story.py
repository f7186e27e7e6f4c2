"""A researcher's way through the product, in a real browser."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Console, Opener, Site, photograph, settled, sign_in

pytestmark = pytest.mark.browser

PROJECT = "/projects/research-team/digits/"
THREE = f"{PROJECT}compare?e=baseline-s1&e=wider-s1&e=deeper-s1"


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def drag(page: Page, card: int, start: float, end: float) -> None:
    """Press in a chart at one share of its plot's width, let go at another."""
    area = page.locator(".chart .u-over").nth(card)
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * start, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + 70, steps=6)
    page.mouse.up()


@pytest.mark.differs_on_servers("the one story through all: several workers, PostgreSQL, Redis, ClickHouse")
def test_from_signing_in_to_a_comparison_and_back(browser: Browser, site: Site, console: Console):
    page = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900}).new_page()
    console.watch(page)
    sign_in(page, site)
    page.locator("main").get_by_role("link", name="Digits").first.click()
    expect(page.get_by_role("heading", name="Digits")).to_be_visible()
    photograph(page, "project")

    boxes = page.locator('input[name="e"][form="compare"]:visible')
    for i in (0, 6, 12):
        boxes.nth(i).check()
    page.get_by_role("button", name="Compare 3").click()
    expect(page.get_by_role("heading", name="3 experiments")).to_be_visible()
    settled(page)

    drag(page, 0, 0.25, 0.6)
    page.wait_for_function("() => new URLSearchParams(location.search).has('from')")
    settled(page)
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()

    page.get_by_role("button", name="Log", exact=True).click()
    expect(page.get_by_role("button", name="Log", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".chart .how").first).to_contain_text("log")

    rows = page.locator("#differences tbody tr")
    few = rows.count()
    page.get_by_role("button", name="Differences only").click()
    expect(page.get_by_role("button", name="Differences only")).to_have_attribute("aria-pressed", "false")
    assert rows.count() > few
    page.wait_for_url(re.compile("params=all"))
    assert {"from", "to", "log", "params"} <= set(query(page))
    photograph(page, "story")

    page.locator(".runs a.run-name").first.click()
    expect(page.get_by_role("heading", name="Curves")).to_be_visible()
    settled(page)
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Digits").click()
    page.wait_for_url(f"**{PROJECT}")
    page.context.close()


def test_a_link_reproduces_the_view(visit: Opener):
    page = settled(visit(THREE))
    page.get_by_role("button", name="Log", exact=True).click()
    page.get_by_label("Smooth").fill("0.6")
    page.get_by_label("Clip outliers").check()
    page.locator(".runs .eye input").nth(1).uncheck(force=True)
    page.wait_for_url(re.compile("hide=wider-s1"))
    again = settled(visit(page.url))
    assert query(again) == query(page)
    expect(again.get_by_role("button", name="Log", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(again.locator("output")).to_have_text("0.60")
    expect(again.get_by_label("Clip outliers")).to_be_checked()
    expect(again.locator(".runs .eye input").nth(1)).not_to_be_checked()
    expect(again.locator(".chart .how").first).to_have_text(page.locator(".chart .how").first.inner_text())
    drawn = "canvas => canvas.toDataURL()"
    assert again.locator(".chart canvas").first.evaluate(drawn) == page.locator(".chart canvas").first.evaluate(drawn)


def test_a_zoom_asks_for_its_range_in_every_chart_and_a_double_click_goes_back(visit: Opener):
    page = settled(visit(THREE))
    with page.expect_response(lambda response: "metric=val%2Floss" in response.url and "from=" in response.url) as answered:
        drag(page, 0, 0.2, 0.5)
    assert answered.value.ok
    first, last = int(query(page)["from"][0]), int(query(page)["to"][0])
    assert 8 <= first < last <= 26
    box = page.locator(".chart .u-over").first.bounding_box()
    assert box
    page.mouse.dblclick(box["x"] + 100, box["y"] + 60)
    page.wait_for_function("() => !new URLSearchParams(location.search).has('from')")
    expect(page.get_by_role("button", name="Reset zoom")).to_be_hidden()


def test_a_baseline_is_pinned_and_the_rest_of_the_view_stays(visit: Opener):
    page = settled(visit(THREE))
    page.get_by_role("button", name="Log", exact=True).click()
    page.get_by_role("link", name="Pin wider · s1 as the baseline").click()
    page.wait_for_url(re.compile("base=wider-s1"))
    settled(page)
    assert query(page)["log"] == ["1"]
    expect(page.locator("#summary tr.pinned")).to_contain_text("wider · s1")
    expect(page.locator('[data-slug="wider-s1"] .swatch')).to_have_class(re.compile("base"))


def test_the_whole_page_works_without_javascript_but_for_the_curves(visit: Opener):
    page = visit(THREE, script=False)
    rows = page.locator("#differences tbody tr")
    few = rows.count()
    page.get_by_role("button", name="Differences only").click()
    page.wait_for_url("**params=all**")
    assert rows.count() > few
    page.get_by_role("link", name="Pin deeper · s1 as the baseline").click()
    expect(page.locator("#summary tr.pinned")).to_contain_text("deeper · s1")
    page.get_by_role("button", name="Log", exact=True).click()
    expect(page.get_by_role("button", name="Log", exact=True)).to_have_attribute("aria-pressed", "true")
    assert query(page)["params"] == ["all"]
    expect(page.locator(".chart").first).to_contain_text("Curves need JavaScript")


@pytest.mark.slow
def test_a_run_that_goes_on_shows_its_points_as_they_come(visit: Opener, site: Site):
    slug = site.run("live", "goes on")
    page = visit(f"/projects/research-team/live/experiments/{slug}/")
    expect(page.get_by_text("No point has arrived yet")).to_be_visible()
    site.log("live", slug, {"loss": [3.0, 2.0, 1.0]})
    page.wait_for_selector(".chart .uplot canvas", timeout=20_000)
    before = page.locator(".chart canvas").first.evaluate("canvas => canvas.toDataURL()")
    with page.expect_response(re.compile("/metrics/live/"), timeout=20_000):
        site.log("live", slug, {"loss": [9.0, 0.5]}, first=3)
    page.wait_for_function("before => document.querySelector('.chart canvas').toDataURL() !== before", arg=before)
    expect(page.locator(".facts")).to_contain_text("5 points")
    site.call("PATCH", f"/api/v1/experiments/{site.call('GET', '/api/v1/experiments?project=live')['results'][0]['id']}", {"status": "complete"})
    expect(page.locator("#head .status")).to_have_text("complete", timeout=20_000)


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390])
def test_no_page_scrolls_sideways_on_a_phone(visit: Opener, width: int):
    page = visit("/", width=width)
    wide = []
    for path in ("/", PROJECT, f"{PROJECT}experiments/wider-s1/", THREE, f"{PROJECT}compare", f"{PROJECT}metrics/", "/account", "/search?q=wider"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(path)
    assert wide == []


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize(("name", "path"), [("compare", THREE), ("experiment", f"{PROJECT}experiments/wider-s1/")])
def test_pictures_for_people_to_look_at(visit: Opener, name: str, path: str, width: int, dark: bool):
    page = settled(visit(path, width=width, dark=dark))
    photograph(page, f"{name}-{width}-{'dark' if dark else 'light'}")
