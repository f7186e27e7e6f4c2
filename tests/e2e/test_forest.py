"""A tree of 2,000 arms, and what the heaviest page loads, in a real browser."""

from __future__ import annotations

import gzip
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Console, Crowd, sign_in
from tests.e2e.crowd import FOREST, slug

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TREE = "/projects/research-team/forest/lineage"
SCRIPT_MOST_BYTES = 120_000


@pytest.fixture
def page(browser: Browser, crowd: Crowd, console: Console) -> Page:
    """A signed-in page whose console is heard."""
    page = browser.new_context(base_url=crowd.site.url, viewport={"width": 1440, "height": 900}).new_page()
    console.watch(page)
    sign_in(page, crowd.site)
    yield page
    page.context.close()


def inside(page: Page, which: int) -> bool:
    """Whether a node of the tree can be seen in its frame."""
    return page.evaluate(
        """(which) => { const frame = document.querySelector('[data-tree]').getBoundingClientRect();
           const node = document.querySelectorAll('svg.tree .box')[which].getBoundingClientRect();
           return node.left < frame.right && node.right > frame.left && node.top < frame.bottom && node.bottom > frame.top; }""",
        which,
    )


def test_two_thousand_arms_are_panned_zoomed_chosen_and_compared(page: Page):
    page.goto(TREE)
    page.wait_for_selector("[data-zoom]:not([hidden])")
    expect(page.locator(".head-text p")).to_contain_text(f"{FOREST:,} arms".replace(",", "\u202f"))
    frame, drawing = page.locator("[data-tree]"), "() => document.querySelector('svg.tree').getBoundingClientRect().width"
    full = page.evaluate(drawing)
    page.get_by_role("button", name="Fit").click()
    assert page.evaluate(drawing) < full
    frame.focus()
    page.keyboard.press("0")
    assert page.evaluate(drawing) == pytest.approx(full)
    box = frame.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=4)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('[data-tree]').scrollTop > 50")
    page.evaluate("() => document.querySelector('[data-tree]').scrollTo(0, 0)")
    boxes = page.locator("svg.tree input.pick")
    assert boxes.count() > 20
    assert inside(page, 0)
    boxes.nth(0).check()
    boxes.nth(1).check()
    expect(page.locator("[data-picked]")).to_have_text("2 arms selected")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("h1")).to_have_text("2 experiments")
    page.wait_for_selector(".chart .uplot canvas")


def test_a_folded_branch_of_it_opens(page: Page):
    page.goto(TREE)
    page.wait_for_selector("[data-zoom]:not([hidden])")
    before = page.locator("svg.tree .box").evaluate_all("boxes => boxes.length")
    folded = page.locator("svg.tree a[aria-label^='Show ']").first
    folded.click()
    page.wait_for_url("**open=**")
    assert page.locator("svg.tree .box").evaluate_all("boxes => boxes.length") > before


def test_the_scripts_of_the_comparison_weigh_less_than_they_may(page: Page, capsys: pytest.CaptureFixture[str]):
    weights: dict[str, int] = {}

    def weigh(response) -> None:
        if response.request.resource_type == "script" and "echarts" not in response.url.lower():
            weights[urlsplit(response.url).path] = len(gzip.compress(response.body(), 6))

    page.on("response", weigh)
    page.goto(f"/projects/research-team/crowd/compare?e={slug(0)}&e={slug(5)}")
    page.wait_for_selector(".chart .uplot canvas")
    with capsys.disabled():
        print(f"\nScripts of the comparison: {sum(weights.values()):,} bytes gzip in {len(weights)} files")
    assert any("uPlot" in path for path in weights)
    assert any("charts/board.js" in path for path in weights)
    assert sum(weights.values()) < SCRIPT_MOST_BYTES, weights
