"""Charts in a real browser: cursor, tooltip, highlight, smoothing, log axis, NaN, themes, failures, keys."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Console, Opener, Site, settled
from tests.waiting import until

pytestmark = pytest.mark.browser

PROJECT = "/projects/research-team/digits/"
THREE = f"{PROJECT}compare?e=baseline-s1&e=wider-s1&e=deeper-s1"
INK = {"light": [20, 24, 29], "dark": [232, 234, 237]}


def over(page: Page, card: int, share: float, down: float = 60) -> dict[str, float]:
    """Move the mouse into a chart, to a share of its plot's width. Returns where the mouse is."""
    area = page.locator(".chart .u-over").nth(card)
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    at = {"x": box["x"] + box["width"] * share, "y": box["y"] + down}
    page.mouse.move(at["x"], at["y"])
    return at


@pytest.fixture(scope="module")
def maths(browser: Browser, site: Site) -> Callable[[str], Any]:
    """maths("math.step(5)"): the value of an expression over the functions of frame/numbers.js."""
    page = browser.new_page(base_url=site.url)
    page.goto("/sign-in")
    return lambda call: page.evaluate(f"async () => {{ const math = await import('/static/js/frame/numbers.js'); return {call}; }}")


# A canvas as one that may be read from.
READ = """(canvas) => {
  const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return context;
}"""


# What is painted in the plot of a chart: `isInk(x, y)` whether a pixel is more painted than not.
PLOT = """
  const over = canvas.parentElement.querySelector('.u-over'), ratio = devicePixelRatio;
  const [left, top, width, height] = [over.offsetLeft, over.offsetTop, over.clientWidth, over.clientHeight].map((value) => Math.round(value * ratio));
  const { data } = context.getImageData(left, top, width, height), isInk = (x, y) => data[4 * (y * width + x) + 3] >= 128;
"""


def colours(canvas: Locator) -> list[list[int]]:
    """Every colour that a canvas shows opaquely."""
    return canvas.evaluate(
        f"canvas => {{ const context = ({READ})(canvas);"
        """
          const seen = new Set(), { data } = context.getImageData(0, 0, canvas.width, canvas.height);
          for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
          return [...seen].map((text) => text.split(',').map(Number));
        }"""
    )


def inked_rows(canvas: Locator) -> float:
    """The share of a plot's rows, but for the lowest and the highest tenth, in which some pixel is more painted than not."""
    return canvas.evaluate(
        f"canvas => {{ const context = ({READ})(canvas); {PLOT}"
        """
          const first = Math.round(height / 10), rows = Math.round(height * 0.8);
          let inked = 0;
          for (let y = first; y < first + rows; y++) for (let x = 0; x < width; x++) if (isInk(x, y)) { inked++; break; }
          return inked / rows;
        }"""
    )


def test_one_cursor_stands_in_all_charts_and_one_tooltip_beside_it(visit: Opener):
    page = settled(visit(THREE))
    over(page, 0, 0.5)
    tags = page.locator(".cursor-x:visible")
    expect(tags).to_have_count(3)
    assert len(set(tags.all_inner_texts())) == 1
    expect(page.locator(".chart-tooltip:visible")).to_have_count(1)
    expect(page.locator(".chart-tooltip:visible header")).to_contain_text(f"step {tags.first.inner_text()}")
    page.mouse.move(2, 2)
    expect(page.locator(".chart-tooltip:visible")).to_have_count(0)
    expect(tags).to_have_count(0)


def test_the_tooltip_is_sorted_by_value(visit: Opener):
    page = settled(visit(THREE))
    over(page, 0, 0.3)
    values = [float(text) for text in page.locator(".chart-tooltip:visible li > span:nth-of-type(2)").all_inner_texts()]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("width", [1440, 390, 320])
