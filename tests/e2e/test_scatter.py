"""Scatter and parallel coordinates in a real browser: brushes filter the whole page or become a filter, the address holds them, pointing goes both ways."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Opener, Site, photograph, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LONG = "ل" * 250
ODD = "<script>alert(1)</script>"
# name, lr, optimizer, units, accuracy
RUNS = [
    ("alpha", 0.1, "adam", 8, [0.5, 0.9]),
    ("beta", 0.01, "sgd", 16, [0.4, 0.8]),
    ("gamma", 0.001, "sgd", "many", [0.3, 0.7]),
    ("تجربة", 0.0001, "lion", 64, [0.2, "NaN"]),
    (ODD, None, "adam", 8, [0.1, 0.5]),
]
PROJECT = "/projects/research-team/axes/"
LANES = "&pc=param:lr&pc=param:opt&pc=max:accuracy"
AXES = f"axes=open&sx=param:lr&sy=max:accuracy&lg=param:lr{LANES}"


@pytest.fixture(scope="module")
def slugs(site: Site) -> list[str]:
    """Five runs of a project, as RUNS says."""
    made = []
    for name, lr, opt, units, accuracy in RUNS:
        params = {"opt": opt, "units": units, LONG: 1, ODD: 2} | ({} if lr is None else {"lr": lr})
        made.append(
            site.run("axes", name, {"accuracy": accuracy, "loss": [1 - value if isinstance(value, float) else value for value in accuracy]}, params=params)
        )
    return made


@pytest.fixture
def compared(slugs: list[str]) -> str:
    """The address of the comparison of all five, the section open."""
    return f"{PROJECT}compare?e={quote(','.join(slugs))}&{AXES}"


def drawn(page: Page) -> Page:
    """Once the section has its data."""
    page.locator("[data-said]").filter(has_text=re.compile("drawn|fit")).wait_for()
    return page


def shown(page: Page) -> list[str]:
    """The names of the runs whose eye is open."""
    names: list[str] = page.locator(".runs li:not(.hidden)").evaluate_all("items => items.map((item) => item.dataset.name)")
    return names


def expect_shown(page: Page, names: list[str]) -> None:
    """The run list, its count and the tables show these runs alone."""
    expect(page.locator(".runs li:not(.hidden)")).to_have_count(len(names))
    assert shown(page) == names
    expect(page.locator("[data-shown-count]")).to_have_text(str(len(names)))
    expect(page.locator("#summary tbody tr:visible")).to_have_count(len(names))
    expect(page.locator("#differences thead th[data-of-run]:visible")).to_have_count(len(names))
    row = page.locator("#differences tbody tr").filter(has=page.get_by_role("rowheader", name="opt", exact=True))
    expect(row.locator("td:visible")).to_have_count(len(names) + 1)


def drag(page: Page, canvas: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over a canvas between two places in its pixels; a negative one counts from the other side."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    (x0, y0), (x1, y1) = ((box["x"] + (x if x >= 0 else box["width"] + x), box["y"] + (y if y >= 0 else box["height"] + y)) for x, y in (start, end))
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    page.mouse.move(x1, y1)
    page.mouse.up()


def place(page: Page, canvas: Locator, x: float, y: float) -> None:
    """Point at a place of a canvas, by shares of its room for dots."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    left, right, top, bottom = 84, box["width"] - 12, 44, box["height"] - 60
    page.mouse.move(box["x"] + left + (0.03 + 0.94 * x) * (right - left), box["y"] + bottom - (0.03 + 0.94 * y) * (bottom - top))


def over(page: Page, chart: str) -> Locator:
    return page.locator(f"[data-{chart}] canvas.over")


