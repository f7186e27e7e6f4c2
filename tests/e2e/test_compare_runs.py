"""The list of runs beside the charts in a real browser: a range of eyes at once, whatever the runs are called."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Opener, Site, settled

pytestmark = pytest.mark.browser

NAMES = ("تجربة", "实验", "<script>alert(1)</script>", "diverged", "single", "last")
VALUES = {"diverged": [3.0, "NaN", "NaN"], "single": [7.0]}


@pytest.fixture(scope="module")
def odd(site: Site) -> str:
    """The address of a comparison of runs with odd names and odd series."""
    slugs = [site.run("ranges", name, {"loss": VALUES.get(name, [3.0, 2.0, 1.0])}) for name in NAMES]
    return f"/projects/research-team/ranges/compare?e={quote(','.join(slugs))}"


def shown(page: Page) -> list[str]:
    """The names of the runs whose eye is open."""
    names: list[str] = page.locator(".runs li:not(.hidden)").evaluate_all("items => items.map((item) => item.dataset.name)")
    return names


def test_shift_hides_and_shows_all_the_runs_between_two_eyes(visit: Opener, odd: str):
    page = settled(visit(odd))
    eyes = page.locator(".runs .eye")
    assert shown(page) == list(NAMES)
    eyes.nth(1).click()
    eyes.nth(4).click(modifiers=["Shift"])
    assert shown(page) == [NAMES[0], NAMES[5]]
    page.wait_for_url(re.compile("hide=single"))
    page.reload()
    assert shown(settled(page)) == [NAMES[0], NAMES[5]]
    eyes.nth(3).click()
    eyes.nth(1).click(modifiers=["Shift"])
    assert shown(page) == [NAMES[0], *NAMES[1:4], NAMES[5]]


def test_shift_leaves_alone_what_the_filter_leaves_out(visit: Opener, odd: str):
    page = settled(visit(odd))
    page.get_by_label("Filter runs").fill("s")
    seen = page.locator(".runs li:visible")
    expect(seen).to_have_count(3)
    page.locator(".runs li:visible .eye").first.click()
    page.locator(".runs li:visible .eye").last.click(modifiers=["Shift"])
    assert shown(page) == [name for name in NAMES if "s" not in name]


def test_shift_and_space_take_a_range_by_keyboard(visit: Opener, odd: str):
    page = settled(visit(odd))
    boxes = page.locator(".runs .eye input")
    boxes.nth(2).focus()
    page.keyboard.press("Space")
    boxes.nth(4).focus()
    page.keyboard.press("Shift+Space")
    assert shown(page) == [*NAMES[:2], NAMES[5]]