def test_the_tooltip_is_never_over_the_cursor_nor_beyond_the_page(visit: Opener, width: int):
    page = settled(visit(THREE, width=width))
    for share in (0.02, 0.35, 0.5, 0.65, 0.98):
        page.mouse.move(2, 2)
        expect(page.locator(".chart-tooltip:visible")).to_have_count(0)
        at = over(page, 1, share)
        box = page.locator(".chart-tooltip:visible").bounding_box()
        assert box
        assert not (box["x"] <= at["x"] <= box["x"] + box["width"] and box["y"] <= at["y"] <= box["y"] + box["height"]), share
        assert box["x"] >= 0, share
        assert box["x"] + box["width"] <= width, share


def test_the_run_under_the_mouse_is_bold_in_the_tooltip_and_lit_in_the_list(visit: Opener):
    page = settled(visit(THREE))
    hot = page.locator(".runs li.hot")
    for down in range(4, 190, 4):
        over(page, 1, 0.02, down)
        if hot.count():
            break
    expect(hot).to_have_count(1)
    name = hot.get_attribute("data-name")
    assert name
    expect(page.locator(".chart-tooltip:visible li.hot .run")).to_have_text(name)


def test_a_run_of_the_list_is_brought_to_the_front_in_the_charts(visit: Opener):
    page = settled(visit(THREE))
    page.mouse.move(2, 2)
    blank = page.locator(".hot-line").first.evaluate("canvas => canvas.toDataURL()")
    page.locator(".runs li").nth(1).hover()
    assert page.locator(".hot-line").first.evaluate("canvas => canvas.toDataURL()") != blank


def test_hidden_runs_leave_the_charts_and_the_address_says_so(visit: Opener):
    page = settled(visit(THREE))
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.locator(".chart .u-over")).to_have_count(0)
    page.get_by_role("button", name="First", exact=True).click()
    over(page, 0, 0.52)
    expect(page.locator(".chart-tooltip:visible li")).to_have_count(3)
    page.locator(".runs .eye").nth(1).click()
    page.wait_for_url(re.compile("hide=wider-s1"))
    over(page, 0, 0.5)
    expect(page.locator(".chart-tooltip:visible li")).to_have_count(2)


def test_the_filter_narrows_the_list_of_runs(visit: Opener):
    page = settled(visit(THREE))
    page.get_by_label("Filter runs").fill("wid")
    expect(page.locator(".runs li:visible")).to_have_count(1)


def test_smoothing_is_drawn_over_the_raw_line_and_said(visit: Opener):
    page = settled(visit(THREE))
    page.get_by_label("Smooth").fill("0.9")
    expect(page.locator(".chart .how").first).to_contain_text("smoothed 0.90 over raw")
    over(page, 0, 0.5)
    expect(page.locator(".chart-tooltip:visible header")).to_contain_text("smoothed, raw")
    page.wait_for_url(re.compile("smooth=0.9"))


@pytest.mark.parametrize("look", ["", *(pytest.param(look, marks=pytest.mark.slow) for look in ("&smooth=0.9", "&log=1"))])
@pytest.mark.parametrize("sign", [1, pytest.param(-1, marks=pytest.mark.slow)])
def test_a_spike_of_one_step_among_many_is_seen_up_to_its_tip(visit: Opener, site: Site, sign: int, look: str):
    level = 1.0 if sign > 0 else 9.0
    slug = site.run("odd", f"spike {sign}", {"spiky": [level + sign * 8 * (step == 4321) for step in range(10_000)]})
    plain = site.run("odd", f"plain {sign}", {"spiky": [level, level]})
    page = settled(visit(f"/projects/research-team/odd/compare?e={plain}&e={slug}{look}"))
    assert inked_rows(page.locator(".chart .uplot > .u-wrap > canvas").first) > 0.95


STICKS = """
  const longest = [];
  for (let x = 0; x < width; x++) {
    let run = 0, most = 0;
    for (let y = 0; y < height; y++) most = Math.max(most, run = isInk(x, y) ? run + 1 : 0);
    longest.push(most);
  }
  return longest;
"""


