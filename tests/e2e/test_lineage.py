"""The tree in a real browser: pan, zoom, keys, choosing and comparing, hostile names; with and without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Opener, Site, photograph

pytestmark = pytest.mark.browser

DIGITS = "/projects/research-team/digits/"
HOSTILE = ["<script>alert(1)</script>", "تجربة التعلم العميق", "深度学习实验", "x" * 250]
LOOKS = [(1440, False), (1440, True), (390, False), (390, True)]


@pytest.fixture(scope="module")
def odd(site: Site) -> str:
    """A project whose names are made to break pages, and one with a single run."""
    base = site.run("odd-lineage", "root", {"accuracy": [0.5]}, params={"lr": 1, "<i>": 2})
    for index, name in enumerate(HOSTILE):
        slug = site.run("odd-lineage", name, parent=base, params={"lr": f"</svg>{index}", "<i>": "ع"})
        site.log("odd-lineage", slug, {"accuracy": [0.4 + index / 10]})
    site.run("single-lineage", "alone", {"accuracy": [0.5]})
    site.call("POST", "/api/v1/projects", {"name": "empty-lineage"})
    return "/projects/research-team/odd-lineage/"


def tree(page: Page) -> Page:
    """Once the script has taken over."""
    page.wait_for_selector("[data-zoom]:not([hidden])")
    return page


def width(page: Page) -> float:
    return page.evaluate("() => document.querySelector('svg.tree').getBoundingClientRect().width")


def test_it_zooms_by_buttons_and_keys_and_pans_by_dragging(visit: Opener):
    page = tree(visit(f"{DIGITS}lineage", width=800))
    before = width(page)
    page.get_by_role("button", name="Zoom in").click()
    assert width(page) == pytest.approx(before * 1.25)
    page.locator("[data-tree]").focus()
    page.keyboard.press("+")
    assert width(page) == pytest.approx(before * 1.25**2)
    box = page.locator("[data-tree]").bounding_box()
    assert box
    page.mouse.move(box["x"] + 500, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 90, steps=4)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('[data-tree]').scrollLeft >= 150")
    assert "/lineage" in page.url
    page.locator("[data-tree]").focus()
    page.keyboard.press("0")
    assert width(page) == pytest.approx(before)
    page.get_by_role("button", name="Fit").click()
    assert page.evaluate("() => document.querySelector('[data-tree]').scrollWidth <= document.querySelector('[data-tree]').clientWidth + 1")


def test_the_first_press_after_a_pan_that_ended_elsewhere_counts(visit: Opener):
    page = tree(visit(f"{DIGITS}lineage", width=800))
    box = page.locator("[data-tree]").bounding_box()
    assert box
    page.mouse.move(box["x"] + 500, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] - 40, steps=4)
    page.mouse.up()
    page.locator("svg.tree a:has(.fold)").first.click()
    page.wait_for_url("**/lineage?**fold=**")


def test_two_arms_are_chosen_on_the_tree_and_compared_by_one_press(visit: Opener):
    page = tree(visit(f"{DIGITS}lineage"))
    boxes = page.locator("svg.tree input.pick")
    runs = sum(len((boxes.nth(i).get_attribute("value") or "").split(",")) for i in (0, 1))
    boxes.nth(0).check()
    boxes.nth(1).check()
    expect(page.locator("[data-picked]")).to_have_text("2 arms selected")
    expect(page.locator("#list input.pick:checked")).to_have_count(2)
    page.reload()
    expect(tree(page).locator("svg.tree input.pick:checked")).to_have_count(2)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("h1")).to_have_text(f"{runs} experiments")


def test_an_arm_that_is_folded_away_stays_chosen_and_one_press_clears_all(visit: Opener):
    page = tree(visit(f"{DIGITS}lineage"))
    labels = page.locator("svg.tree [aria-label^='Fold what is below'], svg.tree input.pick").evaluate_all("all => all.map(one => one.ariaLabel)")
    fold = next(label for label in labels if label.startswith("Fold"))
    name = labels[labels.index(fold) + 1].removeprefix("Select ")
    box = page.locator("svg.tree").get_by_label(f"Select {name}", exact=True).first
    runs = box.get_attribute("value") or ""
    box.check()
    page.locator("svg.tree").get_by_label(fold, exact=True).first.click()
    unseen = page.locator("#unseen")
    expect(unseen).to_contain_text(name)
    expect(page.locator("[data-picked]")).to_have_text("1 arm selected")
    page.get_by_label("Colour").select_option(index=1)
    page.get_by_role("button", name="Apply").click()
    expect(unseen).to_contain_text(name)
    expect(page.locator(f'#unseen input[value="{runs}"]')).to_be_checked()
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("[data-picked]")).to_have_text("0 arms selected")
    expect(page.get_by_role("link", name="Clear")).to_be_hidden()
    assert "e=" not in page.url


def test_without_javascript_the_list_chooses_and_compares(visit: Opener):
    page = visit(f"{DIGITS}lineage", script=False)
    page.locator("#list input.pick").nth(0).check()
    page.locator("#list input.pick").nth(1).check()
    page.get_by_role("button", name="Compare path").click()
    expect(page.locator("h1")).to_contain_text("experiments")
    assert "/compare?" in page.url


def test_a_press_on_a_node_opens_it_and_a_press_on_its_fold_closes_it(visit: Opener):
    page = tree(visit(f"{DIGITS}lineage"))
    many = page.locator("svg.tree .box").count()
    page.locator("svg.tree a:has(.fold)").first.click()
    expect(page.locator("svg.tree .box")).not_to_have_count(many)
    page.locator("svg.tree a:has(.box)").first.click()
    page.wait_for_url("**/experiments/**")


def test_names_of_every_kind_stand_on_the_tree_as_text(visit: Opener, odd: str):
    page = tree(visit(f"{odd}lineage"))
    titles = " ".join(page.locator("svg.tree title").all_text_contents())
    assert all(name in titles for name in HOSTILE)
    expect(page.locator("svg.tree .box")).to_have_count(5)


@pytest.mark.slow
@pytest.mark.parametrize(("width_px", "dark"), LOOKS)
def test_no_page_of_it_is_wider_than_the_window(visit: Opener, odd: str, width_px: int, dark: bool):
    pages = {"digits": f"{DIGITS}lineage?from=baseline-s1", "odd": f"{odd}lineage", "single": "/projects/research-team/single-lineage/lineage?from=alone"}
    for name, path in pages.items():
        page = tree(visit(path, width=width_px, dark=dark))
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), name
        photograph(page, f"lineage-{name}-{width_px}-{'dark' if dark else 'light'}")
    page = visit("/projects/research-team/empty-lineage/lineage", width=width_px, dark=dark)
    expect(page.locator("h2")).to_have_text("No lineage yet")
    photograph(page, f"lineage-empty-{width_px}-{'dark' if dark else 'light'}")
