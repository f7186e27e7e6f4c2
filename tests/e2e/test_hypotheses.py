"""Hypotheses in a real browser: every state of a claim at both widths and in both themes, the form's preview, a comparison that becomes a claim."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import claims
from tests.e2e.conftest import Console, Site, photograph, product, sign_in, site_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]  # its claims take half a minute to make

ARMS = 60
WIDTHS = (1440, 390)


@dataclass(frozen=True)
class Lab:
    """A served product with claims: the page of each state, of one with many arms, and the project's."""

    site: Site
    slugs: dict[str, str]
    crowd: str
    team: str

    def page(self, state: str) -> str:
        """The page of the claim in this state."""
        return f"{self.project}hypotheses/{self.slugs[state]}/"

    @property
    def project(self) -> str:
        """The project of the five claims."""
        return f"/projects/{self.team}/digits-claims/"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Judged claims in every state, and one of sixty arms."""
    with product(tmp_path_factory.mktemp("claims")) as served:
        site = site_of(served)
        slugs, crowd = claims.state(site), claims.crowd(site, ARMS)
        yield Lab(site, slugs, crowd, site.call("GET", "/api/v1/teams")["results"][0]["slug"])


def opened(browser: Browser, lab: Lab, path: str, *, width: int = 1440, dark: bool = False, script: bool = True) -> Page:
    scheme = "dark" if dark else "light"
    context = browser.new_context(base_url=lab.site.url, viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script)
    page = context.new_page()
    sign_in(page, lab.site)
    page.goto(path)
    return page


def fits(page: Page) -> bool:
    return bool(page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_claim_in_every_state_fits_its_window_and_says_all(browser: Browser, lab: Lab, console: Console, width: int):
    words = {"supported": "Supported", "refuted": "Refuted", "testing": "Testing", "post hoc": "Testing", "proposed": "Proposed"}
    page = opened(browser, lab, "/", width=width, dark=width == WIDTHS[1])
    console.watch(page)
    for state, word in words.items():
        page.goto(lab.page(state))
        expect(page.locator(".verdict .word")).to_contain_text(word)
        expect(page.locator(".gauge .reading")).to_be_visible()
        expect(page.get_by_role("heading", name="Gates")).to_be_visible()
        assert fits(page), state
        photograph(page, f"hypothesis-{state.replace(' ', '-')}-{width}")
    page.context.close()


def test_marks_lie_inside_their_plots(browser: Browser, lab: Lab, console: Console):
    page = opened(browser, lab, lab.page("supported"))
    console.watch(page)
    for cell in page.locator("#arms td.cell > svg").all():
        box = cell.bounding_box()
        assert box
        for mark in cell.locator(".ci, .at, .run").all():
            inner = mark.bounding_box()
            assert inner
            assert inner["x"] >= box["x"] - 3
            assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 3
    expect(page.locator(".score-dot.in").first).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_sixty_arms_have_a_row_each_and_the_page_does_not_run_sideways(browser: Browser, lab: Lab, console: Console, width: int, dark: bool):
    page = opened(browser, lab, f"/projects/{lab.team}/sweep-claims/hypotheses/{lab.crowd}/", width=width, dark=dark)
    console.watch(page)
    expect(page.locator("#arms tbody tr")).to_have_count(ARMS + 1)
    assert fits(page)
    photograph(page, f"hypothesis-crowd-{width}-{'dark' if dark else 'light'}")
    page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_list_attribution_and_form_fit_their_window(browser: Browser, lab: Lab, console: Console, width: int):
    page = opened(browser, lab, "/", width=width)
    console.watch(page)
    for name, path in {"list": "hypotheses/", "attribution": "attribution?metric=val/accuracy", "new": "hypotheses/new?metric=val/accuracy"}.items():
        page.goto(lab.project + path)
        assert fits(page), name
        photograph(page, f"hypotheses-{name}-{width}")
    page.goto(lab.project + "attribution?metric=val/accuracy")
    hatched = page.locator(".step.thin").first
    assert hatched.evaluate("(step) => getComputedStyle(step).fill").startswith("url(")
    page.context.close()


def test_the_list_is_filtered_without_another_page(browser: Browser, lab: Lab, console: Console):
    page = opened(browser, lab, lab.project + "hypotheses/")
    console.watch(page)
    page.evaluate("() => { window.unchanged = true; }")
    page.get_by_label("Status").select_option("refuted")
    expect(page.locator("#claims tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("status=refuted"))
    assert page.evaluate("() => window.unchanged") is True
    page.context.close()


def test_a_comparison_becomes_a_claim_whose_replicates_are_counted_before_anything_runs(browser: Browser, lab: Lab, console: Console):
    page = opened(browser, lab, lab.project + "compare?e=baseline-s1&e=longer-s1&e=longer-s2&base=baseline-s1")
    console.watch(page)
    page.get_by_role("link", name="Make a hypothesis").click()
    expect(page.get_by_label("Runs to link")).to_have_value("longer-s1, longer-s2")
    expect(page.get_by_label("Which experiment")).to_have_value("baseline-s1")
    page.get_by_label("Title").fill("A longer run is better, made from a comparison")
    page.get_by_label("Smallest improvement 1").fill("0.004")
    page.get_by_label("Smallest improvement 1").blur()
    expect(page.locator("#preview")).to_contain_text(re.compile(r"\d+ runs v \d+ tell \+0.004 from nothing"))
    page.wait_for_load_state("networkidle")  # a preview that is under way when the page is left would be an error on the console
    page.get_by_role("button", name="Propose").click()
    expect(page.locator("h1")).to_have_text("A longer run is better, made from a comparison")
    page.get_by_role("button", name="Judge again").click()
    expect(page.locator("main")).to_contain_text("Exploratory score")
    expect(page.locator("#needs .command").first).to_contain_text("rp.init")
    page.context.close()


def test_form_and_judging_work_without_scripts(browser: Browser, lab: Lab):
    page = opened(browser, lab, lab.project + "hypotheses/new", script=False)
    page.get_by_label("Title").fill("Stated without a script")
    page.get_by_label("Metric 1").select_option("val/accuracy")
    page.get_by_label("Smallest improvement 1").fill("0.01")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("from nothing with chance 0.8")
    page.get_by_role("button", name="Propose").click()
    expect(page.locator("h1")).to_have_text("Stated without a script")
    page.get_by_role("button", name="Judge again").click()
    expect(page.locator(".banner")).to_contain_text("udge")
    page.context.close()