@pytest.mark.parametrize("kind", ["gauss", pytest.param("expovariate", marks=pytest.mark.slow)])
@pytest.mark.parametrize("look", ["", pytest.param("&log=1", marks=pytest.mark.slow)])
def test_the_tips_of_noise_are_no_spikes_and_a_spike_among_them_is_one(visit: Opener, site: Site, kind: str, look: str):
    chance = random.Random(5)
    noise = [5 + 0.2 * (chance.gauss(0, 1) if kind == "gauss" else chance.expovariate(1)) for _ in range(10_000)]
    slugs = [site.run("odd", f"{kind} {n}", {"noise": [*noise[:7000], 15.0 if n else 5.0, *noise[7001:]]}) for n in range(2)]
    page = settled(visit("/projects/research-team/odd/compare?e=" + "&e=".join(slugs) + f"&hide={slugs[1]}{look}"))
    canvas = page.locator(".chart .uplot > .u-wrap > canvas").first
    read = f"canvas => {{ const context = ({READ})(canvas); {PLOT} {STICKS} }}"
    plain = canvas.evaluate(read)
    usual = sorted(plain)[len(plain) // 2]
    assert sum(length > 4 * usual + 8 for length in plain) <= 0.02 * len(plain)
    page.locator(".runs .eye").nth(1).click()
    page.locator(".runs .eye").first.click()
    expect(page).to_have_url(re.compile(f"hide={slugs[0]}"))
    assert max(canvas.evaluate(read)) > 100


def test_a_chart_of_hidden_runs_says_so_and_offers_no_file(visit: Opener):
    page = settled(visit(THREE))
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.locator(".chart .canvas").first).to_have_text("Every run is hidden: open an eye in the list.")
    page.locator(".chart .menu.export summary").first.click()
    expect(page.get_by_text("CSV, every point").first).not_to_have_attribute("href", re.compile("."))
    expect(page.get_by_role("button", name="PNG, as drawn").first).to_be_disabled()
    page.get_by_role("button", name="First", exact=True).click()
    expect(page.locator(".chart .uplot")).to_have_count(3)


@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.slow)])
def test_the_last_text_of_the_x_axis_is_whole(visit: Opener, site: Site, width: int):
    slugs = [site.run("odd", f"long {n}", {"long": [float(value) for value in range(1001 + n)]}) for n in range(2)]
    page = settled(visit("/projects/research-team/odd/compare?x=step&e=" + "&e=".join(slugs), width=width))
    edge = page.locator(".chart .uplot > .u-wrap > canvas").first.evaluate(
        f"canvas => {{ const context = ({READ})(canvas);"
        """
          const ground = context.getImageData(0, 0, 1, 1).data, { data } = context.getImageData(canvas.width - 1, 0, 1, canvas.height);
          return data.some((value, i) => value !== ground[i % 4]);
        }"""
    )
    assert not edge


def test_a_log_axis_says_what_it_leaves_out_and_nan_is_marked(visit: Opener, site: Site):
    slugs = [site.run("odd", name, {"loss": values}) for name, values in {"one": [3.0, 0.0, -1.0, 2.0, 1.0], "two": [3.0, 2.0, "NaN", "NaN", "NaN"]}.items()]
    page = settled(visit("/projects/research-team/odd/compare?log=1&e=" + "&e=".join(slugs)))
    head = page.locator(".chart header").first
    expect(head).to_contain_text("2 values ≤ 0 left out")
    expect(head).to_contain_text("NaN from step 2")
    expect(page.locator(".canvas").first).to_have_attribute("aria-label", "loss by step, 2 runs, log, 2 values ≤ 0 left out, NaN from step 2")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, "Infinity", 2.0, 3.0], "infinity at step 1"),
        ([1.0, "-Infinity", 2.0, 3.0], "−infinity at step 1"),
        ([1.0, 2.0, 3.0, "NaN"], "NaN at step 3"),
        ([1.0, "NaN", 2.0, "NaN"], "NaN first at step 1, 2 points"),
        ([1.0, 2.0, "NaN", "Infinity"], "NaN and infinity from step 2"),
    ],
)
def test_a_chart_says_which_values_are_no_numbers_and_whether_finite_ones_follow(visit: Opener, site: Site, values: list[float | str], said: str):
    slugs = [site.run("odd", f"{said} {name}", {"loss": points}) for name, points in {"odd": values, "plain": [4.0, 3.0, 2.0, 1.0]}.items()]
    page = settled(visit("/projects/research-team/odd/compare?e=" + "&e=".join(slugs)))
    assert page.locator(".chart header .odd").inner_text() == said


