"""What a person does on the pages of experiments, each thing on the hostile thousand: runs of NaN and of one point, foreign and endless names, markup in all.

The numbers that pages show are held against those that tests/e2e/crowd.py made; the other modules here hold the same features against small, tame projects.
"""

from __future__ import annotations

import csv
import json
import math
import re
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Console, Crowd, Opener, Site, settled
from tests.e2e.crowd import ARABIC, CHINESE, ENDLESS, HOSTILE, LEADING, LONG_POINTS, METRICS, NAMES, NAN_RUN, RUNS, SEEDS, SINGLE_RUN, body, slug
from tests.e2e.test_charts import over as point
from tests.e2e.test_every_page import INJECTED, REFUSALS
from tests.e2e.test_groups import PATIENCE_MS, card, heads, over, query
from tests.e2e.test_keys import SHADES, sheet
from tests.e2e.test_live import LIVE, WHOLE, counted, hide, later
from tests.e2e.test_live import drawn as painted
from tests.e2e.test_many_metrics import names, questions
from tests.e2e.test_scatter import drag as brush
from tests.e2e.test_scatter import drawn, shown
from tests.e2e.test_scatter import over as over_axes
from tests.e2e.test_story import drag

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROJECT = "/projects/research-team/crowd/"
SIX, FIFTEEN = range(6), range(3 * SEEDS)
TITLES = [*NAMES, "wider · 5"]
PICTURE = "canvas => canvas.toDataURL()"
STYLES = "all => all.map((each) => each.getAttribute('class'))"


@pytest.fixture(scope="module")
def site(crowd: Crowd) -> Site:
    """The product that `visit` opens: the one with the crowd."""
    return crowd.site


