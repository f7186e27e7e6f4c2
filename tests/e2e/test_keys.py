"""Keys of one letter and their sheet, and what a chart gives to take away, in a real browser."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Opener, photograph, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PROJECT = "/projects/research-team/digits/"
THREE = f"{PROJECT}compare?e=baseline-s1&e=wider-s1&e=deeper-s1"


SHADES = """
  async (bytes) => {
    const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
    const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
    const context = canvas.getContext('2d'), seen = new Map();
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    for (let i = 0; i < data.length; i += 4) {
      const key = `${data[i]},${data[i + 1]},${data[i + 2]}`;
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    return Object.fromEntries(seen);
  }
"""


def sheet(page: Page) -> list[str]:
    """The keys that the open sheet lists."""
    keys: list[str] = page.locator("dialog[open] kbd").all_inner_texts()
    return keys


def test_the_sheet_lists_the_keys_of_the_page_and_escape_closes_it(visit: Opener):
    page = settled(visit(THREE))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert {"/", "x", "l", "s", "S", "c", "d", "j", "k", "b", "e", "?"} <= set(sheet(page))
    assert "z" not in sheet(page)
    photograph(page, "keys")
    page.keyboard.press("l")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Log", exact=True)).to_have_attribute("aria-pressed", "false")
    page.goto(PROJECT)
    page.get_by_role("button", name="Keys").click()
    assert {"/", "j", "k", "o", "?"} <= set(sheet(page))
    assert not {"x", "l", "z", "d"} & set(sheet(page))


def test_keys_change_how_the_charts_are_looked_at(visit: Opener):
    page = settled(visit(THREE))
    page.keyboard.press("x")
    page.wait_for_url(re.compile("x=relative"))
    page.keyboard.press("l")
    page.wait_for_url(re.compile("log=1"))
    page.keyboard.press("s")
    page.keyboard.press("s")
    page.keyboard.press("S")
    page.wait_for_url(re.compile("smooth=0.1"))
    expect(page.get_by_role("slider", name="Smooth")).to_have_value("0.1")
    page.keyboard.press("c")
    page.wait_for_url(re.compile("clip=1"))
    page.goto(f"{THREE}&from=3&to=9")
    settled(page)
    page.keyboard.press("z")
    page.wait_for_url(re.compile("^((?!from=).)*$"))
    page.keyboard.press("d")
    page.wait_for_url(re.compile("params=all"))


def test_keys_go_through_the_runs_hide_them_and_pin_the_baseline(visit: Opener):
    page = settled(visit(THREE))
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".runs li.hot")).to_have_attribute("data-slug", "wider-s1")
    page.keyboard.press(" ")
    page.wait_for_url(re.compile("hide=wider-s1"))
    page.keyboard.press("b")
    page.wait_for_url(re.compile("base=wider-s1"))
    settled(page)
    page.keyboard.press("/")
    expect(page.get_by_label("Filter runs")).to_be_focused()


def test_keys_do_nothing_while_one_types_nor_with_a_modifier_nor_when_turned_off(visit: Opener):
    page = settled(visit(THREE))
    page.keyboard.press("/")
    page.keyboard.type("xl?")
    expect(page.get_by_label("Filter runs")).to_have_value("xl?")
    page.get_by_label("Filter runs").blur()
    page.keyboard.press("Control+l")
    page.keyboard.press("Alt+x")
    assert "log=1" not in page.url
    assert "x=" not in page.url
    page.keyboard.press("?")
    page.get_by_label("Keys of one letter work").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    settled(page)
    for key in ("?", "/", "l"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("input:focus")).to_have_count(0)
    assert "log=1" not in page.url
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Keys of one letter work").check()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("l")
    page.wait_for_url(re.compile("log=1"))


def test_keys_of_the_table_tick_and_compare(visit: Opener):
    page = visit(PROJECT)
    page.keyboard.press("j")
    page.keyboard.press(" ")
    page.keyboard.press("j")
    page.keyboard.press(" ")
    page.keyboard.press("c")
    page.wait_for_url(re.compile("/compare"))
    page.go_back()
    page.keyboard.press("/")
    expect(page.locator("#filter-text")).to_be_focused()


def test_a_chart_gives_its_points_as_a_file_with_the_runs_that_are_shown(visit: Opener, tmp_path: Path):
    page = settled(visit(f"{THREE}&hide=wider-s1"))
    page.locator(".chart").first.focus()
    page.keyboard.press("e")
    link = page.get_by_role("link", name="CSV, every point")
    expect(link).to_be_focused()
    with page.expect_download() as got:
        page.keyboard.press("Enter")
    got.value.save_as(tmp_path / "points.csv")
    rows = list(csv.DictReader((tmp_path / "points.csv").open()))
    assert {row["slug"] for row in rows} == {"baseline-s1", "deeper-s1"}
    assert [int(row["step"]) for row in rows if row["slug"] == "deeper-s1"] == sorted(int(row["step"]) for row in rows if row["slug"] == "deeper-s1")
    assert all(float(row["value"]) > 0 for row in rows)
    page.keyboard.press("e")
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_chart_gives_its_picture_with_title_axes_and_legend(visit: Opener, tmp_path: Path, dark: bool):
    page = settled(visit(THREE, dark=dark))
    page.get_by_label("Smooth").fill("0.6")
    page.locator(".menu.export summary").first.click()
    with page.expect_download() as got:
        page.get_by_role("button", name="PNG, as drawn").click()
    picture = tmp_path / got.value.suggested_filename
    got.value.save_as(picture)
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert width >= 2 * 560
    assert height > 2 * 300
    shades: dict[str, int] = page.evaluate(SHADES, list(data))
    ground, ink = ("255,255,255", "20,24,29") if not dark else (max(shades, key=shades.get), "232,234,237")
    assert max(shades, key=shades.get) == ground
    assert shades[ink] > 100
    assert len(shades) > 20
    (Path("test-output") / f"chart-{'dark' if dark else 'light'}.png").write_bytes(data)