def test_the_head_says_at_how_many_steps_of_the_shown_runs_the_latest_of_several_values_stands(visit: Opener, site: Site):
    slugs = [site.run("odd", name, {"loss": [3.0, 9.0, 9.0, 1.0]}) for name in ("resumed", "steady")]
    site.log("odd", slugs[0], {"loss": [2.0, 2.0]}, first=1)
    page = settled(visit("/projects/research-team/odd/compare?e=" + "&e=".join(slugs)))
    head = page.locator(".chart header").first
    expect(head).to_contain_text("latest of several values at 2 steps")
    page.locator('.runs [data-run]:has-text("resumed") .eye').click()
    expect(head).not_to_contain_text("latest of several values")


def test_runs_are_solid_and_told_apart_by_a_mark_in_swatch_tooltip_and_at_the_end_of_the_line(visit: Opener):
    page = settled(visit(THREE))
    swatches = page.locator(".runs [data-run] .swatch")
    assert set(swatches.evaluate_all("all => all.map((one) => getComputedStyle(one.querySelector('line')).strokeDasharray)")) == {"none"}
    marks = swatches.evaluate_all("all => all.map((one) => one.querySelector('use').getAttribute('href'))")
    assert len(set(marks)) == 3
    assert "#k0" in marks
    over(page, 0, 0.5)
    told = page.locator(".chart-tooltip:visible .swatch use").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    assert sorted(told) == sorted(marks)
    page.mouse.move(2, 2)
    beyond = page.locator(".chart").first.evaluate(
        """card => {
          const canvas = card.querySelector(".uplot > .u-wrap > canvas"), at = canvas.getBoundingClientRect();
          const over = card.querySelector(".u-over").getBoundingClientRect(), x = Math.round((over.right - at.left + 2.5) * devicePixelRatio);
          const { data } = canvas.getContext("2d").getImageData(x, 0, 1, Math.round((over.bottom - at.top - 6) * devicePixelRatio));
          return new Set(Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 3).join())).size;
        }"""
    )
    assert beyond > 3, "marks reach over the end of the plot"


def test_with_the_eleventh_run_a_dash_begins(visit: Opener, site: Site):
    slugs = [site.run("eleven", f"run {n}", {"loss": [2.0, 1.0 + n / 10]}) for n in range(12)]
    page = settled(visit("/projects/research-team/eleven/compare?e=" + "&e=".join(slugs)))
    dashes = page.locator(".runs [data-run] .swatch line").evaluate_all("all => all.map((one) => getComputedStyle(one).strokeDasharray)")
    assert [dash == "none" for dash in dashes] == [True] * 10 + [False] * 2


def test_times_are_the_readers_own_with_utc_in_the_title(visit: Opener, site: Site):
    slug = site.run("clocks", "one", {"loss": [2.0, 1.0]})
    started = site.call("GET", "/api/v1/experiments?project=clocks")["results"][0]["started_at"]
    moment = datetime.fromisoformat(started)
    utc, kolkata = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", moment.astimezone(ZoneInfo("Asia/Kolkata"))
    page = visit(f"/projects/research-team/clocks/experiments/{slug}", timezone_id="Asia/Kolkata")
    shown = page.locator("#live time").first
    expect(shown).to_have_text(f"{kolkata:%H:%M:%S}")
    expect(shown).to_have_attribute("title", f"{kolkata:%Y-%m-%d %H:%M:%S} GMT+5:30, {utc}")
    expect(page.locator("#live time").nth(1)).to_have_text(f"{kolkata.day} {kolkata:%b %Y}, GMT+5:30")
    plain = visit(f"/projects/research-team/clocks/experiments/{slug}", timezone_id="Asia/Kolkata", script=False)
    expect(plain.locator("#live time").nth(1)).to_have_text(f"{moment.day} {moment:%b %Y}, UTC")
    for stamp in plain.locator(".history time, .pairs time[data-as=stamp]").all_inner_texts():
        assert stamp.endswith(" UTC")