@pytest.fixture
def visit(visit: Opener, console: Console) -> Iterator[Opener]:
    """As everywhere; besides, a dialog and a refusal of the policy are heard, and in the end nothing of the texts has become part of a page."""
    pages: list[Page] = []

    def opened(path: str, *, is_clocked: bool = False, **options: bool) -> Page:
        page = visit("about:blank", **options)
        if is_clocked:
            page.clock.install()
        page.add_init_script(REFUSALS)
        page.on("dialog", lambda dialog: (console.said.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(path)
        pages.append(page)
        return page

    yield opened
    assert not any(page.evaluate(INJECTED) for page in pages)


def compare(numbers: Iterable[int], **asked: str | list[str]) -> str:
    """The comparison of these runs; of the leading metric alone, unless something else is asked."""
    return f"{PROJECT}compare?{urlencode({'e': ','.join(map(slug, numbers)), 'metric': LEADING} | asked, doseq=True)}"


def points(number: int, metric: str = LEADING) -> list[float]:
    """What a run logged of a metric, NaN where it diverged."""
    return [float(value) for value in body(number)["metrics"][metric]]


def finite(number: int, metric: str = LEADING) -> list[float]:
    """The numbers of a run's points."""
    return [value for value in points(number, metric) if math.isfinite(value)]


def exact(cell: Locator) -> float:
    """The number that a cell says in full when pointed at."""
    return float((cell.get_attribute("title") or "").split(",")[0])


def run(page: Page, number: int) -> Locator:
    """A run in the list beside the charts."""
    return page.locator(f'.runs li[data-slug="{slug(number)}"]')


def row(page: Page, number: int) -> Locator:
    """A run in the project's table."""
    return page.locator("#table tbody tr").filter(has=page.locator(f'input[value="{slug(number)}"]'))


def test_1_eyes_ranges_and_the_first_of_a_sort_choose_among_odd_runs_and_each_keeps_its_colour(visit: Opener):
    page = settled(visit(compare(SIX)))
    assert shown(page) == TITLES
    eyes = page.locator(".runs .eye")
    eyes.nth(1).click()
    eyes.nth(4).click(modifiers=["Shift"])
    assert shown(page) == [TITLES[0], TITLES[5]]
    page.wait_for_url(lambda url: len(query(page).get("hide", [])) == 4)
    page.reload()
    assert shown(settled(page)) == [TITLES[0], TITLES[5]]
    page.get_by_label("Sort by").select_option(LEADING)
    page.wait_for_url(re.compile("order="))
    settled(page).get_by_role("button", name="First", exact=True).click()
    assert page.locator(".runs [data-run]").last.get_attribute("data-slug") == slug(NAN_RUN)
    assert sorted(shown(page)) == sorted(title for number, title in enumerate(TITLES) if number != NAN_RUN)

    page.goto(f"{PROJECT}?sort=created")
    in_table = {number: row(page, number).locator(".swatch").evaluate_all(STYLES) for number in SIX}
    assert len({style for (style,) in in_table.values()}) == len(SIX)
    for numbers, base in ((SIX, 5), ((4, 3, 2, 1), 1)):
        page.goto(compare(numbers, base=slug(base)))
        settled(page)
        for number in set(numbers) - {base}:
            assert run(page, number).locator(".swatch").evaluate_all(STYLES) == in_table[number]


def test_2_a_zoom_asks_for_finer_buckets_none_hides_a_spike_and_a_double_click_goes_back(visit: Opener, site: Site):
    spike = [99.0 if step == 3111 else 0.5 for step in range(6000)]
    site.log("crowd", slug(499), {LEADING: spike}, first=2)
    page = visit("about:blank")
    with page.expect_response(WHOLE) as answered:
        page.goto(compare([499, NAN_RUN, 4]))
    settled(page)
    wide = answered.value.json()
    with page.expect_response(lambda response: bool(WHOLE.search(response.url)) and "from=" in response.url) as answered:
        drag(page, 0, 0.45, 0.6)
    near = answered.value.json()
    for answer in (wide, near):
        (series,) = [each for each in answer["series"] if each["slug"] == slug(499)]
        assert max(value for value in series["max"] if value is not None) == 99.0
    assert wide["width"] > near["width"] >= 1
    first, last = int(query(page)["from"][0]), int(query(page)["to"][0])
    assert first <= near["x"][0] < near["x"][-1] <= last
    assert 2500 < first < 3111 < last < 3800
    box = page.locator(".chart .u-over").first.bounding_box()
    assert box
    page.mouse.dblclick(box["x"] + 100, box["y"] + 60)
    page.wait_for_url(lambda url: "from=" not in url)
    expect(page.get_by_role("button", name="Reset zoom")).to_be_hidden()


def test_3_a_run_pointed_at_is_lit_everywhere_and_one_cursor_stands_in_all_charts(visit: Opener):
    page = settled(visit(compare(SIX, metric="val/")))
    page.mouse.move(2, 2)
    near = page.locator(".chart:has(.uplot)")
    count = near.count()
    assert count > 1
    lines = f"all => all.map({PICTURE})"
    blank = near.locator(".hot-line").evaluate_all(lines)
    run(page, 1).hover()
    lit = near.locator(".hot-line").evaluate_all(lines)
    assert all(before != after for before, after in zip(blank, lit, strict=True))
    point(page, 0, 0.2)
    expect(page.locator(".cursor-x:visible")).to_have_count(count)
    assert len(set(page.locator(".cursor-x:visible").all_inner_texts())) == 1
    tip = page.locator(".chart-tooltip:visible")
    expect(tip).to_have_count(1)
    assert sorted(tip.locator("li .run").all_text_contents()) == sorted(title for number, title in enumerate(TITLES) if number != SINGLE_RUN)
    assert any("lr 0.1" in text for text in tip.locator(".tip").all_inner_texts())
    point(page, 0, 0.9)
    expect(tip.locator("li")).to_have_count(4)
    assert ARABIC not in tip.locator("li .run").all_text_contents()
    hot = page.locator(".runs li.hot")
    for down in range(4, 190, 4):
        point(page, 0, 0.03, down)
        if hot.count():
            break
    assert tip.locator("li.hot .run").text_content() == hot.get_attribute("data-name")


def test_4_all_but_the_seed_is_one_click_and_n_leaves_out_who_has_no_number(visit: Opener):
    page = settled(visit(compare(FIFTEEN)))
    page.get_by_role("link", name="All but seed").click()
    page.wait_for_url(re.compile("group=seed"))
    settled(page)
    expect(heads(page)).to_have_count(3)
    assert all("n 5" in text for text in heads(page).locator("small").all_inner_texts() if text.startswith("n"))
    how = card(page, LEADING).locator(".how")
    expect(how).to_contain_text("mean, ± sd, n 3 to 5")
    over(page, LEADING, 0.9)
    tip = page.locator(".chart-tooltip:visible")
    expect(tip.locator(".spread")).to_have_count(2)  # the third group ended at its second point
    assert all(text.endswith("n 3") for text in tip.locator(".spread").all_inner_texts())
    for place, arm in ((1, range(5, 10)), (2, range(10, 15))):
        cells = page.locator("#arms tbody tr").nth(place).locator("td")
        last = [points(number)[-1] for number in arm]
        assert exact(cells.nth(1)) == pytest.approx(statistics.mean(last))
        assert float(cells.nth(2).inner_text().lstrip("±")) == pytest.approx(statistics.stdev(last), abs=1e-4)
    page.get_by_label("Centre").select_option("median")
    page.get_by_label("Band").select_option("range")
    expect(how).to_contain_text("median, min to max")
    for band, words in (("se", "median, mean ± standard error"), ("ci", "median, 95% CI of the mean"), ("sd", "median, mean ± sd")):
        before = painted(page)
        page.get_by_label("Band").select_option(band)
        expect(how).to_contain_text(words)
        assert painted(page) != before
    page.get_by_role("button", name="Dash").click()
    page.wait_for_url(re.compile("as=dash"))
    drawn_as = heads(settled(page)).locator(".swatch").evaluate_all("all => all.map((each) => getComputedStyle(each).getPropertyValue('--dash'))")
    assert len(set(drawn_as)) == 3
    page.get_by_role("button", name="Colour", exact=True).click()
    page.wait_for_url(lambda address: "as=" not in address)
    settled(page)
    page.get_by_label("Group by", exact=True).select_option(f"tag:{HOSTILE[:100]}")
    page.wait_for_url(re.compile("group=tag"))
    settled(page)
    assert any(HOSTILE[:100] in text for text in heads(page).locator("h3").all_text_contents())
    page.get_by_role("button", name="Small charts").click()
    page.wait_for_url(re.compile("as=charts"))
    expect(card(settled(page), LEADING).locator(".facet")).to_have_count(2)


def test_5_deltas_are_against_whoever_is_pinned_and_coloured_by_the_direction(visit: Opener):
    page = settled(visit(compare(SIX, metric="^val/(accuracy|loss)$", regex="1")))
    page.get_by_role("link", name=f"Pin {HOSTILE} as the baseline").click()
    page.wait_for_url(re.compile("base="))
    settled(page)
    assert page.locator("#summary tr.pinned th a").text_content() == HOSTILE
    for number in (0, SINGLE_RUN, 4, 5):
        name = page.locator("#summary tbody tr").filter(has=page.locator(f'a[href$="/{quote(slug(number))}/"]'))
        for place, metric, sign in ((0, LEADING, 1), (1, "val/loss", -1)):
            change = points(number, metric)[-1] - points(1, metric)[-1]
            delta = name.locator(".delta").nth(place)
            assert exact(delta) == pytest.approx(change)
            expect(delta).to_have_class(re.compile("better" if sign * change > 0 else "worse"))
    expect(page.locator("#summary tr.out")).to_contain_text("NaN")
    expect(page.locator("#summary tr.out .delta")).to_have_count(0)
    page.goto(compare(FIFTEEN, group="seed", base=slug(7)))
    settled(page)
    mean = statistics.mean(points(number)[-1] for number in range(5, 10))
    change = statistics.mean(points(number)[-1] for number in range(10, 15)) - mean
    delta = page.locator("#arms tbody tr").filter(has_text="lr 0.001 · width 64").locator(".delta")
    assert exact(delta) == pytest.approx(change)
    expect(delta).to_have_class(re.compile("better" if change > 0 else "worse"))


def test_6_side_by_side_shows_differences_of_any_number_of_runs_what_varies_most_first(visit: Opener):
    page = settled(visit(compare(range(100))))
    side = page.locator("#differences")
    expect(side.locator("thead th[data-of-run]")).to_have_count(100)
    rows = side.locator("tbody").first.locator("tr:not(.block-row)")
    counts = [int(text) for text in rows.locator("td.num.muted").all_inner_texts()]
    assert len(counts) == 3
    assert counts == sorted(counts, reverse=True) == [5, 5, 3]
    assert not {HOSTILE, ARABIC, "long"} & set(rows.locator("th code").evaluate_all("all => all.map((each) => each.title)"))
    expect(side.locator(".prose-box").filter(has_text=ENDLESS).first).to_contain_text(HOSTILE)
    side.get_by_role("button", name="Differences only").click()
    page.wait_for_url(re.compile("params=all"))
    expect(side.locator(f'th code[title="{ARABIC}"]')).to_have_count(1)
    titles = rows.locator("th code").evaluate_all("all => all.map((each) => each.title)")
    assert {HOSTILE, ARABIC, "long"} <= set(titles)
    assert CHINESE in rows.nth(titles.index(ARABIC)).inner_text()


def test_7_curves_are_smoothed_logged_clipped_and_put_over_another_x(visit: Opener):
    page = settled(visit(compare(SIX, metric="layer/2/accuracy")))
    head, canvas = page.locator(".chart header"), page.locator(".chart .canvas")
    plain = painted(page)
    page.get_by_label("Clip outliers").check()
    page.wait_for_url(re.compile("clip=1"))
    page.get_by_label("Smooth").fill("0.9")
    expect(head).to_contain_text("smoothed 0.90 over raw")
    expect(head).to_contain_text(f"NaN from step {LONG_POINTS // 2}")
    assert painted(page) != plain
    page.get_by_role("button", name="Log", exact=True).click()
    page.wait_for_url(re.compile("log=1"))
    low = sum(value <= 0 for number in SIX for value in finite(number, "layer/2/accuracy"))
    expect(head).to_contain_text(f"{low} values ≤ 0 left out")
    for label, said in (("Relative", "s"), ("Wall time", "UTC")):
        page.get_by_role("button", name=label, exact=True).click()
        point(settled(page), 0, 0.01)
        expect(page.locator(".chart-tooltip:visible header")).to_contain_text(said)
    for metric in ("train/loss", HOSTILE, ARABIC):
        page.get_by_label("The metric of the x axis").fill(metric)
        with page.expect_response(WHOLE) as answered:
            page.get_by_label("The metric of the x axis").press("Enter")
        assert answered.value.ok
        expect(canvas).to_have_attribute("aria-label", re.compile(re.escape(f"layer/2/accuracy by {metric}, 6 runs")))
        assert query(page)["x_metric"] == [metric]


COMPLETED = "whole => [...document.querySelectorAll('#filter-words option')].some((each) => each.value === whole)"


def fitting() -> int:
    """How many runs have a learning rate below 0.01, a leading metric above 1.2 somewhere, the Arabic tag and another seed than those that go on."""
    return sum(number // SEEDS % 5 >= 2 and number % 5 == 3 and max(finite(number)) > 1.2 for number in range(RUNS))


def test_8_a_filter_is_completed_points_at_its_wrong_word_and_counts_as_the_api_does(visit: Opener, site: Site):
    page = visit(PROJECT)
    box = page.get_by_label("Filter by words or conditions")
    for begun, whole in (("metrics.val/acc", f"metrics.{LEADING}.max"), ("params.wi", "params.width"), (f"metrics.{ARABIC[:5]}", f"metrics.`{ARABIC}`.max")):
        box.fill(f"seed = 1 and {begun}")
        page.wait_for_function(COMPLETED, arg=f"seed = 1 and {whole}")
    wrong = f'params.lr < 1e-2 and metrics.val/acuracy.max > 1.2 and tags has "{ARABIC}" and seed < 4'
    box.fill(wrong)
    expect(page.locator("#filter-error mark")).to_have_text("metrics.val/acuracy.max", timeout=PATIENCE_MS)
    page.locator("#filter-error a").click()
    where = wrong.replace("acuracy", "accuracy")
    count = fitting()
    assert count > 50
    expect(page.locator(".pager [role=status]")).to_have_text(f"1 to 50 of {count} experiments", timeout=PATIENCE_MS)
    expect(page.get_by_label("Filter by words or conditions")).to_have_value(where)
    assert site.call("GET", f"/api/v1/experiments?project=crowd&where={quote(where)}")["count"] == count
    low = sum(min(finite(number, HOSTILE)) < 0.05 for number in range(RUNS))
    page.get_by_label("Filter by words or conditions").fill(f"metrics.`{HOSTILE}`.min < 0.05")
    expect(page.locator(".pager [role=status]")).to_have_text(re.compile(f"(of|to) {low} experiments"), timeout=PATIENCE_MS)


def test_9_columns_say_min_mean_max_and_what_a_metric_was_where_another_was_best(visit: Opener):
    keys = ["seed", f"min:{LEADING}", f"avg:{LEADING}", f"max:{LEADING}", f"at:train/loss@{LEADING}", f"max:{HOSTILE}"]
    page = visit(f"{PROJECT}?{urlencode({'columns': keys, 'sort': 'created'}, doseq=True)}")
    for number in (0, 1, NAN_RUN, SINGLE_RUN, 4, 5, 8):
        cells, known = row(page, number).locator("td"), finite(number)
        best = points(number).index(max(known))
        wanted = [min(known), statistics.mean(known), max(known), points(number, "train/loss")[best], max(finite(number, HOSTILE))]
        assert [exact(cells.nth(place)) for place in range(1, 6)] == pytest.approx(wanted, abs=1e-9)
    page.locator("thead a[data-also]", has_text="Seed").click()
    expect(page.locator("th[aria-sort]")).to_have_count(1, timeout=PATIENCE_MS)
    page.locator("thead th", has_text="max").first.locator("a[data-also]").click(modifiers=["Shift"])
    expect(page.locator("th[aria-sort]")).to_have_count(2, timeout=PATIENCE_MS)
    rows = page.locator("#table tbody tr").all()
    seen = [(int(each.locator("td").first.inner_text()), exact(each.locator("td").nth(3))) for each in rows]
    tops = sorted(max(finite(number)) for number in range(0, RUNS, SEEDS))
    turned = page.locator("th[aria-sort]").nth(1).get_attribute("aria-sort") == "descending"
    assert [seed for seed, _ in seen] == [0] * 50
    assert [top for _, top in seen] == (tops[::-1] if turned else tops)[:50]
    page.get_by_role("link", name="Arrange columns").click()
    page.get_by_role("link", name=f"Left: {HOSTILE}").click()
    page.wait_for_url(lambda url: query(page)["columns"][4:] == [keys[5], keys[4]])
    page.get_by_role("link", name="Pin: Seed").click()
    expect(page.locator("thead .pinned")).to_have_count(1, timeout=PATIENCE_MS)


def test_10_a_brush_hides_runs_on_the_whole_page_and_on_the_thousand_becomes_a_filter(visit: Opener):
    axes: dict[str, str | list[str]] = {
        "axes": "open",
        "sx": "param:lr",
        "sy": f"last:{LEADING}",
        "pc": ["param:lr", f"max:{LEADING}", "param:seed", f"param:{HOSTILE}"],
    }
    page = drawn(settled(visit(compare(SIX, **axes))))
    expect(page.locator("[data-absent]")).to_contain_text(f"{LEADING}: 1 NaN or infinite")
    brush(page, over_axes(page, "parallel"), (44, 30), (44, 120))
    expect(page.locator("[data-said]")).to_have_text("5 of 6 runs fit the brush.")
    expect(page.locator(".runs li:not(.hidden)")).to_have_count(5)
    assert shown(page) == TITLES[:5]
    expect(page.locator("#summary tbody tr:visible")).to_have_count(5)
    expect(page.locator("#differences thead th[data-of-run]:visible")).to_have_count(5)
    expect(page.locator("[data-shown-count]")).to_have_text("5")
    run(page, 1).hover()
    expect(page.locator("[data-hot]")).to_contain_text(HOSTILE)
    page.keyboard.press("Escape")
    expect(page.locator(".runs li:not(.hidden)")).to_have_count(6)
    brush(page, over_axes(page, "scatter"), (70 + 30, 46), (-14, -70))
    fit = re.compile(r"^(\d) of 6 runs fit")
    expect(page.locator("[data-said]")).to_have_text(fit)
    said = fit.match(page.locator("[data-said]").inner_text())
    assert said
    assert 0 < int(said[1]) < 6
    expect(page.locator(".runs li:not(.hidden)")).to_have_count(int(said[1]))
    expect(page.locator("#summary tbody tr:visible")).to_have_count(int(said[1]))
    page.keyboard.press("Escape")
    expect(page.locator(".runs li:not(.hidden)")).to_have_count(6)

    page.goto(f"{PROJECT}explore?{urlencode(axes | {'q': 'seed < 4'}, doseq=True)}")
    expect(page.locator("[data-said]")).to_have_text("800 experiments drawn.")
    page.get_by_label(f"{LEADING}: from").first.fill("1.5")
    page.keyboard.press("Tab")
    count = sum(max(finite(number)) >= 1.5 for number in range(RUNS) if number % SEEDS < 4)
    expect(page.locator("[data-said]")).to_have_text(f"{count} of 800 experiments fit the brush.")
    page.get_by_role("link", name="Apply to the table").click()
    expect(page.locator(".pager [role=status]")).to_have_text(f"1 to 50 of {count} experiments")


ONLY = "wanted => String([...document.querySelectorAll('#metrics .chart')].map((card) => card.dataset.metric)) === String(wanted)"


def test_11_metrics_are_found_folded_and_drawn_when_seen(visit: Opener):
    page = visit("about:blank")
    asked = questions(page)
    page.goto(compare(SIX, metric=""))
    settled(page)
    assert sorted(names(page)) == sorted(METRICS)
    assert 0 < len(asked) < len(METRICS) - 5
    last = page.locator(".chart").last
    expect(last.locator(".uplot")).to_have_count(0)
    last.scroll_into_view_if_needed()
    last.locator(".uplot canvas").first.wait_for()
    box = page.get_by_label("Find metrics by name")
    for typed, found in (
        ("acc", [f"{part}/accuracy" for part in ("layer/1", "layer/2", "system", "train", "val")]),
        (ARABIC[:6], [ARABIC]),
        (HOSTILE, [HOSTILE]),
    ):
        box.fill("")
        box.press_sequentially(typed)
        expect(page.locator("#metric-count")).to_have_text(f"{len(found)} of 30 metrics")
        page.wait_for_function(ONLY, arg=found)
        settled(page)
    page.get_by_label("Regex").check()
    box.fill("^(train|val)/f1$")
    expect(page.locator("#metric-count")).to_have_text("2 of 30 metrics")
    box.fill("^(train|val")
    expect(page.locator("#metric-trouble mark")).to_have_text("(")
    assert names(page) == ["train/f1", "val/f1"]
    box.fill("")
    expect(page.locator("#metrics .chart")).to_have_count(30)
    page.locator('[data-section="<"] > summary').click()
    page.wait_for_url(lambda url: query(page).get("fold") == ["<"])
    asked.clear()
    page.reload()
    settled(page)
    assert asked
    assert not [url for url in asked if "window.struck" in url]


def saved(page: Page, link: Locator, path: Path) -> Path:
    """What comes of clicking, as a file."""
    with page.expect_download(timeout=PATIENCE_MS) as got:
        link.click()
    got.value.save_as(path)
    return path


def test_12_tables_and_charts_come_as_files_a_link_is_the_view_and_a_key_lists_the_keys(visit: Opener, tmp_path: Path):
    page = visit(f"{PROJECT}?q={quote('params.lr = 0.1')}")
    wanted = {slug(number) for number in range(RUNS) if number // SEEDS % 5 == 0}
    rows = list(csv.DictReader(saved(page, page.get_by_role("link", name="CSV, shown columns", exact=True), tmp_path / "table.csv").open(newline="")))
    table = pq.read_table(saved(page, page.get_by_role("link", name="Parquet, shown columns", exact=True), tmp_path / "table.parquet"))
    assert {each["slug"] for each in rows} == set(table["slug"].to_pylist()) == wanted
    assert set(NAMES) <= {each["name"] for each in rows}
    assert set(NAMES) <= set(table["name"].to_pylist())

    page = settled(visit(compare(SIX, hide=slug(NAN_RUN), log="1", smooth="0.6")))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert {"/", "x", "l", "s", "c", "d", "j", "k", "b", "e", "?"} <= set(sheet(page))
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.wait_for_url(re.compile("clip=1"))
    page.locator(".menu.export summary").first.click()
    picture = saved(page, page.get_by_role("button", name="PNG, as drawn"), tmp_path / "chart.png").read_bytes()
    shades = page.evaluate(SHADES, list(picture))
    assert max(shades, key=shades.get) == "255,255,255"
    assert shades["20,24,29"] > 100
    again = settled(visit(page.url))
    assert shown(again) == [title for number, title in enumerate(TITLES) if number != NAN_RUN]
    assert painted(again) == painted(page)
    again.locator(".menu.export summary").first.click()
    rows = list(csv.DictReader(saved(again, again.get_by_role("link", name="CSV, every point"), tmp_path / "points.csv").open(newline="")))
    assert {each["slug"] for each in rows} == {slug(number) for number in SIX if number != NAN_RUN}
    for number in (1, SINGLE_RUN):
        assert [float(each["value"]) for each in rows if each["slug"] == slug(number)] == points(number)


def test_13_a_running_one_gains_points_by_small_bodies_and_nobody_asks_in_a_hidden_tab(visit: Opener, site: Site):
    page = settled(visit(compare([249, SINGLE_RUN, 1], x="step", hide=slug(1)), is_clocked=True))
    page.evaluate("window.isSame = true")
    whole, before = counted(page, WHOLE), painted(page)
    told: list[bytes] = []
    page.on("response", lambda response: told.append(response.body()) if LIVE.search(response.url) and response.status == 200 else None)
    site.log("crowd", slug(249), {LEADING: [7.0, 8.0, 9.0]}, first=2)
    page.wait_for_function("before => document.querySelector('.chart canvas').toDataURL() !== before", arg=before, timeout=30_000)
    point(page, 0, 0.01)
    expect(page.locator(".chart-tooltip:visible")).to_contain_text(ENDLESS[:20])
    assert page.evaluate("window.isSame")
    assert whole == []
    assert max(map(len, told)) < 2048
    assert any(json.loads(text)["charts"] for text in told)

    hide(page, is_hidden=True)
    page.wait_for_load_state("networkidle")
    asked, before = counted(page, LIVE), painted(page)
    site.log("crowd", slug(249), {LEADING: [30.0]}, first=5)
    later(page)
    assert asked == []
    hide(page, is_hidden=False)
    page.wait_for_function("before => document.querySelector('.chart canvas').toDataURL() !== before", arg=before, timeout=30_000)