def test_a_brush_on_an_axis_hides_the_other_runs_on_the_whole_page_and_the_address_reproduces_it(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    assert len(shown(page)) == 5
    drag(page, over(page, "parallel"), (44, 30), (44, 150))
    expect(page.locator("[data-said]")).to_have_text("2 of 5 runs fit the brush.")
    expect_shown(page, ["alpha", "beta"])
    expect(page).to_have_url(re.compile(r"br=param%253Alr"))
    again = drawn(settled(visit(page.url)))
    expect_shown(again, ["alpha", "beta"])
    expect(again.get_by_label("lr: to")).to_have_value("0.1")
    page.keyboard.press("Escape")
    expect_shown(page, [name for name, *_ in RUNS])
    assert "br=" not in page.url


def test_a_rectangle_and_an_axis_combine_and_a_click_clears_its_own(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    drag(page, over(page, "scatter"), (70 + 30, 46), (-14, -70))
    expect_shown(page, ["alpha", "beta", "gamma"])
    page.get_by_label("opt: from").select_option(label="sgd")
    expect_shown(page, ["beta", "gamma"])
    expect(page.locator("[data-said]")).to_contain_text("fit all 3 brushes")
    box = over(page, "scatter").bounding_box()
    assert box
    page.mouse.click(box["x"] + 200, box["y"] + 200)
    expect_shown(page, ["beta", "gamma"])
    page.get_by_role("button", name="Clear brushes").click()
    expect_shown(page, [name for name, *_ in RUNS])


def test_brushes_are_typed_by_keyboard_alone(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    page.get_by_label("lr: from").focus()
    page.keyboard.type("0.001")
    page.keyboard.press("Tab")
    page.keyboard.type("0.01")
    page.keyboard.press("Enter")
    expect_shown(page, ["beta", "gamma"])
    page.get_by_label("accuracy: from").fill("0.75")
    page.keyboard.press("Tab")
    expect_shown(page, ["beta"])
    page.keyboard.press("Escape")
    expect_shown(page, [name for name, *_ in RUNS])
    expect(page.get_by_label("lr: from")).to_have_value("")


def test_a_run_hidden_by_its_eye_stays_hidden_under_a_brush_and_after_it(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    page.locator(".runs .eye").first.click()
    page.get_by_label("lr: from").fill("0.01")
    page.keyboard.press("Tab")
    expect_shown(page, ["beta"])
    page.keyboard.press("Escape")
    expect_shown(page, [name for name, *_ in RUNS[1:]])


def test_a_link_with_a_brush_alone_hides_what_does_not_fit(visit: Opener, compared: str):
    page = drawn(settled(visit(f"{compared}&br=param%253Aopt,lion,sgd")))
    expect_shown(page, ["beta", "gamma", "تجربة"])


def test_pointing_goes_both_ways(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    place(page, over(page, "scatter"), 1, 1)
    expect(page.locator(".runs li.hot")).to_have_attribute("data-name", "alpha")
    expect(page.locator("[data-hot]")).to_contain_text("alpha · lr, log: 0.1000 · accuracy, max: 0.9000")
    page.mouse.move(2, 2)
    expect(page.locator("[data-hot]")).to_have_text("")
    page.locator(".runs li").nth(1).hover()
    expect(page.locator("[data-hot]")).to_contain_text("beta")


def test_what_has_no_value_stands_in_a_lane_and_is_said(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    expect(page.locator("[data-absent]")).to_contain_text("lr: 1 without a value; they stand in the lane “none”.")
    page.locator("#sy").select_option(value="metric:accuracy")
    page.get_by_label("y: aggregate").select_option("last")
    expect(page.locator("[data-absent]")).to_contain_text("accuracy: 1 NaN or infinite; they stand in the lane “none”.")
    expect(page).to_have_url(re.compile("sy=last%3Aaccuracy"))


def test_the_lane_none_is_brushed_by_keyboard_and_by_dragging_in_it(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    page.get_by_label("lr: none").check()
    expect(page.locator("[data-said]")).to_have_text("1 of 5 runs fit the brush.")
    expect(page).to_have_url(re.compile("br=param%3Alr%2Cnone|br=param%253Alr%2Cnone"))
    expect(page.locator(".runs li:not(.hidden)")).to_have_count(1)
    (alone,) = shown(page)
    page.reload()
    drawn(page)
    expect_shown(page, [alone])
    page.get_by_label("lr: none").uncheck()
    expect_shown(page, [name for name, *_ in RUNS])
    box = over(page, "parallel").bounding_box()
    assert box
    drag(page, over(page, "parallel"), (44, box["height"] - 44), (44, box["height"] - 32))
    expect_shown(page, [alone])
    expect(page.get_by_label("lr: none")).to_be_checked()


def test_the_lane_none_becomes_a_filter_of_the_table(visit: Opener, slugs: list[str]):
    page = drawn(visit(f"{PROJECT}explore?{AXES}"))
    page.get_by_label("lr: none").check()
    expect(page.locator("[data-terms]")).to_have_text("params.lr = none")
    page.get_by_role("link", name="Apply to the table").click()
    expect(page.locator("#table tbody tr")).to_have_count(1)


def test_axes_are_added_moved_removed_and_kept_in_the_address(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    page.get_by_label("Add an axis").select_option(value="param:units")
    page.get_by_role("button", name="Add", exact=True).click()
    rows = page.locator(".axis-row .axis-name")
    expect(rows).to_have_text(["lr, log", "opt", "accuracy, max", "units"])
    page.get_by_role("button", name="Move units to the left").click()
    page.get_by_role("button", name="Remove opt from the parallel coordinates").click()
    expect(rows).to_have_text(["lr, log", "units", "accuracy, max"])
    assert parse_qs(urlsplit(page.url).query)["pc"] == ["param:lr", "param:units", "max:accuracy"]
    expect(page.get_by_label("units: from").locator("option")).to_have_text(["from", "8", "16", "64", "many"])
    page.reload()
    expect(rows).to_have_text(["lr, log", "units", "accuracy, max"])


def test_an_end_left_empty_is_open_and_a_brush_that_says_nothing_is_none(visit: Opener, compared: str):
    page = drawn(visit(f"{compared}&br=param%253Alr,0.01,"))
    expect(page.get_by_label("lr: from")).to_have_value("0.01")
    expect(page.get_by_label("lr: to")).to_have_value("")
    expect_shown(page, ["alpha", "beta"])
    page = drawn(visit(f"{compared}&br=param%253Alr,x,y&br=param%253Aopt,nobody,sgd&br=%25&br=param%253Alr,,"))
    expect(page.locator("[data-said]")).to_have_text("5 runs drawn.")


@pytest.mark.parametrize(
    ("values", "log", "ends", "inside"),
    [
        ([1, 2, None, "NaN"], False, [1, 2], 1.5),
        ([5, 5], False, [5, 5], 5),
        ([1e-3, 1e3, -1, 0], True, [1e-3, 1e3], 1),
        ([-1e308, 1e308], False, [-1e308, 1e308], 0),
        ([1e-300, 3e-300], False, [1e-300, 3e-300], 2e-300),
        ([None, "Infinity"], True, [1, 1], 1),
    ],
)
def test_a_scale_places_every_number_and_gives_back_what_a_hand_aims_at(visit: Opener, values: list[object], log: bool, ends: list[float], inside: float):
    page = visit("/account")
    found = page.evaluate(
        """async ([values, log]) => {
          const { Scale } = await import('/static/js/scatter/axes.js');
          const axis = { key: 'param:x', name: 'x', how: 'param', words: [], literals: [], term: 'params.x', refusal: '', missing: 0, odd: 0 };
          const scale = new Scale({ ...axis, values }, log);
          return { range: scale.range(2, -1), middle: scale.value(0.5), shares: values.map((value) => scale.share(value)), ticks: scale.ticks(6).length };
        }""",
        [values, log],
    )
    assert found["range"] == ends
    assert found["middle"] == pytest.approx(inside, rel=1e-2, abs=1e303 if abs(ends[0]) > 1e300 else 0)
    for value, share in zip(values, found["shares"], strict=True):
        is_placed = isinstance(value, int | float) and (value > 0 or not log)
        assert (share is not None and 0 <= share <= 1) if is_placed else share is None
    assert found["ticks"] <= 7


def test_names_are_text_and_the_page_does_not_overflow_narrow_or_dark(visit: Opener, compared: str):
    odd = f"{compared}&pc={quote('param:' + LONG)}&pc={quote('param:' + ODD)}&sc=param:opt"
    for width, dark in ((1440, False), (1440, True), (390, False), (390, True)):
        page = drawn(settled(visit(odd, width=width, dark=dark)))
        expect(page.locator(f'.axis-name[title="{LONG}"]')).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        photograph(page, f"scatter-{width}-{'dark' if dark else 'light'}")
        page = drawn(visit(f"{PROJECT}explore?{urlsplit(odd).query.partition('&')[2]}", width=width, dark=dark))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        photograph(page, f"explore-{width}-{'dark' if dark else 'light'}")


def test_each_chart_is_saved_as_a_picture_and_its_data_as_files(visit: Opener, compared: str):
    page = drawn(settled(visit(compared)))
    with page.expect_download() as picture:
        page.locator('[data-png="parallel"]').click()
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as file:
        page.locator('[data-file="csv"]').click()
    text = file.value.path().read_text()
    assert text.splitlines()[0] == "id,slug,name,param:lr,max:accuracy,param:opt"
    assert len(text.splitlines()) == 6


def test_runs_without_a_metric_are_brushed_by_their_params(visit: Opener, site: Site):
    slugs = [site.run("bare", f"bare {i}", params={"width": i}) for i in range(3)]
    page = drawn(visit(f"/projects/research-team/bare/compare?e={','.join(slugs)}&axes=open"))
    page.get_by_label("width: from").fill("1")
    page.keyboard.press("Tab")
    expect(page.locator(".runs li:not(.hidden)")).to_have_count(2)
    assert shown(page) == ["bare 1", "bare 2"]
    page.wait_for_url(re.compile("hide="))
    page.locator(".runs li").nth(1).hover()
    expect(page.locator("[data-hot]")).to_contain_text("bare 1")


def test_on_the_project_a_brush_becomes_a_filter_of_the_table_and_a_comparison(visit: Opener, slugs: list[str]):
    page = drawn(visit(f"{PROJECT}explore?{AXES}&q={quote('metrics.accuracy.max > 0.1 or params.units = 8')}"))
    page.get_by_label("lr: from").fill("0.001")
    page.get_by_label("lr: to").fill("0.05")
    page.keyboard.press("Tab")
    page.get_by_label("opt: from").select_option(label="sgd")
    expect(page.locator("[data-said]")).to_have_text("2 of 5 experiments fit both brushes.")
    terms = '(metrics.accuracy.max > 0.1 or params.units = 8) and params.lr >= 0.001 and params.lr <= 0.05 and params.opt = "sgd"'
    expect(page.locator("[data-terms]")).to_have_text(terms)
    expect(page.locator("[data-first] li")).to_have_text(["gamma", "beta"])
    compare = page.get_by_role("link", name="Compare these 2").get_attribute("href")
    page.get_by_role("link", name="Apply to the table").click()
    expect(page.locator("#filter-text")).to_have_value(terms)
    expect(page.locator("#table tbody tr")).to_have_count(2)
    page.goto(compare or "")
    expect(page.locator(".runs li")).to_have_count(2)


def test_what_a_filter_cannot_say_is_said(visit: Opener, site: Site):
    for i in range(2):
        site.run("lists", f"list {i}", params={"layers": [i], "lr": i})
    page = drawn(visit("/projects/research-team/lists/explore?q=list"))
    page.get_by_label("layers: from").select_option(index=1)
    expect(page.locator("[data-troubles]")).to_contain_text("layers has values that a filter cannot compare")
    expect(page.locator("[data-apply]")).to_be_hidden()
    page.get_by_label("lr: from").fill("0.5")
    page.keyboard.press("Tab")
    expect(page.locator("[data-troubles]")).to_contain_text("take the place of the words “list”")


def test_without_a_script_the_form_draws_a_still_scatter(visit: Opener, slugs: list[str]):
    page = visit(f"{PROJECT}explore", script=False)
    page.locator("#sx").select_option("param:lr")
    page.locator("#sy").select_option("metric:accuracy")
    page.get_by_role("button", name="Draw").click()
    expect(page.locator(".still-scatter svg")).to_be_visible()
    expect(page.locator(".still-scatter figcaption")).to_contain_text("5 experiments")
    expect(page.locator("[data-scatter]")).to_be_hidden()


def test_ten_thousand_experiments_are_brushed_on_two_canvases(visit: Opener, slugs: list[str], capsys: pytest.CaptureFixture[str]):
    count = 10_000
    columns = {
        "param:lr": [10 ** -(i % 5 + 1) for i in range(count)],
        "param:opt": [i % 3 for i in range(count)],
        "max:accuracy": [i / count for i in range(count)],
    }
    blank = {"how": "param", "words": [], "literals": [], "term": "params.lr", "refusal": "", "missing": 0, "odd": 0}
    axes = [blank | {"key": key, "name": key.split(":")[1], "values": values} for key, values in columns.items()]
    axes[1] |= {"words": ["adam", "lion", "sgd"], "literals": ['"adam"', '"lion"', '"sgd"']}
    names = [f"run {i}" for i in range(count)]
    body = json.dumps({"ids": [], "slugs": names, "names": names, "beyond": 0, "axes": axes, "isStoreAway": False})
    page = visit(f"{PROJECT}metrics/")
    page.route("**/explore/data?**", lambda route: route.fulfill(body=body, content_type="application/json"))
    page.goto(f"{PROJECT}explore?{AXES}")
    expect(page.locator("[data-said]")).to_have_text("10\u202f000 experiments drawn.")
    took_ms = page.evaluate(
        """() => new Promise((done) => {
          const began = performance.now(), field = document.querySelector('[aria-label="accuracy: from"]');
          field.value = '0.5';
          field.dispatchEvent(new Event('change'));
          requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
        })"""
    )
    with capsys.disabled():
        print(f"\n10,000 experiments, a brush until it is painted: {took_ms:.0f} ms")
    expect(page.locator("[data-said]")).to_have_text("5000 of 10\u202f000 experiments fit the brush.")
    expect(page.locator("[data-first] li")).to_have_count(20)
    assert len(parse_qs(urlsplit(page.get_by_role("link", name="Compare the first 100").get_attribute("href") or "").query)["e"]) == 100
    assert page.evaluate("document.querySelectorAll('*').length") < 1000
    photograph(page, "explore-10000")
