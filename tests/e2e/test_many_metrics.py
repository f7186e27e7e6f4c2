"""Many metrics in a real browser: found by typing, folded by prefix, drawn when seen; x as another metric; params in the tooltip; runs side by side."""

from __future__ import annotations

import math
import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Request, expect

from tests.e2e.conftest import Opener, Site, photograph, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STEPS = 60


@pytest.fixture(scope="module")
def many(site: Site) -> str:
    """The address of a comparison of two runs with 240 metrics in four sections, among them tokens, which turn back."""
    slugs = []
    for number, name in enumerate(("first", "second 实验")):
        turn = [math.sin(step / 9 + number) for step in range(STEPS)]
        metrics = {f"{kind}/m{i:02}": [value * (i + 1) + number for value in turn] for kind in ("train", "val", "grad") for i in range(79)}
        metrics |= {"loss": [1 / (step + 1) + number for step in range(STEPS)], "tokens": [100 + 40 * value for value in turn], "odd (x": turn}
        params = {"lr": 10.0 ** -(number + 1), "width": 64 * (number + 1), "optimizer": ["sgd", "adam"][number], "same": 1}
        slugs.append(site.run("many", name, metrics, params=params, notes=f"Notes of {name}.", tags=[f"tag {number}"]))
    return "/projects/research-team/many/compare?" + "&".join(f"e={quote(slug)}" for slug in slugs)


def names(page: Page) -> list[str]:
    """The metrics whose chart is in the page."""
    found: list[str] = page.locator("#metrics .chart").evaluate_all("cards => cards.map((card) => card.dataset.metric)")
    return found


