"""The table of experiments in a real browser: filters that point at the word, columns, several sort keys, saved views, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Opener, Site, photograph

pytestmark = pytest.mark.browser
TABLE = "/projects/research-team/table/"
PATIENCE_MS = 20_000
KEYS = ("status", "metric:accuracy", "max:accuracy", "at:train/loss@accuracy", "param:lr", "seed")
ARRANGED = "?" + "&".join(f"columns={key}" for key in KEYS) + "&pin=max:accuracy&arrange=1&sort=param:lr,-seed"


@pytest.fixture(scope="module")
def made(site: Site) -> None:
    """Runs with awkward names, a NaN, one point, and markup in every text."""
    good, bad = {"accuracy": [0.5, 0.95, 0.7], "train/loss": [3.0, 2.0, 1.0]}, {"accuracy": [0.4, "NaN"], "train/loss": [9.0, 8.0]}
    site.run("table", "基线 baseline", good, params={"lr": 1e-4, "norm": "batch"}, seed=1, tags=["final"])
    site.run("table", "<script>alert(1)</script>", bad, params={"lr": 0.1, "norm": "<b>"}, seed=2)
    one = {"accuracy": [0.6], "train/loss": [5.0]}
    site.run("table", "خط الأساس " + "long" * 50, one, params={"lr": 1e-4, "norm": "none"}, seed=3)
    metric = {"direction": "maximize"}
    site.call("PATCH", "/api/v1/projects/table/metrics/accuracy", metric)


NAMED = "#table tbody th a"


def names(page: Page) -> list[str]:
    return [text.strip()[:8] for text in page.locator(NAMED).all_inner_texts()]


def test_a_filter_is_typed_points_at_the_wrong_word_and_is_mended_by_a_click(visit: Opener, made: None) -> None:
    page = visit(TABLE)
    box = page.get_by_label("Filter by words or conditions")
    box.fill("seed = 1 and metrics.acuracy.max > 0.9")
    wrong = page.locator("#filter-error mark")
    expect(wrong).to_have_text("metrics.acuracy.max", timeout=PATIENCE_MS)
    expect(page.locator("#table tbody tr")).to_have_count(3)
    photograph(page, "table-error-light")
    page.locator("#filter-error a").click()
    expect(page.locator("#table tbody tr")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator("#filter-error mark")).to_have_count(0)
    box = page.get_by_label("Filter by words or conditions")
    expect(box).to_have_value("seed = 1 and metrics.accuracy.max > 0.9")
    box.fill("params.lr < 1e-3 and not tags has final")
    expect(page.locator("#table tbody th a")).to_contain_text("long", timeout=PATIENCE_MS)
    page.wait_for_url(re.compile(r"q=params\.lr"), timeout=PATIENCE_MS)
    page.reload()
    expect(page.locator("#table tbody tr")).to_have_count(1)


def test_what_is_typed_is_completed(visit: Opener, made: None) -> None:
    page = visit(TABLE)
    page.get_by_label("Filter by words or conditions").fill("seed = 1 and metrics.acc")
    expect(page.locator('#filter-words option[value="seed = 1 and metrics.accuracy.max"]')).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator("#table")).to_be_visible()


def test_shift_click_sorts_by_a_second_column(visit: Opener, made: None) -> None:
    page = visit(TABLE + "?columns=param:lr&columns=seed&columns=max:accuracy")
    page.get_by_role("link", name="lr", exact=False).first.click()
    expect(page.locator("th[aria-sort]")).to_have_count(1, timeout=PATIENCE_MS)
    page.locator("thead a[data-also]", has_text="Seed").click(modifiers=["Shift"])
    expect(page.locator("th[aria-sort]")).to_have_count(2, timeout=PATIENCE_MS)
    page.wait_for_url(re.compile(r"sort=param%3Alr%2Cseed"), timeout=PATIENCE_MS)
    expect(page.locator(NAMED).nth(2)).to_contain_text("<script>", timeout=PATIENCE_MS)
    page.locator("thead a[data-also]", has_text="Seed").click(modifiers=["Shift"])
    page.wait_for_url(re.compile(r"sort=param%3Alr%2C-seed"), timeout=PATIENCE_MS)
    page.reload()
    assert names(page)[0].startswith("خط")


def test_columns_are_arranged_and_the_menu_keeps_their_order(visit: Opener, made: None) -> None:
    page = visit(TABLE + "?columns=status&columns=seed&columns=min:train/loss&columns=at:train/loss@accuracy")
    page.get_by_role("link", name="Arrange columns").click()
    page.get_by_role("link", name="Left: Seed").click()
    page.wait_for_url(re.compile(r"columns=seed&columns=status"), timeout=PATIENCE_MS)
    page.get_by_role("link", name="Pin: Seed").click()
    expect(page.locator("thead .pinned")).to_have_count(1, timeout=PATIENCE_MS)
    photograph(page, "table-arranged-light")
    page.get_by_label("Filter by words or conditions").fill("seed > 1")
    expect(page.locator("#table tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
    heads = page.locator("thead th > a, thead th:not(:has(> a))").all_inner_texts()
    assert [head.split("\n")[0].strip() for head in heads][1:3] == ["Seed", "Status"]
    page.get_by_role("link", name="Done arranging").click()
    expect(page.locator(".moves")).to_have_count(0, timeout=PATIENCE_MS)


def test_a_view_is_saved_shared_and_deleted(visit: Opener, made: None) -> None:
    page = visit(TABLE + "?q=seed+%3E+1&sort=-seed")
    page.locator("details.views summary").click()
    page.get_by_label("Name of the view").fill("later seeds")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The view later seeds is saved")).to_be_visible(timeout=PATIENCE_MS)
    other = visit(TABLE)
    other.locator("details.views summary").click()
    photograph(other, "table-views-light")
    other.get_by_role("link", name="later seeds").click()
    other.wait_for_url(re.compile(r"q=seed"), timeout=PATIENCE_MS)
    expect(other.locator("#table tbody tr")).to_have_count(2)
    other.locator("details.views summary").click()
    other.get_by_role("button", name="Delete the view later seeds").click()
    expect(other.get_by_text("The view later seeds is deleted")).to_be_visible(timeout=PATIENCE_MS)


def test_enter_in_the_name_of_a_view_saves_it_and_deletes_none(visit: Opener, made: None) -> None:
    page = visit(TABLE + "?q=seed+%3E+1")
    for name in ("first of two", "second of two"):
        page.locator("details.views summary").click()
        page.get_by_label("Name of the view").fill(name)
        page.get_by_label("Name of the view").press("Enter")
        expect(page.get_by_text(f"The view {name} is saved")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("details.views summary").click()
    for name in ("first of two", "second of two"):
        expect(page.get_by_role("link", name=name)).to_be_visible(timeout=PATIENCE_MS)


def test_a_filter_that_is_typed_is_one_step_back_and_a_wrong_one_none(visit: Opener, made: None) -> None:
    page = visit(TABLE)
    before = page.evaluate("history.length")
    box, shown = page.get_by_label("Filter by words or conditions"), page.locator("#table tbody tr")
    for text in ("seed", "seed >", "seed > 1"):
        with page.expect_response(lambda answer: answer.request.resource_type == "xhr" and "filter-words" not in answer.url):
            box.fill(text)
    expect(shown).to_have_count(2, timeout=PATIENCE_MS)
    page.wait_for_url(re.compile(r"\?q=seed[^&]*1$"), timeout=PATIENCE_MS)
    assert page.evaluate("history.length") == before + 1
    with page.expect_response(lambda answer: "sort=" in answer.url):
        box.press("Enter")
    assert page.evaluate("history.length") == before + 1
    page.go_back()
    page.wait_for_url(lambda address: address.endswith(TABLE), timeout=PATIENCE_MS)
    expect(box).to_have_value("")


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_the_filtered_table_comes_as_a_file(visit: Opener, made: None, kind: str, tmp_path: Path) -> None:
    page = visit(TABLE + "?q=seed+%3E+1")
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.get_by_role("link", name=f"{kind}, shown columns", exact=True).click()
    path = tmp_path / "table"
    download.value.save_as(path)
    head = path.read_bytes()
    assert head.startswith(b"id,slug,name" if kind == "CSV" else b"PAR1")


def test_without_scripts_filters_sorting_and_views_work(visit: Opener, made: None) -> None:
    page = visit(TABLE + "?columns=status&columns=seed", script=False)
    page.get_by_label("Filter by words or conditions").fill("metrics.train/loss.min < 6")
    page.get_by_role("button", name="Apply").first.click()
    expect(page.locator(NAMED)).to_have_count(2)
    page.get_by_role("link", name="Arrange columns").click()
    page.get_by_role("link", name="Right: Status").click()
    page.get_by_role("link", name="Pin: Seed").click()
    page.get_by_role("link", name="then by").last.click()
    page.wait_for_url("**sort=status**")
    expect(page.locator(NAMED)).to_have_count(2)
    expect(page.locator("thead .pinned")).to_have_count(1)


@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_table_is_looked_at(visit: Opener, made: None, width: int, dark: bool) -> None:
    page = visit(TABLE + "?q=seed+%3E+0+and+metrics.acuracy.max+%3E+0.9", width=width, dark=dark)
    photograph(page, f"table-error-{width}-{'dark' if dark else 'light'}")
    page = visit(TABLE + ARRANGED, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    photograph(page, f"table-arranged-{width}-{'dark' if dark else 'light'}")