def test_the_clock_of_a_chart_is_the_readers_own(visit: Opener):
    page = settled(visit(f"{THREE}&x=time", timezone_id="Asia/Kolkata"))
    card = page.locator(".chart").first
    card.focus()
    page.keyboard.press("Home")
    expect(card.locator(".chart-tooltip header")).to_contain_text("GMT+5:30")
    math = "(await import('/static/js/frame/numbers.js'))"
    assert page.evaluate(f"async () => {math}.clock(1763900000, 3600)") == "17:43"
    ticks = page.evaluate(
        f"async () => {{ const math = {math}; return math.clockTicks(1763900000, 1763900000 + 86400 * 3).map((tick) => math.clock(tick, 86400 * 2)); }}"
    )
    assert ticks
    assert all(tick.endswith((" 00:00", " 12:00")) for tick in ticks)


def test_a_series_of_one_point_and_one_of_equal_values_are_drawn(visit: Opener, site: Site):
    slugs = [site.run("odd", name, {"flat": values}) for name, values in {"single": [7.0], "flat": [7.0, 7.0, 7.0]}.items()]
    page = settled(visit("/projects/research-team/odd/compare?e=" + "&e=".join(slugs)))
    assert INK["light"] in colours(page.locator(".chart canvas").first)


def test_values_near_the_end_of_floating_point_have_an_axis(visit: Opener, site: Site):
    slugs = [site.run("odd", name, {"huge": values}) for name, values in {"big": [1.0, 1e300, 1.7e308], "small": [-1.7e308, 1e-300, 5e-324]}.items()]
    for axis in ("0", "1"):
        page = settled(visit(f"/projects/research-team/odd/compare?log={axis}&e=" + "&e=".join(slugs)))
        assert INK["light"] in colours(page.locator(".chart canvas").first)


def test_the_baseline_is_ink_and_turns_with_the_theme(visit: Opener):
    page = settled(visit(THREE))
    assert INK["light"] in colours(page.locator(".chart .uplot > .u-wrap > canvas").first)
    page.emulate_media(color_scheme="dark")
    canvas = page.locator(".chart .uplot > .u-wrap > canvas").first
    until(lambda: INK["dark"] in colours(canvas), "the chart in dark ink")
    assert INK["light"] not in colours(canvas)


def test_a_failed_chart_says_so_and_tries_again(visit: Opener, console: Console):
    console.allowed.append("503")
    page = visit("about:blank")
    refusal = '{"error": {"code": "unavailable", "message": "The metric store is away."}, "request_id": "x"}'
    page.route("**/api/v1/metrics/compare/**", lambda route: route.fulfill(status=503, content_type="application/json", body=refusal))
    page.goto(THREE)
    note = page.locator(".chart-note").first
    expect(note).to_contain_text("The metric store is away.")
    expect(page.get_by_role("alert").first).to_be_visible()
    page.unroute("**/api/v1/metrics/compare/**")
    note.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".chart .uplot canvas")
    expect(page.locator(".chart").first.locator(".chart-note")).to_have_count(0)


def test_what_takes_long_shows_that_it_works(visit: Opener):
    page = visit("about:blank")
    waiting: list[Any] = []
    page.route("**/api/v1/metrics/compare/**", lambda route: waiting.append(route))
    page.goto(THREE)
    card = page.locator(".chart").first
    expect(card).to_have_attribute("aria-busy", "true")
    until(lambda: float(card.evaluate("card => getComputedStyle(card, '::before').opacity")) == 1, "a sign that it works")
    for route in waiting:
        route.continue_()
    settled(page)
    expect(card).to_have_attribute("aria-busy", "false")