def questions(page: Page) -> list[str]:
    """The metrics that the page asks for from now on, as they are asked."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/api/v1/metrics/compare/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    return asked


def test_metrics_are_found_as_one_types_and_charts_that_stay_are_not_drawn_again(visit: Opener, many: str):
    page = settled(visit(many))
    expect(page.locator("#metric-count")).to_have_text("240 metrics")
    page.locator('.chart[data-metric="tokens"] .uplot').evaluate("plot => { plot.dataset.marked = 'yes'; }")
    asked = questions(page)
    page.get_by_label("Find metrics by name").press_sequentially("tok")
    expect(page.locator("#metric-count")).to_have_text("1 of 240 metrics")
    assert names(page) == ["tokens"]
    expect(page.locator('.chart[data-metric="tokens"] .uplot')).to_have_attribute("data-marked", "yes")
    assert asked == []
    expect(page).to_have_url(re.compile("metric=tok"))
    expect(page.locator("#summary thead")).to_contain_text("tokens")
    expect(page.get_by_label("Find metrics by name")).to_be_focused()
    page.reload()
    assert names(settled(page)) == ["tokens"]


def test_a_regular_expression_finds_and_a_bad_one_is_pointed_at_while_the_charts_stay(visit: Opener, many: str):
    page = settled(visit(many))
    page.get_by_label("Regex").check()
    box = page.get_by_label("Find metrics by name")
    box.fill("^(train|val)/m0[01]$")
    expect(page.locator("#metric-count")).to_have_text("4 of 240 metrics")
    assert names(page) == ["train/m00", "train/m01", "val/m00", "val/m01"]
    box.fill("^(train|val")
    expect(page.locator("#metric-trouble")).to_contain_text("this ( is never closed")
    expect(page.locator("#metric-trouble mark")).to_have_text("(")
    assert names(page) == ["train/m00", "train/m01", "val/m00", "val/m01"]
    box.fill("^grad/m7")
    expect(page.locator("#metric-trouble")).to_be_empty()
    expect(page.locator("#metrics .chart")).to_have_count(9)
    expect(page).to_have_url(re.compile("regex=1"))


def test_a_section_is_folded_in_the_address_and_its_charts_are_not_asked_for(visit: Opener, many: str):
    page = settled(visit(many))
    page.locator('[data-section="/"] > summary').click()
    page.locator('[data-section="grad"] > summary').focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"fold=%2F.*fold=grad"))
    asked = questions(page)
    page.reload()
    settled(page)
    assert page.locator("details[data-section]").evaluate_all("all => all.map((each) => [each.dataset.section, each.open])") == [
        ["/", False], ["grad", False], ["train", True], ["val", True],
    ]  # fmt: skip
    assert asked
    assert not [url for url in asked if "grad" in url or "tokens" in url]
    page.locator('[data-section="grad"] > summary').click()
    expect(page.locator('[data-section="grad"] .chart')).to_have_count(79)
    settled(page)
    assert [url for url in asked if "grad" in url]
    page.wait_for_url(lambda url: "fold=grad" not in url and "fold=%2F" in url)


def test_hundreds_of_charts_are_drawn_only_when_seen_and_let_go_of_later(visit: Opener, many: str):
    page = visit("/")
    asked = questions(page)
    page.goto(many)
    settled(page)
    assert len(names(page)) == 240
    assert 0 < len(asked) < 60
    page.locator('.chart[data-metric="val/m78"]').scroll_into_view_if_needed()
    page.wait_for_selector('.chart[data-metric="val/m78"] .uplot canvas')
    assert [url for url in asked if "val%2Fm78" in url]
    expect(page.locator('.chart[data-metric="loss"] .uplot')).to_have_count(0)
    assert page.locator(".uplot").count() < 60
    page.locator('.chart[data-metric="loss"]').scroll_into_view_if_needed()
    page.wait_for_selector('.chart[data-metric="loss"] .uplot canvas')
    assert len([url for url in asked if "metric=loss" in url]) == 1


def test_x_is_another_metric_and_its_zoom_asks_the_server(visit: Opener, many: str):
    page = settled(visit(f"{many}&metric=loss"))
    page.get_by_label("The metric of the x axis").fill("tokens")
    with page.expect_request(re.compile("x=metric&x_metric=tokens")):
        page.get_by_label("The metric of the x axis").press("Enter")
    how = page.locator('.chart[data-metric="loss"] .how')
    expect(how).to_contain_text("of tokens")
    page.wait_for_url(re.compile("x=metric.*x_metric=tokens"))
    expect(page.get_by_role("button", name="Metric", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".chart .canvas").first).to_have_attribute("aria-label", re.compile("loss by tokens, 2 runs"))
    box = page.locator(".chart .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
    expect(page.locator(".chart-tooltip:visible header")).to_contain_text("tokens ")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
    with page.expect_request(re.compile(r"x_metric=tokens.*from=[\d.]+&to=[\d.]+")):
        page.mouse.up()
    page.wait_for_url(re.compile("from=.*to="))
    page.reload()
    expect(settled(page).locator('.chart[data-metric="loss"] .how')).to_contain_text("tokens")
    page.get_by_role("button", name="Step", exact=True).click()
    page.wait_for_url(lambda url: "x_metric" not in url)


def test_x_as_a_metric_that_no_run_has_says_so(visit: Opener, many: str):
    page = visit(f"{many}&metric=loss&x=metric&x_metric=nowhere")
    expect(page.locator(".chart-note").first).to_have_text("No step of these runs has both loss and nowhere.")


def test_chosen_params_stand_beside_the_names_in_the_tooltip(visit: Opener, many: str):
    page = settled(visit(f"{many}&metric=loss"))

    def tips() -> list[str]:
        box = page.locator(".chart .u-over").first.bounding_box()
        assert box
        page.mouse.move(2, 2)
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
        expect(page.locator(".chart-tooltip:visible li")).to_have_count(2)
        return page.locator(".chart-tooltip:visible .tip").all_inner_texts()

    assert sorted(tips()) == ["lr 0.01 · width 128", "lr 0.1 · width 64"]
    page.locator(".tips summary").click()
    page.locator(".tips").get_by_label("optimizer").check()
    page.locator(".tips").get_by_label("lr").uncheck()
    page.wait_for_url(re.compile("tip=width.*tip=optimizer"))
    assert sorted(tips()) == ["width 128 · optimizer adam", "width 64 · optimizer sgd"]
    page.locator(".tips").get_by_label("optimizer").uncheck()
    page.locator(".tips").get_by_label("width").uncheck()
    page.wait_for_url(re.compile(r"tip=\."))
    page.reload()
    settled(page)
    assert tips() == []


def test_runs_side_by_side_show_differences_or_all_in_either_order(visit: Opener, many: str):
    page = settled(visit(many))
    side = page.locator("#differences")
    expect(side).not_to_contain_text("same")
    side.get_by_role("button", name="Differences only").click()
    expect(side.locator("th code", has_text=re.compile("^same$"))).to_have_count(1)
    side.get_by_role("button", name="As mentioned").click()
    expect(side.get_by_role("button", name="As mentioned")).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("params=all.*rows=mention"))
    rows = side.locator("tbody th code").all_inner_texts()
    assert rows[:4] == ["lr", "width", "optimizer", "same"]
    expect(side).to_contain_text("Notes of first.")
    expect(side).to_contain_text("tag 1")


def test_finding_and_folding_work_without_scripts(visit: Opener, many: str):
    page = visit(f"{many}&fold=grad", script=False)
    page.get_by_label("Find metrics by name").fill("m7")
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.locator("#metric-count")).to_have_text("27 of 240 metrics")
    page.locator('[data-section="grad"] > summary').click()
    page.get_by_role("button", name="Draw 9 charts").click()
    expect(page.locator('[data-section="grad"] .chart')).to_have_count(9)
    page.get_by_label("The metric of the x axis").fill("tokens")
    page.get_by_label("The metric of the x axis").press("Enter")
    expect(page).to_have_url(re.compile("x=metric.*x_metric=tokens|x_metric=tokens.*x=metric"))
    assert "metric=m7" in page.url


def test_an_experiments_own_page_finds_folds_and_puts_one_metric_over_another(visit: Opener, many: str):
    page = settled(visit(many.replace("compare?e=", "experiments/").split("&", 1)[0]))
    expect(page.locator("#metric-count")).to_have_text("240 metrics")
    page.get_by_label("Find metrics by name").press_sequentially("m77")
    expect(page.locator("#metric-count")).to_have_text("3 of 240 metrics")
    assert names(page) == ["grad/m77", "train/m77", "val/m77"]
    expect(page.locator("#readings tbody tr")).to_have_count(3)
    page.locator('[data-section="train"] > summary').click()
    page.wait_for_url(re.compile("metric=m77.*fold=train"))
    page.get_by_label("The metric of the x axis").fill("tokens")
    page.get_by_label("The metric of the x axis").press("Enter")
    expect(page.locator('.chart[data-metric="grad/m77"] .how')).to_contain_text("tokens")
    page.reload()
    assert names(settled(page)) == ["grad/m77", "val/m77"]
    expect(page.locator('.chart[data-metric="grad/m77"] .how')).to_contain_text("tokens")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_fits_its_window(visit: Opener, many: str, width: int, dark: bool):
    page = settled(visit(f"{many}&metric=m0&x=metric&x_metric=tokens", width=width, dark=dark))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    photograph(page, f"many-{width}-{'dark' if dark else 'light'}")
