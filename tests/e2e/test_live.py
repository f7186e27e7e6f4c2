"""Pages of runs that go on, in a real browser: points come without a reload, nobody asks while nobody looks, and what is merged is what a fresh answer says."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import Console, Opener, Site, settled

pytestmark = pytest.mark.browser
LIVE = re.compile("/metrics/live/")
WHOLE = re.compile("/metrics/compare/")


# More than twice the time between two requests; a page's own clock runs through it at once.
TWICE_MS = 7000


def later(page: Page) -> None:
    """Once everything has happened that the page of which `page.clock` is installed would do by itself in the meantime, its requests heard."""
    page.clock.run_for(TWICE_MS)
    page.evaluate("() => fetch('/health')")


def counted(page: Page, pattern: re.Pattern[str]) -> list[str]:
    """The addresses that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if pattern.search(request.url) else None)
    return asked


def drawn(page: Page) -> str:
    """The first chart as it is painted."""
    return str(page.locator(".chart canvas").first.evaluate("canvas => canvas.toDataURL()"))


def hide(page: Page, *, is_hidden: bool) -> None:
    """As a browser says that nobody looks at the tab, or that somebody does again."""
    state = "hidden" if is_hidden else "visible"
    page.evaluate(
        """state => {
          Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
          Object.defineProperty(document, 'hidden', { value: state === 'hidden', configurable: true });
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        state,
    )


def end(site: Site, project: str, slug: str, status: str = "complete", **more: str) -> None:
    """The run is complete, and has been for a while; or whatever `status` says."""
    (row,) = [row for row in site.call("GET", f"/api/v1/experiments?project={project}")["results"] if row["slug"] == slug]
    site.call("PATCH", f"/api/v1/experiments/{row['id']}", {"status": status, **more})


def look_again(page: Page) -> None:
    """What the page does every ten seconds."""
    with page.expect_response(lambda answer: answer.request.headers.get("hx-target") == "compare-live"):
        page.evaluate("htmx.trigger('#compare-live', 'resumed')")


@pytest.mark.differs_on_servers("one worker takes the points, another tells of them")
def test_a_comparison_gains_points_without_a_reload_and_without_being_asked_whole(visit: Opener, site: Site):
    slugs = [site.run("going", name, {"loss": [3.0, 2.0, 1.0], "accuracy": [0.1, 0.2, 0.3]}) for name in ("one", "two")]
    page = settled(visit(f"/projects/research-team/going/compare?e={slugs[0]}&e={slugs[1]}"))
    page.evaluate("window.isSame = true")
    whole, before = counted(page, WHOLE), drawn(page)
    bodies: list[int] = []
    page.on("response", lambda response: bodies.append(len(response.body())) if LIVE.search(response.url) and response.status == 200 else None)
    site.log("going", slugs[0], {"accuracy": [0.9, 0.8, 0.7], "loss": [9.0, 8.0, 7.0]}, first=3)
    page.wait_for_function("before => document.querySelector('.chart canvas').toDataURL() !== before", arg=before, timeout=30_000)
    card = page.locator(".chart").first
    card.focus()
    page.keyboard.press("End")
    expect(card.locator(".chart-tooltip header")).to_contain_text("step 5")
    assert page.evaluate("window.isSame")
    assert whole == []
    assert max(bodies) < 2048


def test_the_list_and_the_tables_follow_and_say_how_a_run_ended(visit: Opener, site: Site):
    slugs = [site.run("tables", name, {"loss": [3.0, 2.0]}) for name in ("one", "two")]
    page = settled(visit(f"/projects/research-team/tables/compare?e={slugs[0]}&e={slugs[1]}"))
    page.evaluate("window.isSame = true")
    listed, rows = page.locator(".runs [data-run]").nth(1), page.locator("#summary tbody tr")
    page.locator(".runs .eye").first.click()  # the address says now what the page did not come with
    site.log("tables", slugs[1], {"loss": [0.25]}, first=2)
    look_again(page)
    expect(rows.nth(1)).to_contain_text("0.250")
    expect(listed.locator(".value")).to_contain_text("0.250")
    assert "hide=one" in page.url
    expect(page.locator("#differences header")).to_contain_text("numbers as of")
    end(site, "tables", slugs[1], "failed", failure_kind="crashed")
    look_again(page)
    expect(listed.locator(".run-name small")).to_have_text("crashed")
    expect(rows.nth(1)).to_contain_text("crashed")
    end(site, "tables", slugs[0])
    look_again(page)
    expect(page.locator("#compare-live[data-live]")).to_have_count(0)
    assert page.evaluate("window.isSame")


@pytest.mark.slow
def test_who_is_signed_out_is_told_and_sees_no_page_within_the_page(visit: Opener, site: Site, console: Console):
    console.allowed.append("401")
    slugs = [site.run("leaving", name, {"loss": [3.0, 2.0]}) for name in ("one", "two")]
    page = settled(visit(f"/projects/research-team/leaving/compare?e={slugs[0]}&e={slugs[1]}"))
    page.context.clear_cookies()
    site.log("leaving", slugs[1], {"loss": [0.25]}, first=2)
    look_again(page)
    expect(page.get_by_role("alert").first).to_contain_text("you are signed out")
    expect(page.locator("#main")).to_have_count(1)
    expect(page.locator("h1")).to_have_text("2 experiments")


@pytest.mark.slow
def test_a_page_of_which_a_run_was_deleted_is_loaded_anew(visit: Opener, site: Site):
    slugs = [site.run("fading", name, {"loss": [3.0, 2.0]}) for name in ("one", "two", "three")]
    page = visit("about:blank")
    page.clock.install()
    page.goto(f"/projects/research-team/fading/compare?e={','.join(slugs)}")
    settled(page)
    (gone,) = [row for row in site.call("GET", "/api/v1/experiments?project=fading")["results"] if row["slug"] == slugs[2]]
    site.delete(f"/api/v1/experiments/{gone['id']}")
    page.clock.fast_forward(10_000)
    expect(page.locator("h1")).to_have_text("2 experiments", timeout=30_000)  # by itself, after ten seconds
    expect(page.locator(".runs [data-run]")).to_have_count(2)


def test_a_new_metric_gets_its_chart_and_the_others_stay(visit: Opener, site: Site):
    slugs = [site.run("growing", name, {"loss": [3.0, 2.0]}) for name in ("one", "two")]
    page = settled(visit(f"/projects/research-team/growing/compare?e={slugs[0]}&e={slugs[1]}"))
    page.evaluate("document.querySelector('.chart canvas').isSame = true")
    site.log("growing", slugs[0], {"accuracy": [0.5, 0.6]})
    look_again(page)
    expect(page.locator('.chart[data-metric="accuracy"] .uplot')).to_have_count(1)
    expect(page.locator("#summary thead")).to_contain_text("accuracy")
    expect(page.locator(".run-list footer")).to_have_text("accuracy, last, and its difference from the baseline.")
    expect(page.get_by_label("Sort by")).to_have_count(1)
    expect(page.get_by_label("Sort by").locator("option")).to_have_text(["as chosen", "accuracy", "loss"])
    assert page.locator('.chart[data-metric="loss"] canvas').first.evaluate("canvas => canvas.isSame")
    expect(page.get_by_label("Find metrics by name")).to_be_hidden()
    site.log("growing", slugs[0], {f"metric {n}": [0.5] for n in range(12)})
    look_again(page)
    expect(page.get_by_label("Find metrics by name")).to_be_visible()
    expect(page.locator("#metric-count")).to_have_text("14 metrics")


@pytest.mark.slow
def test_a_run_that_starts_later_is_followed_from_then_on(visit: Opener, site: Site):
    ended = site.run("later", "ended", {"loss": [3.0, 2.0]})
    end(site, "later", ended)
    planned = site.call("POST", "/api/v1/experiments", {"project": "later", "name": "planned", "status": "planned"})["slug"]
    page = settled(visit(f"/projects/research-team/later/compare?e={ended}&e={planned}"))
    end(site, "later", planned, "running")
    site.log("later", planned, {"loss": [9.0, 8.0]})
    look_again(page)
    expect(page.locator(f'.runs [data-slug="{planned}"] .run-name small')).to_have_text("running")
    before = drawn(page)
    site.log("later", planned, {"loss": [7.0, 6.0]}, first=2)
    page.wait_for_function("before => document.querySelector('.chart canvas').toDataURL() !== before", arg=before, timeout=30_000)


def test_one_request_serves_all_the_charts_in_sight(visit: Opener, site: Site):
    slugs = [site.run("many", name, {f"metric {n}": [3.0, 2.0] for n in range(6)}) for name in ("one", "two")]
    page = settled(visit(f"/projects/research-team/many/compare?e={slugs[0]}&e={slugs[1]}"))
    with page.expect_request(LIVE, timeout=30_000) as asked:
        pass
    near = page.locator(".chart:has(canvas)").count()
    assert asked.value.url.count("mark=") == near
    assert near > 1


@pytest.mark.slow
def test_nobody_asks_while_the_tab_is_hidden_and_it_catches_up_once(visit: Opener, site: Site):
    slug, other = (site.run("hidden", name, {"loss": [3.0, 2.0, 1.0]}) for name in ("one", "two"))
    page = visit("about:blank")
    page.clock.install()
    page.goto(f"/projects/research-team/hidden/compare?e={slug}&e={other}")
    settled(page)
    with page.expect_response(LIVE, timeout=30_000):
        later(page)
    hide(page, is_hidden=True)
    page.wait_for_load_state("networkidle")
    asked, before = counted(page, LIVE), drawn(page)
    site.log("hidden", slug, {"loss": [9.0]}, first=3)
    later(page)
    assert asked == []
    with page.expect_response(LIVE, timeout=30_000):
        hide(page, is_hidden=False)
    page.wait_for_function("before => document.querySelector('.chart canvas').toDataURL() !== before", arg=before, timeout=30_000)
    assert len(asked) <= 2


@pytest.mark.slow
def test_it_ends_when_nothing_runs_any_more(visit: Opener, site: Site):
    slugs = [site.run("ending", name, {"loss": [3.0, 2.0, 1.0]}) for name in ("one", "two")]
    page = visit("about:blank")
    page.clock.install()

    def over(route: Route) -> None:
        ids = re.findall(r"[0-9a-f-]{36}", route.request.url.split("experiments=")[1].split("&")[0])
        route.fulfill(status=200, content_type="application/json", body=json.dumps({"seen": "x", "ended": ids, "charts": []}))

    page.route(LIVE, over)
    page.goto(f"/projects/research-team/ending/compare?e={slugs[0]}&e={slugs[1]}")
    settled(page)
    with page.expect_response(LIVE, timeout=30_000):
        later(page)
    page.wait_for_load_state("networkidle")
    asked = counted(page, LIVE)
    later(page)
    assert asked == []


@pytest.mark.slow
def test_a_page_without_runs_that_go_on_asks_for_nothing(visit: Opener, site: Site):
    slugs = [site.run("over", name, {"loss": [3.0, 2.0, 1.0]}) for name in ("one", "two")]
    for slug in slugs:
        end(site, "over", slug)
    page = visit("about:blank")
    page.clock.install()
    asked = counted(page, LIVE)
    page.goto(f"/projects/research-team/over/compare?e={slugs[0]}&e={slugs[1]}")
    settled(page)
    later(page)
    assert asked == []


def test_a_comparison_without_a_point_shows_its_first_ones(visit: Opener, site: Site):
    slugs = [site.run("first", name) for name in ("one", "two")]
    page = visit(f"/projects/research-team/first/compare?e={slugs[0]}&e={slugs[1]}")
    expect(page.get_by_text("None of these runs has logged a point yet")).to_be_visible()
    with page.expect_response(LIVE, timeout=30_000):
        pass
    site.log("first", slugs[0], {"loss": [3.0, 2.0]})
    page.wait_for_selector(".chart .uplot canvas", timeout=30_000)


@pytest.fixture(scope="module")
def merge(browser: Browser, site: Site) -> Callable[..., Any]:
    """merge(answer, news, order): the answer as charts/live.js brings it up to date."""
    page = browser.new_page(base_url=site.url)
    page.goto("/sign-in")
    script = "async ([answer, told, how]) => (await import('/static/js/charts/live.js')).merged(answer, told, how)"
    return lambda answer, news, order: page.evaluate(script, [answer, news["series"], {"added": news["added"], "order": order}])


@pytest.mark.parametrize(
    "query",
    [
        {},
        *(
            pytest.param(query, marks=pytest.mark.slow)
            for query in ({"max_points": "5"}, {"x": "relative", "max_points": "40"}, {"x": "time"}, {"from": "10", "to": "18"})
        ),
    ],
)
def test_what_the_browser_merges_is_what_the_server_answers_anew(merge: Callable[..., Any], site: Site, query: dict[str, str]):
    chance, project = random.Random(str(query)), f"merge-{abs(hash(str(query)))}"
    slugs = [site.run(project, name, {"loss": [chance.gauss(0, 1) for _ in range(8)]}) for name in ("one", "two", "three")]
    rows = {row["slug"]: row["id"] for row in site.call("GET", f"/api/v1/experiments?project={project}")["results"]}
    ids = [rows[slug] for slug in slugs]
    whole = f"/api/v1/metrics/compare/{project}?{urlencode(query | {'live': '1', 'metric': 'loss', 'experiments': ','.join(ids)})}"
    answer, merges, first = site.call("GET", whole), 0, dict.fromkeys(slugs, 8)
    for turn in range(8):
        for slug in slugs[: 1 + turn % 3]:
            values = ["NaN" if chance.random() < 0.2 else chance.gauss(0, 1) for _ in range(chance.choice([1, 2, 3]))]
            again = turn == 5 and "x" not in query  # over time, a chart of steps with several values is asked anew
            site.log(project, slug, {"loss": values}, first=first[slug] - again)
            first[slug] += len(values)
        mark = f"{answer['frame']}:{'_'.join(answer['marks'].get(one, '') for one in ids)}:loss"
        told = site.call("GET", f"/api/v1/metrics/live/{project}?{urlencode({'experiments': ','.join(ids), 'mark': mark})}")["charts"]
        fresh = site.call("GET", whole)
        if told and not told[0].get("anew"):
            assert merge(answer, told[0], ids) == fresh
            merges += 1
        answer = fresh
    assert merges > 0