def test_keys_move_the_cursor(visit: Opener):
    page = settled(visit(THREE))
    card = page.locator(".chart").first
    card.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(card.locator(".chart-tooltip header")).to_contain_text("step 1")
    expect(page.locator(".cursor-x:visible")).to_have_count(3)
    page.keyboard.press("Escape")
    expect(page.locator(".chart-tooltip:visible")).to_have_count(0)


def test_only_charts_near_the_window_are_asked_for(visit: Opener, site: Site):
    names = {f"layer/{i:02}": [1.0, 2.0] for i in range(30)}
    slugs = [site.run("wide", name, names) for name in ("one", "two")]
    page = visit("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/metrics/compare/" in request.url else None)
    page.goto("/projects/research-team/wide/compare?e=" + "&e=".join(slugs))
    settled(page)
    assert 2 <= len(asked) < 20
    assert len(asked) == len(set(asked))
    page.locator(".chart").last.scroll_into_view_if_needed()
    page.locator(".chart").last.locator("canvas").first.wait_for()


def test_the_other_x_axes_are_drawn_in_seconds_and_clock_time(visit: Opener):
    for kind in ("relative", "time"):
        page = settled(visit(f"{THREE}&x={kind}"))
        over(page, 0, 0.01)
        expect(page.locator(".chart-tooltip:visible header")).to_contain_text("s" if kind == "relative" else "UTC")


def test_smoothing_takes_the_bias_of_its_start_out(maths: Callable[[str], Any]):
    assert maths("math.smoothed([2, 2, null, 2], 0.9)") == pytest.approx([2, 2, None, 2])
    assert maths("math.smoothed([1, 3], 0.5)") == pytest.approx([1, 7 / 3])
    assert maths("math.smoothed([1, 3], 0)") == [1, 3]


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([1, 1, 9, 1, 1], 2, [1, 1, 1, 1, 1]),
        ([1, 9, 9, 1], 2, [1, 9, 9, 1]),
        ([1, 9, 9, 1], 3, [1, 1, 1, 1]),
        ([9, 1, 2], 2, [1, 1, 1]),
        ([4, 2], 9, [2, 2]),
        ([3], 2, [3]),
        ([9, 6, 4, 3, 3, 3], 3, [6, 6, 4, 3, 3, 3]),
        ([3, 3, 3, 4, 9], 4, [3, 3, 3, 4, 4]),
    ],
)
def test_a_curve_is_opened_by_what_is_wide(maths: Callable[[str], Any], values: list[int], width: int, expected: list[int]):
    assert maths(f"math.opened({values}, {width})") == expected


@pytest.mark.parametrize("span", [(0, 1), (0.67, 0.98), (0, 49), (-5, 5), (0, 1e9), (1e-9, 3e-9), (0.1, 0.10001), (-1e300, 1e300), (7, 7)])
def test_a_linear_axis_has_at_most_six_ticks_within_its_range(maths: Callable[[str], Any], span: tuple[float, float]):
    ticks = maths(f"math.linearTicks({span[0]}, {span[1]}, 6)")
    assert 1 <= len(ticks) <= 6
    assert all(span[0] <= tick <= span[1] for tick in ticks)


@pytest.mark.parametrize("span", [(0.001, 2), (0.9, 1.1), (1e-300, 1e300), (3, 70), (0.02, 0.5)])
def test_a_log_axis_has_two_to_six_ticks_within_its_range(maths: Callable[[str], Any], span: tuple[float, float]):
    ticks = maths(f"math.logTicks({span[0]}, {span[1]}, 6)")
    assert 2 <= len(ticks) <= 6
    assert all(span[0] * 0.999 <= tick <= span[1] * 1.001 for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.9629", "0.9629"),
        ("1234567", "1\u202f234\u202f567"),
        ("1234.5", "1235"),
        ("-0.5", "−0.5000"),
        ("1.5e-7", "1.5e−7"),
        ("NaN", "NaN"),
        ("null", "–"),
        ("0", "0"),
    ],
)
def test_a_reading_is_written_as_the_server_writes_it(maths: Callable[[str], Any], value: str, text: str):
    assert maths(f"math.reading({value})") == text
